//! The corpora of the fuzz targets, replayed as they are and with small changes.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use cairn_platform::{Entropy, SeededEntropy};
use parquet::arrow::ArrowWriter;

use super::*;
use crate::error::LakeError;

fn replay(target: &str, check: fn(&[u8]), changes: u64) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).expect("every target has a corpus") {
        let input = std::fs::read(entry.expect("an entry").path()).expect("a file");
        check(&input);
        for seed in 0..changes {
            check(&changed(&input, seed));
        }
        replayed += 1;
    }
    assert!(replayed > 0, "{target} has no seeds");
}

/// A few bytes flipped, or the end cut off.
fn changed(input: &[u8], seed: u64) -> Vec<u8> {
    let entropy = SeededEntropy::new(seed);
    let random = |below: usize| {
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes);
        usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(0) % below.max(1)
    };
    let mut bytes = input.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    if random(4) == 0 {
        bytes.truncate(random(input.len()));
        return bytes;
    }
    for _ in 0..=random(4) {
        // Half of the flips at the end, where footers are.
        let reach = if random(2) == 0 {
            bytes.len()
        } else {
            bytes.len().min(512)
        };
        let at = bytes.len() - 1 - random(reach);
        bytes[at] ^= 1 << random(8);
    }
    bytes
}

// Proves: R24
#[test]
fn hot_objects_are_read_or_refused() {
    replay("hot_object", super::hot_object, 300);
}

// Proves: R24
#[test]
fn manifests_are_read_or_refused() {
    replay("manifest", super::manifest, 600);
}

// Proves: R24
#[test]
fn data_files_are_read_or_refused() {
    replay("data_file", super::data_file, 200);
}

// Proves: R24
#[test]
fn table_metadata_is_read_or_refused() {
    replay("table_metadata", super::table_metadata, 600);
}

// Proves: R24
#[test]
fn block_indexes_are_read_or_refused() {
    replay("block_index", super::block_index, 600);
}

// Proves: R24, P8
#[test]
fn events_that_a_door_accepts_become_rows() {
    replay("event_row", super::event_row, 600);
}

/// Otherwise the fuzzer would only ever try what is refused at once.
#[test]
fn the_seeds_of_data_files_answer_every_question() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/data_file");
    let mut names = 0;
    for entry in std::fs::read_dir(folder).expect("every target has a corpus") {
        let path = entry.expect("an entry").path();
        let bytes = Bytes::from(std::fs::read(&path).expect("a file"));
        for file in one_object::files_of(&bytes) {
            assert_eq!(one_object::look_up(&file, &bytes), 4, "{}", path.display());
            names += 1;
        }
    }
    assert!(
        names >= 3,
        "the newest form has a name with a checksum and one without"
    );
}

fn seed(path: &str) -> Vec<u8> {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    std::fs::read(corpus.join(path)).expect("a seed")
}

/// The library panics at the name of the manifest's schema, outside of what contained panics before.
// Proves: R24, C5
#[test]
fn a_manifest_at_which_its_reader_panics_is_damaged() {
    let mut bytes = seed("manifest/manifest");
    let name = b"manifest_entry";
    let at = bytes.windows(name.len()).position(|window| window == name);
    bytes[at.expect("it names its schema") + 9] = b'+';
    let schema: SchemaRef = Arc::new(iceberg_schema().expect("the schema of every table"));
    let refused =
        decode_manifest(unlisted(), &schema, &bytes).expect_err("no schema has this name");
    assert!(matches!(refused, LakeError::Damaged { .. }), "{refused}");
}

/// One changed letter of Arrow's schema in the footer makes an integer of 8,224 bits, at which the library
/// panics.
// Proves: R24, C5
#[test]
fn a_data_file_at_which_its_reader_panics_is_damaged() {
    let mut bytes = seed("data_file/version-1");
    assert_eq!(bytes[27_410], b'A', "the seed is the frozen file");
    bytes[27_410] = b'I';
    let bytes = Bytes::from(bytes);
    let files = one_object::files_of(&bytes);
    let refused = one_object::refusal(&files[0], &bytes).expect("no column has such a type");
    assert!(matches!(refused, LakeError::Damaged { .. }), "{refused}");
}

/// What lookups read as one type must not be another one.
// Proves: C5
#[test]
fn a_data_file_with_a_column_of_another_type_is_damaged() {
    use arrow::array::{ArrayRef, Int32Array};
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    for name in ["eventtime", "_account", "readonly", "_resource_names"] {
        let rows = RecordBatch::try_from_iter([(name, Arc::clone(&column))]).expect("a column");
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).expect("a writer");
        writer.write(&rows).expect("it fits the schema");
        writer.close().expect("it is written");
        let bytes = Bytes::from(bytes);
        let files = one_object::files_of(&bytes);
        let refused = one_object::refusal(&files[0], &bytes).expect("no page comes of it");
        assert!(
            matches!(&refused, LakeError::Damaged { reason, .. } if reason.contains(name)),
            "{refused}"
        );
    }
}
