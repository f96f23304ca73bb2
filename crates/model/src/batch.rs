//! Cutting what a producer sent into events: newline-delimited JSON, `{"Records":[…]}` as in log files (SEC-006), or
//! one event alone, which may span several lines.
//!
//! Only the boundaries are found here, in one cheap pass; every event is read strictly afterwards, and a bad one
//! spoils no other.

use bytes::Bytes;

use crate::json::skip_value;

/// Why a batch cannot be cut into events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// There is no event in it.
    #[error("the batch holds no events")]
    Empty,
    /// More events than a call may carry.
    #[error("the batch holds more than {limit} events")]
    TooManyEvents {
        /// The limit.
        limit: usize,
    },
    /// It starts as `{"Records":[` but does not go on as an array of values and one closing brace.
    #[error("the batch starts as a Records object but is malformed at byte {offset}")]
    Malformed {
        /// Where it stops being one.
        offset: usize,
    },
}

impl BatchError {
    /// The error's name for programs; never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "InvalidBatchEmpty",
            Self::TooManyEvents { .. } => "InvalidBatchTooManyEvents",
            Self::Malformed { .. } => "InvalidBatchMalformed",
        }
    }

    /// Always false: the same batch is refused again.
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// The events of a batch, as slices of it, not yet validated.
///
/// A byte order mark or other text before the first event is left to the event's own validation.
pub fn split_batch(body: &Bytes, events_max: usize) -> Result<Vec<Bytes>, BatchError> {
    let start = skip_white_space(body, 0);
    if start == body.len() {
        return Err(BatchError::Empty);
    }
    let mut events = Events {
        body,
        limit: events_max,
        found: Vec::new(),
    };
    if let Some(first) = records_start(body, start) {
        events.split_records(first)?;
    } else if is_single_value(body, start) {
        events.push(start, body.len())?;
    } else {
        events.split_lines()?;
    }
    if events.found.is_empty() {
        Err(BatchError::Empty)
    } else {
        Ok(events.found)
    }
}

struct Events<'b> {
    body: &'b Bytes,
    limit: usize,
    found: Vec<Bytes>,
}

impl Events<'_> {
    fn push(&mut self, start: usize, end: usize) -> Result<(), BatchError> {
        if self.found.len() == self.limit {
            return Err(BatchError::TooManyEvents { limit: self.limit });
        }
        self.found.push(self.body.slice(start..end));
        Ok(())
    }

    fn split_lines(&mut self) -> Result<(), BatchError> {
        let mut start = 0;
        for line in self.body.split(|byte| *byte == b'\n') {
            let text = line.trim_ascii();
            if !text.is_empty() {
                let text_start = start + (line.len() - line.trim_ascii_start().len());
                self.push(text_start, text_start + text.len())?;
            }
            start += line.len() + 1;
        }
        Ok(())
    }

    /// `at` is the first byte after the opening bracket of the array.
    fn split_records(&mut self, at: usize) -> Result<(), BatchError> {
        let body = self.body;
        let mut at = skip_white_space(body, at);
        if body.get(at) == Some(&b']') {
            return end_of_records(body, at + 1);
        }
        loop {
            let end = skip_value(body, at).ok_or(BatchError::Malformed { offset: at })?;
            self.push(at, end)?;
            at = skip_white_space(body, end);
            match body.get(at) {
                Some(b',') => at = skip_white_space(body, at + 1),
                Some(b']') => return end_of_records(body, at + 1),
                _ => return Err(BatchError::Malformed { offset: at }),
            }
        }
    }
}

fn end_of_records(body: &[u8], at: usize) -> Result<(), BatchError> {
    let at = skip_white_space(body, at);
    if body.get(at) != Some(&b'}') {
        return Err(BatchError::Malformed { offset: at });
    }
    let end = skip_white_space(body, at + 1);
    if end == body.len() {
        Ok(())
    } else {
        Err(BatchError::Malformed { offset: end })
    }
}

/// The first byte after `{"Records":[`, if the batch starts that way.
fn records_start(body: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    for token in ["{", "\"Records\"", ":", "["] {
        if !body[at..].starts_with(token.as_bytes()) {
            return None;
        }
        at = skip_white_space(body, at + token.len());
    }
    Some(at)
}

/// Whether the whole batch is one value.
fn is_single_value(body: &[u8], start: usize) -> bool {
    skip_value(body, start).is_some_and(|end| skip_white_space(body, end) == body.len())
}

fn skip_white_space(body: &[u8], at: usize) -> usize {
    let rest = &body[at..];
    let found = rest
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    found.map_or(body.len(), |offset| at + offset)
}
