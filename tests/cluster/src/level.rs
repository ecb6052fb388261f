//! How much of a cluster a test needs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How much of a cluster runs. More costs more time and memory; ask for the least that proves the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Etcd and the API server: schemas, CEL, server-side apply, RBAC, watches, admission.
    Api,
    /// And the controllers and the scheduler: Deployments make pods, owners collect, nothing runs.
    Control,
    /// And simulated nodes (two with GPUs, two without) on which every pod becomes ready at once.
    Kwok,
    /// `Control` and a node, `proc-1`, that runs every container as a local process, with Services and names, in a
    /// [`network`](crate::network) of their own.
    Processes,
    /// An existing cluster, named by `$PORTICO_CLUSTER_KUBECONFIG`.
    External,
}

impl Level {
    /// Whether a cluster of this level may stand in for one of `wanted`. Pods behave differently at each level,
    /// so only a test that creates none can do with another.
    #[must_use]
    pub fn serves(self, wanted: Self) -> bool {
        self == wanted || wanted == Self::Api
    }

    /// Whether controllers run, so that owned objects are collected and namespaces really go.
    #[must_use]
    pub fn has_controllers(self) -> bool {
        self != Self::Api
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Control => "control",
            Self::Kwok => "kwok",
            Self::Processes => "processes",
            Self::External => "external",
        })
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        [Self::Api, Self::Control, Self::Kwok, Self::Processes, Self::External]
            .into_iter()
            .find(|level| level.to_string() == name)
            .ok_or_else(|| Error::UnknownLevel(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_read_back_from_its_name() {
        for level in [Level::Api, Level::Control, Level::Kwok, Level::Processes, Level::External] {
            assert_eq!(level.to_string().parse::<Level>().unwrap(), level);
        }
    }

    #[test]
    fn an_unknown_level_names_the_known_ones() {
        let error = "node".parse::<Level>().unwrap_err().to_string();
        assert!(error.contains("`node`") && error.contains("processes"), "{error}");
    }

    #[test]
    fn a_cluster_that_runs_pods_does_not_serve_a_test_that_expects_them_pending() {
        assert!(!Level::Processes.serves(Level::Control));
        assert!(Level::Processes.serves(Level::Api));
    }
}
