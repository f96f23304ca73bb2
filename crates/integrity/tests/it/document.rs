//! The digest document: the order of its members, its nulls, and what is read back.

use cairn_integrity::{Digest, LogFileEntry, PreviousDigest};
use cairn_model::EventTime;
use expect_test::expect;
use proptest::prelude::*;

use crate::stand::{BUCKET, hour, key_pair};

fn digest() -> Digest {
    Digest {
        account: "111111111111".parse().expect("twelve digits"),
        start: hour(0),
        end: hour(1),
        bucket: BUCKET.to_owned(),
        object: "a/\"b\".json.gz".to_owned(),
        public_key_fingerprint: key_pair().fingerprint(),
        newest_event: Some(hour(1)),
        oldest_event: Some(hour(0)),
        previous: Some(PreviousDigest {
            bucket: BUCKET.to_owned(),
            object: "before".to_owned(),
            hash_value: "ab".to_owned(),
            signature: "cd".to_owned(),
        }),
        log_files: vec![LogFileEntry {
            bucket: BUCKET.to_owned(),
            object: "log".to_owned(),
            hash_value: "ef".to_owned(),
            newest_event: Some(hour(1)),
            oldest_event: Some(hour(0)),
        }],
    }
}

// Proves: REC-248, REC-249, REC-251, REC-253, REC-254
#[test]
fn the_members_stand_in_the_documented_order() {
    let text = String::from_utf8(digest().to_json()).expect("JSON is UTF-8");
    expect![[r#"{"awsAccountId":"111111111111","digestStartTime":"2026-01-01T00:00:00Z","digestEndTime":"2026-01-01T01:00:00Z","digestS3Bucket":"audit-logs","digestS3Object":"a/\"b\".json.gz","digestPublicKeyFingerprint":"FINGERPRINT","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":"2026-01-01T01:00:00Z","oldestEventTime":"2026-01-01T00:00:00Z","previousDigestS3Bucket":"audit-logs","previousDigestS3Object":"before","previousDigestHashValue":"ab","previousDigestHashAlgorithm":"SHA-256","previousDigestSignature":"cd","logFiles":[{"s3Bucket":"audit-logs","s3Object":"log","hashValue":"ef","hashAlgorithm":"SHA-256","newestEventTime":"2026-01-01T01:00:00Z","oldestEventTime":"2026-01-01T00:00:00Z"}]}"#]]
    .assert_eq(&text.replace(&key_pair().fingerprint(), "FINGERPRINT"));
}

// Proves: REC-241, REC-256
#[test]
fn an_empty_starting_digest_has_its_nulls() {
    let empty = Digest {
        previous: None,
        newest_event: None,
        oldest_event: None,
        log_files: Vec::new(),
        ..digest()
    };
    let value: serde_json::Value = serde_json::from_slice(&empty.to_json()).expect("JSON");
    let nulls: Vec<&str> = value
        .as_object()
        .expect("an object")
        .iter()
        .filter(|(_, value)| value.is_null())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        nulls,
        [
            "newestEventTime",
            "oldestEventTime",
            "previousDigestS3Bucket",
            "previousDigestS3Object",
            "previousDigestHashValue",
            "previousDigestHashAlgorithm",
            "previousDigestSignature",
        ]
    );
    assert_eq!(value["logFiles"], serde_json::json!([]));
    assert_eq!(Digest::parse(&empty.to_json()), Ok(empty));
}

#[test]
fn unknown_members_are_ignored_and_missing_ones_named() {
    let mut value: serde_json::Value = serde_json::from_slice(&digest().to_json()).expect("JSON");
    value["somethingNew"] = serde_json::json!([1]);
    assert_eq!(Digest::parse(value.to_string().as_bytes()), Ok(digest()));
    for name in [
        "awsAccountId",
        "digestEndTime",
        "digestS3Object",
        "previousDigestSignature",
        "logFiles",
    ] {
        let mut without = value.clone();
        without.as_object_mut().expect("an object").remove(name);
        let error = Digest::parse(without.to_string().as_bytes()).expect_err("a member is missing");
        assert!(error.to_string().contains(name), "{error}");
    }
    value["logFiles"][0]["hashAlgorithm"] = serde_json::json!("MD5");
    assert!(Digest::parse(value.to_string().as_bytes()).is_err());
    assert!(Digest::parse(b"[]").is_err());
    assert!(Digest::parse(b"{").is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        texts in proptest::collection::vec("\\PC{0,20}", 8),
        seconds in 0_i64..200_000_000_000,
        files in 0_usize..4,
        is_starting in any::<bool>(),
    ) {
        let time = EventTime::from_micros(seconds * 1_000_000).expect("a time");
        let written = Digest {
            end: time,
            bucket: texts[0].clone(),
            object: texts[1].clone(),
            previous: (!is_starting).then(|| PreviousDigest {
                bucket: texts[2].clone(),
                object: texts[3].clone(),
                hash_value: texts[4].clone(),
                signature: texts[5].clone(),
            }),
            log_files: vec![LogFileEntry { object: texts[6].clone(), ..digest().log_files.remove(0) }; files],
            ..digest()
        };
        prop_assert_eq!(Digest::parse(&written.to_json()), Ok(written));
    }
}
