//! Batches to send: real events from a file of lines, whose IDs are patched before each use so that
//! no event is a duplicate. Everything else stays, and so do the lengths.

use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result, ensure};
use cairn_model::EventTime;

const ID_MEMBER: &[u8] = b"\"eventID\":\"";
const ID_LENGTH: usize = 36;
const TIME_MEMBER: &[u8] = b"\"eventTime\":\"";
const TIME_LENGTH: usize = 20;

/// A batch of events with the places of their IDs.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) body: Vec<u8>,
    id_places: Vec<usize>,
    time_places: Vec<usize>,
}

/// Reads management events and cuts them into at most `batches_max` batches.
pub(crate) fn batches(path: &str, events: usize, batches_max: usize) -> Result<Vec<Batch>> {
    let file = File::open(path).with_context(|| format!("cannot read {path}"))?;
    let mut batches = Vec::new();
    let mut current = Batch::empty();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.with_context(|| format!("cannot read {path}"))?;
        if !contains(&line, b"\"eventCategory\":\"Management\"") {
            continue;
        }
        let place = find(&line, ID_MEMBER).context("an event without eventID")? + ID_MEMBER.len();
        current.id_places.push(current.body.len() + place);
        let place = find(&line, TIME_MEMBER).context("no eventTime")? + TIME_MEMBER.len();
        current.time_places.push(current.body.len() + place);
        current.body.extend_from_slice(&line);
        current.body.push(b'\n');
        if current.id_places.len() == events {
            batches.push(current);
            current = Batch::empty();
        }
        if batches.len() == batches_max {
            break;
        }
    }
    ensure!(
        !batches.is_empty(),
        "{path} holds too few management events"
    );
    Ok(batches)
}

impl Batch {
    fn empty() -> Self {
        Self {
            body: Vec::new(),
            id_places: Vec::new(),
            time_places: Vec::new(),
        }
    }

    pub(crate) fn events(&self) -> usize {
        self.id_places.len()
    }

    /// Gives every event a new ID, and a time if one is given: `run` and `serial` are unique for each use
    /// of any batch. Returns the last ID.
    pub(crate) fn renew(&mut self, run: u64, serial: u64, now_ms: Option<i64>) -> Result<String> {
        let mut id = *b"00000000-0000-4000-8000-000000000000";
        push_hex(&mut id[..8], run);
        push_hex(&mut id[24..], serial);
        for (index, place) in (0_u64..).zip(&self.id_places) {
            push_hex(&mut id[9..13], index);
            self.body[*place..*place + ID_LENGTH].copy_from_slice(&id);
        }
        if let Some(now_ms) = now_ms {
            let time = EventTime::from_micros(now_ms / 1_000 * 1_000_000).context("the time")?;
            let time = time.to_string();
            ensure!(time.len() == TIME_LENGTH, "{time} has another length");
            for place in &self.time_places {
                self.body[*place..*place + TIME_LENGTH].copy_from_slice(time.as_bytes());
            }
        }
        Ok(String::from_utf8_lossy(&id).into_owned())
    }
}

/// The lowest digits of a number, as many as there is room for.
fn push_hex(digits: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[usize::from(rest.to_le_bytes()[0] & 15)];
        rest >>= 4;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    find(haystack, needle).is_some()
}
