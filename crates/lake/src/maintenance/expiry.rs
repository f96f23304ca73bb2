//! Expiry: of days that are too old for event history, and of snapshots that no outside reader needs.

use std::collections::HashSet;
use std::sync::Arc;

use cairn_catalog::lake::CommitKind;
use iceberg::spec::{Operation, SnapshotRef, TableMetadata};

use super::{DamagedObjects, Maintenance};
use crate::error::LakeError;
use crate::merge::day_of;
use crate::reachable::{Reachable, Reader};
use crate::table::{Change, Prepared};
use crate::tables::{Current, Table};

/// No snapshot beyond these is kept, however young: each makes every commit's metadata file longer.
const SNAPSHOTS_MAX: usize = 600;
/// Snapshots that are expired together, at the least, unless they are too old.
const EXPIRE_BATCH: usize = 16;

impl Maintenance {
    /// Drops the days that lie wholly before the retention's edge: metadata only, no file is rewritten.
    pub(super) async fn expire_rows(&self, table: &Table) -> Result<(), LakeError> {
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

    /// Forgets old snapshots; what only they referred to becomes garbage. A snapshot that cannot be read is
    /// forgotten all the same, and what it referred to is left to the search for orphans: nothing that has
    /// become unreadable may keep the metadata growing. The failure is told when that is done.
    pub(super) async fn expire_snapshots(
        &self,
        table: &Table,
        reader: &mut Reader,
        damaged: &mut DamagedObjects,
    ) -> Result<(), LakeError> {
        let shared = &self.shared;
        let (metadata, expired) = {
            let mut current = table.current.lock().await;
            self.make_certain(table, &mut current).await?;
            let expired = self.expired_snapshots(&current);
            if !expired.is_empty() {
                reader.learn(&current.version)?;
            }
            (Arc::clone(&current.version.metadata), expired)
        };
        if expired.is_empty() {
            return Ok(());
        }
        // The table is not locked while lists and manifests are read. A commit that comes in between
        // refers to new objects and to those of the snapshot that is current now, which is kept.
        let (mut garbage, unread) = self.garbage_of(reader, &metadata, &expired).await;
        for error in &unread {
            damaged.note(&shared.counters, error);
        }
        let told = unread.into_iter().next().map_or(Ok(()), Err);
        let mut current = table.current.lock().await;
        self.make_certain(table, &mut current).await?;
        let now = &current.version.metadata;
        let newest = now.current_snapshot_id();
        let as_read = |id: &i64| now.snapshot_by_id(*id).is_some() && newest != Some(*id);
        if !expired.iter().all(as_read) {
            // Not what was looked at: the next round looks again.
            return told;
        }
        let prepared = current
            .version
            .without_snapshots(&shared.workshop, &expired);
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
            .await?;
        told
    }

    /// What only the snapshots in `expired` refer to, as far as they can be read, and why some cannot. None
    /// of it if a snapshot that is kept cannot be read: it may refer to any of them.
    async fn garbage_of(
        &self,
        reader: &mut Reader,
        metadata: &TableMetadata,
        expired: &HashSet<i64>,
    ) -> (Vec<String>, Vec<LakeError>) {
        let workshop = &self.shared.workshop;
        let (gone, kept): (Vec<SnapshotRef>, Vec<SnapshotRef>) = metadata
            .snapshots()
            .cloned()
            .partition(|s| expired.contains(&s.snapshot_id()));
        let kept = match Reachable::from_snapshots(workshop, reader, metadata, &kept).await {
            Ok(kept) => kept,
            Err(error) => return (Vec::new(), vec![error]),
        };
        let mut reachable = Reachable::default();
        let mut unread = Vec::new();
        for snapshot in &gone {
            let added = reachable.add(workshop, reader, metadata, snapshot).await;
            unread.extend(added.err());
        }
        let garbage = reachable.without(&kept);
        reader.forget_all_but(&kept);
        (garbage, unread)
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
}
