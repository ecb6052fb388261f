//! `portico standin`.

use portico_standins::kroger;
use tokio_util::sync::CancellationToken;

use crate::cli::{Standin, StandinName};
use crate::failure::Failure;

pub async fn run(arguments: &Standin, stop: CancellationToken) -> Result<(), Failure> {
    match arguments.name {
        StandinName::Kroger => {
            kroger::run(arguments.listen, stop).await.map_err(|error| Failure::part(&error))
        }
    }
}
