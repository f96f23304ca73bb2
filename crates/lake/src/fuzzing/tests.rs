//! The corpora of the fuzz targets, replayed as they are and with small changes.

use std::path::PathBuf;

use cairn_platform::{Entropy, SeededEntropy};

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
