//! The lake as the rest of Cairn uses it.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cairn_catalog::lake::{Commit, CommitKind, LakeCatalog, TableId, TableState, WriterEpoch};
use cairn_eventlog::EventLog;
use cairn_model::{EventTime, PartitionId, Sequence};
use cairn_platform::{Clock, Entropy};
use futures::future::{Either, select};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::config::LakeConfig;
use crate::counters::{Counters, LakeCounts};
use crate::error::LakeError;
use crate::lookup::FileCache;
use crate::maintenance::Maintenance;
use crate::making::{EVENT_HISTORY, INSIGHTS_EVENTS};
use crate::objects::{LocalObjects, Objects};
use crate::steady::SteadyClock;
use crate::table::{TableVersion, Workshop};
use crate::tables::{Shared, Table, WRITER};
use crate::view::ReadView;
use crate::workers::Workers;
use crate::writer::Writer;

/// First and longest wait before a failed step is tried again.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Event history and the other event tables, written from the log and open for reading.
#[derive(Debug)]
pub struct Lake {
    shared: Arc<Shared>,
    writer: tokio::sync::Mutex<Writer>,
    maintenance: Maintenance,
    file_cache: Arc<FileCache>,
    lookup_permits: Arc<Semaphore>,
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStatus {
    /// The table.
    pub table: TableId,
    /// Records before this are visible.
    pub visible_end: Sequence,
    /// Records before this are in the Iceberg table.
    pub committed_end: Sequence,
    /// Rows in data files.
    pub committed_rows: u64,
    /// Data files.
    pub data_files: u64,
    /// Bytes of data files.
    pub data_bytes: u64,
    /// Rows in hot objects.
    pub hot_rows: u64,
    /// Bytes of hot objects.
    pub hot_bytes: u64,
}

/// What the lake holds and has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeStatus {
    /// One for each table.
    pub tables: Vec<TableStatus>,
    /// Counts since the process began.
    pub counts: LakeCounts,
    /// Records in the log that are not visible yet.
    pub lag_records: u64,
}

