//! Digests: what is read of one is written and read again as the same; bytes that nobody signed are never valid,
//! and a log file is either the one that its hash says or has a fault.
#![no_main]

use cairn_integrity::{
    ChainWalk, Digest, DigestKind, FetchedDigest, Finding, ListedDigest, LogFileHash, PublicKeys,
    SIZE_LIMITS, Step, WalkRange, inflate, sha256_hex,
};
use cairn_model::EventTime;
use libfuzzer_sys::fuzz_target;

const KEY: &str = "20260101T010000Z.json.gz";

fuzz_target!(|bytes: &[u8]| {
    if let Ok(digest) = Digest::parse(bytes) {
        assert_eq!(Digest::parse(&digest.to_json()).as_ref(), Ok(&digest));
    }
    if let Some(text) = inflate(bytes, SIZE_LIMITS) {
        let mut file = LogFileHash::new(SIZE_LIMITS);
        // What follows the member is a fault of a log file.
        if file.update(bytes).is_ok() {
            let _ = file.finish(&sha256_hex(&text));
        }
    }
    let end = EventTime::from_micros(1_767_229_200_000_000).expect("a time");
    let mut walk = ChainWalk::new(WalkRange {
        start: end,
        end,
        kind: DigestKind::Standard,
        bucket: "b".to_owned(),
        home_region: "us-east-1".to_owned(),
    });
    let kind = DigestKind::Standard;
    let key = KEY.to_owned();
    walk.listed(vec![ListedDigest { key, end, kind }]);
    walk.take_keys(PublicKeys::from([("f".to_owned(), bytes.to_vec())]));
    walk.fetched(FetchedDigest {
        packed: bytes.to_vec(),
        signature: Some("00".to_owned()),
        signature_algorithm: Some("SHA256withRSA".to_owned()),
        backfill_generation: None,
    });
    assert!(matches!(walk.step(), Step::Found(Finding::Invalid { .. })));
    assert_eq!(walk.step(), Step::End);
});
