//! The writer: follows the log, makes events visible in hot objects, and moves hot rows into the tables.
//!
//! All that it knows it can learn again: after any error it forgets its state and begins where the catalog
//! says that the tables end, so that a failed step, a lost answer and a restart are one path.
//! **Invariant (R5, R12).** The log is told that records are no longer needed only after a commit that
//! holds their rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cairn_catalog::lake::HotRange;
use cairn_eventlog::ReadError;
use cairn_model::{PartitionId, Sequence};
use tokio::task::JoinHandle;

use crate::build::Pending;
use crate::error::LakeError;
use crate::failpoints;
use crate::flush::Flush;
use crate::hot::HotBatch;
use crate::making::Destination;
use crate::tables::{Shared, Table, WRITER};

/// The name under which the lake reads the log.
const READER: &str = "lake";
/// How often a running flush is looked at when the log is still.
const FLUSH_LOOK: Duration = Duration::from_millis(50);

/// The one that follows a partition of the log.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    partition: PartitionId,
    /// The next record to read.
    read_end: Sequence,
    /// Records that were read and are not visible yet, by table.
    pending: BTreeMap<&'static str, Vec<Pending>>,
    pending_bytes: usize,
    /// When the oldest pending record was read.
    pending_since: Option<Duration>,
    last_flush: Duration,
    flushing: Option<JoinHandle<Result<(), LakeError>>>,
    /// True at the start and after an error: everything above is to be learned again.
    lost: bool,
    /// True while a step runs. Found true by the next one, the step before was dropped half-way.
    stepping: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let last_flush = shared.workshop.clock.monotonic();
        Self {
            partition: shared.config.partition,
            shared,
            read_end: Sequence::default(),
            pending: BTreeMap::new(),
            pending_bytes: 0,
            pending_since: None,
            last_flush,
            flushing: None,
            lost: true,
            stepping: false,
        }
    }

    /// Does what is due. Returns how long nothing will be, unless the log grows.
    pub(crate) async fn turn(&mut self) -> Result<Duration, LakeError> {
        self.begin_step();
        let done = self.turn_inner().await;
        self.forget_on_error(done)
    }

    /// Makes everything visible that is in the log now.
    pub(crate) async fn ingest(&mut self) -> Result<(), LakeError> {
        self.begin_step();
        let done = self.ingest_inner().await;
        self.forget_on_error(done)
    }

    /// Moves everything into the tables that is in the log now.
    pub(crate) async fn flush(&mut self) -> Result<(), LakeError> {
        self.begin_step();
        let done = self.flush_inner().await;
        self.forget_on_error(done)
    }

    /// Learns where the tables are.
    pub(crate) async fn begin(&mut self) -> Result<(), LakeError> {
        let done = self.recover().await;
        self.forget_on_error(done)
    }

    pub(crate) fn read_end(&self) -> Sequence {
        self.read_end
    }

    fn begin_step(&mut self) {
        self.lost |= self.stepping;
        self.stepping = true;
    }

    fn forget_on_error<T>(&mut self, done: Result<T, LakeError>) -> Result<T, LakeError> {
        self.stepping = false;
        if done.is_err() {
            self.lost = true;
            self.shared.counters.add_failure();
        }
        done
    }

    async fn turn_inner(&mut self) -> Result<Duration, LakeError> {
        self.recover().await?;
        let lags = self.read_some().await?;
        self.finish_flush(false).await?;
        let now = self.shared.workshop.clock.monotonic();
        let hot_interval = Duration::from_millis(self.shared.config.hot_interval_ms);
        let hot_due = self.pending_since.map(|since| since + hot_interval);
        let commit_interval = Duration::from_millis(self.shared.config.commit_interval_ms);
        if lags {
            // The flush that runs moves the end from which the next one starts.
            self.finish_flush(true).await?;
            self.start_flush().await?;
            self.finish_flush(true).await?;
            return Ok(Duration::ZERO);
        }
        if hot_due.is_some_and(|due| due <= now) {
            self.make_hot().await?;
        }
        let (rows, bytes) = self.hot_size().await;
        let config = &self.shared.config;
        let is_due = self.last_flush + commit_interval <= now
            || rows >= config.commit_rows_max
            || bytes >= config.commit_bytes_max;
        if is_due {
            // Hot rows are bounded: a flush that cannot keep up holds the reading up, and the log keeps
            // what comes (R18).
            if bytes >= config.commit_bytes_max.saturating_mul(2) {
                self.finish_flush(true).await?;
            }
            if self.flushing.is_none() {
                self.make_hot().await?;
                self.start_flush().await?;
            }
        }
        let flush_look = self.flushing.is_some().then_some(now + FLUSH_LOOK);
        let next = [hot_due, flush_look, Some(self.last_flush + commit_interval)];
        let next = next.into_iter().flatten().filter(|due| *due > now).min();
        Ok(next.map_or(commit_interval, |due| due.saturating_sub(now)))
    }

    async fn ingest_inner(&mut self) -> Result<(), LakeError> {
        self.recover().await?;
        let end = self.shared.log.durable_end(self.partition);
        loop {
            self.read_some().await?;
            self.make_hot().await?;
            if self.read_end >= end {
                return Ok(());
            }
        }
    }

    async fn flush_inner(&mut self) -> Result<(), LakeError> {
        self.recover().await?;
        let end = self.shared.log.durable_end(self.partition);
        loop {
            self.finish_flush(true).await?;
            self.read_some().await?;
            self.start_flush().await?;
            self.finish_flush(true).await?;
            if self.read_end >= end {
                return Ok(());
            }
        }
    }

    /// Learns from the catalog where the tables are, and begins there.
    async fn recover(&mut self) -> Result<(), LakeError> {
        if !self.lost {
            return Ok(());
        }
        if let Some(task) = self.flushing.take() {
            // Its outcome shows in the catalog.
            let _ = task.await;
        }
        self.pending.clear();
        self.pending_bytes = 0;
        self.pending_since = None;
        let log_end = self.shared.log.durable_end(self.partition);
        let log_start = self.shared.log.start(self.partition);
        let mut read_end = None;
        for table in &self.shared.tables {
            let mut current = table.current.lock().await;
            self.shared.reload(table, &mut current).await?;
            let position = current.position(self.partition).hot_end;
            if position > log_end {
                let (table, partition) = (table.id.clone(), self.partition);
                return Err(LakeError::LogBehind {
                    table,
                    partition,
                    position,
                    log_end,
                });
            }
            if position < log_start {
                let (table, partition) = (table.id.clone(), self.partition);
                return Err(LakeError::LogAhead {
                    table,
                    partition,
                    position,
                    log_start,
                });
            }
            read_end = Some(read_end.map_or(position, |known: Sequence| known.min(position)));
        }
        self.read_end = read_end.unwrap_or_default();
        self.lost = false;
        self.tell_log().await;
        Ok(())
    }

    /// Reads what the log holds, up to the limit. True if it holds more than that.
    async fn read_some(&mut self) -> Result<bool, LakeError> {
        let shared = Arc::clone(&self.shared);
        let bytes_max = shared.config.read_bytes_max;
        let end = shared.log.durable_end(self.partition);
        while self.read_end < end && self.pending_bytes < bytes_max {
            let rest = bytes_max - self.pending_bytes;
            let records = shared.log.read(self.partition, self.read_end, rest).await;
            let records = match records {
                Ok(records) => records,
                Err(ReadError::Corrupt {
                    segment,
                    offset,
                    resume_at,
                }) => {
                    let lost = self.read_end..resume_at;
                    shared
                        .note_lost(self.partition, &lost, &segment, offset)
                        .await?;
                    self.read_end = resume_at;
                    self.pending_since
                        .get_or_insert(shared.workshop.clock.monotonic());
                    continue;
                }
                Err(error) => return Err(LakeError::Log(error)),
            };
            let Some(last) = records.last() else { break };
            let read_end = last.sequence.plus(1);
            for record in records {
                let size = record.record.header.len() + record.record.body.len();
                match shared.destination(record) {
                    Destination::Table(table, one) => {
                        self.pending.entry(table).or_default().push(one);
                        self.pending_bytes += size;
                    }
                    Destination::Unselected => shared.counters.add_unselected(1),
                    Destination::TooOld => shared.counters.add_too_old(1),
                    Destination::Control => {}
                    Destination::Poison(poison) => {
                        shared
                            .quarantine("unrouted", self.partition, poison)
                            .await?;
                    }
                }
            }
            self.read_end = read_end;
            if self.pending_since.is_none() {
                self.pending_since = Some(shared.workshop.clock.monotonic());
            }
        }
        Ok(self.pending_bytes >= bytes_max)
    }

    /// The pending records of a table that it does not have yet.
    fn take_pending(&mut self, table: &Table, from: Sequence) -> Vec<Pending> {
        let mut pending = self.pending.remove(table.id.as_str()).unwrap_or_default();
        pending.retain(|one| one.record.sequence >= from);
        pending
    }

    /// Makes the pending records visible: a hot object for each table that has any, registered together.
    async fn make_hot(&mut self) -> Result<(), LakeError> {
        let shared = Arc::clone(&self.shared);
        let mut ranges = Vec::new();
        let mut made: Vec<Option<Arc<HotBatch>>> = Vec::new();
        let mut touched = Vec::new();
        for table in &shared.tables {
            let (start, version) = {
                let current = table.current.lock().await;
                (
                    current.position(self.partition).hot_end,
                    current.version.clone(),
                )
            };
            let pending = self.take_pending(table, start);
            if start >= self.read_end {
                continue;
            }
            let range = start..self.read_end;
            let rows = shared
                .build_rows(&table.id, &version, self.partition, pending)
                .await?;
            let batch = match rows {
                Some(rows) => Some(
                    shared
                        .write_hot(&table.id, self.partition, range.clone(), rows)
                        .await?,
                ),
                None => None,
            };
            ranges.push(HotRange {
                table: table.id.clone(),
                partition: self.partition,
                range,
                object: batch.as_ref().map(|batch| batch.object.clone()),
            });
            made.push(batch);
            touched.push(table);
        }
        self.pending_bytes = 0;
        self.pending_since = None;
        if ranges.is_empty() {
            return Ok(());
        }
        // The tables stay locked from here on, so that no commit publishes a state whose hot rows are not
        // in memory yet.
        let mut locked = Vec::with_capacity(touched.len());
        for table in &touched {
            let mut current = table.current.lock().await;
            current.uncertain = true;
            locked.push(current);
        }
        let registered = shared
            .catalog
            .register_hot(WRITER, shared.epoch, ranges)
            .await;
        registered.map_err(LakeError::Catalog)?;
        failpoints::reach(failpoints::HOT_REGISTERED);
        for ((table, current), batch) in touched.into_iter().zip(&mut locked).zip(made) {
            if let Some(batch) = batch {
                shared.counters.add_rows(batch.object.rows);
                current.hot.insert(batch.object.object.clone(), batch);
            }
            shared.reload(table, current).await?;
        }
        Ok(())
    }

    async fn hot_size(&self) -> (u64, usize) {
        let (mut rows, mut bytes) = (0, 0);
        for table in &self.shared.tables {
            let current = table.current.lock().await;
            rows += current
                .hot
                .values()
                .map(|batch| batch.object.rows)
                .sum::<u64>();
            bytes += current
                .hot
                .values()
                .map(|batch| batch.memory)
                .sum::<usize>();
        }
        (rows, bytes)
    }

    /// Begins to move all hot rows, and the pending records with them, into the tables. Pending records
    /// become visible by the commit.
    async fn start_flush(&mut self) -> Result<(), LakeError> {
        assert!(
            self.flushing.is_none(),
            "callers wait for the flush that runs: two would start at one position"
        );
        let shared = Arc::clone(&self.shared);
        let mut flushes = Vec::new();
        for table in &shared.tables {
            let (position, version, hot) = {
                let mut current = table.current.lock().await;
                // A commit retires every hot object of its range: none may be missing from its rows.
                if current.uncertain || !current.holds_every_hot_row() {
                    shared.reload(table, &mut current).await?;
                }
                let position = current.position(self.partition);
                (position, current.version.clone(), current.hot_batches())
            };
            let pending = self.take_pending(table, position.hot_end);
            let range = position.committed_end..position.hot_end.max(self.read_end);
            if range.is_empty() {
                continue;
            }
            let retires_hot = !hot.is_empty();
            let mut batches: Vec<_> = hot.iter().map(|batch| batch.rows.clone()).collect();
            let rows = shared
                .build_rows(&table.id, &version, self.partition, pending)
                .await?;
            if let Some(rows) = rows {
                shared.counters.add_rows(rows.num_rows() as u64);
                batches.push(rows);
            }
            let (table, partition) = (Arc::clone(table), self.partition);
            flushes.push(Flush {
                table,
                partition,
                range,
                batches,
                retires_hot,
            });
        }
        self.pending_bytes = 0;
        self.pending_since = None;
        self.last_flush = shared.workshop.clock.monotonic();
        if flushes.is_empty() {
            return Ok(());
        }
        self.flushing = Some(tokio::spawn(async move {
            for flush in flushes {
                shared.flush(flush).await?;
            }
            Ok(())
        }));
        Ok(())
    }

    /// Takes the outcome of the flush that runs, if it is there, or waits for it.
    async fn finish_flush(&mut self, wait: bool) -> Result<(), LakeError> {
        let Some(task) = self.flushing.as_mut() else {
            return Ok(());
        };
        if !wait && !task.is_finished() {
            return Ok(());
        }
        let done = task.await;
        self.flushing = None;
        match done {
            Ok(done) => done?,
            Err(lost) => return Err(LakeError::TaskLost(lost.to_string())),
        }
        self.tell_log().await;
        Ok(())
    }

    /// Tells the log how far all tables are committed (R5).
    async fn tell_log(&self) {
        let mut least = None;
        for table in &self.shared.tables {
            let end = table
                .current
                .lock()
                .await
                .position(self.partition)
                .committed_end;
            least = Some(least.map_or(end, |known: Sequence| known.min(end)));
        }
        if let Some(position) = least {
            self.shared
                .log
                .advance_reader(self.partition, READER, position);
        }
    }
}
