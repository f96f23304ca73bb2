//! `cairn serve`: reads the configuration once, starts the server, waits for the end.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use cairn_platform::{Clock, RealDisk, SystemEntropy};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, ConfigError, Layers, reference_page};
use crate::error::{EXIT_LOG_FAILED, StartError};
use crate::lifecycle::{RunningServer, Surroundings};
use crate::logging;

/// Open files that a server with its limits at their defaults needs at most.
const OPEN_FILES_WANTED: u64 = 65_536;

/// Options of `cairn serve`. Every setting has a place in the file and the environment as well.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the configuration that results from file, environment and flags, without secrets, and end.
    #[arg(long)]
    print_config: bool,
    /// Print the reference of all settings as Markdown, and end.
    #[arg(long)]
    print_config_reference: bool,
    /// Folder of everything that is kept [default: ./cairn-data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address of the API [default: 127.0.0.1:4510].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Address of the embedded S3 endpoint [default: 127.0.0.1:4511].
    #[arg(long, value_name = "ADDR")]
    s3_listen: Option<String>,
    /// Parts that this process runs [default: all].
    #[arg(long, value_name = "LIST")]
    roles: Option<String>,
}

/// Serves until SIGTERM or SIGINT. Exit code 70: the event log failed, start again.
pub(super) fn run(arguments: &ServeArguments, clock: Arc<dyn Clock>) -> anyhow::Result<ExitCode> {
    if arguments.print_config_reference {
        std::io::stdout().write_all(reference_page().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let layers = layers(arguments)?;
    let config = Config::resolve(&layers)?;
    if arguments.print_config {
        std::io::stdout().write_all(layers.print().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    logging::start(&config.log).map_err(|reason| ConfigError::Contradiction {
        key: "log.level".into(),
        reason,
    })?;
    raise_open_files();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = config.worker_threads {
        builder.worker_threads(threads);
    }
    let runtime = builder
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let code = runtime.block_on(serve(config, clock));
    // A blocking task that hangs, such as a write to a dead disk, must not keep the process.
    runtime.shutdown_background();
    code
}

async fn serve(config: Config, clock: Arc<dyn Clock>) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be watched")?;
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let data_dir = config.data_dir.clone();
    let surroundings = Surroundings {
        clock,
        entropy: Arc::new(SystemEntropy::new()),
        disk: Arc::new(RealDisk),
    };
    let mut server = RunningServer::start(config, surroundings).await?;
    let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
    let addresses = (server.address(), server.bucket_address());
    std::io::stdout().write_all(greeting(scheme, addresses, &data_dir).as_bytes())?;
    std::io::stdout().flush()?;
    let failure = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        failure = server.failed() => Some(failure),
    };
    match failure {
        None => {
            server.stop().await;
            Ok(ExitCode::SUCCESS)
        }
        // R2: nothing more is written; recovery reads what the disk really holds.
        Some(StartError::LogFailed) => Ok(ExitCode::from(EXIT_LOG_FAILED)),
        Some(failure) => {
            server.stop().await;
            Err(failure.into())
        }
    }
}

fn layers(arguments: &ServeArguments) -> Result<Layers, ConfigError> {
    let mut layers = Layers::default();
    if let Some(path) = &arguments.config {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: shown.clone(),
            reason: error.to_string(),
        })?;
        layers.apply_file(&shown, &text)?;
    }
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    layers.apply_environment(variables)?;
    for (flag, setting, value) in [
        ("--data-dir", "server.data_dir", &arguments.data_dir),
        ("--listen", "server.listen", &arguments.listen),
        ("--s3-listen", "server.s3_listen", &arguments.s3_listen),
        ("--roles", "server.roles", &arguments.roles),
    ] {
        if let Some(value) = value {
            layers.apply_flag(flag, setting, value.clone());
        }
    }
    Ok(layers)
}

/// The first thing on standard output: the server is ready, and how to talk to it.
fn greeting(
    scheme: &str,
    (address, bucket): (SocketAddr, SocketAddr),
    data_dir: &std::path::Path,
) -> String {
    let data_dir = data_dir.display();
    format!(
        "cairn is ready: api {scheme}://{address}, s3 {scheme}://{bucket}, data {data_dir}\n\n  \
         export AWS_CONFIG_FILE='{data_dir}/config' AWS_SHARED_CREDENTIALS_FILE='{data_dir}/credentials'\n  \
         aws sts get-caller-identity\n  \
         aws cloudtrail lookup-events --max-results 5\n\n"
    )
}

/// A connection is an open file. Most systems allow few by default and many on request.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = limit
        .maximum
        .map_or(OPEN_FILES_WANTED, |most| most.min(OPEN_FILES_WANTED));
    if limit.current.is_some_and(|current| current < most) {
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(error = %error, "the limit of open files could not be raised");
        }
    }
}
