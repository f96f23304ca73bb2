//! The outbox's drain: what a mutation owes the log leaves the catalog once the log holds it (R21).
//! After a crash the drain begins with the oldest entry; events that were appended before are
//! recognised by their IDs. A record that the log can never take is quarantined: it must neither hold
//! up those behind it nor be lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use cairn_catalog::{
    Catalog, CatalogError, DrainedEntry, OutboxEntry, OutboxId, OutboxRecord, QuarantinedRecord,
};
use cairn_eventlog::{AppendError, NewRecord, RecordKind};
use cairn_model::EVENT_BYTES_MAX;
use cairn_platform::Clock;
use tokio::sync::{Notify, watch};

use super::{Doors, Outcome, Prepared};
use crate::config::{QUEUE_BYTES_MIN, SEGMENT_BYTES_MIN};

/// The largest entry, checked before its mutation is committed: the event and its copy for another
/// account, each with a header as large as half of it.
pub(crate) const ENTRY_BYTES_MAX: usize = 3 << 20;
/// What the log may add to an entry: the overhead of its records, frame and segment.
const LOG_OVERHEAD_BYTES: u64 = 64 * 1024;
const _: () = assert!(ENTRY_BYTES_MAX >= 2 * (EVENT_BYTES_MAX + EVENT_BYTES_MAX / 2));
const _: () = assert!(ENTRY_BYTES_MAX as u64 + LOG_OVERHEAD_BYTES <= SEGMENT_BYTES_MIN);
const _: () = assert!(ENTRY_BYTES_MAX as u64 + LOG_OVERHEAD_BYTES <= QUEUE_BYTES_MIN);

/// Entries drained in one go.
const ENTRIES_MAX: u32 = 64;
/// Entries that the log holds and that are remembered, whether the catalog still has them or not.
const CARRIED_MAX: usize = 1_024;
const _: () = assert!(CARRIED_MAX > ENTRIES_MAX as usize);
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
    /// What this process has carried to the log, by entry. An entry that cannot be removed is appended
    /// once, however long the removal fails: the memory of event IDs forgets after its window.
    // Held for map operations, never across an await.
    carried: Mutex<BTreeMap<OutboxId, Carried>>,
}

/// An entry whose records are in the log, or in the quarantine.
#[derive(Clone, Debug)]
struct Carried {
    digest: [u8; 32],
    quarantined: Vec<QuarantinedRecord>,
}

/// What became of a mutation whose commit gave an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is durable, with its events.
    Made,
    /// It left no trace.
    NotMade,
    /// The catalog cannot say now. If it was made, its events will get to the log.
    Unknown,
}

/// Why a drain pass ended early.
enum DrainError {
    /// The log may take the entries later.
    Later(String),
    /// The log takes nothing more.
    Closed,
}

