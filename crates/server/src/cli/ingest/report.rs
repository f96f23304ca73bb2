//! What an ingest did: counts, and what was refused and why.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

/// How many refusals are shown one by one; a file takes them all.
const REFUSALS_SHOWN: usize = 50;

/// The server's answer to `POST /events`. Every member is required, so that an error document is never
/// taken for an answer in which nothing happened.
#[derive(Debug, Deserialize)]
pub(crate) struct BatchAnswer {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) unselected: u64,
    pub(crate) refused: Vec<RefusedEvent>,
}

/// One event that the server did not take.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RefusedEvent {
    /// Its place in the batch; in a report, in the file, from 0.
    pub(crate) index: u64,
    #[serde(rename = "eventID", default)]
    pub(crate) event_id: Option<String>,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// A line of the list of refusals.
#[derive(Debug, Serialize)]
struct RefusalLine<'a> {
    file: &'a str,
    #[serde(flatten)]
    event: &'a RefusedEvent,
}

/// Counts over all inputs.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) files: u64,
    pub(crate) skipped: u64,
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) unselected: u64,
    /// Accepted, but older than event history keeps.
    pub(crate) too_old: u64,
    pub(crate) failed_files: Vec<(String, String)>,
    refused: BTreeMap<String, u64>,
    shown: Vec<(String, RefusedEvent)>,
}

impl Report {
    /// Adds one batch whose first event is number `first` of `file`; every refusal also goes to `list`.
    pub(crate) fn add(
        &mut self,
        file: &str,
        first: u64,
        answer: BatchAnswer,
        list: Option<&mut (impl Write + ?Sized)>,
    ) -> io::Result<()> {
        self.accepted += answer.accepted;
        self.duplicates += answer.duplicates;
        self.unselected += answer.unselected;
        let mut lines = Vec::new();
        for mut event in answer.refused {
            event.index += first;
            *self.refused.entry(event.code.clone()).or_default() += 1;
            serde_json::to_writer(
                &mut lines,
                &RefusalLine {
                    file,
                    event: &event,
                },
            )?;
            lines.push(b'\n');
            if self.shown.len() < REFUSALS_SHOWN {
                self.shown.push((file.to_owned(), event));
            }
        }
        list.map_or(Ok(()), |list| list.write_all(&lines))
    }

    /// Number of events that were not taken.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.values().sum()
    }

    /// True if every event of every input is in.
    pub(crate) fn is_complete(&self) -> bool {
        self.failed_files.is_empty()
    }

    /// Writes the report for people.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "files       {}", self.files)?;
        if self.skipped > 0 {
            writeln!(
                out,
                "resumed     {} events were acknowledged before",
                self.skipped
            )?;
        }
        writeln!(out, "accepted    {}", self.accepted)?;
        writeln!(out, "duplicates  {}", self.duplicates)?;
        if self.unselected > 0 {
            writeln!(
                out,
                "unselected  {} (nothing collects events of their kind)",
                self.unselected
            )?;
        }
        if self.too_old > 0 {
            writeln!(
                out,
                "too old     {} (event history keeps 90 days)",
                self.too_old
            )?;
        }
        writeln!(out, "refused     {}", self.refused())?;
        for (code, count) in &self.refused {
            writeln!(out, "  {count} {code}")?;
        }
        for (file, event) in &self.shown {
            let id = event.event_id.as_deref().unwrap_or("no eventID");
            let RefusedEvent {
                index,
                code,
                message,
                ..
            } = event;
            writeln!(out, "  {file}, event {index} ({id}): {code}: {message}")?;
        }
        let hidden = self.refused() - u64::try_from(self.shown.len()).unwrap_or(0);
        if hidden > 0 {
            writeln!(out, "  and {hidden} more; --refused FILE writes them all")?;
        }
        for (file, reason) in &self.failed_files {
            writeln!(out, "FAILED      {file}: {reason}")?;
        }
        Ok(())
    }
}
