//! The tables as this process holds them: the current version, the hot rows in memory, the view that
//! readers are given, and the one way in which a commit is made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use cairn_catalog::lake::{
    Commit, CommitKind, Generation, LakeCatalog, LakeCatalogError, TableId, TablePosition,
    TableState, WriterEpoch,
};
use cairn_eventlog::EventLog;
use cairn_model::{EventTime, PartitionId};

use crate::config::LakeConfig;
use crate::counters::Counters;
use crate::error::LakeError;
use crate::failpoints;
use crate::hot::{self, HotBatch};
use crate::live_file::LiveFile;
use crate::table::{TableVersion, Workshop};
use crate::view::ReadView;

/// The writer's role in the catalog.
pub(crate) const WRITER: &str = "lake";

/// What all parts of the lake share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: LakeConfig,
    pub(crate) catalog: Arc<dyn LakeCatalog>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) workshop: Workshop,
    pub(crate) epoch: WriterEpoch,
    /// Names this process in leases.
    pub(crate) holder: String,
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) counters: Counters,
}

/// A table as this process holds it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) id: TableId,
    /// Locked while metadata is built and committed, so that commits of one process follow on each other.
    pub(crate) current: tokio::sync::Mutex<Current>,
    // A short section that swaps or clones a pointer, never held across an await.
    view: Mutex<Arc<ReadView>>,
    // A short section as well, taken before that of `view`: views that may still be in somebody's hands.
    given: Mutex<Vec<Weak<ReadView>>>,
}

/// The state of a table that the last read of the catalog showed.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) version: TableVersion,
    pub(crate) state: TableState,
    pub(crate) hot: BTreeMap<String, Arc<HotBatch>>,
    /// True after an error that leaves open what the catalog holds: read it again before anything else.
    pub(crate) uncertain: bool,
}

impl Current {
    pub(crate) fn position(&self, partition: PartitionId) -> TablePosition {
        self.state.position(partition)
    }

    /// True if the rows of every hot object are in memory, so that a commit may retire them.
    pub(crate) fn holds_every_hot_row(&self) -> bool {
        let mut objects = self.state.hot.iter();
        objects.all(|object| self.hot.contains_key(&object.object))
    }

    /// The hot batches of the state, in its order.
    pub(crate) fn hot_batches(&self) -> Vec<Arc<HotBatch>> {
        let known = |name: &String| self.hot.get(name).cloned();
        self.state
            .hot
            .iter()
            .filter_map(|object| known(&object.object))
            .collect()
    }
}

impl Table {
    pub(crate) fn new(id: TableId, version: TableVersion, state: TableState) -> Arc<Self> {
        let hot = BTreeMap::new();
        let current = Current {
            version,
            state,
            hot,
            uncertain: true,
        };
        let view = Mutex::new(Arc::new(view_of(&current)));
        let current = tokio::sync::Mutex::new(current);
        Arc::new(Self {
            id,
            current,
            view,
            given: Mutex::new(Vec::new()),
        })
    }

    /// The newest view. What it names is kept as long as it is held.
    pub(crate) fn view(&self) -> Arc<ReadView> {
        // Locked first: a view that is taken but not yet noted would not count as one that is in use.
        let mut given = self.given.lock().expect("no holder of this lock panics");
        let view = Arc::clone(&self.view.lock().expect("no holder of this lock panics"));
        let known = given
            .iter()
            .any(|weak| std::ptr::eq(weak.as_ptr(), Arc::as_ptr(&view)));
        if !known {
            given.push(Arc::downgrade(&view));
        }
        view
    }

    /// The oldest point that a reader in this process may still look at.
    pub(crate) fn oldest_view(&self) -> Generation {
        let mut given = self.given.lock().expect("no holder of this lock panics");
        let current = self
            .view
            .lock()
            .expect("no holder of this lock panics")
            .generation;
        given.retain(|weak| weak.strong_count() > 0);
        let held = given
            .iter()
            .filter_map(Weak::upgrade)
            .map(|view| view.generation);
        held.chain([current]).min().unwrap_or(current)
    }

    pub(crate) fn publish(&self, current: &Current) {
        let view = Arc::new(view_of(current));
        *self.view.lock().expect("no holder of this lock panics") = view;
    }
}

fn view_of(current: &Current) -> ReadView {
    let mut files: Vec<Arc<LiveFile>> = current.version.live_files().cloned().collect();
    files.sort_by(|a, b| b.day.cmp(&a.day).then_with(|| b.times.1.cmp(&a.times.1)));
    let positions = &current.state.positions;
    ReadView {
        table: current.state.table.clone(),
        generation: current.state.generation,
        metadata_key: current.version.key.clone(),
        schema: Arc::clone(&current.version.arrow),
        positions: positions.iter().map(|p| (p.partition, p.hot_end)).collect(),
        committed: positions
            .iter()
            .map(|p| (p.partition, p.committed_end))
            .collect(),
        hot: current.hot_batches(),
        files: Arc::new(files),
    }
}

