//! The records inside a frame's payload, one after the other without padding.
//!
//! ```text
//!  0  1  kind: 1 event, 2 control record
//!  1  4  header length    5  4  context length    9  4  body length
//! 13  …  header, context, body
//! ```

use std::ops::Range;

use bytes::Bytes;
use cairn_model::Sequence;

use super::get_u32;
use crate::{LogRecord, NewRecord, RecordKind};

const PREFIX_BYTES: usize = 13;

/// How many bytes the records take in a payload.
pub(crate) fn encoded_bytes(records: &[NewRecord]) -> usize {
    records.iter().map(record_bytes).sum()
}

/// The records as a piece of a payload. Callers must have checked that each length fits 32 bits.
pub(crate) fn encode_records(records: &[NewRecord]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(encoded_bytes(records));
    for record in records {
        bytes.push(record.kind as u8);
        for part in [&record.header, &record.context, &record.body] {
            let length = u32::try_from(part.len()).expect("admission limits a record's size");
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        bytes.extend_from_slice(&record.header);
        bytes.extend_from_slice(&record.context);
        bytes.extend_from_slice(&record.body);
    }
    bytes
}

/// Reads records from a piece of a payload that holds `sequences`: those from `from` on, until `bytes_max`
/// is passed. The parts share the piece's memory. Returns the sequence that was reached; `None` if the piece
/// is malformed or holds more, which a matching checksum rules out unless a program wrote it so.
pub(crate) fn decode_records(
    piece: &Bytes,
    sequences: Range<u64>,
    accepted_ms: i64,
    selection: &mut RecordSelection,
) -> Option<u64> {
    let mut at = 0;
    let mut sequence = sequences.start;
    while at < piece.len() {
        if selection.bytes_left == 0 {
            return Some(sequence);
        }
        if sequence >= sequences.end {
            return None;
        }
        let prefix = piece.get(at..at.checked_add(PREFIX_BYTES)?)?;
        let kind = match prefix[0] {
            1 => RecordKind::Event,
            2 => RecordKind::Control,
            _ => return None,
        };
        let lengths = [get_u32(prefix, 1), get_u32(prefix, 5), get_u32(prefix, 9)];
        let mut part_start = at + PREFIX_BYTES;
        let mut parts = [const { Bytes::new() }; 3];
        for (part, length) in parts.iter_mut().zip(lengths) {
            let part_end = part_start.checked_add(usize::try_from(length).ok()?)?;
            if part_end > piece.len() {
                return None;
            }
            if sequence >= selection.from && part_end > part_start {
                *part = piece.slice(part_start..part_end);
            }
            part_start = part_end;
        }
        if sequence >= selection.from {
            selection.bytes_left = selection.bytes_left.saturating_sub(part_start - at);
            let [header, context, body] = parts;
            let record = NewRecord {
                kind,
                header,
                body,
                context,
            };
            let sequence = Sequence(sequence);
            selection.records.push(LogRecord {
                sequence,
                accepted_ms,
                record,
            });
        }
        at = part_start;
        sequence += 1;
    }
    Some(sequence)
}

/// What a read still wants, and what it has got.
#[derive(Debug)]
pub(crate) struct RecordSelection {
    /// The first sequence wanted.
    pub(crate) from: u64,
    /// Reading stops once this is 0; a record may overshoot it.
    pub(crate) bytes_left: usize,
    pub(crate) records: Vec<LogRecord>,
}

impl RecordSelection {
    /// About `bytes_max` from `from` on, but at least one record.
    pub(crate) fn new(from: u64, bytes_max: usize) -> Self {
        Self {
            from,
            bytes_left: bytes_max.max(1),
            records: Vec::new(),
        }
    }
}

fn record_bytes(record: &NewRecord) -> usize {
    PREFIX_BYTES + record.header.len() + record.context.len() + record.body.len()
}
