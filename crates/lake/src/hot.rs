//! Hot objects: rows that are visible before they are in the Iceberg table. An Arrow IPC file in the
//! table's own folder, sorted as the table, named after the log range that it was made from.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::{FileReader, read_footer_length};
use arrow::ipc::writer::FileWriter;
use arrow::ipc::{Block, root_as_footer};
use bytes::Bytes;
use cairn_catalog::lake::HotObject;

use crate::contained::contained;
use crate::error::LakeError;
use crate::objects::{ObjectError, Objects};

/// A hot object and its rows in memory.
#[derive(Clone, Debug)]
pub struct HotBatch {
    /// What the catalog says of it.
    pub object: HotObject,
    /// Its rows, in the table's order.
    pub rows: RecordBatch,
    /// The bytes that the rows take in memory.
    pub(crate) memory: usize,
}

impl HotBatch {
    pub(crate) fn new(object: HotObject, rows: RecordBatch) -> Arc<Self> {
        let memory = rows.get_array_memory_size();
        Arc::new(Self {
            object,
            rows,
            memory,
        })
    }
}

/// Rows as an Arrow IPC file.
pub(crate) fn encode(rows: &RecordBatch) -> Result<Bytes, LakeError> {
    let doing = "encoding a hot object";
    let size = rows.get_array_memory_size();
    let mut writer = FileWriter::try_new(Vec::with_capacity(size), &rows.schema())
        .map_err(LakeError::arrow(doing))?;
    writer.write(rows).map_err(LakeError::arrow(doing))?;
    writer.finish().map_err(LakeError::arrow(doing))?;
    writer
        .into_inner()
        .map(Bytes::from)
        .map_err(LakeError::arrow(doing))
}

/// Reads a hot object back. Damage, a missing object included, is told apart from a failing store: the
/// damaged one is rebuilt from the log.
pub(crate) async fn load(
    objects: &dyn Objects,
    object: &HotObject,
) -> Result<Arc<HotBatch>, LakeError> {
    let damaged = |reason: String| LakeError::Damaged {
        key: object.object.clone(),
        reason,
    };
    let bytes = match objects.get(&object.object).await {
        Ok(bytes) => bytes,
        Err(error @ ObjectError::NotFound { .. }) => return Err(damaged(error.to_string())),
        Err(error) => return Err(LakeError::Objects(error)),
    };
    if bytes.len() as u64 != object.bytes || crc32c::crc32c(&bytes) != object.checksum {
        return Err(damaged("the bytes do not match their checksum".to_owned()));
    }
    let rows =
        contained(&object.object, || decode(bytes)).map_err(|error| damaged(error.to_string()))?;
    if rows.num_rows() as u64 != object.rows {
        return Err(damaged(format!(
            "{} rows instead of {}",
            rows.num_rows(),
            object.rows
        )));
    }
    Ok(HotBatch::new(object.clone(), rows))
}

pub(crate) fn decode(bytes: Bytes) -> Result<RecordBatch, LakeError> {
    let doing = "reading a hot object";
    if !blocks_lie_inside(&bytes) {
        return Err(LakeError::Rows {
            doing,
            reason: "its footer names bytes that it does not have".to_owned(),
        });
    }
    let reader = FileReader::try_new(Cursor::new(bytes), None).map_err(LakeError::arrow(doing))?;
    let schema = reader.schema();
    let mut batches = Vec::new();
    for batch in reader {
        batches.push(batch.map_err(LakeError::arrow(doing))?);
    }
    match <[RecordBatch; 1]>::try_from(batches) {
        Ok([batch]) => Ok(batch),
        Err(batches) => concat_batches(&schema, &batches).map_err(LakeError::arrow(doing)),
    }
}

/// Arrow's reader takes as much memory as the footer tells it to before it looks for the bytes; a process
/// that cannot have so much ends.
fn blocks_lie_inside(bytes: &[u8]) -> bool {
    let footer = || {
        let (front, end) = bytes.split_last_chunk::<10>()?;
        let length = read_footer_length(*end).ok()?;
        root_as_footer(front.get(front.len().checked_sub(length)?..)?).ok()
    };
    let Some(footer) = footer() else {
        return false;
    };
    let inside = |block: &Block| {
        let parts = [
            u64::try_from(block.offset()),
            u64::try_from(block.metaDataLength()),
            u64::try_from(block.bodyLength()),
        ];
        let end = parts
            .into_iter()
            .try_fold(0_u64, |end, part| end.checked_add(part.ok()?));
        end.is_some_and(|end| end <= bytes.len() as u64)
    };
    let blocks = footer.dictionaries().into_iter().flatten();
    blocks
        .chain(footer.recordBatches().into_iter().flatten())
        .all(inside)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    /// Before it was checked, the reader asked for 54 terabytes, and the process ended.
    // Proves: R24
    #[test]
    fn a_footer_that_names_too_many_bytes_is_refused() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let rows = RecordBatch::try_from_iter([("n", column)]).expect("one column");
        let bytes = encode(&rows).expect("rows can be encoded");
        assert_eq!(decode(bytes.clone()).expect("they are whole"), rows);
        let footer_at = bytes.len() - 10 - read_footer_length(end_of(&bytes)).expect("a footer");
        let footer = root_as_footer(&bytes[footer_at..bytes.len() - 10]).expect("a footer");
        let block = *footer.recordBatches().expect("blocks").get(0);
        let place = bytes
            .windows(block.0.len())
            .rposition(|bytes| bytes == block.0);
        let place = place.expect("the block is part of the footer");
        for (field, byte) in [(7, 0x7f), (11, 0x7f), (21, 0x31), (23, 0x80)] {
            let mut bent = bytes.to_vec();
            bent[place + field] = byte;
            let refused = decode(bent.into()).expect_err("it names bytes that are not there");
            assert!(refused.to_string().contains("does not have"), "{refused}");
        }
    }

    fn end_of(bytes: &Bytes) -> [u8; 10] {
        *bytes.last_chunk().expect("a file ends with ten bytes")
    }
}
