//! The lake's catalog over the embedded database. Each change is one transaction of the one writing
//! connection; each read is one transaction, so that a table's parts belong together.

use std::ops::Range;

use async_trait::async_trait;
use cairn_model::{PartitionId, Sequence};
use sqlx::{Sqlite, SqliteConnection, Transaction};

use super::statements as sql;
use super::{
    Commit, CommitKind, Garbage, Generation, HotObject, HotRange, LakeCatalog, LakeCatalogError,
    TableId, TablePosition, TableState, WriterEpoch,
};
use crate::Catalog;

type Result<T> = std::result::Result<T, LakeCatalogError>;

#[async_trait]
impl LakeCatalog for Catalog {
    async fn acquire_writer(&self, writer: &'static str) -> Result<WriterEpoch> {
        let mut transaction = self.begin_lake().await?;
        let epoch = sql::take_epoch(&mut transaction, writer).await?;
        commit_transaction(transaction).await?;
        Ok(epoch)
    }

    async fn tables(&self) -> Result<Vec<TableId>> {
        sql::list_tables(&mut *self.begin_lake_read().await?).await
    }

    async fn table(&self, table: &TableId) -> Result<Option<TableState>> {
        sql::read_table(&mut *self.begin_lake_read().await?, table).await
    }

    async fn commit(&self, commit: Commit) -> Result<Generation> {
        let mut transaction = self.begin_lake().await?;
        let generation = apply(&mut transaction, &commit).await?;
        commit_transaction(transaction).await?;
        Ok(generation)
    }

    async fn register_hot(
        &self,
        writer: &'static str,
        epoch: WriterEpoch,
        ranges: Vec<HotRange>,
    ) -> Result<()> {
        let mut transaction = self.begin_lake().await?;
        sql::check_epoch(&mut transaction, writer, epoch).await?;
        for range in &ranges {
            register_one(&mut transaction, range).await?;
        }
        commit_transaction(transaction).await
    }

    async fn replace_hot(
        &self,
        writer: &'static str,
        epoch: WriterEpoch,
        table: &TableId,
        damaged: &str,
        replacement: Option<HotObject>,
    ) -> Result<()> {
        let mut transaction = self.begin_lake().await?;
        sql::check_epoch(&mut transaction, writer, epoch).await?;
        let state = existing(&mut transaction, table).await?;
        if !state.hot.iter().any(|hot| hot.object == damaged) {
            let (table, object) = (table.clone(), damaged.to_owned());
            return Err(LakeCatalogError::NoSuchHotObject { table, object });
        }
        let generation = sql::next_generation(&mut transaction, table).await?;
        let retired = [damaged.to_owned()];
        sql::retire_hot(&mut transaction, table, &retired, generation).await?;
        if let Some(object) = &replacement {
            sql::insert_hot(&mut transaction, table, object).await?;
        }
        commit_transaction(transaction).await
    }

    async fn lease(
        &self,
        holder: &str,
        table: &TableId,
        since: Option<Generation>,
        term: Range<i64>,
    ) -> Result<TableState> {
        let mut transaction = self.begin_lake().await?;
        let state = existing(&mut transaction, table).await?;
        let since = since.unwrap_or(state.generation);
        if since > state.generation {
            let (since, current) = (since.0, state.generation.0);
            return Err(LakeCatalogError::LeaseFromFuture { since, current });
        }
        sql::forget_leases(&mut transaction, term.start).await?;
        sql::put_lease(&mut transaction, holder, table, since, term.end).await?;
        commit_transaction(transaction).await?;
        Ok(state)
    }

    async fn release(&self, holder: &str, table: &TableId) -> Result<()> {
        sqlx::query("DELETE FROM lake_leases WHERE holder = ? AND table_id = ?")
            .bind(holder)
            .bind(table.as_str())
            .execute(&self.writer)
            .await
            .map_err(sql::failed("releasing a lease"))?;
        Ok(())
    }

