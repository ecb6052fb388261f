//! `portico serve`.

use std::net::Ipv4Addr;

use portico_kit::Transport;
use tokio_util::sync::CancellationToken;

use super::variable;
use crate::cli::{Serve, ServerName};
use crate::failure::Failure;

pub async fn run(arguments: &Serve, stop: CancellationToken) -> Result<(), Failure> {
    let default = (Ipv4Addr::LOCALHOST, arguments.name.port()).into();
    let address = arguments.listen.unwrap_or(default);
    let transport = if arguments.stdio { Transport::Stdio } else { Transport::Http(address) };
    match arguments.name {
        ServerName::Files => {
            let config = portico_files::Config::from_env(&variable).map_err(|error| Failure::part(&error))?;
            portico_files::run(transport, config, stop).await.map_err(|error| Failure::part(&error))
        }
        ServerName::Kroger => {
            let config =
                portico_kroger::Config::from_env(&variable).map_err(|error| Failure::part(&error))?;
            portico_kroger::run(transport, config, stop).await.map_err(|error| Failure::part(&error))
        }
    }
}
