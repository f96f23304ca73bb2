//! What a reader holds of a table: one consistent point, kept from deletion as long as it is held.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use cairn_catalog::lake::{Generation, TableId};
use cairn_model::{PartitionId, Sequence};

use crate::hot::HotBatch;
use crate::live_file::LiveFile;

/// A table at one point: the data files of one snapshot and the hot rows after it.
///
/// **Invariant.** Data files and hot batches hold disjoint rows, and together every row of the table whose
/// log sequence lies before [`ReadView::positions`]. Nothing that a view names is deleted while it lives.
#[derive(Debug)]
pub struct ReadView {
    /// The table.
    pub table: TableId,
    /// When in the table's life the view was taken.
    pub generation: Generation,
    /// Object key of the Iceberg metadata file.
    pub metadata_key: String,
    /// The columns of hot batches and data files, hidden ones included.
    pub schema: SchemaRef,
    /// Rows before these sequences are in the view, one for each partition.
    pub positions: Vec<(PartitionId, Sequence)>,
    /// Where the data files end and the hot batches begin.
    pub committed: Vec<(PartitionId, Sequence)>,
    /// Hot batches, oldest log range first.
    pub hot: Vec<Arc<HotBatch>>,
    /// Data files, newest day first.
    pub files: Arc<Vec<Arc<LiveFile>>>,
}

impl ReadView {
    /// The position in a partition; zero if the table does not follow it.
    pub fn position(&self, partition: PartitionId) -> Sequence {
        let found = self.positions.iter().find(|(known, _)| *known == partition);
        found.map_or(Sequence::default(), |(_, position)| *position)
    }

    /// Rows in the view.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum::<u64>()
            + self.hot.iter().map(|batch| batch.object.rows).sum::<u64>()
    }
}
