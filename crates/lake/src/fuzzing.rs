//! What must hold for this crate's readers of stored files, whatever the bytes. The fuzz targets call
//! these functions, and a test replays their corpora. Not part of the shipped program.

use std::sync::Arc;

use bytes::Bytes;
use iceberg::spec::{Manifest, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::contained::contained;
use crate::error::LakeError;
use crate::hot;
use crate::live_file::LiveFile;
use crate::manifests::decode_manifest_list;
use crate::schema::iceberg_schema;

/// Rows read from a file before the rest is left alone.
const ROWS_MAX: usize = 10_000;

/// Hot objects: rows that can be written and read again, or damage.
pub fn hot_object(input: &[u8]) {
    let read = || hot::decode(Bytes::copy_from_slice(input));
    if let Ok(rows) = contained("a hot object", read) {
        let again = hot::encode(&rows).expect("rows that were read can be written");
        let again = hot::decode(again).expect("what was written can be read");
        assert_eq!(again.num_rows(), rows.num_rows());
    }
}

/// Manifest lists and manifests: the files that they name, or an error.
pub fn manifest(input: &[u8]) {
    let _ = decode_manifest_list(input);
    let schema: SchemaRef = Arc::new(iceberg_schema().expect("the schema of every table"));
    if let Ok(manifest) = Manifest::parse_avro(input) {
        for entry in manifest.entries() {
            let _ = LiveFile::new(&schema, entry.data_file.clone(), 0, 0);
        }
    }
}

/// Data files: no more rows than were asked for, or damage.
pub fn data_file(input: &[u8]) {
    let doing = "reading a data file";
    let read = || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(input))
            .map_err(LakeError::parquet(doing))?;
        let reader = builder
            .with_batch_size(1_000)
            .with_limit(ROWS_MAX)
            .build()
            .map_err(LakeError::parquet(doing))?;
        let mut rows = 0;
        for batch in reader {
            rows += batch.map_err(LakeError::arrow(doing))?.num_rows();
        }
        Ok(rows)
    };
    if let Ok(rows) = contained("a data file", read) {
        assert!(rows <= ROWS_MAX, "{rows} rows");
    }
}

#[cfg(test)]
mod tests;
