//! The most recent batches in memory, so that a reader that keeps up never touches the disk. Contiguous, ends
//! at the durable end, bounded in bytes; the oldest go first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

use crate::LogRecord;
use crate::format::{RecordSelection, decode_records};

/// A batch as it stands in its frame.
#[derive(Clone, Debug)]
pub(crate) struct CachedPiece {
    pub(crate) first: u64,
    pub(crate) accepted_ms: i64,
    pub(crate) piece: Bytes,
}

/// The recent batches.
#[derive(Debug)]
pub(crate) struct Recent {
    bytes_max: usize,
    pieces: Mutex<Pieces>,
}

#[derive(Debug, Default)]
struct Pieces {
    queue: VecDeque<CachedPiece>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            pieces: Mutex::default(),
        }
    }

    /// Adds batches that have just become durable, in order.
    pub(crate) fn push(&self, pieces: impl Iterator<Item = CachedPiece>) {
        let mut evicted = Vec::new();
        let mut state = self.lock();
        for piece in pieces {
            state.bytes += piece.piece.len();
            state.queue.push_back(piece);
        }
        while state.bytes > self.bytes_max {
            let Some(oldest) = state.queue.pop_front() else {
                break;
            };
            state.bytes -= oldest.piece.len();
            evicted.push(oldest);
        }
        drop(state);
        // Freed outside the lock: large batches take a while.
        drop(evicted);
    }

    /// The records from `from` on, below `end`, if the cache holds them.
    pub(crate) fn read(&self, from: u64, end: u64, bytes_max: usize) -> Option<Vec<LogRecord>> {
        let state = self.lock();
        let oldest = state.queue.front()?.first;
        if from < oldest {
            return None;
        }
        let after = state.queue.partition_point(|piece| piece.first <= from);
        let mut wanted = Vec::new();
        let mut bytes = 0;
        for piece in state.queue.range(after.checked_sub(1)?..) {
            if piece.first >= end || bytes > bytes_max {
                break;
            }
            // The first piece may be wanted only from its middle on, so it does not count.
            bytes += if wanted.is_empty() {
                0
            } else {
                piece.piece.len()
            };
            wanted.push(piece.clone());
        }
        drop(state);
        let mut selection = RecordSelection::new(from, bytes_max);
        for piece in wanted {
            let sequences = piece.first..u64::MAX;
            decode_records(&piece.piece, sequences, piece.accepted_ms, &mut selection)
                .expect("the log encoded this piece itself");
        }
        Some(selection.records)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    // Held for pushes and look-ups, never across an await.
    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().expect("no holder of this lock panics")
    }
}