impl Lake {
    /// Opens the lake over a folder, making its tables if they are not there. Whoever had it open before
    /// can write no more (R7, R12).
    pub async fn open(
        config: LakeConfig,
        catalog: Arc<dyn LakeCatalog>,
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Arc<Self>, LakeError> {
        let objects = LocalObjects::open(config.data_dir.clone())
            .map_err(LakeError::Objects)?
            .with_free_bytes_min(config.free_bytes_min);
        Self::open_on(config, Arc::new(objects), catalog, log, clock, entropy).await
    }

    /// Opens the lake over any object store.
    pub async fn open_on(
        config: LakeConfig,
        objects: Arc<dyn Objects>,
        catalog: Arc<dyn LakeCatalog>,
        log: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Arc<Self>, LakeError> {
        config.check()?;
        let workshop = Workshop {
            objects,
            steady: Arc::new(SteadyClock::new(Arc::clone(&clock))),
            clock,
            entropy,
        };
        let epoch = catalog
            .acquire_writer(WRITER)
            .await
            .map_err(LakeError::Catalog)?;
        let objects = &workshop.objects;
        let cleaned = objects.remove_unfinished().await;
        cleaned.map_err(LakeError::Objects)?;
        let mut tables = Vec::new();
        for name in [EVENT_HISTORY, INSIGHTS_EVENTS] {
            let id: TableId = name
                .parse()
                .expect("the names of built-in tables are valid");
            // The built-in tables follow the log from its beginning: where that is gone, the catalog is not
            // the one that belongs to the log, and the writer refuses to begin.
            let state = ensure_table(&workshop, catalog.as_ref(), epoch, &id, |id| {
                created(id, config.partition, Sequence::default())
            });
            let state = state.await?;
            let version = TableVersion::load(&workshop, &id, &state.metadata).await?;
            workshop.steady.anchor(version.metadata.last_updated_ms());
            tables.push(Table::new(id, version, state));
        }
        let holder = workshop.uuid();
        let counters = Counters::default();
        let shared = Arc::new(Shared {
            config,
            catalog,
            log,
            workshop,
            epoch,
            holder,
            tables,
            counters,
            workers: Workers::start()?,
        });
        let file_cache = Arc::new(FileCache::new(shared.config.lookup_cache_bytes_max));
        let lookup_permits = Arc::new(Semaphore::new(shared.config.lookups_max));
        let mut writer = Writer::new(Arc::clone(&shared));
        // Nothing is flushed here: this only learns where the tables are, and refuses a wrong log.
        writer.begin().await?;
        let maintenance = Maintenance::new(Arc::clone(&shared));
        Ok(Arc::new(Self {
            shared,
            writer: tokio::sync::Mutex::new(writer),
            maintenance,
            file_cache,
            lookup_permits,
        }))
    }

    /// Follows the log and keeps the tables in order until `stop` turns true; then makes visible what is
    /// pending. An error means that this lake must not be used any more: another has taken over, or what
    /// is stored cannot be read.
    pub async fn run(self: &Arc<Self>, stop: watch::Receiver<bool>) -> Result<(), LakeError> {
        // A task of its own, so that its work does not hold up what becomes visible; the set ends it when
        // this future ends or is dropped.
        let mut maintenance = JoinSet::new();
        let (lake, until) = (Arc::clone(self), stop.clone());
        maintenance.spawn(async move { lake.maintain_until(until).await });
        let write = pin!(self.write_until(stop));
        let maintain = pin!(maintenance.join_next());
        match select(write, maintain).await {
            Either::Left((done, _)) => done,
            Either::Right((None | Some(Ok(Ok(()))), write)) => write.await,
            Either::Right((Some(Ok(Err(error))), _)) => Err(error),
            Either::Right((Some(Err(lost)), _)) => Err(LakeError::TaskLost(lost.to_string())),
        }
    }

    /// Makes everything visible that is in the log now.
    pub async fn ingest(&self) -> Result<(), LakeError> {
        self.writer.lock().await.ingest().await
    }

    /// Moves everything into the Iceberg tables that is in the log now.
    pub async fn flush(&self) -> Result<(), LakeError> {
        self.writer.lock().await.flush().await
    }

    /// Compacts, expires and removes whatever is due, once.
    pub async fn maintain(&self) -> Result<(), LakeError> {
        self.maintenance.run_once().await
    }

    /// A table at its newest point. What it names is kept as long as it is held.
    pub fn read_view(&self, table: &TableId) -> Result<Arc<ReadView>, LakeError> {
        match self.shared.table(table) {
            Some(table) => Ok(table.view()),
            None => Err(LakeError::NoSuchTable(table.clone())),
        }
    }

    /// A table at its newest point for a reader in another process: kept until the lease expires or the
    /// same holder takes another.
    pub async fn lease(&self, holder: &str, table: &TableId) -> Result<TableState, LakeError> {
        let lease_ms = i64::try_from(self.shared.config.lease_ms).unwrap_or(i64::MAX);
        let now_ms = self.shared.workshop.steady.now_ms();
        let term = now_ms..now_ms.saturating_add(lease_ms);
        let state = self.shared.catalog.lease(holder, table, None, term).await;
        state.map_err(LakeError::Catalog)
    }

    /// Where the lake's objects lie.
    pub fn objects(&self) -> &Arc<dyn Objects> {
        &self.shared.workshop.objects
    }

    /// What lookups remember of data files.
    pub(crate) fn file_cache(&self) -> &Arc<FileCache> {
        &self.file_cache
    }

    /// A lookup came upon a damaged data file.
    pub(crate) fn count_damage(&self) {
        self.shared.counters.add_damaged();
    }

    /// How many lookups may still begin.
    pub(crate) fn lookup_permits(&self) -> &Arc<Semaphore> {
        &self.lookup_permits
    }

    /// The oldest event time that readers show; older rows are on their way out.
    pub fn oldest_visible(&self) -> EventTime {
        self.shared.oldest_visible()
    }

    /// The earliest time that it may be now, in milliseconds: for what is lost for good if it is not yet that late (S8).
    pub fn earliest_ms(&self) -> i64 {
        self.shared.workshop.steady.earliest_ms()
    }

    /// The latest time that it may be now, in milliseconds: from it counts what must not come too early (S8).
    pub fn latest_ms(&self) -> i64 {
        self.shared.workshop.steady.latest_ms()
    }

    /// Records before this are visible in `table`.
    pub fn position(&self, table: &TableId) -> Result<Sequence, LakeError> {
        Ok(self
            .read_view(table)?
            .position(self.shared.config.partition))
    }

    /// What the lake holds and has done.
    pub fn status(&self) -> LakeStatus {
        let partition = self.shared.config.partition;
        let mut tables = Vec::new();
        let mut least = None;
        for table in &self.shared.tables {
            let view = table.view();
            let status = table_status(&view, partition);
            least = Some(least.map_or(status.visible_end, |l: Sequence| l.min(status.visible_end)));
            tables.push(status);
        }
        let end = self.shared.log.durable_end(partition);
        let lag_records = end.0.saturating_sub(least.unwrap_or(end).0);
        LakeStatus {
            tables,
            counts: self.shared.counters.read(),
            lag_records,
        }
    }

    async fn write_until(&self, mut stop: watch::Receiver<bool>) -> Result<(), LakeError> {
        let clock = Arc::clone(&self.shared.workshop.clock);
        let mut retry = RETRY_MIN;
        while !*stop.borrow_and_update() {
            let mut writer = self.writer.lock().await;
            let done = writer.turn().await;
            let read_end = writer.read_end();
            drop(writer);
            let (wait, log_matters) = match done {
                Ok(wait) => {
                    retry = RETRY_MIN;
                    (wait, true)
                }
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, retry_ms = retry.as_millis(), "lake step failed");
                    let wait = retry;
                    retry = RETRY_MAX.min(retry * 2);
                    (wait, false)
                }
                Err(error) => {
                    tracing::error!(%error, "lake stopped");
                    return Err(error);
                }
            };
            tokio::select! {
                () = self.shared.log.wait_beyond(self.shared.config.partition, read_end),
                    if log_matters => {}
                () = clock.sleep(wait) => {}
                _ = stop.changed() => {}
            }
        }
        self.ingest().await
    }

