//! Admission and the queue between those who append and the one writer. Admission is immediate: a batch is
//! taken or refused, never kept waiting for room (R18). Bytes count until the batch is answered, so
//! what the queue holds in memory is bounded even while the disk does not answer.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard};

use bytes::Bytes;
use cairn_model::Sequence;
use tokio::sync::{oneshot, watch};

use crate::AppendError;

/// A batch that waits for its group commit.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Its records as a piece of a frame's payload.
    pub(crate) piece: Bytes,
    pub(crate) piece_crc: u32,
    pub(crate) count: u32,
    reply: oneshot::Sender<Result<Range<Sequence>, AppendError>>,
}

impl Pending {
    pub(crate) fn new(
        piece: Vec<u8>,
        count: u32,
    ) -> (
        Self,
        oneshot::Receiver<Result<Range<Sequence>, AppendError>>,
    ) {
        let (reply, answer) = oneshot::channel();
        let piece_crc = crc32c::crc32c(&piece);
        (
            Self {
                piece: Bytes::from(piece),
                piece_crc,
                count,
                reply,
            },
            answer,
        )
    }

    /// Tells whoever appended the batch. They may have gone away, which changes nothing.
    pub(crate) fn answer(self, result: Result<Range<Sequence>, AppendError>) {
        let _ = self.reply.send(result);
    }
}

/// What the writer is to do next.
#[derive(Debug)]
pub(crate) enum Work {
    /// Write these batches as one frame.
    Commit(Vec<Pending>),
    /// Seal and stop: the log is closed and the queue is empty.
    Close,
    /// Stop at once: the log was dropped, or is poisoned.
    Stop,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
    poison: watch::Sender<Option<String>>,
}

#[derive(Debug, Default)]
struct State {
    pending: VecDeque<Pending>,
    // Bytes admitted and not answered: waiting, being encoded, or under way to the disk.
    bytes: usize,
    closing: bool,
    abandoned: bool,
}

impl State {
    /// True while there is nothing to do. A log that closes still waits for batches that were admitted and
    /// not handed in yet: nobody else would answer them.
    fn is_idle(&self) -> bool {
        let closed = self.closing && self.bytes == 0;
        self.pending.is_empty() && !closed && !self.abandoned
    }
}

impl Queue {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            state: Mutex::default(),
            changed: Condvar::new(),
            poison: watch::Sender::new(None),
        }
    }

    /// Takes `bytes` of room for a batch or refuses it. Callers must hand in the batch of exactly that size.
    pub(crate) fn admit(&self, bytes: usize) -> Result<(), AppendError> {
        if let Some(reason) = self.poison.borrow().clone() {
            return Err(AppendError::Poisoned { reason });
        }
        let mut state = self.lock();
        if state.closing || state.abandoned {
            return Err(AppendError::Closed);
        }
        if bytes > self.bytes_max - state.bytes.min(self.bytes_max) {
            return Err(AppendError::RefusedBusy);
        }
        state.bytes += bytes;
        Ok(())
    }

    /// Hands an admitted batch to the writer.
    pub(crate) fn push(&self, pending: Pending) {
        let mut state = self.lock();
        // Poisoned or dropped since the admission: nobody will take it from the queue.
        if self.poison.borrow().is_some() || state.abandoned {
            drop(state);
            self.fail(pending);
            return;
        }
        state.pending.push_back(pending);
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for work. Batches are gathered up to `frame_bytes_max`, or one batch that is larger.
    pub(crate) fn wait_for_work(&self, frame_bytes_max: usize) -> Work {
        let idle = |state: &mut State| state.is_idle() && !self.is_poisoned();
        let state = self.changed.wait_while(self.lock(), idle);
        self.take(
            state.expect("no holder of this lock panics"),
            frame_bytes_max,
        )
    }

    /// The work there is now, `None` if there is none.
    pub(crate) fn work_now(&self, frame_bytes_max: usize) -> Option<Work> {
        let state = self.lock();
        let idle = state.is_idle();
        (!idle || self.is_poisoned()).then(|| self.take(state, frame_bytes_max))
    }

    fn take(&self, mut state: MutexGuard<'_, State>, frame_bytes_max: usize) -> Work {
        if state.abandoned || self.is_poisoned() {
            return Work::Stop;
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(next) = state.pending.front() {
            bytes += next.piece.len();
            if bytes > frame_bytes_max && !group.is_empty() {
                break;
            }
            group.extend(state.pending.pop_front());
        }
        if group.is_empty() {
            Work::Close
        } else {
            Work::Commit(group)
        }
    }

    /// Gives back the room of batches that have been answered.
    pub(crate) fn release(&self, bytes: usize) {
        self.lock().bytes -= bytes;
        self.changed.notify_all();
    }

    /// Poisons the log: the first reason stays, and every batch that waits fails with it (R2).
    pub(crate) fn poison(&self, reason: &str) {
        let first = self.poison.send_if_modified(|poison| {
            let first = poison.is_none();
            if first {
                *poison = Some(reason.to_owned());
            }
            first
        });
        if first {
            tracing::error!(log.reason = reason, "the event log is poisoned");
        }
        self.fail_waiting();
    }

    /// No more batches are taken; those that wait are written first.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// Nobody is interested any more; those that wait fail.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.fail_waiting();
    }

    /// Why the log is poisoned, if it is.
    pub(crate) fn poisoned(&self) -> Option<String> {
        self.poison.borrow().clone()
    }

    pub(crate) fn watch_poison(&self) -> watch::Receiver<Option<String>> {
        self.poison.subscribe()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn fail_waiting(&self) {
        let waiting = std::mem::take(&mut self.lock().pending);
        self.changed.notify_all();
        for pending in waiting {
            self.fail(pending);
        }
    }

    fn fail(&self, pending: Pending) {
        self.release(pending.piece.len());
        let error = match self.poisoned() {
            Some(reason) => AppendError::Poisoned { reason },
            None => AppendError::Closed,
        };
        pending.answer(Err(error));
    }

    fn is_poisoned(&self) -> bool {
        self.poison.borrow().is_some()
    }

    // Held for pushes and takes, never across an await.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_closes_waits_for_what_it_has_admitted() {
        let queue = Queue::new(1_000);
        queue.admit(7).expect("there is room");
        queue.close();
        assert!(queue.work_now(1_000).is_none(), "a batch is on its way");
        let (pending, _answer) = Pending::new(vec![0; 7], 1);
        queue.push(pending);
        let work = queue.work_now(1_000);
        assert!(matches!(work, Some(Work::Commit(group)) if group.len() == 1));
        queue.release(7);
        assert!(matches!(queue.work_now(1_000), Some(Work::Close)));
    }
}
