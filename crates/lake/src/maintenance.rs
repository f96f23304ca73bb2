//! Background work on the tables: joining small files, dropping expired days, expiring snapshots, deleting
//! garbage and orphans. Readers notice nothing: they hold views, and nothing in a view is deleted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cairn_catalog::lake::{CommitKind, TableId};
use iceberg::spec::Operation;
use tokio::sync::Mutex;

use crate::counters::Counters;
use crate::error::LakeError;
use crate::failpoints;
use crate::live_file::LiveFile;
use crate::making::blocking;
use crate::merge::{day_of, merge_files};
use crate::names;
use crate::reachable::{Reachable, Reader};
use crate::table::{Change, Prepared};
use crate::tables::{Current, Shared, Table};

/// Objects that are deleted between two looks at the leases.
const GARBAGE_BATCH: u32 = 500;
/// Compactions of one table in one round, so that the other work gets its turn.
const COMPACTIONS_PER_ROUND: usize = 8;
/// No snapshot beyond these is kept, however young: each makes every commit's metadata file longer.
const SNAPSHOTS_MAX: usize = 600;
/// Snapshots that are expired together, at the least, unless they are too old.
const EXPIRE_BATCH: usize = 16;

/// The background work, one round at a time.
#[derive(Debug)]
pub(crate) struct Maintenance {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// One for each table: what one table still needs, another would forget.
    readers: HashMap<TableId, Reader>,
    /// Unreferenced objects and when they were first seen as such, by the monotonic clock: a second look
    /// protects an object in the making from a wall clock that jumps.
    suspects: HashMap<String, Duration>,
    last_orphan_search: Option<Duration>,
    damaged: DamagedFiles,
}

/// Data files that were found damaged. They stay where they are: the rest of their rows is evidence too,
/// and a merged file would hide what happened to them.
#[derive(Debug, Default)]
struct DamagedFiles(HashSet<String>);

