//! How far an ingest has come, so that an interrupted one goes on where it stopped.
//!
//! One JSON line per acknowledged batch; the last line of a file counts. A file that has changed since
//! (length or time) starts again: the server recognises what it has already seen.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::inputs::Input;

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    file: String,
    bytes: u64,
    modified_ms: u128,
    events: u64,
    #[serde(default)]
    refused: u64,
}

/// How far one input has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Events that the server has answered, from the first one on.
    pub(crate) events: u64,
    /// Those among them that it refused.
    pub(crate) refused: u64,
}

/// The checkpoint file, open for appending.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    path: PathBuf,
    file: File,
    acknowledged: HashMap<(String, u64, u128), Progress>,
}

impl Checkpoint {
    /// Opens or creates the file and reads what it says. A torn last line is ignored.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut acknowledged = HashMap::new();
        for line in BufReader::new(&file).lines() {
            if let Ok(line) = serde_json::from_str::<Line>(&line?) {
                let progress = Progress {
                    events: line.events,
                    refused: line.refused,
                };
                acknowledged.insert((line.file, line.bytes, line.modified_ms), progress);
            }
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            acknowledged,
        })
    }

    /// True if an earlier run has left something to go on from.
    pub(crate) fn is_resumed(&self) -> bool {
        !self.acknowledged.is_empty()
    }

    /// How far this input had come before.
    pub(crate) fn acknowledged(&self, input: &Input) -> Progress {
        key(input)
            .and_then(|key| self.acknowledged.get(&key).copied())
            .unwrap_or_default()
    }

    /// Notes how far the input has come.
    pub(crate) fn record(&mut self, input: &Input, progress: Progress) -> io::Result<()> {
        let Some((file, bytes, modified_ms)) = key(input) else {
            return Ok(());
        };
        let mut line = serde_json::to_vec(&Line {
            file,
            bytes,
            modified_ms,
            events: progress.events,
            refused: progress.refused,
        })?;
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// Everything went in: nothing to go on from.
    pub(crate) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(self.path)
    }
}

/// Standard input cannot be read again, so it has no place in a checkpoint.
fn key(input: &Input) -> Option<(String, u64, u128)> {
    match input {
        Input::StandardInput => None,
        Input::File {
            bytes, modified_ms, ..
        } => Some((input.name(), *bytes, *modified_ms)),
    }
}
