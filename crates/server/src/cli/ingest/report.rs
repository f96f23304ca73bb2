//! What an ingest did: counts, and what was refused and why.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

/// How many different reasons are shown; a file takes every refusal.
const REASONS_MAX: usize = 50;

/// The server's answer to `POST /events`. Every member is required, so that an error document is never
/// taken for an answer in which nothing happened.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct BatchAnswer {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) unselected: u64,
    #[serde(rename = "tooOld")]
    pub(crate) too_old: u64,
    pub(crate) refused: Vec<RefusedEvent>,
}

impl BatchAnswer {
    /// Adds the answer to a part of the batch. `place` tells where in the batch the part's events stand.
    pub(crate) fn add(&mut self, part: Self, place: impl Fn(u64) -> u64) {
        self.accepted += part.accepted;
        self.duplicates += part.duplicates;
        self.unselected += part.unselected;
        self.too_old += part.too_old;
        for mut event in part.refused {
            event.index = place(event.index);
            self.refused.push(event);
        }
    }
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
    /// Refused in an earlier run that this one goes on from.
    pub(crate) refused_before: u64,
    refused: u64,
    /// By code and message.
    reasons: BTreeMap<(String, String), Reason>,
}

/// How often events were refused for one reason, and the first of them.
#[derive(Debug)]
struct Reason {
    count: u64,
    file: String,
    index: u64,
    event_id: Option<String>,
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
        self.too_old += answer.too_old;
        let mut lines = Vec::new();
        for mut event in answer.refused {
            event.index += first;
            self.refused += 1;
            serde_json::to_writer(
                &mut lines,
                &RefusalLine {
                    file,
                    event: &event,
                },
            )?;
            lines.push(b'\n');
            self.note_reason(file, event);
        }
        list.map_or(Ok(()), |list| list.write_all(&lines))
    }

    fn note_reason(&mut self, file: &str, event: RefusedEvent) {
        let reason = (event.code, event.message);
        if let Some(known) = self.reasons.get_mut(&reason) {
            known.count += 1;
        } else if self.reasons.len() < REASONS_MAX {
            let (index, event_id) = (event.index, event.event_id);
            let first = Reason {
                count: 1,
                file: file.to_owned(),
                index,
                event_id,
            };
            self.reasons.insert(reason, first);
        }
    }

    /// Number of events that were not taken.
    pub(crate) fn refused(&self) -> u64 {
        self.refused + self.refused_before
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
                "resumed     {} events went in before",
                self.skipped.saturating_sub(self.refused_before)
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
                "too old     {} (event history does not go back so far)",
                self.too_old
            )?;
        }
        writeln!(out, "refused     {}", self.refused())?;
        if self.refused_before > 0 {
            let before = self.refused_before;
            writeln!(out, "  {before} before this run")?;
        }
        for (
            (code, message),
            Reason {
                count,
                file,
                index,
                event_id,
            },
        ) in &self.reasons
        {
            let id = event_id.as_deref().unwrap_or("no eventID");
            writeln!(out, "  {count} {code}: {message}")?;
            writeln!(out, "    first in {file}, event {index} ({id})")?;
        }
        let told: u64 = self.reasons.values().map(|reason| reason.count).sum();
        if self.refused > told {
            writeln!(out, "  {} for other reasons", self.refused - told)?;
        }
        if self.refused > 0 {
            writeln!(out, "  --refused FILE writes them one by one")?;
        }
        for (file, reason) in &self.failed_files {
            writeln!(out, "FAILED      {file}: {reason}")?;
        }
        Ok(())
    }
}