impl DamagedFiles {
    fn note(&mut self, counters: &Counters, error: &LakeError) {
        if let LakeError::Damaged { key, reason } = error
            && self.0.insert(key.clone())
        {
            counters.add_damaged();
            tracing::error!(object = key, reason, "data file damaged, left as it is");
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

    /// One round over all tables. A failure in one kind of work does not keep the others from running; the
    /// first one is returned.
    pub(crate) async fn run_once(&self) -> Result<(), LakeError> {
        let mut state = self.state.lock().await;
        let mut first = None;
        for table in &self.shared.tables {
            let outcomes = [
                self.compact(table, &mut state.damaged).await,
                self.expire_rows(table).await,
                self.expire_snapshots(table, state.readers.entry(table.id.clone()).or_default())
                    .await,
                self.collect_garbage(table).await,
            ];
            first = first.or(outcomes.into_iter().find_map(Result::err));
        }
        let outcome = self.remove_orphans(&mut state).await;
        match first.or(outcome.err()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Joins small files of a day into larger ones.
    async fn compact(&self, table: &Table, damaged: &mut DamagedFiles) -> Result<(), LakeError> {
        for _ in 0..COMPACTIONS_PER_ROUND {
            // The view keeps the files in place until they are replaced.
            let view = table.view();
            let Some((day, files)) = self.pick(&view.files, damaged) else {
                break;
            };
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            let room = self.shared.workshop.objects.room().await;
            let room = room.map_err(LakeError::Objects)?;
            if room < bytes.saturating_add(self.shared.config.compaction_free_bytes_min) {
                tracing::warn!(bytes, room, "compaction waits for room on the disk");
                break;
            }
            let mut inputs = Vec::with_capacity(files.len());
            for file in &files {
                let read = self.shared.workshop.get(&file.key).await;
                let bytes = read.inspect_err(|error| damaged.note(&self.shared.counters, error))?;
                inputs.push((file.key.clone(), bytes));
            }
            let rows: u64 = files.iter().map(|file| file.rows).sum();
            let rows_expected = usize::try_from(rows).unwrap_or(usize::MAX);
            let schema = Arc::clone(&view.schema);
            let merged = blocking(move || merge_files(&schema, inputs, rows_expected)).await;
            let merged = merged.inspect_err(|error| damaged.note(&self.shared.counters, error))?;
            let written = merged.metadata.file_metadata().num_rows();
            if u64::try_from(written).ok() != Some(rows) {
                return Err(LakeError::Rows {
                    doing: "compacting",
                    reason: format!("{rows} rows went in, {written} came out"),
                });
            }
            self.replace(table, day, &files, merged).await?;
        }
        Ok(())
    }

    async fn replace(
        &self,
        table: &Table,
        day: i32,
        files: &[Arc<LiveFile>],
        merged: crate::parquet_file::FinishedFile,
    ) -> Result<(), LakeError> {
        let shared = &self.shared;
        let version = table.current.lock().await.version.clone();
        let added = shared.store_files(&version, vec![(day, merged)]).await?;
        let mut current = table.current.lock().await;
        self.make_certain(table, &mut current).await?;
        let removed: HashSet<String> = files.iter().map(|file| file.key.clone()).collect();
        let alive = current
            .version
            .live_files()
            .filter(|file| removed.contains(&file.key))
            .count();
        if alive != removed.len() {
            // Retention was faster: the merged file is an orphan and goes as such.
            return Ok(());
        }
        let operation = Operation::Replace;
        let change = Change {
            operation,
            added,
            removed,
            range: None,
        };
        let Prepared { version, garbage } = current.version.next(&shared.workshop, change).await?;
        let kind = CommitKind::Rewrite {
            metadata: version.key.clone(),
            garbage,
        };
        shared
            .commit(table, &mut current, kind, Some(version))
            .await?;
        shared.counters.add_compacted(files.len() as u64);
        Ok(())
    }

    /// Small files of one day that are worth joining: many for the day that is being written, two or more
    /// for a day that is over. Together they stay below the size of one large file, which bounds memory.
    fn pick(
        &self,
        files: &[Arc<LiveFile>],
        damaged: &DamagedFiles,
    ) -> Option<(i32, Vec<Arc<LiveFile>>)> {
        let config = &self.shared.config;
        let today = day_of(self.shared.workshop.steady.now_ms().saturating_mul(1_000));
        let mut days: HashMap<i32, Vec<&Arc<LiveFile>>> = HashMap::new();
        for file in files
            .iter()
            .filter(|file| file.bytes < config.compaction_file_bytes)
            .filter(|file| !damaged.0.contains(&file.key))
        {
            days.entry(file.day).or_default().push(file);
        }
        let mut days: Vec<_> = days.into_iter().collect();
        days.sort_by_key(|(day, files)| (std::cmp::Reverse(files.len()), *day));
        for (day, mut small) in days {
            let enough = if day < today {
                2
            } else {
                config.compaction_files_min
            };
            if small.len() < enough {
                continue;
            }
            small.sort_by_key(|file| file.bytes);
            let mut bytes = 0;
            let mut chosen = Vec::new();
            for file in small.into_iter().take(config.compaction_files_max) {
                bytes += file.bytes;
                if bytes > config.compaction_file_bytes && chosen.len() >= 2 {
                    break;
                }
                chosen.push(Arc::clone(file));
            }
            if chosen.len() >= 2 && bytes <= config.compaction_file_bytes.saturating_mul(2) {
                return Some((day, chosen));
            }
        }
        None
    }

    /// Drops the days that lie wholly before the retention's edge: metadata only, no file is rewritten.
    async fn expire_rows(&self, table: &Table) -> Result<(), LakeError> {
        let shared = &self.shared;
        let edge = day_of(shared.oldest_visible().as_micros());
        let mut current = table.current.lock().await;
        self.make_certain(table, &mut current).await?;
        let expired = current.version.live_files().filter(|file| file.day < edge);
        let removed: HashSet<String> = expired.map(|file| file.key.clone()).collect();
        if removed.is_empty() {
            return Ok(());
        }
        let operation = Operation::Delete;
        let change = Change {
            operation,
            added: Vec::new(),
            removed,
            range: None,
        };
        let Prepared { version, garbage } = current.version.next(&shared.workshop, change).await?;
        let kind = CommitKind::Expire {
            metadata: version.key.clone(),
            garbage,
        };
        shared
            .commit(table, &mut current, kind, Some(version))
            .await
    }

    /// Forgets old snapshots; what only they referred to becomes garbage.
    async fn expire_snapshots(&self, table: &Table, reader: &mut Reader) -> Result<(), LakeError> {
        let shared = &self.shared;
        let (metadata, expired) = {
            let mut current = table.current.lock().await;
            self.make_certain(table, &mut current).await?;
            let metadata = Arc::clone(&current.version.metadata);
            (metadata, self.expired_snapshots(&current))
        };
        if expired.is_empty() {
            return Ok(());
        }
        // The table is not locked while lists and manifests are read. A commit that comes in between
        // refers to new objects and to those of the snapshot that is current now, which is kept.
        let (gone, kept): (Vec<_>, Vec<_>) = metadata
            .snapshots()
            .cloned()
            .partition(|s| expired.contains(&s.snapshot_id()));
        let workshop = &shared.workshop;
        let kept = Reachable::from_snapshots(workshop, reader, &metadata, &kept).await?;
        let gone = Reachable::from_snapshots(workshop, reader, &metadata, &gone).await?;
        let mut garbage = gone.without(&kept);
        reader.forget_all_but(&kept);
        let mut current = table.current.lock().await;
        self.make_certain(table, &mut current).await?;
        let now = &current.version.metadata;
        let newest = now.current_snapshot_id();
        let as_read = |id: &i64| now.snapshot_by_id(*id).is_some() && newest != Some(*id);
        if !expired.iter().all(as_read) {
            // Not what was looked at: the next round looks again.
            return Ok(());
        }
        let prepared = current.version.without_snapshots(workshop, &expired);
        let Prepared {
            version,
            garbage: fallen,
        } = prepared.await?;
        garbage.extend(fallen);
        let kind = CommitKind::Expire {
            metadata: version.key.clone(),
            garbage,
        };
        shared
            .commit(table, &mut current, kind, Some(version))
            .await
    }

    fn expired_snapshots(&self, current: &Current) -> HashSet<i64> {
        let config = &self.shared.config;
        let now_ms = self.shared.workshop.steady.now_ms();
        let metadata = &current.version.metadata;
        let newest = metadata.current_snapshot_id();
        let mut others: Vec<(i64, i64)> = metadata
            .snapshots()
            .filter(|snapshot| Some(snapshot.snapshot_id()) != newest)
            .map(|snapshot| (snapshot.timestamp_ms(), snapshot.snapshot_id()))
            .collect();
        others.sort_unstable_by(|a, b| b.cmp(a));
        let age = |at: i64| u64::try_from(now_ms.saturating_sub(at)).unwrap_or(0);
        // A time in the future was stamped by a clock that has since been put right. It says nothing of
        // the snapshot's age, so the number alone counts.
        let aged = |at: i64| now_ms.abs_diff(at) > config.snapshot_keep_min_ms;
        let too_old = |at: i64| age(at) > config.snapshot_keep_ms;
        let expired: HashSet<i64> = others
            .iter()
            .enumerate()
            .filter(|(place, (at, _))| {
                let place = *place + 1;
                let too_many = place >= config.snapshots_max && aged(*at);
                too_old(*at) || too_many || place >= SNAPSHOTS_MAX
            })
            .map(|(_, (_, id))| *id)
            .collect();
        let urgent = others
            .iter()
            .any(|(at, _)| age(*at) > config.snapshot_keep_ms * 2);
        if expired.len() >= EXPIRE_BATCH || urgent || expired.len() == others.len() {
            expired
        } else {
            HashSet::new()
        }
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

    /// Deletes objects that nothing refers to, a day after they were made at the earliest (R13): what a
    /// crash or a failed commit left behind.
    async fn remove_orphans(&self, state: &mut State) -> Result<(), LakeError> {
        let shared = &self.shared;
        let now = shared.workshop.clock.monotonic();
        let interval = Duration::from_millis(shared.config.orphan_interval_ms);
        if state
            .last_orphan_search
            .is_some_and(|last| now < last + interval)
        {
            return Ok(());
        }
        let mut suspects = HashMap::new();
        for table in &shared.tables {
            let reader = state.readers.entry(table.id.clone()).or_default();
            for key in self.unreferenced(table, reader).await? {
                let first_seen = state.suspects.get(&key).copied();
                if first_seen.is_some_and(|seen| now >= seen + interval) {
                    shared
                        .workshop
                        .objects
                        .delete(&key)
                        .await
                        .map_err(LakeError::Objects)?;
                    shared.counters.add_deleted(1);
                    tracing::info!(table = %table.id, object = key, "orphan deleted");
                } else {
                    suspects.insert(key, first_seen.unwrap_or(now));
                }
            }
        }
        state.suspects = suspects;
        state.last_orphan_search = Some(now);
        Ok(())
    }

    /// Old objects of a table's folder that neither the metadata, nor a hot object, nor the list of garbage
    /// names. The folder is listed first: what is referred to later was not in the list or is still young.
    async fn unreferenced(
        &self,
        table: &Table,
        reader: &mut Reader,
    ) -> Result<Vec<String>, LakeError> {
        let shared = &self.shared;
        let now_ms = shared.workshop.steady.now_ms();
        let age_min = i64::try_from(shared.config.orphan_age_ms).unwrap_or(i64::MAX);
        let listed = shared
            .workshop
            .objects
            .list(&format!("{}/", table.id))
            .await;
        let mut old: Vec<String> = listed.map_err(LakeError::Objects)?;
        old.retain(|key| names::created_ms(key).is_some_and(|at| now_ms - at >= age_min));
        if old.is_empty() {
            return Ok(old);
        }
        let metadata = {
            let mut current = table.current.lock().await;
            self.make_certain(table, &mut current).await?;
            Arc::clone(&current.version.metadata)
        };
        // The table is not locked while lists and manifests are read. What a commit refers to that comes
        // in between is new, or referred to by the snapshots that are read here.
        let snapshots: Vec<_> = metadata.snapshots().cloned().collect();
        let workshop = &shared.workshop;
        let reachable = Reachable::from_snapshots(workshop, reader, &metadata, &snapshots).await?;
        let mut current = table.current.lock().await;
        self.make_certain(table, &mut current).await?;
        let metadata = &current.version.metadata;
        let garbage = shared
            .catalog
            .all_garbage(&table.id)
            .await
            .map_err(LakeError::Catalog)?;
        let garbage: HashSet<String> = garbage.into_iter().collect();
        let hot: HashSet<&String> = current.state.hot.iter().map(|hot| &hot.object).collect();
        let log: HashSet<&str> = metadata
            .metadata_log()
            .iter()
            .filter_map(|m| crate::objects::key_of(&m.metadata_file))
            .collect();
        old.retain(|key| {
            !(reachable.contains(key)
                || garbage.contains(key)
                || hot.contains(key)
                || log.contains(key.as_str())
                || *key == current.version.key)
        });
        Ok(old)
    }

    async fn make_certain(&self, table: &Table, current: &mut Current) -> Result<(), LakeError> {
        if current.uncertain {
            self.shared.reload(table, current).await
        } else {
            Ok(())
        }
    }
}