    async fn garbage(&self, table: &TableId, now_ms: i64, limit: u32) -> Result<Vec<Garbage>> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, object FROM lake_garbage AS garbage
             WHERE table_id = ?1 AND NOT EXISTS (
                 SELECT 1 FROM lake_leases AS lease
                 WHERE lease.table_id = ?1 AND lease.expires_ms > ?2
                   AND lease.generation < garbage.retired_generation)
             ORDER BY id LIMIT ?3",
        )
        .bind(table.as_str())
        .bind(now_ms)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await
        .map_err(sql::failed("listing garbage"))?;
        Ok(rows
            .into_iter()
            .map(|(id, object)| Garbage { id, object })
            .collect())
    }

    async fn all_garbage(&self, table: &TableId) -> Result<Vec<String>> {
        sqlx::query_scalar("SELECT object FROM lake_garbage WHERE table_id = ?")
            .bind(table.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(sql::failed("listing garbage"))
    }

    async fn forget_garbage(&self, ids: &[i64]) -> Result<()> {
        let mut transaction = self.begin_lake().await?;
        for id in ids {
            sqlx::query("DELETE FROM lake_garbage WHERE id = ?")
                .bind(id)
                .execute(&mut *transaction)
                .await
                .map_err(sql::failed("forgetting garbage"))?;
        }
        commit_transaction(transaction).await
    }
}

impl Catalog {
    async fn begin_lake(&self) -> Result<Transaction<'static, Sqlite>> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(sql::failed("beginning a change"))
    }

    async fn begin_lake_read(&self) -> Result<Transaction<'static, Sqlite>> {
        self.readers
            .begin()
            .await
            .map_err(sql::failed("beginning to read"))
    }
}

/// An error here leaves open what happened: the caller reads again and compares (R12, P7).
async fn commit_transaction(transaction: Transaction<'static, Sqlite>) -> Result<()> {
    let done = transaction.commit().await;
    done.map_err(|error| LakeCatalogError::Ambiguous {
        reason: error.to_string(),
    })
}

async fn existing(connection: &mut SqliteConnection, table: &TableId) -> Result<TableState> {
    let state = sql::read_table(connection, table).await?;
    state.ok_or_else(|| LakeCatalogError::NoSuchTable(table.clone()))
}

async fn apply(connection: &mut SqliteConnection, commit: &Commit) -> Result<Generation> {
    sql::check_epoch(connection, commit.writer, commit.epoch).await?;
    let table = &commit.table;
    if let CommitKind::Create { metadata, start } = &commit.kind {
        sql::insert_table(connection, table, metadata).await?;
        for (partition, at) in start {
            let position = TablePosition {
                partition: *partition,
                committed_end: *at,
                hot_end: *at,
            };
            sql::set_position(connection, table, position).await?;
        }
        return Ok(Generation(1));
    }
    let state = existing(connection, table).await?;
    if state.metadata != commit.expected_metadata {
        return Err(LakeCatalogError::MetadataMoved {
            table: table.clone(),
            expected: commit.expected_metadata.clone(),
            current: state.metadata,
        });
    }
    let generation = sql::next_generation(connection, table).await?;
    match &commit.kind {
        CommitKind::Create { .. } => {}
        CommitKind::Append {
            partition,
            range,
            metadata,
            garbage,
        } => {
            let retired = move_committed(connection, &state, *partition, range).await?;
            sql::retire_hot(connection, table, &retired, generation).await?;
            sql::set_metadata(connection, table, metadata).await?;
            sql::add_garbage(connection, table, garbage, generation).await?;
        }
        CommitKind::Advance { partition, range } => {
            let retired = move_committed(connection, &state, *partition, range).await?;
            if !retired.is_empty() {
                return Err(LakeCatalogError::OutOfRange("an advance over hot rows"));
            }
        }
        CommitKind::Rewrite { metadata, garbage } | CommitKind::Expire { metadata, garbage } => {
            sql::set_metadata(connection, table, metadata).await?;
            sql::add_garbage(connection, table, garbage, generation).await?;
        }
    }
    Ok(generation)
}

