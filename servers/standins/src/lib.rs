//! Local stand-ins for upstream APIs that cannot be had in tests.
