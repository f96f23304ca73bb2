//! Hot objects: rows that are visible before they are in the Iceberg table. An Arrow IPC file in the
//! table's own folder, sorted as the table, named after the log range that it was made from.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
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
