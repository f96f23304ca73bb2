//! What the log must hold, kept beside it: which records are certain, and which batches may have made it.

use cairn_eventlog::{LogRecord, NewRecord};

/// The log as the promises have it.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Every record from sequence 0 on whose place is certain: acknowledged, or seen after a restart.
    pub(super) certain: Vec<NewRecord>,
    /// Groups of batches whose fate is open, in the order in which they were written. Each batch is all or
    /// nothing, and so is each group, which is one frame.
    pub(super) open: Vec<Vec<NewRecord>>,
    /// Readers and their positions.
    pub(super) readers: [u64; 2],
}

impl Model {
    pub(super) fn end(&self) -> u64 {
        self.certain.len() as u64
    }

    /// Up to where every reader is through.
    pub(super) fn passed(&self) -> u64 {
        self.readers.into_iter().min().unwrap_or(0)
    }

    /// A batch was acknowledged with this first sequence.
    pub(super) fn acknowledge(&mut self, first: u64, records: &[NewRecord]) -> Result<(), String> {
        if first != self.end() {
            return Err(format!(
                "acknowledged at {first}, but the log ended at {}",
                self.end()
            ));
        }
        self.certain.extend_from_slice(records);
        Ok(())
    }

    /// Compares what a log holds from `start` to its end with what it must hold.
    pub(super) fn check(&self, start: u64, end: u64, found: &[LogRecord]) -> Result<(), String> {
        if start > self.passed() {
            return Err(format!(
                "starts at {start}, but a reader is at {}",
                self.passed()
            ));
        }
        if end < self.end() {
            return Err(format!("ends at {end}, but {} was certain", self.end()));
        }
        if found.len() as u64 != end - start {
            return Err(format!("{} records between {start} and {end}", found.len()));
        }
        for (sequence, record) in (start..).zip(found) {
            if record.sequence.0 != sequence {
                return Err(format!(
                    "{} stands where {sequence} belongs",
                    record.sequence
                ));
            }
            let index = usize::try_from(sequence).expect("a small log");
            if self
                .certain
                .get(index)
                .is_some_and(|certain| *certain != record.record)
            {
                return Err(format!("record {sequence} has changed"));
            }
        }
        Ok(())
    }

    /// After a restart: what follows the certain records must be open groups, whole; from now on it is certain.
    pub(super) fn settle(&mut self, start: u64, found: &[LogRecord]) -> Result<(), String> {
        let certain = usize::try_from(self.end() - start).expect("a small log");
        let mut rest = &found[certain..];
        for group in std::mem::take(&mut self.open) {
            if rest.is_empty() {
                continue;
            }
            let whole = rest.len() >= group.len()
                && group
                    .iter()
                    .zip(rest)
                    .all(|(sent, found)| *sent == found.record);
            if whole {
                rest = &rest[group.len()..];
                self.certain.extend(group);
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        Err(format!(
            "record {} was never sent, or is part of a batch",
            rest[0].sequence
        ))
    }
}
