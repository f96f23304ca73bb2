//! The outbox's drain: what a mutation owes the log leaves the catalog once the log holds it (R21).
//! After a crash the drain begins with the oldest entry; events that were appended before are
//! recognised by their IDs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_catalog::{Catalog, OutboxEntry, OutboxId};
use cairn_eventlog::{AppendError, NewRecord, RecordKind};
use cairn_platform::Clock;
use tokio::sync::{Notify, watch};

use super::{Doors, Prepared};

/// Entries drained in one go.
const ENTRIES_MAX: u32 = 64;
/// Pause before entries that the log could not take are offered again.
const RETRY: Duration = Duration::from_millis(100);
/// How long an idle outbox goes without looking for entries that nobody told of.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// Moves entries from the catalog to the log, in order.
#[derive(Debug)]
pub(crate) struct Outbox {
    catalog: Arc<Catalog>,
    doors: Arc<Doors>,
    clock: Arc<dyn Clock>,
    waiting: Notify,
    drained: watch::Sender<OutboxId>,
}

/// Why a drain pass ended early.
enum DrainError {
    /// The log may take the entries later.
    Later(String),
    /// The log takes nothing more.
    Closed,
}

impl Outbox {
    pub(crate) fn new(catalog: Arc<Catalog>, doors: Arc<Doors>, clock: Arc<dyn Clock>) -> Self {
        let (drained, _) = watch::channel(OutboxId(0));
        Self {
            catalog,
            doors,
            clock,
            waiting: Notify::new(),
            drained,
        }
    }

    /// Waits until the log holds the entry, which must have been committed. `false` if it does not
    /// within `patience`; the entry will get there in any case.
    pub(crate) async fn wait_for(&self, id: OutboxId, patience: Duration) -> bool {
        self.waiting.notify_one();
        let mut drained = self.drained.subscribe();
        tokio::select! {
            reached = drained.wait_for(|drained| *drained >= id) => reached.is_ok(),
            () = self.clock.sleep(patience) => false,
        }
    }

    /// Drains what the last process left behind. Call before requests are taken.
    pub(crate) async fn drain_all(&self) -> Result<u64, String> {
        let mut count = 0;
        loop {
            match self.drain_some().await {
                Ok(0) => return Ok(count),
                Ok(drained) => count += drained,
                Err(DrainError::Later(reason)) => return Err(reason),
                Err(DrainError::Closed) => return Err("the event log is closed".into()),
            }
        }
    }

    /// Drains whenever there is something, until `stop`.
    pub(crate) async fn run(&self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = match self.drain_some().await {
                Ok(0) => None,
                Ok(_) => continue,
                Err(DrainError::Later(reason)) => {
                    tracing::warn!(reason, "the outbox could not be drained, trying again");
                    Some(RETRY)
                }
                Err(DrainError::Closed) => return,
            };
            // Somebody who committed an entry may have gone away before telling, so idling has an end.
            let tick = self.clock.sleep(pause.unwrap_or(IDLE_MAX));
            tokio::select! {
                () = tick => {}
                () = self.waiting.notified(), if pause.is_none() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn drain_some(&self) -> Result<u64, DrainError> {
        let later = |error: cairn_catalog::CatalogError| DrainError::Later(error.to_string());
        let entries = self
            .catalog
            .outbox_pending(ENTRIES_MAX)
            .await
            .map_err(later)?;
        let mut done = Vec::with_capacity(entries.len());
        for (id, entry) in entries {
            self.append(id, entry).await.map_err(|error| match error {
                AppendError::Closed | AppendError::Poisoned { .. } => DrainError::Closed,
                other => DrainError::Later(other.to_string()),
            })?;
            self.drained.send_replace(id);
            done.push(id);
        }
        if !done.is_empty() {
            self.catalog.outbox_done(&done).await.map_err(later)?;
        }
        Ok(u64::try_from(done.len()).unwrap_or(u64::MAX))
    }

    /// Events go in before control records, whatever their order: a record of a change precedes what
    /// the change does (R21).
    async fn append(&self, id: OutboxId, entry: OutboxEntry) -> Result<(), AppendError> {
        let mut events: Vec<Prepared> = Vec::new();
        let mut controls: Vec<NewRecord> = Vec::new();
        for record in entry.records {
            if record.kind == RecordKind::Event as u8 {
                let event = self.doors.preparer().restore(record.header, record.body);
                if event.is_none() {
                    tracing::error!(outbox.id = id.0, "an outbox event cannot be read");
                }
                events.extend(event);
            } else {
                controls.push(NewRecord {
                    kind: RecordKind::Control,
                    header: Bytes::from(record.header),
                    body: Bytes::from(record.body),
                    context: Bytes::new(),
                });
            }
        }
        if !events.is_empty() {
            self.doors.append(events).await?;
        }
        if !controls.is_empty() {
            self.doors.append_control(controls).await?;
        }
        Ok(())
    }
}
