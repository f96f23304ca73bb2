//! Batches to the server: several files at once, the batches of a file in order, retries with backoff.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cairn_platform::{Clock, Entropy};
use futures::StreamExt as _;
use indicatif::ProgressBar;

use super::checkpoint::{Checkpoint, Progress};
use super::event_ids::EventIds;
use super::inputs::{EventReader, Form, Input, TOO_LARGE, Unsendable};
use super::report::{BatchAnswer, RefusedEvent, Report};
use crate::client::SignedHttp;

/// Events of one call, well under the server's 10,000.
const BATCH_EVENTS: usize = 2_000;
/// Bytes of one call, well under the server's 10 MB.
const BATCH_BYTES: usize = 4_000_000;
/// How often a batch is sent before its file is given up: about five minutes in all.
const ATTEMPTS_MAX: u32 = 15;
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
    /// Some batch was given up because nobody answered: the others need not wait as long again.
    gave_up: AtomicBool,
    /// The reason for waiting that was told last; none while the server answers.
    waiting_for: Mutex<Option<String>>,
    /// Held while one batch is noted, never across an await.
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    report: Report,
    checkpoint: Option<Checkpoint>,
    refusals: Option<std::fs::File>,
}

/// What stands at one place of an input.
type Found = Result<Bytes, Unsendable>;

/// Consecutive parts of an input: what can be sent, with its place among them, and what cannot.
#[derive(Debug)]
struct Batch {
    events: Vec<(u64, Bytes)>,
    refused: Vec<RefusedEvent>,
}

impl Batch {
    /// `first` is the number of the first part in the input. Events without an ID get one.
    fn new(found: Vec<Found>, ids: &EventIds, first: u64) -> Self {
        let mut batch = Self {
            events: Vec::with_capacity(found.len()),
            refused: Vec::new(),
        };
        for (found, index) in found.into_iter().zip(0..) {
            match found {
                Ok(event) => batch
                    .events
                    .push((index, ids.complete(event, first + index))),
                Err(Unsendable { code, message }) => batch.refused.push(RefusedEvent {
                    index,
                    event_id: None,
                    code: code.to_owned(),
                    message,
                }),
            }
        }
        batch
    }
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
            gave_up: AtomicBool::new(false),
            waiting_for: Mutex::default(),
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
            let read = count(batch.len());
            let batch = blocking(move || Ok(Batch::new(batch, &ids, sent.events))).await?;
            let answer = self.send_whole(batch, reader.form()).await?;
            let first = sent.events;
            sent.events += read;
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
    async fn send_whole(&self, batch: Batch, form: Form) -> Result<BatchAnswer, FileFailure> {
        let mut whole = BatchAnswer {
            refused: batch.refused,
            ..BatchAnswer::default()
        };
        let mut pending = vec![batch.events.as_slice()];
        while let Some(part) = pending.pop() {
            if part.is_empty() {
                continue;
            }
            match self.send_batch(body_of(part, form)).await? {
                Some(answer) => whole.add(answer, |index| place_of(part, index)),
                None if part.len() > 1 => {
                    let (head, tail) = part.split_at(part.len() / 2);
                    pending.extend([tail, head]);
                }
                None => whole.refused.push(RefusedEvent {
                    index: place_of(part, 0),
                    event_id: None,
                    code: TOO_LARGE.to_owned(),
                    message: "the server takes no request that large".to_owned(),
                }),
            }
        }
        whole.refused.sort_by_key(|event| event.index);
        Ok(whole)
    }

    /// None if the server takes no body that large.
    async fn send_batch(&self, body: Bytes) -> Result<Option<BatchAnswer>, FileFailure> {
        let mut backoff = BACKOFF_FIRST;
        for attempt in 1..=ATTEMPTS_MAX {
            let failure = match self
                .http
                .post_json("cloudtrail-data", "/events", body.clone())
                .await
            {
                Ok(answer) if answer.status == 413 => {
                    self.tell_waiting(None);
                    return Ok(None);
                }
                Ok(answer) if !answer.is_retryable() => {
                    self.tell_waiting(None);
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
            if attempt == ATTEMPTS_MAX || self.gave_up.load(Ordering::Relaxed) {
                self.gave_up.store(true, Ordering::Relaxed);
                return Err(FileFailure::Server(failure));
            }
            self.tell_waiting(Some(failure));
            self.clock.sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        unreachable!("the last attempt returns")
    }

    /// Says once for what the command waits: in the bar, or on standard error where there is none.
    fn tell_waiting(&self, reason: Option<String>) {
        let mut told = self
            .waiting_for
            .lock()
            .expect("no holder of this lock panics");
        if *told == reason {
            return;
        }
        if let Some(reason) = &reason {
            self.progress.set_message(format!("waiting: {reason}"));
            if self.progress.is_hidden() {
                let _ = writeln!(io::stderr(), "waiting: {reason}");
            }
        }
        *told = reason;
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

/// Where in its batch the event stands that is number `index` of a part.
fn place_of(part: &[(u64, Bytes)], index: u64) -> u64 {
    let event = usize::try_from(index)
        .ok()
        .and_then(|index| part.get(index));
    event.map_or(index, |(place, _)| *place)
}

/// The events in the form that they came in, each with its bytes untouched.
fn body_of(part: &[(u64, Bytes)], form: Form) -> Bytes {
    let (head, between, tail) = match form {
        Form::Document => ("{\"Records\":[", ",", "]}"),
        Form::Lines => ("", "\n", "\n"),
    };
    let bytes: usize = part.iter().map(|(_, event)| event.len() + 1).sum();
    let mut body = BytesMut::with_capacity(bytes + head.len() + tail.len());
    body.extend_from_slice(head.as_bytes());
    for (index, (_, event)) in part.iter().enumerate() {
        if index > 0 {
            body.extend_from_slice(between.as_bytes());
        }
        body.extend_from_slice(event);
    }
    body.extend_from_slice(tail.as_bytes());
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
) -> Result<(Vec<Found>, EventReader), FileFailure> {
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
