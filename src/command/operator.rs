//! `portico operator`.

use portico_crds::lease::{OWN_NAMESPACE, namespace};
use portico_operator::lease::Claim;
use portico_operator::mcp_server::validate::{EngineImages, Peers, Settings};
use portico_operator::{KindName, Options, run as operate};
use tokio_util::sync::CancellationToken;

use crate::cli::{Kind, Operator};
use crate::failure::Failure;

/// Name of the Lease.
const LEASE: &str = "portico-operator";

pub async fn run(arguments: Operator, stop: CancellationToken) -> Result<(), Failure> {
    let client = super::gateway::client().await?;
    let claim = (!arguments.no_leader_election).then(|| Claim {
        namespace: namespace(arguments.lease_namespace.as_deref(), OWN_NAMESPACE),
        name: LEASE.to_owned(),
        identity: identity(),
    });
    let options = Options {
        namespaces: arguments.namespace.clone(),
        kinds: arguments.kinds.iter().map(|kind| kind_name(*kind)).collect(),
        settings: settings(&arguments),
        listen: arguments.listen,
        claim,
        checks: portico_operator::checks::Checks::default(),
    };
    tracing::info!(
        namespaces = if options.namespaces.is_empty() { "all".to_owned() } else { options.namespaces.join(",") },
        address = %options.listen,
        image = options.settings.portico_image,
        "watching"
    );
    operate(client, options, stop).await.map_err(|error| Failure::part(&error))
}

fn kind_name(kind: Kind) -> KindName {
    match kind {
        Kind::McpServers => KindName::McpServers,
        Kind::InferenceModels => KindName::InferenceModels,
        Kind::KrogerIntegrations => KindName::KrogerIntegrations,
        Kind::ShopConnectors => KindName::ShopConnectors,
    }
}

fn settings(arguments: &Operator) -> Settings {
    let default = Settings::default();
    Settings {
        portico_image: arguments.portico_image.clone().unwrap_or(default.portico_image),
        npm_image: arguments.npm_image.clone().unwrap_or(default.npm_image),
        pypi_image: arguments.pypi_image.clone().unwrap_or(default.pypi_image),
        engines: EngineImages {
            llama: arguments.llama_image.clone().unwrap_or(default.engines.llama),
            llama_cuda: arguments.llama_cuda_image.clone().unwrap_or(default.engines.llama_cuda),
            vllm: arguments.vllm_image.clone().unwrap_or(default.engines.vllm),
            ollama: arguments.ollama_image.clone().unwrap_or(default.engines.ollama),
        },
        peers: Peers {
            gateway: named(arguments.gateway_namespace.as_deref()),
            operator: named(arguments.operator_namespace.as_deref()),
        },
    }
}

/// A variable that is set and blank names nothing: no namespace has that name, and everybody would be locked out.
fn named(namespace: Option<&str>) -> Option<String> {
    namespace.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The pod's name where there is one, and a part that no restart repeats.
pub fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "local".to_owned());
    format!("{host}-{}", uuid::Uuid::new_v4().simple())
}
