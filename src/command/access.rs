//! `portico access`.

use std::io::Write as _;
use std::process::ExitCode;

use portico_gateway::config::Config;
use portico_gateway::policy::{Call, Explanation, explain};
use portico_gateway::source::ServerKey;
use serde_json::{Map, Value};

use crate::cli::Access;
use crate::failure::Failure;

/// The call would not be made, or not at once.
const NOT_MADE: u8 = 3;

pub fn run(arguments: &Access) -> Result<ExitCode, Failure> {
    let path = arguments.config.clone();
    let config = Config::load(&path).map_err(|source| Failure::Config { path, source })?;
    let found = explain(config, &call(arguments)?).map_err(|error| Failure::part(&error))?;
    let text = if arguments.json {
        format!("{}\n", serde_json::to_string(&found).unwrap_or_default())
    } else {
        words(&found)
    };
    // Whoever read may have seen enough.
    drop(std::io::stdout().write_all(text.as_bytes()));
    Ok(if found.decision == "allow" { ExitCode::SUCCESS } else { ExitCode::from(NOT_MADE) })
}

fn call(arguments: &Access) -> Result<Call, Failure> {
    let server = arguments.server.split_once('/').filter(|(one, two)| !one.is_empty() && !two.is_empty());
    let (namespace, name) =
        server.ok_or_else(|| Failure::part(&format!("{}: must be NAMESPACE/NAME", arguments.server)))?;
    let claims = match &arguments.claims {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(Failure::file(path))?;
            Some(object(&path.display().to_string(), &text)?)
        }
        None => None,
    };
    object("--arguments", &arguments.arguments)?;
    Ok(Call {
        principal: principal(arguments.principal.as_deref(), claims.as_ref()),
        claims,
        address: arguments.address,
        server: ServerKey { namespace: namespace.to_owned(), name: name.to_owned() },
        tool: arguments.tool.clone(),
        annotations: object("--annotations", &arguments.annotations)?,
        arguments: arguments.arguments.clone(),
    })
}

fn object(what: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::part(&format!("{what}: must be a JSON object: {error}")))
}

fn principal(given: Option<&str>, claims: Option<&Map<String, Value>>) -> String {
    let claim = |name: &str| claims.and_then(|claims| claims.get(name)).and_then(Value::as_str);
    match (given, claim("iss"), claim("sub")) {
        (Some(given), ..) => given.to_owned(),
        (None, Some(issuer), Some(subject)) => format!("{issuer}#{subject}"),
        _ => "anonymous".to_owned(),
    }
}

fn words(found: &Explanation) -> String {
    let mut lines: Vec<String> = found
        .rules
        .iter()
        .map(|rule| {
            let dry = if rule.dry_run { ", dry run" } else { "" };
            format!("{} ({}{dry}): {}", rule.rule, rule.effect, rule.finding)
        })
        .collect();
    lines.push(format!("decision: {} by {}", found.decision, found.rule));
    lines.push(format!("listed: {}", if found.listed { "yes" } else { "no" }));
    lines.join("\n") + "\n"
}
