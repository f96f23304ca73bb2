//! Batches to send: real events from a file of lines, whose IDs are patched before each use so that
//! no event is a duplicate. Everything else stays, and so do the lengths.

use anyhow::{Context, Result, ensure};

const ID_MEMBER: &[u8] = b"\"eventID\":\"";
const ID_LENGTH: usize = 36;

/// Batches of events with the places of their IDs.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) body: Vec<u8>,
    id_places: Vec<usize>,
}

/// Reads management events and cuts them into batches.
pub(crate) fn batches(path: &str, events_per_batch: usize) -> Result<Vec<Batch>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    let mut batches = Vec::new();
    let mut current = Batch {
        body: Vec::new(),
        id_places: Vec::new(),
    };
    for line in text.split(|byte| *byte == b'\n') {
        if !contains(line, b"\"eventCategory\":\"Management\"") {
            continue;
        }
        let place = find(line, ID_MEMBER).context("an event without eventID")? + ID_MEMBER.len();
        current.id_places.push(current.body.len() + place);
        current.body.extend_from_slice(line);
        current.body.push(b'\n');
        if current.id_places.len() == events_per_batch {
            batches.push(current);
            current = Batch {
                body: Vec::new(),
                id_places: Vec::new(),
            };
        }
    }
    ensure!(
        !batches.is_empty(),
        "{path} holds too few management events"
    );
    Ok(batches)
}

impl Batch {
    pub(crate) fn events(&self) -> usize {
        self.id_places.len()
    }

    /// Gives every event a new ID: `run` and `serial` are unique for each use of any batch.
    pub(crate) fn renew(&mut self, run: u64, serial: u64) {
        for (index, place) in self.id_places.iter().enumerate() {
            let id = format!("{run:08x}-{:04x}-4000-8000-{serial:012x}", index & 0xffff);
            self.body[*place..*place + ID_LENGTH].copy_from_slice(id.as_bytes());
        }
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
