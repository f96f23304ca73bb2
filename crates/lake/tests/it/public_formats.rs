//! A checker that reads the tables as strangers would: metadata JSON, Avro manifests, files in a folder.

use std::ops::Range;
use std::path::Path;

use cairn_lake::key_of;
use iceberg::spec::{FormatVersion, Manifest, ManifestList, ManifestStatus};
use serde_json::Value;

/// I4: the ranges of the snapshots join without gap or overlap, from where the oldest kept one begins to
/// the end of `range`. And no file that any snapshot refers to is missing.
pub(crate) fn check_public_state(folder: &Path, metadata_key: &str, range: Range<u64>) {
    let text = std::fs::read(folder.join(metadata_key)).expect("the metadata file exists");
    let metadata: Value = serde_json::from_slice(&text).expect("metadata is JSON");
    let mut snapshots: Vec<&Value> = metadata["snapshots"]
        .as_array()
        .expect("a list of snapshots")
        .iter()
        .collect();
    snapshots.sort_by_key(|snapshot| snapshot["sequence-number"].as_i64());
    let bound = |snapshot: &Value, name: &str| -> u64 {
        let text = snapshot["summary"][format!("cairn.position.0.{name}")].as_str();
        text.and_then(|text| text.parse().ok())
            .expect("a snapshot tells its range")
    };
    let mut expected = None;
    for snapshot in &snapshots {
        let (start, end) = (bound(snapshot, "start"), bound(snapshot, "end"));
        let follows = expected.is_none_or(|expected: u64| expected == start);
        assert!(
            follows && start <= end,
            "ranges do not join: {expected:?}, then {start}..{end}"
        );
        expected = Some(end);
        check_files(
            folder,
            snapshot["manifest-list"].as_str().expect("a location"),
        );
    }
    assert_eq!(expected, Some(range.end));
    let oldest_is_kept = snapshots[0].get("parent-snapshot-id").is_none();
    assert!(!oldest_is_kept || bound(snapshots[0], "start") == range.start);
}

fn check_files(folder: &Path, list: &str) {
    let read = |location: &str| {
        let key = key_of(location).expect("a location in the lake");
        std::fs::read(folder.join(key)).unwrap_or_else(|error| panic!("{key}: {error}"))
    };
    let list = ManifestList::parse_with_version(&read(list), FormatVersion::V2);
    for manifest in list.expect("a manifest list").entries() {
        let bytes = read(&manifest.manifest_path);
        assert_eq!(
            i64::try_from(bytes.len()).ok(),
            Some(manifest.manifest_length)
        );
        for entry in Manifest::parse_avro(&bytes).expect("a manifest").entries() {
            if entry.status != ManifestStatus::Deleted {
                let bytes = read(entry.file_path());
                assert_eq!(bytes.len() as u64, entry.file_size_in_bytes());
            }
        }
    }
}
