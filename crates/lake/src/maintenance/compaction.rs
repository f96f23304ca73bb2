//! Joining small data files of a day into larger ones. A file that cannot be read is left alone, and the
//! others are joined without it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cairn_catalog::lake::CommitKind;
use iceberg::spec::Operation;

use super::{DamagedObjects, Maintenance};
use crate::error::LakeError;
use crate::live_file::LiveFile;
use crate::merge::{day_of, merge_files};
use crate::parquet_file::FinishedFile;
use crate::table::{Change, Prepared};
use crate::tables::Table;
use crate::view::ReadView;

/// Compactions of one table in one round, so that the other work gets its turn.
const COMPACTIONS_PER_ROUND: usize = 8;
/// Rounds in which a file is left alone that could not be read. The disk may have had a bad hour.
const SET_ASIDE_ROUNDS: u64 = 60;

/// Data files that compaction leaves where they are. Damaged ones for good: the rest of their rows is
/// evidence too, and a merged file would hide what happened to them. Others for some rounds, or one file
/// on a bad sector, which is chosen first each time, would stop the compaction of its table.
#[derive(Debug, Default)]
pub(super) struct SetAside {
    round: u64,
    damaged: HashSet<String>,
    /// The round in which each is tried again.
    until: HashMap<String, u64>,
}

impl SetAside {
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
        self.until.retain(|_, round| *round > self.round);
    }

    fn contains(&self, key: &str) -> bool {
        self.damaged.contains(key) || self.until.contains_key(key)
    }

    /// Takes note of why `files` could not be joined. If the error does not name the one that is to blame,
    /// all of them wait.
    fn note(&mut self, files: &[Arc<LiveFile>], error: &LakeError) {
        let until = self.round + SET_ASIDE_ROUNDS;
        match error {
            LakeError::Damaged { key, .. } => {
                self.damaged.insert(key.clone());
            }
            LakeError::Objects(error) => {
                self.until.insert(error.key().to_owned(), until);
            }
            _ => {
                let keys = files.iter().map(|file| (file.key.clone(), until));
                self.until.extend(keys);
            }
        }
    }
}

impl Maintenance {
    /// Joins small files of a day into larger ones. What goes wrong with some of them is told at the end.
    pub(super) async fn compact(
        &self,
        table: &Table,
        damaged: &mut DamagedObjects,
        set_aside: &mut SetAside,
    ) -> Result<(), LakeError> {
        let mut outcome = Ok(());
        for _ in 0..COMPACTIONS_PER_ROUND {
            // The view keeps the files in place until they are replaced.
            let view = table.view();
            let Some((day, files)) = self.pick(&view.files, set_aside) else {
                break;
            };
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            let room = self.shared.workshop.objects.room().await;
            let room = room.map_err(LakeError::Objects)?;
            if room < bytes.saturating_add(self.shared.config.compaction_free_bytes_min) {
                tracing::warn!(bytes, room, "compaction waits for room on the disk");
                break;
            }
            match self.join(&view, &files).await {
                Ok(merged) => self.replace(table, day, &files, merged).await?,
                Err(error) => {
                    damaged.note(&self.shared.counters, &error);
                    set_aside.note(&files, &error);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        outcome
    }

    /// One file with the rows of `files`.
    async fn join(
        &self,
        view: &ReadView,
        files: &[Arc<LiveFile>],
    ) -> Result<FinishedFile, LakeError> {
        let inputs = files.iter().map(|file| (file.key.clone(), file.bytes));
        let inputs: Vec<_> = inputs.collect();
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        let rows_expected = usize::try_from(rows).unwrap_or(usize::MAX);
        let schema = Arc::clone(&view.schema);
        let objects = Arc::clone(&self.shared.workshop.objects);
        let work = move || merge_files(&schema, &objects, &inputs, rows_expected);
        let merged = self.shared.workers.run(work).await?;
        let written = merged.metadata.file_metadata().num_rows();
        if u64::try_from(written).ok() != Some(rows) {
            return Err(LakeError::Rows {
                doing: "compacting",
                reason: format!("{rows} rows went in, {written} came out"),
            });
        }
        Ok(merged)
    }

    async fn replace(
        &self,
        table: &Table,
        day: i32,
        files: &[Arc<LiveFile>],
        merged: FinishedFile,
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
    /// for a day that is over. Together they have at most the bytes of one large file, or are two that are
    /// smaller than that, which bounds memory: the joined file is in memory until it is written.
    fn pick(
        &self,
        files: &[Arc<LiveFile>],
        set_aside: &SetAside,
    ) -> Option<(i32, Vec<Arc<LiveFile>>)> {
        let config = &self.shared.config;
        let today = day_of(self.shared.workshop.steady.now_ms().saturating_mul(1_000));
        let mut days: HashMap<i32, Vec<&Arc<LiveFile>>> = HashMap::new();
        for file in files
            .iter()
            .filter(|file| file.bytes < config.compaction_file_bytes)
            .filter(|file| !set_aside.contains(&file.key))
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
                let together = file.bytes.saturating_add(bytes);
                if together > config.compaction_file_bytes && chosen.len() >= 2 {
                    break;
                }
                bytes = together;
                chosen.push(Arc::clone(file));
            }
            if chosen.len() >= 2 {
                return Some((day, chosen));
            }
        }
        None
    }
}
