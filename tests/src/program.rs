//! The programs of the workspace.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// A program of the workspace, as it was built with the test that runs.
///
/// # Errors
/// It was not built.
pub fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    // target/<profile>/deps/<test>
    let directory = test.ancestors().nth(2).context("the target directory")?;
    let program = directory.join(name);
    ensure!(
        program.is_file(),
        "{} is missing: run the tests of the whole workspace",
        program.display()
    );
    Ok(program)
}
