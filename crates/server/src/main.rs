//! The `cairn` binary.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    cairn_server::cli::run()
}
