//! A flush: rows of a log range become data files and a commit of their table.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use cairn_catalog::lake::CommitKind;
use cairn_model::{PartitionId, Sequence};
use iceberg::spec::{DataFile, Operation};

use crate::error::LakeError;
use crate::failpoints;
use crate::making::blocking;
use crate::merge::write_days;
use crate::names;
use crate::objects::location_of;
use crate::parquet_file::{FinishedFile, describe};
use crate::table::{Change, Prepared, TableVersion};
use crate::tables::{Shared, Table};

/// Rows to flush: sorted batches that cover a range of the log whole.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) table: Arc<Table>,
    pub(crate) partition: PartitionId,
    pub(crate) range: Range<Sequence>,
    pub(crate) batches: Vec<RecordBatch>,
    /// True if hot objects lie in the range, so that a commit must retire them.
    pub(crate) retires_hot: bool,
}

impl Shared {
    /// Writes the rows and commits them.
    pub(crate) async fn flush(&self, flush: Flush) -> Result<(), LakeError> {
        let Flush {
            table,
            partition,
            range,
            batches,
            retires_hot,
        } = flush;
        let added = if batches.is_empty() {
            Vec::new()
        } else {
            let arrow = batches[0].schema();
            let files = blocking(move || write_days(&arrow, &batches)).await?;
            let version = table.current.lock().await.version.clone();
            self.store_files(&version, files).await?
        };
        let mut current = table.current.lock().await;
        if current.uncertain {
            self.reload(&table, &mut current).await?;
        }
        if added.is_empty() && !retires_hot {
            let kind = CommitKind::Advance { partition, range };
            return self.commit(&table, &mut current, kind, None).await;
        }
        let change = Change {
            operation: Operation::Append,
            added,
            removed: HashSet::new(),
            range: Some(range.clone()),
        };
        let Prepared { version, garbage } = current.version.next(&self.workshop, change).await?;
        let metadata = version.key.clone();
        let kind = CommitKind::Append {
            partition,
            range,
            metadata,
            garbage,
        };
        self.commit(&table, &mut current, kind, Some(version)).await
    }

    /// Makes finished files durable under new names and describes them for a manifest.
    pub(crate) async fn store_files(
        &self,
        version: &TableVersion,
        files: Vec<(i32, FinishedFile)>,
    ) -> Result<Vec<DataFile>, LakeError> {
        let mut added = Vec::with_capacity(files.len());
        for (day, file) in files {
            let stamp = names::stamp(file.checksum, &self.workshop.uuid());
            let key = names::data_key(&version.table, day, &stamp);
            let schema = version.metadata.current_schema();
            added.push(describe(schema, location_of(&key), day, &file)?);
            self.workshop.put(&key, file.bytes).await?;
            failpoints::reach(failpoints::COMMIT_DATA);
        }
        Ok(added)
    }
}