    async fn maintain_until(&self, mut stop: watch::Receiver<bool>) -> Result<(), LakeError> {
        let clock = &self.shared.workshop.clock;
        let interval = Duration::from_millis(self.shared.config.maintenance_interval_ms);
        while !*stop.borrow_and_update() {
            tokio::select! {
                () = clock.sleep(interval) => {}
                _ = stop.changed() => continue,
            }
            // What else goes wrong is told where it is met, and tried again in a later round.
            match self.maintenance.run_once().await {
                Err(error) if error.is_fenced() => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// The folder of a lake below the data directory.
    pub fn folder(data_dir: &Path) -> std::path::PathBuf {
        data_dir.join("lake")
    }
}

fn table_status(view: &ReadView, partition: PartitionId) -> TableStatus {
    let committed = view.committed.iter().find(|(known, _)| *known == partition);
    TableStatus {
        table: view.table.clone(),
        visible_end: view.position(partition),
        committed_end: committed.map_or(Sequence::default(), |(_, end)| *end),
        committed_rows: view.files.iter().map(|file| file.rows).sum(),
        data_files: view.files.len() as u64,
        data_bytes: view.files.iter().map(|file| file.bytes).sum(),
        hot_rows: view.hot.iter().map(|batch| batch.object.rows).sum(),
        hot_bytes: view.hot.iter().map(|batch| batch.object.bytes).sum(),
    }
}

fn created(metadata: &str, partition: PartitionId, start: Sequence) -> CommitKind {
    CommitKind::Create {
        metadata: metadata.to_owned(),
        start: vec![(partition, start)],
    }
}

/// The table's state; the table is made if it is not there. An answer that was lost is looked up.
async fn ensure_table(
    workshop: &Workshop,
    catalog: &dyn LakeCatalog,
    epoch: WriterEpoch,
    table: &TableId,
    create: impl FnOnce(&str) -> CommitKind,
) -> Result<TableState, LakeError> {
    if let Some(state) = catalog.table(table).await.map_err(LakeError::Catalog)? {
        return Ok(state);
    }
    let version = TableVersion::create(workshop, table).await?;
    let kind = create(&version.key);
    let (table_id, expected_metadata) = (table.clone(), String::new());
    let commit = Commit {
        table: table_id,
        writer: WRITER,
        epoch,
        expected_metadata,
        kind,
    };
    let unclear = match catalog.commit(commit).await {
        Ok(_) => None,
        Err(error) if error.is_ambiguous() => Some(error),
        Err(error) => return Err(LakeError::Catalog(error)),
    };
    let state = catalog.table(table).await.map_err(LakeError::Catalog)?;
    let missing = || match unclear {
        Some(error) => LakeError::Catalog(error),
        None => LakeError::NoSuchTable(table.clone()),
    };
    state.ok_or_else(missing)
}
