//! The events of a spooled log file, one after the other and never all in memory.

use std::io::{self, Cursor, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use cairn_model::{Completion, RoutingHeader, canonicalize};
use flate2::read::GzDecoder;

/// Unpacked at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A file `{"Records":[…]}` that is being read. Its bytes have been compared with their hash, so that it is what
/// this build or one before has written.
pub(crate) struct FeedFile {
    unpacked: GzDecoder<Cursor<Vec<u8>>>,
    piece: Vec<u8>,
    /// What of the piece is filled, and what of that is read.
    filled: usize,
    at: usize,
    /// An event that was read and is wanted once more.
    held: Option<Bytes>,
}

impl std::fmt::Debug for FeedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FeedFile")
    }
}

impl FeedFile {
    /// Begins at the first event.
    pub(crate) fn new(packed: Vec<u8>) -> io::Result<Self> {
        let mut file = Self {
            unpacked: GzDecoder::new(Cursor::new(packed)),
            piece: vec![0; PIECE_BYTES],
            filled: 0,
            at: 0,
            held: None,
        };
        // Up to the list.
        while file.byte()?.ok_or(io::ErrorKind::UnexpectedEof)? != b'[' {}
        Ok(file)
    }

    /// The next event; none at the end.
    pub(crate) fn next_event(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        let mut event = Vec::new();
        let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
        loop {
            let byte = self.byte()?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match byte {
                b']' if depth == 0 => return Ok(None),
                _ if depth == 0 && byte != b'{' => continue,
                _ => event.push(byte),
            }
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if in_string => is_escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(Some(Bytes::from(event)));
            }
        }
    }

    /// Gives an event back: it is the next once more.
    pub(crate) fn hold(&mut self, event: Bytes) {
        self.held = Some(event);
    }

    /// Passes over events.
    pub(crate) fn skip(&mut self, events: u64) -> io::Result<()> {
        for _ in 0..events {
            if self.next_event()?.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        if self.at == self.filled {
            self.filled = self.unpacked.read(&mut self.piece)?;
            self.at = 0;
            if self.filled == 0 {
                return Ok(None);
            }
        }
        let byte = self.piece[self.at];
        self.at += 1;
        Ok(Some(byte))
    }
}

/// What an event says of itself; none if it cannot be read, or if reading it ends in a panic: a single event must
/// not stop a lane (P8).
pub(crate) fn header_of(event: &Bytes) -> Option<RoutingHeader<'static>> {
    catch_unwind(AssertUnwindSafe(|| read_header(event))).unwrap_or(None)
}

fn read_header(event: &Bytes) -> Option<RoutingHeader<'static>> {
    let mut completion = Completion {
        // A canonical event names its account and its ID.
        account: "000000000000".parse().ok()?,
        new_event_id: &mut String::new,
    };
    let event = canonicalize(event, &mut completion).ok()?;
    Some(event.header.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_file::gzip;

    // Proves: REC-167
    #[test]
    fn events_come_as_they_were_written() {
        let events = [
            r#"{"a":"]}{[\"","b":[{"c":[]}]}"#,
            r#"{"a":"\\"}"#,
            r#"{"long":""#,
        ];
        let long = format!("{}{}\"}}", events[2], "x".repeat(3 * PIECE_BYTES));
        let content = format!("{{\"Records\":[{},{},{long}]}}", events[0], events[1]);
        let packed = gzip(content.as_bytes());
        let mut file = FeedFile::new(packed.clone()).expect("a file");
        let first = file.next_event().expect("reads").expect("an event");
        assert_eq!(first, events[0].as_bytes());
        file.hold(first.clone());
        assert_eq!(file.next_event().expect("reads"), Some(first));
        let second = file.next_event().expect("reads");
        assert_eq!(second.as_deref(), Some(events[1].as_bytes()));
        let third = file.next_event().expect("reads");
        assert_eq!(third.as_deref(), Some(long.as_bytes()));
        assert_eq!(file.next_event().expect("reads"), None);
        let mut file = FeedFile::new(packed.clone()).expect("a file");
        file.skip(2).expect("reads");
        let third = file.next_event().expect("reads");
        assert_eq!(third.as_deref(), Some(long.as_bytes()));
        let cut = FeedFile::new(packed[..packed.len() / 2].to_vec());
        let read = cut.and_then(|mut file| file.skip(3));
        assert!(read.is_err(), "half a file is no file");
    }
}
