//! `sotto`: looks identifiers up at a discovery provider, privately.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
