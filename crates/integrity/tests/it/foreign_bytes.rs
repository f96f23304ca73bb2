//! The seeds of the fuzz target `digest`, whole and with each byte changed: what the target demands of them.

use std::path::Path;

use cairn_integrity::{Digest, DigestKind, FetchedDigest, SIZE_LIMITS, inflate};

use crate::stand::{BUCKET, Stand, digest_key, hour};

fn check(bytes: &[u8]) {
    if let Ok(digest) = Digest::parse(bytes) {
        assert_eq!(Digest::parse(&digest.to_json()).as_ref(), Ok(&digest));
    }
    inflate(bytes, SIZE_LIMITS);
    let mut stand = Stand::new();
    let key = digest_key(hour(1), DigestKind::Standard);
    let fetched = FetchedDigest {
        packed: bytes.to_vec(),
        signature: Some("00".to_owned()),
        signature_algorithm: Some("SHA256withRSA".to_owned()),
        backfill_generation: None,
    };
    stand.objects.insert((BUCKET.to_owned(), key), fetched);
    let lines = stand.walk(0, 5, DigestKind::Standard);
    assert!(
        lines.len() == 1 && lines[0].contains("INVALID"),
        "{lines:?}"
    );
}

// Proves: R24
#[test]
fn no_seed_and_no_change_of_one_is_valid_or_breaks_anything() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/digest");
    let seeds: Vec<_> = std::fs::read_dir(corpus)
        .expect("the corpus is there")
        .collect();
    assert!(seeds.len() >= 5, "{} seeds", seeds.len());
    for seed in seeds {
        let bytes = std::fs::read(seed.expect("readable").path()).expect("readable");
        check(&bytes);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            check(&changed);
            check(&bytes[..at]);
        }
    }
}
