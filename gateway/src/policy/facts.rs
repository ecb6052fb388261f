//! What rules see of a call.

use std::net::IpAddr;

use cel::Value;

use super::value::{object, text};
use crate::auth::Principal;
use crate::catalog::Route;
use crate::method::Method;

/// A call, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) principal: &'a Principal,
    /// Whence the request comes.
    pub(crate) address: Option<IpAddr>,
    pub(crate) method: Method,
    /// Where it leads.
    pub(crate) route: &'a Route,
    pub(crate) arguments: Arguments<'a>,
}

/// What a call is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arguments<'a> {
    /// Not known yet: a list is made.
    Unknown,
    /// None, or the JSON text of them.
    Given(Option<&'a str>),
    /// More bytes than rules look at.
    TooLarge,
}

impl Facts<'_> {
    /// The tool by the name before any prefix, if a tool is called.
    pub(crate) fn tool(&self) -> Option<&str> {
        (self.method == Method::ToolsCall).then(|| self.route.plain_name())
    }

    /// The value of a variable; none of what is not known yet.
    pub(super) fn value(&self, variable: &str) -> Result<Option<Value>, String> {
        let is_tool = self.tool().is_some();
        let is_prompt = self.method == Method::PromptsGet;
        let named = |is: bool| text(if is { &self.route.original } else { "" });
        Ok(Some(match variable {
            "principal" => self.principal(),
            "address" => text(&self.address.map(|address| address.to_string()).unwrap_or_default()),
            "method" => text(self.method.as_str()),
            "server" => {
                let key = self.route.backend.key();
                object([("namespace", text(&key.namespace)), ("name", text(&key.name))])
            }
            "tool" => self.tool_value(),
            "prompt" => object([("name", named(is_prompt))]),
            "resource" => object([("uri", named(!is_prompt && !is_tool))]),
            _ => return self.arguments(),
        }))
    }

    fn principal(&self) -> Value {
        let claims = self.principal.claims.as_ref();
        let claims = claims.map_or_else(|| object([]), |claims| claims.value.clone());
        object([
            ("name", text(&self.principal.name)),
            ("kind", text(self.principal.kind())),
            ("claims", claims),
        ])
    }

    /// Always with all members, so that a rule about tools does not fail where a resource is read.
    fn tool_value(&self) -> Value {
        let hints = self.route.hints;
        object([
            ("name", text(self.tool().unwrap_or_default())),
            ("readOnly", Value::Bool(hints.read_only)),
            ("destructive", Value::Bool(hints.is_destructive())),
            ("idempotent", Value::Bool(hints.idempotent)),
            ("openWorld", Value::Bool(hints.open_world)),
        ])
    }

    fn arguments(&self) -> Result<Option<Value>, String> {
        match self.arguments {
            Arguments::Unknown => Ok(None),
            Arguments::TooLarge => Err("the arguments are larger than rules look at".into()),
            Arguments::Given(raw) => super::value::parse(raw.unwrap_or("{}"))
                .map(Some)
                .map_err(|error| format!("the arguments cannot be read: {error}")),
        }
    }
}
