//! A store and a catalog whose n-th call goes wrong (S7, P7).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_catalog::lake::{
    Commit, Garbage, Generation, HotObject, HotRange, LakeCatalog, LakeCatalogError, TableId,
    TableState, WriterEpoch,
};
use cairn_lake::{ObjectError, Objects};

/// How the chosen call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Nothing is done and the error says so.
    Fails,
    /// All is done, the answer is lost.
    AnswerLost,
    /// Nothing is done, but the error leaves that open.
    Unclear,
}

/// Counts the calls to store and catalog together, and spoils one of them.
#[derive(Debug)]
pub(crate) struct Fault {
    calls: AtomicUsize,
    at: usize,
    wrong: Wrong,
}

impl Fault {
    pub(crate) fn at(at: usize, wrong: Wrong) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicUsize::new(0),
            at,
            wrong,
        })
    }

    /// True once the chosen call has come.
    pub(crate) fn has_struck(&self) -> bool {
        self.calls.load(Ordering::SeqCst) > self.at
    }

    /// No call goes wrong any more.
    pub(crate) fn end(&self) {
        self.calls.store(usize::MAX / 2, Ordering::SeqCst);
    }

    fn strike(&self) -> Option<Wrong> {
        (self.calls.fetch_add(1, Ordering::SeqCst) == self.at).then_some(self.wrong)
    }
}

#[derive(Debug)]
pub(crate) struct FaultyObjects {
    pub(crate) inner: Arc<dyn Objects>,
    pub(crate) fault: Arc<Fault>,
}

impl FaultyObjects {
    async fn spoil<T>(
        &self,
        key: &str,
        call: impl Future<Output = Result<T, ObjectError>>,
    ) -> Result<T, ObjectError> {
        let Some(wrong) = self.fault.strike() else {
            return call.await;
        };
        if wrong == Wrong::AnswerLost {
            call.await?;
        }
        let (key, reason) = (key.to_owned(), "planted".to_owned());
        Err(ObjectError::Failed {
            operation: "test",
            key,
            reason,
        })
    }
}

#[async_trait]
impl Objects for FaultyObjects {
    async fn put_durable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.spoil(key, self.inner.put_durable(key, bytes)).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        self.spoil(key, self.inner.get(key)).await
    }

    fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.inner.get_range_blocking(key, range)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.spoil(prefix, self.inner.list(prefix)).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.spoil(key, self.inner.delete(key)).await
    }
}

#[derive(Debug)]
pub(crate) struct FaultyCatalog {
    pub(crate) inner: Arc<dyn LakeCatalog>,
    pub(crate) fault: Arc<Fault>,
}

impl FaultyCatalog {
    async fn spoil<T>(
        &self,
        call: impl Future<Output = Result<T, LakeCatalogError>>,
    ) -> Result<T, LakeCatalogError> {
        let Some(wrong) = self.fault.strike() else {
            return call.await;
        };
        let reason = "planted".to_owned();
        match wrong {
            Wrong::Fails => {
                return Err(LakeCatalogError::Database {
                    doing: "testing",
                    reason,
                });
            }
            Wrong::AnswerLost => drop(call.await?),
            Wrong::Unclear => {}
        }
        Err(LakeCatalogError::Ambiguous { reason })
    }
}

#[async_trait]
impl LakeCatalog for FaultyCatalog {
    async fn acquire_writer(&self, writer: &'static str) -> Result<WriterEpoch, LakeCatalogError> {
        self.spoil(self.inner.acquire_writer(writer)).await
    }

    async fn tables(&self) -> Result<Vec<TableId>, LakeCatalogError> {
        self.spoil(self.inner.tables()).await
    }

    async fn table(&self, table: &TableId) -> Result<Option<TableState>, LakeCatalogError> {
        self.spoil(self.inner.table(table)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Generation, LakeCatalogError> {
        self.spoil(self.inner.commit(commit)).await
    }

    async fn register_hot(
        &self,
        writer: &'static str,
        epoch: WriterEpoch,
        ranges: Vec<HotRange>,
    ) -> Result<(), LakeCatalogError> {
        self.spoil(self.inner.register_hot(writer, epoch, ranges))
            .await
    }

    async fn replace_hot(
        &self,
        writer: &'static str,
        epoch: WriterEpoch,
        table: &TableId,
        damaged: &str,
        replacement: Option<HotObject>,
    ) -> Result<(), LakeCatalogError> {
        self.spoil(
            self.inner
                .replace_hot(writer, epoch, table, damaged, replacement),
        )
        .await
    }

    async fn lease(
        &self,
        holder: &str,
        table: &TableId,
        since: Option<Generation>,
        term: Range<i64>,
    ) -> Result<TableState, LakeCatalogError> {
        self.spoil(self.inner.lease(holder, table, since, term))
            .await
    }

    async fn release(&self, holder: &str, table: &TableId) -> Result<(), LakeCatalogError> {
        self.spoil(self.inner.release(holder, table)).await
    }

    async fn garbage(
        &self,
        table: &TableId,
        now_ms: i64,
        limit: u32,
    ) -> Result<Vec<Garbage>, LakeCatalogError> {
        self.spoil(self.inner.garbage(table, now_ms, limit)).await
    }

    async fn all_garbage(&self, table: &TableId) -> Result<Vec<String>, LakeCatalogError> {
        self.spoil(self.inner.all_garbage(table)).await
    }

    async fn forget_garbage(&self, ids: &[i64]) -> Result<(), LakeCatalogError> {
        self.spoil(self.inner.forget_garbage(ids)).await
    }
}