/// Moves the committed end over `range` (R12) and names the hot objects that lie in it. A hot object that
/// reaches beyond the range would be counted twice or not at all, so the range must end between two.
async fn move_committed(
    connection: &mut SqliteConnection,
    state: &TableState,
    partition: PartitionId,
    range: &Range<Sequence>,
) -> Result<Vec<String>> {
    let mut position = state.position(partition);
    refuse_moved(&state.table, partition, range.start, position.committed_end)?;
    if range.end <= range.start {
        return Err(LakeCatalogError::OutOfRange("an empty range"));
    }
    let mut retired = Vec::new();
    for hot in state.hot.iter().filter(|hot| hot.partition == partition) {
        if hot.range.end <= range.end {
            retired.push(hot.object.clone());
        } else if hot.range.start < range.end {
            return Err(LakeCatalogError::OutOfRange(
                "a range that cuts a hot object",
            ));
        }
    }
    position.committed_end = range.end;
    position.hot_end = position.hot_end.max(range.end);
    sql::set_position(connection, &state.table, position).await?;
    Ok(retired)
}

async fn register_one(connection: &mut SqliteConnection, range: &HotRange) -> Result<()> {
    let state = existing(connection, &range.table).await?;
    let mut position = state.position(range.partition);
    refuse_moved(
        &range.table,
        range.partition,
        range.range.start,
        position.hot_end,
    )?;
    let object_fits = range
        .object
        .as_ref()
        .is_none_or(|object| object.partition == range.partition && object.range == range.range);
    if range.range.end <= range.range.start || !object_fits {
        return Err(LakeCatalogError::OutOfRange("a hot range"));
    }
    position.hot_end = range.range.end;
    sql::set_position(connection, &range.table, position).await?;
    sql::next_generation(connection, &range.table).await?;
    match &range.object {
        Some(object) => sql::insert_hot(connection, &range.table, object).await,
        None => Ok(()),
    }
}

fn refuse_moved(
    table: &TableId,
    partition: PartitionId,
    start: Sequence,
    current: Sequence,
) -> Result<()> {
    if start == current {
        Ok(())
    } else {
        Err(LakeCatalogError::PositionMoved {
            table: table.clone(),
            partition,
            start,
            current,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cairn_platform::ManualClock;

    use super::super::conformance;
    use super::*;

    // Proves: R7, R12
    #[tokio::test]
    async fn the_embedded_catalog_keeps_the_promises() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("catalog.sqlite");
        let catalog = Catalog::open(&path, Arc::new(ManualClock::at(0)))
            .await
            .expect("it opens");
        conformance::check(&catalog).await;
    }

    // Proves: R12
    #[tokio::test]
    async fn states_survive_reopening() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("catalog.sqlite");
        let table: TableId = "kept".parse().expect("a valid name");
        for round in 1..=2_u64 {
            let clock = Arc::new(ManualClock::at(0));
            let catalog = Catalog::open(&path, clock).await.expect("it opens");
            let epoch = catalog
                .acquire_writer("lake")
                .await
                .expect("the role can be taken");
            assert_eq!(epoch, WriterEpoch(round));
            if round == 1 {
                let start = vec![(PartitionId(0), Sequence(5))];
                let kind = CommitKind::Create {
                    metadata: "m0".to_owned(),
                    start,
                };
                let (table, expected_metadata) = (table.clone(), String::new());
                let commit = Commit {
                    table,
                    writer: "lake",
                    epoch,
                    expected_metadata,
                    kind,
                };
                catalog
                    .commit(commit)
                    .await
                    .expect("a new table can be created");
            } else {
                let state = catalog
                    .table(&table)
                    .await
                    .expect("it can be read")
                    .expect("it exists");
                assert_eq!(state.position(PartitionId(0)).hot_end, Sequence(5));
            }
            catalog.close().await;
        }
    }
}
