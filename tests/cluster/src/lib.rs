//! A real Kubernetes control plane for the tests, as plain processes.
