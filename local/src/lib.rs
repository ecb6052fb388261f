//! The same system without a cluster: a folder of manifests becomes local processes.
//!
//! `manifest` reads the folder and says what is wrong with it; `plan` turns what the operator would render into
//! commands of this machine, and is pure; `process` keeps one command running, behind a process that runs `keep`;
//! `up` holds them all together.

pub mod check;
pub mod keep;
pub mod manifest;
pub mod plan;
pub mod process;
pub mod up;
