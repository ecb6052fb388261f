//! What the operator may do: the rights of each of its roles. `portico rbac` prints them, `operator/rbac.yaml` holds
//! them, and a test compares them with what the operator asks of the API server in a life of every kind: no right is
//! missing, and none is there that nothing uses.

use k8s_openapi::{
    api::rbac::v1::{ClusterRole, PolicyRule, Role, RoleBinding, RoleRef, Subject},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

/// Some rights over some kinds of objects.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// Plural names, with subresources behind a slash.
    pub resources: &'static [&'static str],
    /// Verbs of RBAC.
    pub verbs: &'static [&'static str],
}

/// The rights that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Rights {
    /// Name of the role.
    pub name: &'static str,
    /// What it is for, as a comment.
    pub purpose: &'static str,
    /// The rights themselves.
    pub rights: &'static [Right],
}

const READ: &[&str] = &["get", "list", "watch"];
/// Children are written by server-side apply, which needs `create` for what is not there yet, and found again by
/// name where the cache does not show them.
const OWN: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];

const fn right(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Right {
    Right { group, resources, verbs }
}

/// All roles.
pub const ROLES: [Rights; 4] = [
    Rights {
        name: "portico-operator",
        purpose: "What the operator may do about McpServers. It may not change one: neither its spec nor its metadata, \
                  only its\n# status. Secrets are read to roll the pods when one changes; pods to say why a rollout \
                  does not get on;\n# volumes and claims to say whether what a spec names exists.",
        rights: &[
            right("portico.dev", &["mcpservers"], READ),
            right("portico.dev", &["mcpservers/status"], &["patch"]),
            // A child names its owner as one that waits for it; some clusters want this right for that.
            right("portico.dev", &["mcpservers/finalizers"], &["update"]),
            right("apps", &["deployments"], OWN),
            right("", &["services", "serviceaccounts", "configmaps"], OWN),
            right("networking.k8s.io", &["networkpolicies"], OWN),
            right("policy", &["poddisruptionbudgets"], OWN),
            right("", &["secrets", "persistentvolumeclaims"], READ),
            right("", &["pods"], &["list", "watch"]),
            right("resource.k8s.io", &["resourceclaims", "resourceclaimtemplates"], READ),
            right("events.k8s.io", &["events"], &["create", "patch"]),
        ],
    },
    Rights {
        name: "portico-operator-models",
        purpose: "What it may do besides about InferenceModels: their volumes and downloads.",
        rights: &[
            right("portico.dev", &["inferencemodels"], READ),
            right("portico.dev", &["inferencemodels/status"], &["patch"]),
            right("portico.dev", &["inferencemodels/finalizers"], &["update"]),
            right("", &["persistentvolumeclaims"], &["create", "patch", "delete"]),
            right("batch", &["jobs"], OWN),
        ],
    },
    Rights {
        name: "portico-operator-composites",
        purpose: "What it may do besides about the kinds that render McpServers. It writes the McpServers that it \
                  renders and no\n# others, which policies/operator-writes-no-spec.yaml holds it to; session keys are \
                  made once and replaced under\n# the version that was read; a volume is never deleted.",
        rights: &[
            right("portico.dev", &["krogerintegrations", "shopconnectors"], &["list", "watch"]),
            right("portico.dev", &["krogerintegrations/status", "shopconnectors/status"], &["patch"]),
            right(
                "portico.dev",
                &["krogerintegrations/finalizers", "shopconnectors/finalizers"],
                &["update"],
            ),
            right("portico.dev", &["mcpservers"], &["create", "patch", "delete"]),
            right("", &["secrets"], &["create", "update"]),
            right("", &["persistentvolumeclaims"], &["create", "patch"]),
        ],
    },
    Rights {
        name: "portico-operator-lease",
        purpose: "The Lease by which several operators agree who acts, in the operator's own namespace.",
        rights: &[right("coordination.k8s.io", &["leases"], &["get", "create", "update"])],
    },
];

impl Rights {
    fn rules(&self) -> Vec<PolicyRule> {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let rule = |right: &Right| PolicyRule {
            api_groups: Some(vec![right.group.to_owned()]),
            resources: Some(texts(right.resources)),
            verbs: texts(right.verbs),
            ..PolicyRule::default()
        };
        self.rights.iter().map(rule).collect()
    }

    fn meta(&self, namespace: Option<&str>) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name.to_owned()),
            namespace: namespace.map(ToOwned::to_owned),
            ..ObjectMeta::default()
        }
    }

    /// The role for the whole cluster.
    #[must_use]
    pub fn cluster_role(&self) -> ClusterRole {
        ClusterRole { metadata: self.meta(None), rules: Some(self.rules()), ..ClusterRole::default() }
    }

    /// The role in one namespace, for an installation without any cluster-wide right.
    #[must_use]
    pub fn role(&self, namespace: &str) -> Role {
        Role { metadata: self.meta(Some(namespace)), rules: Some(self.rules()) }
    }

    /// Gives the role in `namespace` to the service account `account` of the namespace `of`.
    #[must_use]
    pub fn binding(&self, namespace: &str, (of, account): (&str, &str)) -> RoleBinding {
        RoleBinding {
            metadata: self.meta(Some(namespace)),
            role_ref: RoleRef {
                api_group: Some("rbac.authorization.k8s.io".to_owned()),
                kind: "Role".to_owned(),
                name: self.name.to_owned(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name: account.to_owned(),
                namespace: Some(of.to_owned()),
                api_group: None,
            }]),
        }
    }
}
