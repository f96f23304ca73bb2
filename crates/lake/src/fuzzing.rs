//! What must hold for this crate's readers of stored files, whatever the bytes. The fuzz targets call
//! these functions, and a test replays their corpora. Not part of the shipped program.

mod one_object;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use bytes::Bytes;
use cairn_eventlog::{LogRecord, NewRecord, RecordKind};
use cairn_model::{Completion, PartitionId, RoutingHeader, Sequence, canonicalize};
use iceberg::spec::{ManifestFile, SchemaRef};

use crate::block_index::BlockIndex;
use crate::build::{Pending, build};
use crate::contained::contained;
use crate::hot;
use crate::manifests::{decode_manifest, decode_manifest_list};
use crate::merge::{compare_checksums, merge_files};
use crate::rows::route;
use crate::schema::{arrow_schema, iceberg_schema};
use crate::table::parse_metadata;

/// Hot objects: rows that can be written and read again, or damage.
pub fn hot_object(input: &[u8]) {
    let read = || hot::decode(Bytes::copy_from_slice(input));
    if let Ok(rows) = contained("a hot object", read) {
        let again = hot::encode(&rows).expect("rows that were read can be written");
        let again = hot::decode(again).expect("what was written can be read");
        assert_eq!(again.num_rows(), rows.num_rows());
    }
}

/// Metadata files, manifest lists and manifests: the files that they name, or an error.
pub fn manifest(input: &[u8]) {
    let (schema, _) = schemas();
    for list in decode_manifest_list(input).into_iter().flatten() {
        let _ = decode_manifest(list, schema, input);
    }
    let _ = decode_manifest(unlisted(), schema, input);
}

/// Table metadata: what its readers ask of it, or an error.
pub fn table_metadata(input: &[u8]) {
    if let Ok(metadata) = parse_metadata("a metadata file", input) {
        let _ = arrow_schema(metadata.current_schema());
        let _ = metadata
            .current_snapshot()
            .map(|snapshot| snapshot.summary());
        let again = serde_json::to_vec(&metadata).expect("what was read can be written");
        let again = parse_metadata("the same file", &again).expect("and read again");
        assert_eq!(again.uuid(), metadata.uuid());
    }
}

/// Data files, under a name with the right checksum and under one of an earlier build: lookups find pages
/// of true events or damage, and merging takes no event that does not match its checksum.
pub fn data_file(input: &[u8]) {
    let input = Bytes::copy_from_slice(input);
    for file in one_object::files_of(&input) {
        one_object::look_up(&file, &input);
        let (_, schema) = schemas();
        let objects = one_object::store(&input);
        let merged = merge_files(schema, &objects, &[(file.key, file.bytes)], 1_000);
        if let Ok(merged) = merged {
            let rows = merged.metadata.file_metadata().num_rows();
            assert!(rows >= 0, "{rows} rows");
        }
    }
}

/// Block indexes: what a file's metadata says of one, and the part of one column, whose checksums are made
/// right, so that what lies behind them is tried.
pub fn block_index(input: &[u8]) {
    let said = std::str::from_utf8(input).ok().and_then(BlockIndex::read);
    if let Some(part) = said.and_then(|index| index.part("eventname", 0)) {
        assert!(part.directory().start <= part.directory().end);
    }
    for value in ["GetObject", "PutObject", ""] {
        let Some((index, bytes)) = repaired_index(input, value) else {
            return;
        };
        let part = index.part("eventname", 0).expect("it was just written");
        let directory = part.read_directory(cut(&bytes, &part.directory()).unwrap_or_default());
        let directory = directory.expect("its checksum was made right");
        let Some(bucket) = directory.bucket(value) else {
            continue;
        };
        let entries = cut(&bytes, &bucket.range).expect("buckets lie inside their part");
        let blocks = bucket.blocks(entries).unwrap_or_default();
        assert!(blocks.is_sorted() && blocks.len() <= 256, "{blocks:?}");
    }
}

