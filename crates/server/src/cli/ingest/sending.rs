//! Batches to the server: several files at once, the batches of a file in order, retries with backoff.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cairn_platform::{Clock, Entropy};
use futures::StreamExt as _;
use indicatif::ProgressBar;

use super::checkpoint::{Checkpoint, Progress};
use super::event_ids::EventIds;
use super::inputs::{EventReader, Input};
use super::report::{BatchAnswer, RefusedEvent, Report};
use crate::client::SignedHttp;

/// Events of one call, well under the server's 10,000.
const BATCH_EVENTS: usize = 2_000;
/// Bytes of one call, well under the server's 10 MB.
const BATCH_BYTES: usize = 4_000_000;
/// How often a batch is sent before its file is given up: about five minutes in all.
const ATTEMPTS_MAX: u32 = 15;
/// The server's own name for it.
const TOO_LARGE: &str = "InvalidEventTooLarge";
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// One run of the command.
#[derive(Debug)]
pub(crate) struct Ingest {
    http: SignedHttp,
    clock: Arc<dyn Clock>,
    /// Unlike that of any other run.
    run: String,
    progress: ProgressBar,
    /// Held while one batch is noted, never across an await.
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    report: Report,
    checkpoint: Option<Checkpoint>,
    refusals: Option<std::fs::File>,
}

/// Why a file is not, or not wholly, in.
#[derive(Debug, thiserror::Error)]
enum FileFailure {
    #[error("cannot read it: {0}")]
    Unreadable(io::Error),
    #[error("cannot note progress: {0}")]
    Books(io::Error),
    #[error("{0}")]
    Server(String),
}

impl Ingest {
    pub(crate) fn new(
        http: SignedHttp,
        (clock, entropy): (Arc<dyn Clock>, &dyn Entropy),
        checkpoint: Option<Checkpoint>,
        refusals: Option<std::fs::File>,
        progress: ProgressBar,
    ) -> Self {
        let books = Mutex::new(Books {
            report: Report::default(),
            checkpoint,
            refusals,
        });
        Self {
            http,
            clock,
            run: entropy.uuid(),
            progress,
            books,
        }
    }

    /// Sends every input and gives the report, and the checkpoint for removal.
    pub(crate) async fn send_all(
        self,
        inputs: Vec<Input>,
        parallel: usize,
    ) -> anyhow::Result<(Report, Option<Checkpoint>)> {
        let ingest = &self;
        let sends = inputs.into_iter().map(|input| async move {
            let outcome = ingest.send_file(&input).await;
            let mut books = ingest.books();
            books.report.files += 1;
            if let Err(failure) = outcome {
                books
                    .report
                    .failed_files
                    .push((input.name(), failure.to_string()));
            }
            drop(books);
            ingest.progress.inc(input.bytes());
        });
        futures::stream::iter(sends)
            .buffer_unordered(parallel)
            .collect::<()>()
            .await;
        let books = self
            .books
            .into_inner()
            .expect("no holder of this lock panics");
        Ok((books.report, books.checkpoint))
    }

    async fn send_file(&self, input: &Input) -> Result<(), FileFailure> {
        let opened = input.clone();
        let reader = blocking(move || opened.open()).await?;
        let (mut sent, mut reader) = self.skip_acknowledged(input, reader).await?;
        loop {
            let (batch, again) = next_batch(reader, BATCH_EVENTS).await?;
            reader = again;
            if batch.is_empty() {
                return Ok(());
            }
            let ids = EventIds::of(input, &self.run);
            let batch = blocking(move || Ok(ids.complete(batch, sent.events))).await?;
            let answer = self.send_whole(&batch).await?;
            let first = sent.events;
            sent.events += count(batch.len());
            sent.refused += count(answer.refused.len());
            self.note(input, (first, sent), answer)
                .map_err(FileFailure::Books)?;
        }
    }

    async fn skip_acknowledged(
        &self,
        input: &Input,
        mut reader: EventReader,
    ) -> Result<(Progress, EventReader), FileFailure> {
        let before = match &self.books().checkpoint {
            Some(checkpoint) => checkpoint.acknowledged(input),
            None => Progress::default(),
        };
        let mut skipped = 0;
        while skipped < before.events {
            let wanted = usize::try_from(before.events - skipped).unwrap_or(usize::MAX);
            let (batch, again) = next_batch(reader, wanted.min(BATCH_EVENTS)).await?;
            reader = again;
            if batch.is_empty() {
                break;
            }
            skipped += count(batch.len());
        }
        let report = &mut self.books().report;
        report.skipped += skipped;
        report.refused_before += before.refused;
        let progress = Progress {
            events: skipped,
            refused: before.refused,
        };
        Ok((progress, reader))
    }

