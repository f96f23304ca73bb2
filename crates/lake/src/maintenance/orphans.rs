//! The search for orphans: what a crash or a failed commit left behind, and what snapshots referred to
//! that could not be read any more when they expired.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::{DamagedObjects, Maintenance};
use crate::error::LakeError;
use crate::names;
use crate::reachable::{Reachable, Reader};
use crate::tables::Table;

/// What the last search of a table has found.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Unreferenced objects and when they were first seen as such, by the monotonic clock: a second look
    /// protects an object in the making from a wall clock that jumps.
    first_seen: HashMap<String, Duration>,
    last_search: Option<Duration>,
}

impl Maintenance {
    /// Deletes objects that nothing refers to, a day after they were made at the earliest (R13). While a
    /// snapshot cannot be read that is kept, nothing is deleted: it may refer to anything.
    pub(super) async fn remove_orphans(
        &self,
        table: &Table,
        reader: &mut Reader,
        suspects: &mut Suspects,
        damaged: &mut DamagedObjects,
    ) -> Result<(), LakeError> {
        let shared = &self.shared;
        let now = shared.workshop.clock.monotonic();
        let interval = Duration::from_millis(shared.config.orphan_interval_ms);
        if suspects
            .last_search
            .is_some_and(|last| now < last + interval)
        {
            return Ok(());
        }
        suspects.last_search = Some(now);
        let unreferenced = self.unreferenced(table, reader).await;
        let unreferenced =
            unreferenced.inspect_err(|error| damaged.note(&shared.counters, error))?;
        let mut first_seen = HashMap::new();
        for key in unreferenced {
            let seen = suspects.first_seen.get(&key).copied();
            if seen.is_some_and(|seen| now >= seen + interval) {
                let deleted = shared.workshop.objects.delete(&key).await;
                deleted.map_err(LakeError::Objects)?;
                shared.counters.add_deleted(1);
                tracing::info!(table = %table.id, object = key, "orphan deleted");
            } else {
                first_seen.insert(key, seen.unwrap_or(now));
            }
        }
        suspects.first_seen = first_seen;
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
            reader.learn(&current.version)?;
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
}
