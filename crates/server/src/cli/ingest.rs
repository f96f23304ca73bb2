//! `cairn ingest`: CloudTrail files into a running server, in parallel, resumable.

mod checkpoint;
mod event_ids;
mod inputs;
mod report;
mod sending;

use std::fs::File;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use cairn_platform::{Clock, SystemEntropy};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::client::{CalledService, ClientProfile, ProfileArguments, SignedHttp};
use checkpoint::Checkpoint;
use sending::Ingest;

#[cfg(any(test, fuzzing))]
pub(crate) use {event_ids::EventIds, inputs::EventReader, inputs::Input};

/// Sends CloudTrail files ({"Records":[…]} or one event a line, .gz too) to a server.
#[derive(Clone, Debug, clap::Args)]
pub struct IngestArguments {
    #[command(flatten)]
    profile: ProfileArguments,
    /// Files, folders (searched for files ending in .json, .jsonl or .ndjson, with or without .gz), or - for
    /// standard input.
    #[arg(required = true, value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,
    /// Files sent at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// Where progress is kept; an interrupted ingest goes on from there. Removed when all is in.
    #[arg(long, value_name = "FILE", default_value = ".cairn-ingest.checkpoint")]
    checkpoint: PathBuf,
    /// Keep no progress.
    #[arg(long)]
    no_checkpoint: bool,
    /// Write every refused event to FILE, one JSON object a line. An ingest that goes on appends to it.
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
}

/// Runs the command. Exit code 0: every event is in; 1: some were refused or files failed.
pub async fn run(arguments: IngestArguments, clock: Arc<dyn Clock>) -> anyhow::Result<ExitCode> {
    let mut found = Vec::new();
    for path in &arguments.paths {
        let inputs =
            inputs::find_inputs(path).with_context(|| format!("cannot read {}", path.display()))?;
        found.extend(inputs);
    }
    found.sort();
    found.dedup();
    anyhow::ensure!(
        !found.is_empty(),
        "no log files found: in folders, files that end in .json, .jsonl or .ndjson, with or without .gz"
    );
    let profile = ClientProfile::resolve(&arguments.profile, CalledService::CloudTrailData)?;
    let http = SignedHttp::new(profile, Arc::clone(&clock))?;
    // A server that goes away is waited for; one that was never there is a mistake in the address.
    http.reach().await?;
    let checkpoint = if arguments.no_checkpoint {
        None
    } else {
        let path = &arguments.checkpoint;
        let opened = Checkpoint::open(path);
        Some(opened.with_context(|| format!("cannot open {}", path.display()))?)
    };
    let list = match &arguments.refused {
        None => None,
        Some(path) => {
            let is_resumed = checkpoint.as_ref().is_some_and(Checkpoint::is_resumed);
            let opened = open_list(path, is_resumed);
            Some(opened.with_context(|| format!("cannot create {}", path.display()))?)
        }
    };
    let progress = progress_bar(found.iter().map(inputs::Input::bytes).sum());
    let ingest = Ingest::new(
        http,
        (clock, &SystemEntropy::new()),
        checkpoint,
        list,
        progress.clone(),
    );
    let finished = ingest
        .send_all(found, usize::from(arguments.parallel))
        .await;
    progress.finish_and_clear();
    let (report, checkpoint) = finished?;
    report.write(&mut std::io::stdout().lock())?;
    if !report.is_complete() {
        writeln!(
            std::io::stderr(),
            "not everything went in; when the cause is mended, run the same command to go on"
        )?;
        return Ok(ExitCode::FAILURE);
    }
    if let Some(checkpoint) = checkpoint {
        checkpoint
            .remove()
            .context("cannot remove the checkpoint")?;
    }
    Ok(if report.refused() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The list of a run that goes on holds what the earlier one wrote.
fn open_list(path: &Path, is_resumed: bool) -> std::io::Result<File> {
    if is_resumed {
        File::options().append(true).create(true).open(path)
    } else {
        File::create(path)
    }
}

fn progress_bar(bytes: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(
        "{bar:40} {bytes}/{total_bytes} {msg} {elapsed} (about {eta} left)",
    )
    .expect("the template is a constant");
    ProgressBar::with_draw_target(Some(bytes), target).with_style(style)
}
