//! What rows take in memory: events may be a thousand times larger than most, so whoever holds rows of
//! data files counts bytes, not rows (R18).

use std::ops::Range;

use arrow::array::{AsArray as _, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::error::LakeError;
use crate::schema::column_index;

/// A row holds its event as JSON and, taken apart, hardly more than that once or twice again.
const JSON_COPIES: usize = 3;
/// What a row takes beside that: offsets and fixed values of all columns.
const ROW_BYTES: usize = 1_024;

/// The sizes of a batch's rows.
#[derive(Clone, Debug)]
pub(crate) struct RowSizes {
    json: StringArray,
}

impl RowSizes {
    pub(crate) fn of(batch: &RecordBatch) -> Result<Self, LakeError> {
        let json = column_index("eventjson")
            .and_then(|at| batch.columns().get(at))
            .and_then(|column| column.as_string_opt::<i32>());
        let json = json.ok_or(LakeError::UnknownSchema {
            columns: batch.num_columns(),
        })?;
        Ok(Self { json: json.clone() })
    }

    /// Bytes of the events in these rows.
    pub(crate) fn json_bytes(&self, rows: Range<usize>) -> usize {
        let offsets = self.json.value_offsets();
        let bytes = offsets[rows.end].saturating_sub(offsets[rows.start]);
        usize::try_from(bytes).unwrap_or(0)
    }

    /// About how much a row takes, all columns together.
    pub(crate) fn row_bytes(&self, row: usize) -> usize {
        self.json_bytes(row..row + 1) * JSON_COPIES + ROW_BYTES
    }
}

/// About how much a row takes where the largest rows of a data file lie, by its page index or, without
/// one, by its row groups.
pub(crate) fn largest_rows_bytes(file: &ArrowReaderMetadata) -> usize {
    let metadata = file.metadata();
    let columns = file.parquet_schema().columns();
    let Some(leaf) = columns
        .iter()
        .position(|leaf| leaf.path().string() == "eventjson")
    else {
        return ROW_BYTES;
    };
    let mut largest = 0;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let pages = metadata
            .offset_index()
            .and_then(|index_of| index_of.get(index)?.get(leaf));
        let sizes = pages.and_then(|pages| pages.unencoded_byte_array_data_bytes());
        match (pages, sizes) {
            (Some(pages), Some(sizes)) => {
                let starts: Vec<usize> = pages
                    .page_locations()
                    .iter()
                    .map(|page| usize::try_from(page.first_row_index).unwrap_or(0))
                    .collect();
                for (page, bytes) in sizes.iter().enumerate() {
                    let end = starts.get(page + 1).copied().unwrap_or(rows);
                    let count = end.saturating_sub(starts.get(page).copied().unwrap_or(0));
                    largest = largest.max(mean(*bytes, count));
                }
            }
            _ => largest = largest.max(mean(group.column(leaf).uncompressed_size(), rows)),
        }
    }
    largest * JSON_COPIES + ROW_BYTES
}

fn mean(bytes: i64, rows: usize) -> usize {
    usize::try_from(bytes).unwrap_or(0).div_ceil(rows.max(1))
}
