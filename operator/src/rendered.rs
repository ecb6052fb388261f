//! An `McpServer` that another kind renders, as the cache has it.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, api::ObjectMeta, core::NamespaceResourceScope};
use portico_crds::{McpServer, McpServerSpec, condition::Type, reason::Reason};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An `McpServer` read loosely: one that a newer version has written, and that this one could not decode, must not
/// stop the watch that all of them come through.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RenderedServer {
    /// 'portico.dev/v1alpha1'.
    #[serde(default)]
    pub api_version: String,
    /// '`McpServer`'.
    #[serde(default)]
    pub kind: String,
    /// As of any object.
    pub metadata: ObjectMeta,
    /// The spec, whatever it holds.
    #[serde(default)]
    pub spec: Value,
    /// The status, whatever it holds; never written from here.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub status: Value,
}

impl Resource for RenderedServer {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        McpServer::kind(&())
    }
    fn group((): &()) -> Cow<'_, str> {
        McpServer::group(&())
    }
    fn version((): &()) -> Cow<'_, str> {
        McpServer::version(&())
    }
    fn plural((): &()) -> Cow<'_, str> {
        McpServer::plural(&())
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl RenderedServer {
    /// The server to write.
    #[must_use]
    pub fn new(metadata: ObjectMeta, spec: &McpServerSpec) -> Self {
        Self {
            api_version: McpServer::api_version(&()).into_owned(),
            kind: McpServer::kind(&()).into_owned(),
            metadata,
            spec: serde_json::to_value(spec).unwrap_or_default(),
            status: Value::Null,
        }
    }

    /// A condition, where the status speaks of the newest spec.
    #[must_use]
    pub fn condition(&self, kind: Type) -> Option<Condition> {
        let observed = self.status["observedGeneration"].as_i64();
        let conditions = self.status["conditions"].as_array()?.iter();
        let mut all = conditions.filter_map(|value| serde_json::from_value::<Condition>(value.clone()).ok());
        all.find(|condition| condition.type_ == kind.as_str())
            .filter(|_| observed.is_some() && observed == self.metadata.generation)
    }

    /// The condition Ready, where it speaks of the newest spec.
    #[must_use]
    pub fn ready(&self) -> Option<Condition> {
        self.condition(Type::Ready)
    }

    /// Whether it serves as the newest spec wants it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready().is_some_and(|condition| condition.status == "True")
    }

    /// Whether it is as the newest spec wants it without any pod.
    #[must_use]
    pub fn is_at_zero(&self) -> bool {
        self.ready()
            .is_some_and(|ready| ready.status == "True" && ready.reason == Reason::ScaledToZero.as_str())
    }

    /// Since when at least one pod of it has been serving without a break; `None` where none does.
    #[must_use]
    pub fn serving_since(&self) -> Option<Timestamp> {
        let available = self.condition(Type::Available).filter(|condition| condition.status == "True")?;
        Some(available.last_transition_time.0)
    }

    /// URL of its MCP endpoint.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.status["url"].as_str()
    }
}
