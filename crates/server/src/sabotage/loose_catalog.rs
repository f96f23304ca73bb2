//! A commit entry that moves a table's rows and its position in two transactions: what a crash test must
//! find out. A kill between the two makes the next start take the same records once more. So that the
//! test knows when to kill, it says in the server's log that it is there, and stays.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use cairn_catalog::lake::{
    Commit, CommitKind, Garbage, Generation, HotObject, HotRange, LakeCatalog, LakeCatalogError,
    TableId, TableState, WriterEpoch,
};

type Result<T> = std::result::Result<T, LakeCatalogError>;

/// Ranges shorter than this are committed as they should be: they may be the server's own events alone.
const SPLIT_RECORDS_MIN: u64 = 1_000;

#[derive(Debug)]
pub(super) struct LooseCatalog {
    pub(super) catalog: Arc<dyn LakeCatalog>,
}

#[async_trait]
impl LakeCatalog for LooseCatalog {
    async fn commit(&self, commit: Commit) -> Result<Generation> {
        let metadata = match &commit.kind {
            CommitKind::Append {
                metadata, range, ..
            } if (range.end.0 - range.start.0) >= SPLIT_RECORDS_MIN => metadata.clone(),
            _ => return self.catalog.commit(commit).await,
        };
        let rows_only = Commit {
            kind: CommitKind::Rewrite {
                metadata,
                garbage: Vec::new(),
            },
            ..commit
        };
        self.catalog.commit(rows_only).await?;
        tracing::warn!("a planted fault: rows were committed without their position");
        std::future::pending().await
    }

    async fn acquire_writer(&self, writer: &'static str) -> Result<WriterEpoch> {
        self.catalog.acquire_writer(writer).await
    }

    async fn tables(&self) -> Result<Vec<TableId>> {
        self.catalog.tables().await
    }

    async fn table(&self, table: &TableId) -> Result<Option<TableState>> {
        self.catalog.table(table).await
    }

    async fn register_hot(
        &self,
        writer: &'static str,
        epoch: WriterEpoch,
        ranges: Vec<HotRange>,
    ) -> Result<()> {
        self.catalog.register_hot(writer, epoch, ranges).await
    }

    async fn replace_hot(
        &self,
        writer: &'static str,
        epoch: WriterEpoch,
        table: &TableId,
        damaged: &str,
        replacement: Option<HotObject>,
    ) -> Result<()> {
        self.catalog
            .replace_hot(writer, epoch, table, damaged, replacement)
            .await
    }

    async fn lease(
        &self,
        holder: &str,
        table: &TableId,
        since: Option<Generation>,
        term: Range<i64>,
    ) -> Result<TableState> {
        self.catalog.lease(holder, table, since, term).await
    }

    async fn release(&self, holder: &str, table: &TableId) -> Result<()> {
        self.catalog.release(holder, table).await
    }

    async fn garbage(&self, table: &TableId, now_ms: i64, limit: u32) -> Result<Vec<Garbage>> {
        self.catalog.garbage(table, now_ms, limit).await
    }

    async fn all_garbage(&self, table: &TableId) -> Result<Vec<String>> {
        self.catalog.all_garbage(table).await
    }

    async fn forget_garbage(&self, ids: &[i64]) -> Result<()> {
        self.catalog.forget_garbage(ids).await
    }
}