/// A directory of 256 buckets of 8 bytes and entries behind it, as an index of one part.
fn repaired_index(input: &[u8], value: &str) -> Option<(BlockIndex, Vec<u8>)> {
    let mut bytes = input.to_vec();
    let (directory, entries) = bytes.split_at_mut_checked(256 * 8)?;
    let bucket = usize::from(crc32c::crc32c(value.as_bytes()).to_be_bytes()[0]);
    let end_of = |bucket: usize| -> Option<usize> {
        let end = directory[bucket * 8..].first_chunk()?;
        usize::try_from(u32::from_le_bytes(*end))
            .ok()?
            .checked_mul(4)
    };
    let start = bucket.checked_sub(1).map_or(Some(0), end_of)?;
    let range = start..end_of(bucket)?;
    if let Some(entries) = entries.get(range) {
        let crc = crc32c::crc32c(entries).to_le_bytes();
        directory[bucket * 8 + 4..][..4].copy_from_slice(&crc);
    }
    let text = serde_json::json!({
        "version": 1,
        "block_rows": 1024,
        "columns": {"eventname": [{
            "offset": 0,
            "bytes": input.len(),
            "directory_crc": crc32c::crc32c(directory),
        }]},
    });
    Some((BlockIndex::read(&text.to_string())?, bytes))
}

fn cut<'b>(bytes: &'b [u8], range: &Range<u64>) -> Option<&'b [u8]> {
    let start = usize::try_from(range.start).ok()?;
    bytes.get(start..usize::try_from(range.end).ok()?)
}

/// Events on their way into rows: whatever a door accepts becomes a row whose JSON is what was accepted,
/// without the context that history does not show, and whose checksum is that of the JSON.
pub fn event_row(input: &[u8]) {
    let mut new_event_id = || "new".to_owned();
    let account = "123456789012".parse().expect("an account");
    let mut completion = Completion {
        account,
        new_event_id: &mut new_event_id,
    };
    let Ok(event) = canonicalize(&Bytes::copy_from_slice(input), &mut completion) else {
        return;
    };
    let mut header = Vec::new();
    event.header.encode(&mut header);
    let has_context = event
        .json
        .windows(14)
        .any(|window| window == b"\"eventContext\"");
    let has_escapes = event.json.contains(&b'\\');
    let record = LogRecord {
        sequence: Sequence(7),
        accepted_ms: 0,
        record: NewRecord {
            kind: RecordKind::Event,
            header: header.into(),
            context: Bytes::new(),
            body: event.json.clone(),
        },
    };
    assert!(RoutingHeader::decode(&record.record.header).is_ok());
    let key = route(&record)
        .expect("the header was written by this build")
        .key;
    let (_, schema) = schemas();
    let built = build(schema, PartitionId(0), vec![Pending { record, key }]);
    let built = built.expect("rows can be built");
    assert!(built.poison.is_empty(), "{:?}", built.poison);
    let rows = built.rows.expect("one row");
    assert_eq!(rows.num_rows(), 1);
    compare_checksums("a row", &rows).expect("the checksum is that of the JSON");
    let json = rows.column_by_name("eventjson").expect("a column");
    let json = arrow::array::AsArray::as_string::<i32>(json).value(0);
    assert!(has_context || has_escapes || json.as_bytes() == event.json);
    let again = hot::encode(&rows)
        .and_then(hot::decode)
        .expect("rows can be written");
    assert_eq!(again, rows);
}

/// The schema of every table, in Iceberg's terms and in Arrow's; made once, as that takes longer than what
/// is tried.
fn schemas() -> &'static (SchemaRef, ArrowSchemaRef) {
    static SCHEMAS: OnceLock<(SchemaRef, ArrowSchemaRef)> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let iceberg = iceberg_schema().expect("the schema of every table");
        let arrow = arrow_schema(&iceberg).expect("it has the columns of this build");
        (Arc::new(iceberg), arrow)
    })
}

/// A manifest as a list would name it.
fn unlisted() -> ManifestFile {
    ManifestFile {
        manifest_path: "s3://cairn-lake/a-manifest".to_owned(),
        manifest_length: 0,
        partition_spec_id: 0,
        content: iceberg::spec::ManifestContentType::Data,
        sequence_number: 1,
        min_sequence_number: 1,
        added_snapshot_id: 1,
        added_files_count: None,
        existing_files_count: None,
        deleted_files_count: None,
        added_rows_count: None,
        existing_rows_count: None,
        deleted_rows_count: None,
        partitions: None,
        key_metadata: None,
        first_row_id: None,
    }
}

#[cfg(test)]
mod tests;
