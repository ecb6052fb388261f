//! The custom resources of Portico: their types, and nothing else.
