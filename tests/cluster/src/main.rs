//! Starts a cluster for several test processes, or for a person to look at.

mod sample;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use portico_cluster::programs::Programs;
use portico_cluster::{Cluster, Error, Level, NodeOptions, network};
use tokio::io::AsyncReadExt;

/// The test cluster by itself.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a cluster, print its kubeconfig's path, and keep it until standard input closes or ctrl-c.
    Up {
        /// How much of a cluster: api, control, kwok or processes.
        #[arg(long, default_value = "kwok")]
        level: Level,
        /// An image that is a local program, as NAME=PROGRAM; level processes. May be repeated.
        #[arg(long, value_parser = image)]
        image: Vec<(String, String)>,
    },
    /// Be a small server, for the tests of the cluster itself.
    Sample,
    /// Build the programs of Kubernetes into the cache, unless they are there.
    Build,
}

fn image(text: &str) -> Result<(String, String), String> {
    let (name, program) = text.split_once('=').ok_or("write NAME=PROGRAM")?;
    Ok((name.to_owned(), program.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Up { level, image } => up(level, image).await.map_err(|error| error.to_string()),
        Command::Sample => sample::serve().await.map_err(|error| error.to_string()),
        Command::Build => build().await.map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn up(level: Level, images: Vec<(String, String)>) -> Result<(), Error> {
    if level == Level::Processes {
        network::enter()?;
    }
    let images: BTreeMap<_, _> = images.into_iter().map(|(name, program)| (name, vec![program])).collect();
    let cluster = Cluster::start_with(level, NodeOptions { images, ..NodeOptions::default() }).await?;
    println!("{}", cluster.kubeconfig().display());
    if let Some(way) = network::way_in() {
        let kubectl = cluster.kubeconfig().with_file_name("bin").join("kubectl");
        eprintln!("{way} {} --kubeconfig {} get pods -A", kubectl.display(), cluster.kubeconfig().display());
    }
    let mut nothing = [0; 64];
    let mut input = tokio::io::stdin();
    let closed = async { while input.read(&mut nothing).await.is_ok_and(|read| read > 0) {} };
    tokio::select! {
        () = closed => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    drop(cluster);
    // The read of standard input may still block a thread, for which a runtime would wait.
    std::process::exit(0)
}

async fn build() -> Result<(), Error> {
    let found = tokio::task::spawn_blocking(|| Programs::find(Level::Kwok)).await;
    let found = found.map_err(|_| Error::NotHere { what: "the programs", level: Level::Kwok })??;
    let (Programs::Kubebox(path) | Programs::Folder(path)) = found;
    println!("{}", path.display());
    Ok(())
}
