//! Makes the files and directories of a command; they may hold secrets, so they are their owner's alone.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::plan::Command;

/// Makes everything that must exist before `command` starts.
pub fn write(command: &Command) -> io::Result<()> {
    for directory in &command.directories {
        make(directory)?;
    }
    make(&command.work_directory)?;
    for (path, content) in &command.files {
        path.parent().map_or(Ok(()), make)?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(content)?;
    }
    Ok(())
}

fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