impl DrainError {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "made to be handed to map_err"
    )]
    fn of_catalog(error: CatalogError) -> Self {
        Self::Later(error.to_string())
    }

    fn of_log(error: AppendError) -> Self {
        match error {
            AppendError::Closed | AppendError::Poisoned { .. } => Self::Closed,
            other => Self::Later(other.to_string()),
        }
    }
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
            carried: Mutex::default(),
        }
    }

    /// Refuses an entry that the log could never take. Mutations ask before they commit.
    pub(crate) fn check(entry: &OutboxEntry) -> Result<(), AppendError> {
        let bytes = |record: &cairn_catalog::OutboxRecord| record.header.len() + record.body.len();
        let bytes: usize = entry.records.iter().map(bytes).sum();
        if bytes > ENTRY_BYTES_MAX {
            return Err(AppendError::RefusedTooLarge { bytes });
        }
        Ok(())
    }

    /// What became of a mutation whose commit gave an error: that can come before the commit or after.
    ///
    /// An ID alone tells nothing, for one that was rolled back is given out again. The catalog is asked
    /// first: an entry that has left it by then is in `carried`, for it was appended before.
    pub(crate) async fn fate_of(&self, id: OutboxId, entry: &OutboxEntry) -> Fate {
        match self.catalog.outbox_entry(id).await {
            Ok(Some(found)) if found == *entry => return Fate::Made,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(outbox.id = id.0, error = %error, "the fate of a mutation is not known");
                return Fate::Unknown;
            }
        }
        let carried = self.carried().get(&id).map(|carried| carried.digest);
        if carried == Some(digest_of(entry)) {
            return Fate::Made;
        }
        Fate::NotMade
    }

    /// Waits until the log holds the entry, which must have been committed. `false` if it does not
    /// within `patience`; the entry will get there in any case, or has been quarantined.
    pub(crate) async fn wait_for(&self, id: OutboxId, patience: Duration) -> bool {
        self.waiting.notify_one();
        let mut drained = self.drained.subscribe();
        tokio::select! {
            reached = drained.wait_for(|drained| *drained >= id) => {
                reached.is_ok() && !self.is_quarantined(id)
            }
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
        let done = self.carry_pending().await?;
        if !done.is_empty() {
            self.catalog
                .outbox_done(&done)
                .await
                .map_err(DrainError::of_catalog)?;
        }
        Ok(u64::try_from(done.len()).unwrap_or(u64::MAX))
    }

    /// Brings the oldest entries into the log; those that are there already are not brought again.
    async fn carry_pending(&self) -> Result<Vec<DrainedEntry>, DrainError> {
        let pending = self.catalog.outbox_pending(ENTRIES_MAX).await;
        let entries = pending.map_err(DrainError::of_catalog)?;
        let mut done = Vec::with_capacity(entries.len());
        for (id, entry) in entries {
            let known = self.carried().get(&id).cloned();
            let carried = match known {
                Some(carried) => carried,
                None => self.carry(id, entry).await.map_err(DrainError::of_log)?,
            };
            self.drained.send_replace(id);
            done.push(DrainedEntry {
                id,
                quarantined: carried.quarantined,
            });
        }
        Ok(done)
    }

    async fn carry(&self, id: OutboxId, entry: OutboxEntry) -> Result<Carried, AppendError> {
        let digest = digest_of(&entry);
        let mut quarantined = Vec::new();
        let mut events: Vec<(usize, Prepared)> = Vec::new();
        let mut controls = Vec::new();
        for (ordinal, record) in entry.records.into_iter().enumerate() {
            if record.kind == RecordKind::Control as u8 {
                controls.push(control(record));
            } else if record.kind != RecordKind::Event as u8 {
                quarantined.push(trouble(ordinal, "the kind of record is not known"));
            } else if let Some(event) = self.doors.preparer().restore(record.header, record.body) {
                events.push((ordinal, event));
            } else {
                quarantined.push(trouble(ordinal, "the routing header cannot be read"));
            }
        }
        quarantined.extend(self.append(events).await?);
        // After the events: what a call changes counts for what comes behind its own record (R21). After a
        // crash they may come twice, which changes nothing: a version is applied once.
        self.doors.append_controls(controls).await?;
        for record in &quarantined {
            tracing::error!(
                outbox.id = id.0,
                ordinal = record.ordinal,
                reason = record.reason,
                "an outbox record is quarantined"
            );
        }
        let carried = Carried {
            digest,
            quarantined,
        };
        let mut all = self.carried();
        all.insert(id, carried.clone());
        if all.len() > CARRIED_MAX {
            // Entries leave the catalog in order, so the oldest has long left it.
            all.pop_first();
        }
        Ok(carried)
    }

    /// Appends the events of one entry and gives those that the log can never take.
    async fn append(
        &self,
        events: Vec<(usize, Prepared)>,
    ) -> Result<Vec<QuarantinedRecord>, AppendError> {
        let (ordinals, batch): (Vec<usize>, Vec<Prepared>) = events.iter().cloned().unzip();
        match self.doors.append(batch).await {
            Ok(outcomes) => {
                let conflicts = ordinals.into_iter().zip(outcomes);
                let conflicts = conflicts.filter(|(_, outcome)| *outcome == Outcome::Conflict);
                let reason = "another event with this ID was accepted before";
                return Ok(conflicts
                    .map(|(ordinal, _)| trouble(ordinal, reason))
                    .collect());
            }
            Err(AppendError::RefusedTooLarge { .. }) if events.len() == 1 => {
                let reason = "the record is larger than the event log takes";
                return Ok(ordinals
                    .into_iter()
                    .map(|ordinal| trouble(ordinal, reason))
                    .collect());
            }
            Err(AppendError::RefusedTooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
        // One of them is too large, or all of them together: each for itself, in order.
        let mut quarantined = Vec::new();
        for event in events {
            quarantined.extend(Box::pin(self.append(vec![event])).await?);
        }
        Ok(quarantined)
    }

    fn is_quarantined(&self, id: OutboxId) -> bool {
        let carried = self.carried();
        carried
            .get(&id)
            .is_some_and(|carried| !carried.quarantined.is_empty())
    }

    fn carried(&self) -> MutexGuard<'_, BTreeMap<OutboxId, Carried>> {
        self.carried.lock().expect("no holder of this lock panics")
    }
}

fn control(record: OutboxRecord) -> NewRecord {
    NewRecord {
        kind: RecordKind::Control,
        header: Bytes::from(record.header),
        body: Bytes::from(record.body),
        context: Bytes::new(),
    }
}

fn trouble(ordinal: usize, reason: &str) -> QuarantinedRecord {
    QuarantinedRecord {
        ordinal,
        reason: reason.to_owned(),
    }
}

fn digest_of(entry: &OutboxEntry) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for record in &entry.records {
        for part in [&[record.kind], &record.header[..], &record.body[..]] {
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests;
