//! What rules see of a call.

use std::net::IpAddr;

use cel::Value;

use super::value::{object, text};
use crate::auth::Principal;
use crate::catalog::{Hints, Route};
use crate::method::Method;
use crate::source::ServerKey;

/// A call, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) principal: &'a Principal,
    /// Whence the request comes.
    pub(crate) address: Option<IpAddr>,
    pub(crate) method: Method,
    pub(crate) server: &'a ServerKey,
    /// The tool's or prompt's name before any prefix, or the resource's URI, as the server has it.
    pub(crate) name: &'a str,
    /// What its effects are.
    pub(crate) hints: Hints,
    pub(crate) arguments: Arguments<'a>,
}

/// Bytes of arguments that rules look at; reading more would cost too much for a call that may be refused.
const MAX_ARGUMENTS: usize = 64 * 1024;

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

impl<'a> Arguments<'a> {
    /// The arguments `raw`.
    pub(crate) fn of(raw: Option<&'a str>) -> Self {
        match raw {
            Some(raw) if raw.len() > MAX_ARGUMENTS => Self::TooLarge,
            raw => Self::Given(raw),
        }
    }
}

impl<'a> Facts<'a> {
    /// What `principal` asks for from `address` by `method`, of what `route` leads to.
    pub(crate) fn of(
        (principal, address): (&'a Principal, Option<IpAddr>),
        (method, route): (Method, &'a Route),
        arguments: Arguments<'a>,
    ) -> Self {
        let name = match method {
            Method::ResourcesRead => &route.original,
            _ => route.plain_name(),
        };
        Self { principal, address, method, server: route.backend.key(), name, hints: route.hints, arguments }
    }
}

impl Facts<'_> {
    /// The tool by the name before any prefix, if a tool is called.
    pub(crate) fn tool(&self) -> Option<&str> {
        (self.method == Method::ToolsCall).then_some(self.name)
    }

    /// The value of a variable; none of what is not known yet.
    pub(super) fn value(&self, variable: &str) -> Result<Option<Value>, String> {
        let is_resource = matches!(self.method, Method::ResourcesRead | Method::Complete);
        // Arguments of prompts and of templates are completed alike.
        let is_prompt = matches!(self.method, Method::PromptsGet | Method::Complete);
        let named = |is: bool| text(if is { self.name } else { "" });
        Ok(Some(match variable {
            "principal" => self.principal(),
            "address" => text(&self.address.map(|address| address.to_string()).unwrap_or_default()),
            "method" => text(self.method.as_str()),
            "server" => {
                object([("namespace", text(&self.server.namespace)), ("name", text(&self.server.name))])
            }
            "tool" => self.tool_value(),
            "prompt" => object([("name", named(is_prompt))]),
            "resource" => object([("uri", named(is_resource))]),
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
        let hints = self.hints;
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
