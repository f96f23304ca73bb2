//! The command line (DESIGN 3 as the README shows it): one binary, one subcommand for each job.

pub(crate) mod identity;
pub mod ingest;
mod serve;
mod validate_logs;

use std::process::ExitCode;
use std::sync::Arc;

use cairn_platform::{Clock, SystemClock};
use clap::{Parser, Subcommand};

/// AWS CloudTrail and CloudTrail Lake as software you run yourself.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, about, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a server: API, event log, event history and the embedded S3 endpoint.
    Serve(serve::ServeArguments),
    Ingest(Box<ingest::IngestArguments>),
    Identity(Box<identity::IdentityArguments>),
    ValidateLogs(Box<validate_logs::ValidateLogsArguments>),
}

/// Runs the command that the process was started with.
pub fn run() -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    // The HTTP client asks the process for its cryptography; a second installation changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match CommandLine::parse().command {
        Command::Serve(arguments) => serve::run(&arguments, clock),
        Command::Ingest(arguments) => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            runtime.block_on(ingest::run(*arguments, clock))
        }
        Command::Identity(arguments) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(identity::run(*arguments, clock))
        }
        Command::ValidateLogs(arguments) => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            Ok(runtime.block_on(validate_logs::run(*arguments, clock)))
        }
    }
}
