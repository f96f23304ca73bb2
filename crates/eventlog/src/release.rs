//! The positions of the readers, and the removal of segments that all of them have passed (R5). A reader makes
//! its position durable before it tells it here; then files go, the oldest first, each durably gone
//! before the next, so that a power loss never leaves a hole in the middle.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};

use cairn_model::Sequence;

use crate::ReaderName;
use crate::failpoints::{self, reach};
use crate::recovery::retire;
use crate::segments::Released;
use crate::watermark::WatermarkFile;
use crate::writer::Shared;

/// Who reads the log, and how far each is.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    positions: Mutex<BTreeMap<ReaderName, u64>>,
}

impl Readers {
    /// Moves a reader's position forward and returns the position that all readers have passed, if each
    /// expected one has told its own.
    pub(crate) fn advance(
        &self,
        reader: ReaderName,
        position: u64,
        expected: &[ReaderName],
    ) -> Option<u64> {
        // Held for the look-up only, never across an await.
        let mut positions = self
            .positions
            .lock()
            .expect("no holder of this lock panics");
        let known = positions.entry(reader).or_insert(position);
        *known = (*known).max(position);
        let complete = expected.iter().all(|name| positions.contains_key(name));
        complete
            .then(|| positions.values().copied().min())
            .flatten()
    }

    pub(crate) fn list(&self) -> Vec<(ReaderName, Sequence)> {
        let positions = self
            .positions
            .lock()
            .expect("no holder of this lock panics");
        positions
            .iter()
            .map(|(name, position)| (*name, Sequence(*position)))
            .collect()
    }
}

/// Segments on their way out. They are no longer in the list of segments, so no reader starts on them.
#[derive(Debug)]
pub(crate) struct Releases {
    state: Mutex<State>,
    changed: Condvar,
    witness: Mutex<WatermarkFile>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Released>,
    stopped: bool,
}

impl Releases {
    pub(crate) fn new(witness: WatermarkFile) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            witness: Mutex::new(witness),
        }
    }

    pub(crate) fn push(&self, released: Vec<Released>) {
        if released.is_empty() {
            return;
        }
        self.lock().waiting.extend(released);
        self.changed.notify_one();
    }

    /// Removes files until `stop`. Not the writer's work: unlinking a large file takes milliseconds.
    pub(crate) fn run(&self, shared: &Shared) {
        loop {
            let idle = |state: &mut State| state.waiting.is_empty() && !state.stopped;
            let state = self.changed.wait_while(self.lock(), idle);
            let mut state = state.expect("no holder of this lock panics");
            if state.stopped {
                return;
            }
            let next = state.waiting.pop_front();
            drop(state);
            if let Some(released) = next {
                self.remove(shared, &released);
            }
        }
    }

    /// Removes the files that wait now.
    pub(crate) fn run_once(&self, shared: &Shared) {
        loop {
            let Some(released) = self.lock().waiting.pop_front() else {
                return;
            };
            self.remove(shared, &released);
        }
    }

    /// Ends `run`. Files that still wait stay, and are found again when the log is opened.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn remove(&self, shared: &Shared, released: &Released) {
        // A poisoned log touches nothing any more.
        if shared.queue.poisoned().is_some() {
            return;
        }
        // Held by the one thread that removes files; nobody else asks for it.
        let mut witness = self.witness.lock().expect("no holder of this lock panics");
        let recorded = witness.write_durable(released.start);
        drop(witness);
        reach(failpoints::UNLINK);
        let directory = &shared.config.directory;
        let removed = recorded
            .and_then(|()| retire(shared.files.disk.as_ref(), directory, &released.segment));
        if let Err(error) = removed {
            // Whether the file is gone is open, and the next one must not go before it.
            shared.queue.poison(&error.to_string());
        }
    }

    // Held for pushes and takes, never across a disk operation or an await.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}
