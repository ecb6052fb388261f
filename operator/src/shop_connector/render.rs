//! From a validated shop to the servers it should have. Pure.

use portico_crds::{
    McpServerSpec,
    mcp_server::ConfigFile,
    shop_connector::{ServerName, ShopServer},
};

use super::{config, reference::credentials, validate::ValidatedShop};
use crate::{
    composite::{builtin, destination, override_with, plain},
    rendered::RenderedServer,
};

/// Path of the file that the servers read.
const FILE: &str = "/etc/portico/shop.json";

/// Name of the `McpServer` of one of a shop's servers.
#[must_use]
pub fn server_name(shop: &str, server: ServerName) -> String {
    format!("{shop}-{}", server.builtin().as_str())
}

/// The servers, each with the name it has in the spec.
#[must_use]
pub fn servers(shop: &ValidatedShop) -> Vec<(ServerName, RenderedServer)> {
    let one = |server: &&ShopServer| {
        let metadata = shop.owner.server_meta(server_name(&shop.owner.name, server.name));
        (server.name, RenderedServer::new(metadata, &server_spec(shop, server)))
    };
    shop.servers().iter().map(one).collect()
}

/// The spec of one server, the resource's own wishes last.
#[must_use]
pub fn server_spec(shop: &ValidatedShop, server: &ShopServer) -> McpServerSpec {
    let mut spec = McpServerSpec {
        env: vec![plain("SHOP_CONFIG_FILE", FILE)],
        config_files: vec![ConfigFile { path: FILE.to_owned(), content: shop.file.clone() }],
        ..builtin(server.name.builtin())
    };
    if calls_platform(server.name) {
        let platform = &shop.spec.platform;
        spec.env.extend(credentials(platform).iter().map(super::reference::Credential::environment));
        let name = config::destination_name(platform);
        spec.egress.extend(config::address(platform).map(|address| destination(name, &address)));
    }
    override_with(&mut spec, &server.overrides);
    spec
}

/// Whether a server talks to the shop's platform. One that does not gets neither its credentials nor a way there.
const fn calls_platform(server: ServerName) -> bool {
    match server {
        ServerName::Storefront | ServerName::Admin | ServerName::Inventory => true,
        ServerName::Intent | ServerName::Notifications => false,
    }
}
