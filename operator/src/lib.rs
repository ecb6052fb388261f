//! Turns custom resources into Kubernetes objects.
