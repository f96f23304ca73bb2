//! The corpora of the fuzz targets, replayed as they are and with small changes.

use std::path::PathBuf;

use cairn_platform::{Entropy, SeededEntropy};

/// Changed copies of each input.
const CHANGES: u64 = 400;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("every target has a corpus") {
        let path = entry.expect("an entry").path();
        inputs.push(std::fs::read(path).expect("a file"));
    }
    assert!(inputs.len() >= 2, "{target} has too few seeds");
    check(b"");
    for (number, input) in (0..).zip(&inputs) {
        check(input);
        for change in 0..CHANGES {
            check(&changed(input, &inputs, number * CHANGES + change));
        }
    }
}

/// A few places replaced, removed, doubled or taken from another input.
fn changed(input: &[u8], others: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let entropy = SeededEntropy::new(seed);
    let random = |below: usize| {
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes);
        usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(0) % below.max(1)
    };
    let mut bytes = input.to_vec();
    for _ in 0..=random(3) {
        let start = random(bytes.len() + 1);
        let end = (start + random(12)).min(bytes.len());
        let inserted = match random(4) {
            0 => Vec::new(),
            1 => bytes[start..end].repeat(2),
            2 => {
                let other = &others[random(others.len())];
                let from = random(other.len() + 1);
                other[from..(from + random(24)).min(other.len())].to_vec()
            }
            _ => (0..random(4))
                .map(|_| u8::try_from(random(256)).unwrap_or(0))
                .collect(),
        };
        bytes.splice(start..end, inserted);
    }
    bytes
}

// Proves: R24, H3
#[test]
fn forms_are_read_or_refused() {
    replay("query_form", super::query_form);
}

// Proves: R24, H2
#[test]
fn compressed_bodies_stay_within_their_limits() {
    replay("gzip_body", super::gzip_body);
}

// Proves: R24, R20
#[test]
fn session_tokens_open_with_the_seal_only() {
    replay("session_token", super::session_token);
}

// Proves: R24
#[test]
fn ciphertexts_have_one_form_and_open_for_their_key_only() {
    replay("key_ciphertext", super::key_ciphertext);
}

// Proves: R24, OVR-090
#[test]
fn page_tokens_open_with_the_seal_only() {
    replay("page_token", super::page_token);
}

// Proves: R24
#[test]
fn files_to_ingest_are_read_or_refused() {
    replay("ingest_file", super::ingest_file);
}

// Proves: R24
#[test]
fn answers_are_read_or_refused() {
    replay("answer_xml", super::answer_xml);
}

// Proves: R24
#[test]
fn identity_documents_are_written_as_they_were_read() {
    replay("identity_document", super::identity_document);
}

// Proves: R24
#[test]
fn configuration_is_read_or_refused_by_name() {
    replay("configuration", super::configuration);
}
