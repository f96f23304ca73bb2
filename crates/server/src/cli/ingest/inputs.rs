//! Files to events: which files an argument means, and the events of one file, a batch at a time.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cairn_model::BatchError;
use flate2::read::MultiGzDecoder;

/// Largest `{"Records":[…]}` document, uncompressed: many times what a trail ever delivers.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;
/// Longest line of NDJSON: an event may have 1 MiB, pretty-printing aside.
const LINE_BYTES_MAX: u64 = 8 << 20;
/// The server's own name for what is too large.
pub(super) const TOO_LARGE: &str = "InvalidEventTooLarge";
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
/// Digest files are no events and are left out. A folder that links lead to again is searched once, and
/// a file has one name however it was asked for: the IDs of its events follow from it.
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
                // A pipe has no name but the one that was given.
                path: if metadata.is_file() {
                    std::fs::canonicalize(&path)?
                } else {
                    path
                },
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

/// A part of an input of which the server can make nothing.
#[derive(Debug)]
pub(crate) struct Unsendable {
    /// The server's own name for the fault.
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// How the events of an input were divided, and so how they must be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{"Records":[…]}` or one event alone: events may span lines.
    Document,
    /// An event a line: the line end divides even what is no JSON.
    Lines,
}

/// The events of one input, each as its producer wrote it.
pub(crate) struct EventReader {
    source: BufReader<Box<dyn Read + Send>>,
    form: Form,
    /// Those of a document that are still to give: the whole input's, or those of one line.
    document: std::vec::IntoIter<Bytes>,
}

impl std::fmt::Debug for EventReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventReader")
    }
}

impl EventReader {
    pub(crate) fn new(source: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut raw = BufReader::with_capacity(1 << 20, source);
        let is_gzip = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let decoded: Box<dyn Read + Send> = if is_gzip {
            Box::new(MultiGzDecoder::new(raw))
        } else {
            Box::new(raw)
        };
        let mut source = BufReader::with_capacity(1 << 20, decoded);
        let (form, document) = if is_document(source.fill_buf()?) {
            (Form::Document, read_document(&mut source)?)
        } else {
            (Form::Lines, Vec::new())
        };
        Ok(Self {
            source,
            form,
            document: document.into_iter(),
        })
    }

    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// The next events: at most `events_max`, and about `bytes_max` bytes but at least one event.
    /// Empty at the end.
    pub(crate) fn next_batch(
        &mut self,
        events_max: usize,
        bytes_max: usize,
    ) -> io::Result<Vec<Result<Bytes, Unsendable>>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < events_max && bytes < bytes_max {
            let Some(event) = self.next_event()? else {
                break;
            };
            bytes += event.as_ref().map_or(0, Bytes::len);
            batch.push(event);
        }
        Ok(batch)
    }

    fn next_event(&mut self) -> io::Result<Option<Result<Bytes, Unsendable>>> {
        loop {
            if let Some(event) = self.document.next() {
                return Ok(Some(Ok(event)));
            }
            if self.form == Form::Document {
                return Ok(None);
            }
            let line = match self.next_line()? {
                None => return Ok(None),
                Some(Err(unsendable)) => return Ok(Some(Err(unsendable))),
                Some(Ok(line)) => line,
            };
            if !is_document(&line) {
                return Ok(Some(Ok(line)));
            }
            // Log files that were put together, one on each line.
            match events_of(&line) {
                Ok(events) => self.document = events.into_iter(),
                Err(error) => {
                    let (code, message) = (error.code(), error.to_string());
                    return Ok(Some(Err(Unsendable { code, message })));
                }
            }
        }
    }

    fn next_line(&mut self) -> io::Result<Option<Result<Bytes, Unsendable>>> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.source)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            let is_cut = u64::try_from(read).is_ok_and(|read| read == LINE_BYTES_MAX)
                && line.last() != Some(&b'\n');
            if is_cut {
                let rest = self.source.skip_until(b'\n')?;
                return Ok(Some(Err(Unsendable {
                    code: TOO_LARGE,
                    message: format!("the line has {} bytes", read + rest),
                })));
            }
            let trimmed = line.trim_ascii();
            if !trimmed.is_empty() {
                return Ok(Some(Ok(Bytes::copy_from_slice(trimmed))));
            }
        }
    }
}

/// True for a document whose first member is `Records`, which no event has, and for one that is spread over
/// lines from its first brace on.
fn is_document(start: &[u8]) -> bool {
    let start = start[..start.len().min(PEEK_BYTES)].trim_ascii_start();
    let Some(rest) = start.strip_prefix(b"{") else {
        return false;
    };
    let line_end = rest.iter().position(|byte| *byte == b'\n');
    let is_spread = line_end.is_some_and(|end| rest[..end].trim_ascii().is_empty());
    is_spread || rest.trim_ascii_start().starts_with(b"\"Records\"")
}

fn read_document(source: &mut impl Read) -> io::Result<Vec<Bytes>> {
    let mut text = Vec::new();
    source.take(DOCUMENT_BYTES_MAX).read_to_end(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length == DOCUMENT_BYTES_MAX) {
        return Err(invalid(format!(
            "the document is larger than {DOCUMENT_BYTES_MAX} bytes"
        )));
    }
    events_of(&text.into()).map_err(|error| invalid(error.to_string()))
}

/// The events of a document, which may have none.
fn events_of(document: &Bytes) -> Result<Vec<Bytes>, BatchError> {
    match cairn_model::split_batch(document, usize::MAX) {
        Err(BatchError::Empty) => Ok(Vec::new()),
        split => split,
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
