//! Files to events: which files an argument means, and the events of one file, a batch at a time.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

/// Largest `{"Records":[…]}` document, uncompressed: many times what a trail ever delivers.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;
/// Longest line of NDJSON: an event may have 1 MiB, pretty-printing aside.
const LINE_BYTES_MAX: u64 = 8 << 20;
/// How far into a file the name `Records` is looked for.
const PEEK_BYTES: usize = 4096;

/// One thing to ingest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Input {
    StandardInput,
    File {
        path: PathBuf,
        bytes: u64,
        modified_ms: u128,
    },
}

impl Input {
    /// How messages and the checkpoint call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::StandardInput => "-".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::StandardInput => 0,
            Self::File { bytes, .. } => *bytes,
        }
    }

    /// Opens it and finds out its form. Gzip is told by its first bytes, whatever the name says.
    pub(crate) fn open(&self) -> io::Result<EventReader> {
        let source: Box<dyn Read + Send> = match self {
            Self::StandardInput => Box::new(io::stdin()),
            Self::File { path, .. } => Box::new(File::open(path)?),
        };
        EventReader::new(source)
    }
}

/// The inputs that an argument stands for: itself, or every log file below a folder, in order.
/// Digest files are no events and are left out. A folder that links lead to again is searched once.
pub(crate) fn find_inputs(argument: &Path) -> io::Result<Vec<Input>> {
    if argument.as_os_str() == "-" {
        return Ok(vec![Input::StandardInput]);
    }
    let mut found = Vec::new();
    let mut searched = HashSet::new();
    let mut pending = vec![argument.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = std::fs::metadata(&path)?;
        if metadata.is_dir() {
            if !searched.insert((metadata.dev(), metadata.ino())) {
                continue;
            }
            for entry in std::fs::read_dir(&path)? {
                let entry = entry?.path();
                if entry.is_dir() || is_log_file(&entry) {
                    pending.push(entry);
                }
            }
        } else {
            let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
            let modified_ms = modified.map_or(0, |since_epoch| since_epoch.as_millis());
            found.push(Input::File {
                path,
                bytes: metadata.len(),
                modified_ms,
            });
        }
    }
    found.sort();
    Ok(found)
}

fn is_log_file(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let is_json = [".json", ".ndjson", ".jsonl"]
        .iter()
        .any(|ending| plain.ends_with(ending));
    is_json && !name.contains("_CloudTrail-Digest_")
}

/// The events of one input, each as its producer wrote it.
pub(crate) struct EventReader {
    source: BufReader<Box<dyn Read + Send>>,
    /// The whole document's events still to give, for `{"Records":[…]}`.
    document: Option<std::vec::IntoIter<Bytes>>,
}

impl std::fmt::Debug for EventReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventReader")
    }
}

impl EventReader {
    fn new(source: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut raw = BufReader::with_capacity(1 << 20, source);
        let is_gzip = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let decoded: Box<dyn Read + Send> = if is_gzip {
            Box::new(MultiGzDecoder::new(raw))
        } else {
            Box::new(raw)
        };
        let mut source = BufReader::with_capacity(1 << 20, decoded);
        let document = if is_document(source.fill_buf()?) {
            Some(read_document(&mut source)?)
        } else {
            None
        };
        Ok(Self { source, document })
    }

    /// The next events: at most `events_max`, and about `bytes_max` bytes but at least one event.
    /// Empty at the end.
    pub(crate) fn next_batch(
        &mut self,
        events_max: usize,
        bytes_max: usize,
    ) -> io::Result<Vec<Bytes>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < events_max && bytes < bytes_max {
            let next = match &mut self.document {
                Some(events) => events.next(),
                None => self.next_line()?,
            };
            let Some(event) = next else { break };
            bytes += event.len();
            batch.push(event);
        }
        Ok(batch)
    }

    fn next_line(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.source)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            if u64::try_from(read).is_ok_and(|read| read == LINE_BYTES_MAX) {
                return Err(invalid(format!(
                    "a line is longer than {LINE_BYTES_MAX} bytes"
                )));
            }
            let trimmed = line.trim_ascii();
            if !trimmed.is_empty() {
                return Ok(Some(Bytes::copy_from_slice(trimmed)));
            }
        }
    }
}

/// True for a document whose first member is `Records`; an event has no such member.
fn is_document(start: &[u8]) -> bool {
    let start = start[..start.len().min(PEEK_BYTES)].trim_ascii_start();
    start
        .strip_prefix(b"{")
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"Records\""))
}

fn read_document(source: &mut impl Read) -> io::Result<std::vec::IntoIter<Bytes>> {
    let mut text = Vec::new();
    source.take(DOCUMENT_BYTES_MAX).read_to_end(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length == DOCUMENT_BYTES_MAX) {
        return Err(invalid(format!(
            "the document is larger than {DOCUMENT_BYTES_MAX} bytes"
        )));
    }
    let events = cairn_model::split_batch(&text.into(), usize::MAX)
        .map_err(|refusal| invalid(refusal.to_string()))?;
    Ok(events.into_iter())
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
