//! Records of reads and refusals for which the log has no room (C6). Reads go on while the disk is
//! full, so what they owe the log waits here, in memory and within bounds, and goes in as soon as there
//! is room. What is lost if the process dies meanwhile is the record of reads, never of a change: those
//! are refused until there is room.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_eventlog::AppendError;
use cairn_platform::Clock;
use tokio::sync::watch;

use super::{Doors, Prepared};

/// Records that may wait, and their bytes. Beyond either, reads are refused as well.
const RECORDS_MAX: usize = 10_000;
const BYTES_MAX: u64 = 16 << 20;
/// How often the log is offered what waits.
const INTERVAL: Duration = Duration::from_millis(500);
/// Records offered at once, and their bytes: the smallest log that can be configured takes as many.
const BATCH: usize = 500;
const BATCH_BYTES: u64 = 2 << 20;

/// The records that wait.
#[derive(Debug, Default)]
pub(crate) struct WaitingRoom {
    // Held for queue operations, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Prepared>,
    bytes: u64,
}

impl State {
    /// At least one record, if there is one.
    fn next_batch(&self) -> Vec<Prepared> {
        let mut bytes = 0;
        let fits = |record: &&Prepared| {
            let is_first = bytes == 0;
            bytes += record.bytes();
            is_first || bytes <= BATCH_BYTES
        };
        let records = self.records.iter().take(BATCH);
        records.take_while(fits).cloned().collect()
    }
}

impl WaitingRoom {
    /// Makes the events of a read or a refusal durable or, while the disk is full, lets them wait.
    pub(crate) async fn append(
        &self,
        doors: &Doors,
        events: Vec<Prepared>,
    ) -> Result<(), AppendError> {
        match doors.append(events.clone()).await {
            Err(AppendError::RefusedNoSpace) if self.take_in(events) => Ok(()),
            appended => appended.map(drop),
        }
    }

    /// Records that wait now.
    pub(crate) fn len(&self) -> usize {
        self.lock().records.len()
    }

    /// Offers the log what waits, until `stop`; then once more.
    pub(crate) async fn run(
        &self,
        doors: Arc<Doors>,
        clock: Arc<dyn Clock>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut stopping = false;
        while !stopping {
            tokio::select! {
                () = clock.sleep(INTERVAL) => {}
                _ = stop.wait_for(|stop| *stop) => stopping = true,
            }
            self.offer(&doors).await;
        }
        let lost = self.len();
        if lost > 0 {
            tracing::error!(
                records = lost,
                "records of reads are lost: the log has no room for them"
            );
        }
    }

    fn take_in(&self, events: Vec<Prepared>) -> bool {
        let bytes: u64 = events.iter().map(Prepared::bytes).sum();
        let mut state = self.lock();
        if state.records.len() + events.len() > RECORDS_MAX || state.bytes + bytes > BYTES_MAX {
            return false;
        }
        state.bytes += bytes;
        state.records.extend(events);
        true
    }

    async fn offer(&self, doors: &Doors) {
        loop {
            let batch = self.lock().next_batch();
            if batch.is_empty() {
                return;
            }
            let (count, bytes) = (batch.len(), batch.iter().map(Prepared::bytes).sum::<u64>());
            // Recognised by their IDs, so offering a record twice stores it once.
            if doors.append(batch).await.is_err() {
                return;
            }
            let mut state = self.lock();
            state.records.drain(..count);
            state.bytes = state.bytes.saturating_sub(bytes);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
pub(crate) mod tests;
