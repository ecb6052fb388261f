//! `portico crds`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use portico_crds::{CustomResourceDefinition, definitions, to_yaml};

use crate::cli::Crds;
use crate::failure::Failure;

pub fn run(arguments: &Crds) -> Result<ExitCode, Failure> {
    for definition in definitions() {
        let yaml = to_yaml(&definition).map_err(|error| Failure::part(&error))?;
        match &arguments.write {
            Some(folder) => write(folder, &definition, &yaml)?,
            // Whoever read may have seen enough.
            None => drop(std::io::stdout().write_all(format!("---\n{yaml}").as_bytes())),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, definition: &CustomResourceDefinition, yaml: &str) -> Result<(), Failure> {
    let name = definition.metadata.name.as_deref().unwrap_or("unnamed");
    let file = folder.join(format!("{name}.yaml"));
    std::fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    std::fs::write(&file, yaml).map_err(Failure::file(&file))
}
