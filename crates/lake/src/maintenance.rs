//! Background work on the tables: joining small files, dropping expired days, expiring snapshots, deleting
//! garbage and orphans, comparing what is stored with its checksums. Readers notice nothing: they hold
//! views, and nothing in a view is deleted. What cannot be read any more stops nothing but the work on
//! itself, and is counted.

mod compaction;
mod expiry;
mod orphans;
mod scrub;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cairn_catalog::lake::TableId;
use tokio::sync::Mutex;

use crate::counters::Counters;
use crate::error::LakeError;
use crate::failpoints;
use crate::reachable::Reader;
use crate::tables::{Current, Shared, Table};
use compaction::SetAside;
use orphans::Suspects;
use scrub::Scrub;

/// Objects that are deleted between two looks at the leases.
const GARBAGE_BATCH: u32 = 500;

/// The background work, one round at a time.
#[derive(Debug)]
pub(crate) struct Maintenance {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tables: HashMap<TableId, TableState>,
    damaged: DamagedObjects,
    set_aside: SetAside,
    scrub: Scrub,
}

/// One for each table: what one still needs, another would forget.
#[derive(Debug, Default)]
struct TableState {
    reader: Reader,
    suspects: Suspects,
}

/// Objects that were found damaged, each told once.
#[derive(Debug, Default)]
struct DamagedObjects(HashSet<String>);

impl DamagedObjects {
    fn note(&mut self, counters: &Counters, error: &LakeError) {
        if let LakeError::Damaged { key, reason } = error
            && self.0.insert(key.clone())
        {
            counters.add_damaged();
            tracing::error!(object = key, reason, "object damaged, left as it is");
        }
    }
}

impl Maintenance {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            state: Mutex::default(),
        }
    }

    /// One round over all tables. A failure in one kind of work does not keep the others from running; each
    /// is counted and told here, and the first one is returned.
    pub(crate) async fn run_once(&self) -> Result<(), LakeError> {
        let mut state = self.state.lock().await;
        let state = &mut *state;
        state.set_aside.begin_round();
        let mut first = None;
        for table in &self.shared.tables {
            let TableState { reader, suspects } = state.tables.entry(table.id.clone()).or_default();
            let (damaged, set_aside) = (&mut state.damaged, &mut state.set_aside);
            let outcomes = [
                ("compaction", self.compact(table, damaged, set_aside).await),
                ("expiry of rows", self.expire_rows(table).await),
                (
                    "expiry of snapshots",
                    self.expire_snapshots(table, reader, damaged).await,
                ),
                ("deletion of garbage", self.collect_garbage(table).await),
                (
                    "search for orphans",
                    self.remove_orphans(table, reader, suspects, damaged).await,
                ),
            ];
            for (step, outcome) in outcomes {
                first = first.or(self.told(step, Some(&table.id), outcome));
            }
        }
        let scrubbed = self.scrub(&mut state.scrub, &mut state.damaged).await;
        first = first.or(self.told("scrub", None, scrubbed));
        first.map_or(Ok(()), Err)
    }

    fn told(
        &self,
        step: &'static str,
        table: Option<&TableId>,
        outcome: Result<(), LakeError>,
    ) -> Option<LakeError> {
        let error = outcome.err()?;
        self.shared.counters.add_failure();
        // Nothing waits for maintenance: a later round tries again.
        let table = table.map(tracing::field::display);
        tracing::warn!(%error, step, table, "lake maintenance failed");
        Some(error)
    }

    /// Deletes what nothing refers to and no lease keeps. The lease of this process is renewed first, back
    /// to the oldest view that is held, so that the look at the leases covers its own readers.
    async fn collect_garbage(&self, table: &Table) -> Result<(), LakeError> {
        let shared = &self.shared;
        let lease_ms = i64::try_from(shared.config.lease_ms).unwrap_or(i64::MAX);
        loop {
            let now_ms = shared.workshop.steady.now_ms();
            let term = now_ms..now_ms.saturating_add(lease_ms);
            let since = Some(table.oldest_view());
            let leased = shared
                .catalog
                .lease(&shared.holder, &table.id, since, term)
                .await;
            leased.map_err(LakeError::Catalog)?;
            let garbage = shared
                .catalog
                .garbage(&table.id, now_ms, GARBAGE_BATCH)
                .await;
            let garbage = garbage.map_err(LakeError::Catalog)?;
            if garbage.is_empty() {
                return Ok(());
            }
            for one in &garbage {
                let deleted = shared.workshop.objects.delete(&one.object).await;
                deleted.map_err(LakeError::Objects)?;
            }
            failpoints::reach(failpoints::GARBAGE_DELETED);
            shared.counters.add_deleted(garbage.len() as u64);
            let ids: Vec<i64> = garbage.iter().map(|one| one.id).collect();
            shared
                .catalog
                .forget_garbage(&ids)
                .await
                .map_err(LakeError::Catalog)?;
        }
    }

    async fn make_certain(&self, table: &Table, current: &mut Current) -> Result<(), LakeError> {
        if current.uncertain {
            self.shared.reload(table, current).await
        } else {
            Ok(())
        }
    }
}