    /// Sends the events in one request, or in as many as the server's limit on bodies asks for. An event
    /// that the server does not take even alone is refused like any other that is too large.
    async fn send_whole(&self, batch: &[Bytes]) -> Result<BatchAnswer, FileFailure> {
        let mut whole = BatchAnswer::default();
        let mut pending = vec![(0, batch)];
        while let Some((first, part)) = pending.pop() {
            match self.send_batch(part).await? {
                Some(answer) => whole.add(answer, first),
                None if part.len() > 1 => {
                    let (head, tail) = part.split_at(part.len() / 2);
                    pending.push((first + count(head.len()), tail));
                    pending.push((first, head));
                }
                None => whole.refused.push(RefusedEvent {
                    index: first,
                    event_id: None,
                    code: TOO_LARGE.to_owned(),
                    message: "the server takes no request that large".to_owned(),
                }),
            }
        }
        Ok(whole)
    }

    /// None if the server takes no body that large.
    async fn send_batch(&self, batch: &[Bytes]) -> Result<Option<BatchAnswer>, FileFailure> {
        let body = document_of(batch);
        let mut backoff = BACKOFF_FIRST;
        for attempt in 1..=ATTEMPTS_MAX {
            let failure = match self
                .http
                .post_json("cloudtrail-data", "/events", body.clone())
                .await
            {
                Ok(answer) if answer.status == 413 => return Ok(None),
                Ok(answer) if !answer.is_retryable() => {
                    return serde_json::from_slice(&answer.body)
                        .ok()
                        .filter(|_| matches!(answer.status, 200 | 400))
                        .map(Some)
                        .ok_or_else(|| FileFailure::Server(refusal_text(&answer)));
                }
                Ok(answer) => {
                    backoff = backoff.max(answer.retry_after.unwrap_or_default());
                    refusal_text(&answer)
                }
                Err(no_answer) => no_answer.to_string(),
            };
            if attempt == ATTEMPTS_MAX {
                return Err(FileFailure::Server(failure));
            }
            self.progress.set_message(format!("waiting: {failure}"));
            self.clock.sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        unreachable!("the last attempt returns")
    }

    fn note(
        &self,
        input: &Input,
        (first, sent): (u64, Progress),
        answer: BatchAnswer,
    ) -> io::Result<()> {
        let mut books = self.books();
        let Books {
            report,
            checkpoint,
            refusals,
        } = &mut *books;
        let list = refusals.as_mut().map(|file| file as &mut dyn Write);
        report.add(&input.name(), first, answer, list)?;
        self.progress
            .set_message(format!("{} events", report.accepted + report.duplicates));
        checkpoint
            .as_mut()
            .map_or(Ok(()), |checkpoint| checkpoint.record(input, sent))
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().expect("no holder of this lock panics")
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).expect("a batch is small")
}

/// `{"Records":[…]}` with each event's bytes untouched.
fn document_of(batch: &[Bytes]) -> Bytes {
    let bytes: usize = batch.iter().map(|event| event.len() + 1).sum();
    let mut body = BytesMut::with_capacity(bytes + 16);
    body.extend_from_slice(b"{\"Records\":[");
    for (index, event) in batch.iter().enumerate() {
        if index > 0 {
            body.extend_from_slice(b",");
        }
        body.extend_from_slice(event);
    }
    body.extend_from_slice(b"]}");
    body.freeze()
}

fn refusal_text(answer: &crate::client::Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
    format!(
        "HTTP {} (request {}): {text}",
        answer.status, answer.request_id
    )
}

async fn next_batch(
    mut reader: EventReader,
    events_max: usize,
) -> Result<(Vec<Bytes>, EventReader), FileFailure> {
    blocking(move || {
        let batch = reader.next_batch(events_max, BATCH_BYTES)?;
        Ok((batch, reader))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, FileFailure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(FileFailure::Unreadable),
        Err(panicked) => Err(FileFailure::Unreadable(io::Error::other(panicked))),
    }
}
