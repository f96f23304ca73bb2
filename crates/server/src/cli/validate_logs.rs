//! `cairn validate-logs`: what `aws cloudtrail validate-logs` does, with its options, lines and exit codes, many
//! requests in flight; also over a folder without a network, and with an eye on what no digest names.

mod bucket;
mod exported_keys;
mod folder;
mod inspection;
mod prefetch;
mod range;
mod report;
mod service;
mod source;
mod unlisted;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use cairn_platform::Clock;

use crate::client::ProfileArguments;
use bucket::BucketSource;
use exported_keys::ExportedKeys;
use folder::FolderSource;
use inspection::Inspection;
use range::{TrailPlace, ValidatedRange};
use report::Report;
use service::CloudTrail;
use source::{KeySource, LogSource};

/// Exit code when files are invalid.
const INVALID: u8 = 1;
/// Exit code when nothing can be said, as the AWS CLI has it.
const FAILED: u8 = 255;

/// Tells whether log files and digests in a trail's bucket are what was delivered.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ValidateLogsArguments {
    #[command(flatten)]
    profile: ProfileArguments,
    /// ARN of the trail.
    #[arg(long, value_name = "ARN")]
    trail_arn: String,
    /// Validate log files delivered on or after this time (UTC), for example 2015-01-08T05:21:42Z.
    #[arg(long, value_name = "TIME")]
    start_time: String,
    /// Validate log files delivered on or before this time (UTC); otherwise up to now.
    #[arg(long, value_name = "TIME")]
    end_time: Option<String>,
    /// Bucket of the digests; otherwise the trail's.
    #[arg(long, value_name = "BUCKET")]
    s3_bucket: Option<String>,
    /// Key prefix of the digests; otherwise the trail's.
    #[arg(long, value_name = "PREFIX")]
    s3_prefix: Option<String>,
    /// Account whose digests are validated: organization trails need it.
    #[arg(long, value_name = "ACCOUNT")]
    account_id: Option<String>,
    /// Print a line for valid files too.
    #[arg(long)]
    verbose: bool,
    /// Name log files in the range that no digest lists, and digests that are missing at the end.
    #[arg(long)]
    unlisted: bool,
    /// Requests in flight.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Validate a copy of the bucket in this folder, keys as paths, without a network.
    #[arg(long, value_name = "FOLDER", requires_all = ["public_keys", "s3_bucket"])]
    offline: Option<PathBuf>,
    /// Public keys for --offline, as --export-public-keys wrote them.
    #[arg(long, value_name = "FILE", requires = "offline")]
    public_keys: Option<PathBuf>,
    /// Only save the public keys from the start time until now, for validation without a network.
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    export_public_keys: Option<PathBuf>,
}

/// Runs the command. Exit code 0: all that was found is valid; 1: some is not; 255: it could not be told.
pub(crate) async fn run(arguments: ValidateLogsArguments, clock: Arc<dyn Clock>) -> ExitCode {
    match validate(&arguments, &clock).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(INVALID),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "\n{error:#}");
            ExitCode::from(FAILED)
        }
    }
}

async fn validate(
    arguments: &ValidateLogsArguments,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<bool> {
    let range = ValidatedRange::read(
        &arguments.start_time,
        arguments.end_time.as_deref(),
        clock.now_ms(),
    )?;
    let requests = usize::from(arguments.concurrency);
    let offline = arguments
        .offline
        .as_ref()
        .zip(arguments.public_keys.as_ref());
    let (place, keys, source) = if let Some((folder, keys)) = offline {
        let place = TrailPlace::given(arguments)?;
        let keys = KeySource::Exported(ExportedKeys::read(keys)?);
        let source = FolderSource::new(folder, &place.bucket)?;
        (place, keys, LogSource::Folder(source))
    } else {
        let service = CloudTrail::new(&arguments.profile, clock)?;
        if let Some(file) = &arguments.export_public_keys {
            let keys = service.keys_for_export(range.start, range.now).await?;
            keys.write(file)?;
            return Ok(true);
        }
        let place = TrailPlace::find(arguments, &service).await?;
        let source = BucketSource::new(&arguments.profile, Arc::clone(clock), requests)?;
        let keys = KeySource::Service(Box::new(service));
        (place, keys, LogSource::Bucket(Box::new(source)))
    };
    let is_terminal = std::io::stderr().is_terminal();
    let mut report = Report::new(range, arguments.verbose, is_terminal);
    report.begin(&arguments.trail_arn)?;
    let inspection = Inspection::new(Arc::new(source), Arc::new(keys), place, range, requests);
    inspection
        .run(&mut report, arguments.unlisted)
        .await
        .context("validation has ended early")?;
    report.finish()?;
    Ok(report.is_all_valid())
}
