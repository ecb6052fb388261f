//! Fetches what a server offers.

use super::control::{Control, Hello, elements, malformed};
use super::fault::Fault;
use crate::catalog::{Definition, Family, Listing};
use crate::envelope::{Object, quoted};
use crate::rpc::{code, shortened};
use crate::source::ServerKey;
use crate::version::{Era, LEGACY};

/// Pages of one list.
const MAX_PAGES: usize = 100;
/// Definitions in one list.
const MAX_DEFINITIONS: usize = 10_000;

/// Everything that the server offers over the link of `hello`.
pub(crate) async fn fetch(control: &Control, hello: &Hello, server: &ServerKey) -> Result<Listing, Fault> {
    let mut listing = Listing {
        era: hello.era,
        server_name: hello.server_name.clone(),
        server_version: hello.server_version.clone(),
        version: hello.version.clone(),
        instructions: hello.instructions.clone(),
        has_resources: hello.can("resources"),
        subscribes: hello.subscribes,
        tools: Vec::new(),
        resources: Vec::new(),
        templates: Vec::new(),
        prompts: Vec::new(),
    };
    for family in Family::ALL {
        if hello.can(family.capability()) {
            listing.set(family, list(control, hello, family, server).await?);
        }
    }
    Ok(listing)
}

async fn list(
    control: &Control,
    hello: &Hello,
    family: Family,
    server: &ServerKey,
) -> Result<Vec<Definition>, Fault> {
    let mut definitions = Vec::new();
    let mut params = String::new();
    for _ in 0..MAX_PAGES {
        let result = match control.ask(&hello.link, family.method(), &params).await {
            // Templates are declared with resources, but not every server has them.
            Err(Fault::Refused { code: code::METHOD_NOT_FOUND, .. }) => return Ok(definitions),
            result => result?,
        };
        let page = Object::parse(&result).map_err(malformed)?;
        let items = page.get(family.member()).ok_or_else(|| missing(family))?;
        for raw in elements(items)? {
            keep(&mut definitions, family, raw, server);
        }
        if definitions.len() > MAX_DEFINITIONS {
            return Err(Fault::Malformed {
                reason: format!("it lists more than {MAX_DEFINITIONS} {}", family.member()),
            });
        }
        match page.string("nextCursor") {
            None => return Ok(definitions),
            Some(cursor) => params = format!(r#""cursor":{}"#, quoted(&cursor)),
        }
    }
    Err(Fault::Malformed {
        reason: format!("its list of {} does not end after {MAX_PAGES} pages", family.member()),
    })
}

/// What is shown of a server that gives its lists to nobody before somebody has signed in: a tool that leads there.
pub(super) fn before_sign_in(server: &ServerKey) -> Listing {
    let text =
        format!("Signs you in to the server {server}. Its tools are shown once somebody has signed in.");
    let raw = format!(
        r#"{{"name":"sign_in","description":{},"inputSchema":{{"type":"object","properties":{{}}}}}}"#,
        quoted(&text)
    );
    Listing {
        era: Era::Legacy,
        server_name: None,
        server_version: None,
        version: LEGACY[0].to_owned(),
        instructions: None,
        has_resources: false,
        subscribes: false,
        tools: Definition::parse(Family::Tools, &raw).into_iter().collect(),
        resources: Vec::new(),
        templates: Vec::new(),
        prompts: Vec::new(),
    }
}

/// One malformed definition costs itself alone.
fn keep(definitions: &mut Vec<Definition>, family: Family, raw: &str, server: &ServerKey) {
    match Definition::parse(family, raw) {
        Ok(definition) => definitions.push(definition),
        Err(error) => tracing::warn!(
            %server, list = family.member(), %error, definition = shortened(raw),
            "a definition is left out of the catalogue"
        ),
    }
}

fn missing(family: Family) -> Fault {
    Fault::Malformed { reason: format!("its answer to `{}` has no `{}`", family.method(), family.member()) }
}
