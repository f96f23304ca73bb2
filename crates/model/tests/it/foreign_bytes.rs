//! Any bytes at all, and bytes that are nearly right, through every parser: no panic, and what is accepted is sound.
//!
//! The fuzz targets check the same; their saved inputs, if there are any, are replayed here.

use std::path::Path;

use bytes::Bytes;
use cairn_model::destination::{DestinationLimit, fit};
use cairn_model::json::Document;
use cairn_model::{Arn, Completion, EventTime, RoutingHeader, canonicalize, split_batch};
use proptest::prelude::{any, prop, proptest};

const EVENT: &str = r#"{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"al"},
    "eventTime":"2023-07-10T11:45:00Z","eventSource":"s3.amazonaws.com","eventName":"PutObject",
    "awsRegion":"us-east-1","requestParameters":{"bucketName":"b"},"responseElements":null,
    "resources":[{"ARN":"arn:aws:s3:::b","type":"AWS::S3::Bucket"}],"eventID":"1","readOnly":false,
    "eventType":"AwsApiCall","recipientAccountId":"123456789012","eventCategory":"Data"}"#;

fn check(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    for event in split_batch(&bytes, 100).unwrap_or_default() {
        check_event(&event);
    }
    check_event(&bytes);
    if let Ok(header) = RoutingHeader::decode(&bytes) {
        let mut again = Vec::new();
        header.encode(&mut again);
        assert_eq!(again, bytes, "a header has one encoding");
    }
}

fn check_event(bytes: &Bytes) {
    let mut new_event_id = || "new".to_owned();
    let account = "123456789012".parse().expect("an account");
    let mut completion = Completion {
        account,
        new_event_id: &mut new_event_id,
    };
    let Ok(event) = canonicalize(bytes, &mut completion) else {
        return;
    };
    Document::parse(&event.json).expect("a canonical event is JSON");
    let mut refuse = || -> String { panic!("a canonical event is complete") };
    let mut completion = Completion {
        account,
        new_event_id: &mut refuse,
    };
    let again =
        canonicalize(&event.json, &mut completion).expect("canonical events stay canonical");
    assert_eq!(again, event, "and do not change");
    let mut stored = Vec::new();
    event.header.encode(&mut stored);
    assert_eq!(RoutingHeader::decode(&stored), Ok(event.header));
    let fitted = fit(&event.json, DestinationLimit::Kb256).unwrap_or_else(|large| large.shortened);
    Document::parse(&fitted).expect("a shortened event is JSON");
}

proptest! {
    // Proves: R24, H3
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    // Proves: R24, H3
    #[test]
    fn an_event_with_bytes_changed_removed_and_doubled(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..20_usize, prop::collection::vec(any::<u8>(), 0..3)),
            1..5,
        ),
        as_file in any::<bool>(),
    ) {
        let mut bytes = EVENT.as_bytes().to_vec();
        for (place, removed, inserted) in edits {
            let start = place.index(bytes.len() + 1);
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, inserted);
        }
        if as_file {
            bytes = [b"{\"Records\":[", &bytes[..], b"]}"].concat();
        }
        check(&bytes);
    }
}

// Proves: R24
#[test]
fn the_fuzzers_saved_inputs() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut replayed = 0;
    for target in ["json_scan", "canonicalize", "header_decode", "split_batch"] {
        for entry in std::fs::read_dir(corpus.join(target)).expect("every target has a corpus") {
            let path = entry.expect("a directory entry").path();
            check(&std::fs::read(&path).expect("a file"));
            replayed += 1;
        }
    }
    assert!(replayed >= 4, "the corpus is not empty");
}

// Proves: R24
#[test]
fn the_fuzzers_saved_arns_are_the_sum_of_their_parts() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/arn");
    for entry in std::fs::read_dir(corpus).expect("every target has a corpus") {
        let path = entry.expect("a directory entry").path();
        let text = String::from_utf8(std::fs::read(path).expect("a file")).expect("text");
        let arn: Arn = text.parse().expect("the seeds are ARNs");
        let parts = [arn.partition(), arn.service(), arn.region(), arn.account()];
        assert_eq!(format!("arn:{}:{}", parts.join(":"), arn.resource()), text);
    }
}

// Proves: R24
#[test]
fn the_fuzzers_saved_times_are_read_and_written_again() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/timestamps");
    let mut read = 0;
    for entry in std::fs::read_dir(corpus).expect("every target has a corpus") {
        let path = entry.expect("a directory entry").path();
        let text = String::from_utf8(std::fs::read(path).expect("a file")).expect("text");
        if let Ok(time) = text.parse::<EventTime>() {
            let again: EventTime = time.to_string().parse().expect("our own form");
            assert_eq!(again.as_seconds(), time.as_seconds(), "{text}");
            read += 1;
        }
    }
    assert!(read >= 2, "some seeds are times of records");
}
