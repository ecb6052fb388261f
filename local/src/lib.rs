//! The same system without a cluster: a folder of manifests becomes local processes.