impl Shared {
    /// The oldest event time that readers show. Older rows are removed, older events turned away: so the
    /// clock must be sure.
    pub(crate) fn oldest_visible(&self) -> EventTime {
        let now_ms = self.workshop.steady.earliest_ms();
        let micros = now_ms
            .saturating_mul(1_000)
            .saturating_sub(self.config.retention_micros())
            .max(0);
        EventTime::from_micros(micros).unwrap_or_default()
    }

    pub(crate) fn table(&self, id: &TableId) -> Option<&Arc<Table>> {
        self.tables.iter().find(|table| table.id == *id)
    }

    /// Brings `current` to what the catalog says, whatever happened before, and publishes it.
    pub(crate) async fn reload(
        &self,
        table: &Table,
        current: &mut Current,
    ) -> Result<(), LakeError> {
        let state = self
            .catalog
            .table(&table.id)
            .await
            .map_err(LakeError::Catalog)?;
        let state = state.ok_or_else(|| LakeError::NoSuchTable(table.id.clone()))?;
        if state.metadata != current.version.key {
            current.version =
                TableVersion::load(&self.workshop, &table.id, &state.metadata).await?;
        }
        current.state = state;
        self.load_hot(table, current).await?;
        current.uncertain = false;
        table.publish(current);
        Ok(())
    }

    /// Every hot object of the state comes into memory: from memory, from the store with its checksum
    /// verified, or, if it is damaged or gone, from the log once more.
    async fn load_hot(&self, table: &Table, current: &mut Current) -> Result<(), LakeError> {
        let mut hot = BTreeMap::new();
        for object in current.state.hot.clone() {
            let kept = current.hot.remove(&object.object);
            let batch = match kept {
                Some(batch) => batch,
                None => match hot::load(self.workshop.objects.as_ref(), &object).await {
                    Ok(batch) => batch,
                    Err(LakeError::Damaged { key, reason }) => {
                        tracing::error!(table = %table.id, object = key, reason,
                            "hot object damaged, rebuilding it from the log");
                        self.counters.add_rebuilt();
                        let version = &current.version;
                        match self.rebuild_hot(&table.id, version, &object).await? {
                            Some(batch) => batch,
                            None => continue,
                        }
                    }
                    Err(other) => return Err(other),
                },
            };
            hot.insert(batch.object.object.clone(), batch);
        }
        if !current
            .state
            .hot
            .iter()
            .all(|object| hot.contains_key(&object.object))
        {
            let state = self
                .catalog
                .table(&table.id)
                .await
                .map_err(LakeError::Catalog)?;
            current.state = state.ok_or_else(|| LakeError::NoSuchTable(table.id.clone()))?;
        }
        current.hot = hot;
        Ok(())
    }

    /// Makes one commit. After an error that leaves open what happened, the catalog is read again and
    /// compared (R12, P7): if it holds the commit, the commit was made.
    ///
    /// `current` carries the new state on success, and is marked uncertain on failure.
    pub(crate) async fn commit(
        &self,
        table: &Table,
        current: &mut Current,
        kind: CommitKind,
        next: Option<TableVersion>,
    ) -> Result<(), LakeError> {
        current.uncertain = true;
        let wanted = kind.metadata().map(str::to_owned);
        let end = match &kind {
            CommitKind::Append {
                partition, range, ..
            }
            | CommitKind::Advance { partition, range } => Some((*partition, range.end)),
            CommitKind::Create { .. } | CommitKind::Rewrite { .. } | CommitKind::Expire { .. } => {
                None
            }
        };
        let commit = Commit {
            table: table.id.clone(),
            writer: WRITER,
            epoch: self.epoch,
            expected_metadata: current.version.key.clone(),
            kind,
        };
        let made = self.catalog.commit(commit).await;
        let unclear = match made {
            Ok(_) => None,
            Err(error) if error.is_ambiguous() => Some(error),
            Err(error) => return Err(LakeError::Catalog(error)),
        };
        let state = self
            .catalog
            .table(&table.id)
            .await
            .map_err(LakeError::Catalog)?;
        let state = state.ok_or_else(|| LakeError::NoSuchTable(table.id.clone()))?;
        if let Some(error) = unclear {
            let pointer_moved = wanted.as_ref().is_none_or(|key| *key == state.metadata);
            let position_moved =
                end.is_none_or(|(partition, end)| state.position(partition).committed_end >= end);
            if !(pointer_moved && position_moved) {
                return Err(LakeError::Catalog(error));
            }
        }
        failpoints::reach(failpoints::COMMIT_POINTER);
        self.counters.add_commit();
        if let Some(next) = next {
            current.version = next;
        }
        if state.metadata != current.version.key {
            let (expected, now) = (current.version.key.clone(), state.metadata.clone());
            let table = table.id.clone();
            let moved = LakeCatalogError::MetadataMoved {
                table,
                expected,
                current: now,
            };
            return Err(LakeError::Catalog(moved));
        }
        current
            .hot
            .retain(|name, _| state.hot.iter().any(|object| object.object == *name));
        debug_assert_eq!(
            current.hot.len(),
            state.hot.len(),
            "hot rows are registered under the lock"
        );
        current.state = state;
        current.uncertain = false;
        table.publish(current);
        Ok(())
    }
}
