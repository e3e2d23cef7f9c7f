//! The binary `sotto-server`.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::cli::main()
}
