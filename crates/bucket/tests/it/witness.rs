//! What the gatekeeper is told: operation, bucket, key, outcome, bytes; and that nothing leaves untold.

use crate::Fixture;

const READER: (&str, &str) = ("x-test-caller", "reader");

impl Fixture {
    /// Name, bucket, key, error and bytes of the last request that was witnessed.
    fn last_note(&self) -> String {
        let notes = self.gatekeeper.witnessed.lock().expect("unpoisoned");
        let (access, outcome) = notes.last().expect("a request was witnessed");
        let error = outcome.error.as_ref().map_or("ok", |(code, _)| code);
        let Some(access) = access else {
            return format!("unknown {error} {}", outcome.status);
        };
        format!(
            "{} {} {} {error} {} {}",
            access.operation.name,
            access.bucket.as_deref().unwrap_or("-"),
            access.key.as_deref().unwrap_or("-"),
            outcome.status,
            outcome.body_bytes
        )
    }
}

#[tokio::test]
async fn every_request_is_told_with_its_outcome() {
    let fixture = Fixture::with(&[("t/f", b"abcdef")]).await;
    for (method, uri, expected) in [
        (
            "GET",
            "/cairn-lake/t/f",
            "GetObject cairn-lake t/f ok 200 6",
        ),
        (
            "HEAD",
            "/cairn-lake/t/f",
            "HeadObject cairn-lake t/f ok 200 0",
        ),
        ("HEAD", "/cairn-lake", "HeadBucket cairn-lake - ok 200 0"),
        ("PATCH", "/cairn-lake", "unknown MethodNotAllowed 405"),
        ("GET", "/cairn-lake/%ff", "unknown InvalidURI 400"),
    ] {
        fixture.send(method, uri, &[READER]).await;
        assert_eq!(fixture.last_note(), expected, "{method} {uri}");
    }
    for (method, uri, expected) in [
        ("GET", "/", "ListBuckets - - ok 200"),
        (
            "GET",
            "/cairn-lake?list-type=2",
            "ListObjects cairn-lake - ok 200",
        ),
        (
            "GET",
            "/cairn-lake?location",
            "GetBucketLocation cairn-lake - ok 200",
        ),
        (
            "GET",
            "/cairn-lake/t/g",
            "GetObject cairn-lake t/g NoSuchKey 404",
        ),
        ("GET", "/other/t/g", "GetObject other t/g NoSuchBucket 404"),
        (
            "GET",
            "/cairn-lake?acl",
            "GetBucketAcl cairn-lake - NotImplemented 501",
        ),
        (
            "PUT",
            "/cairn-lake/t/f",
            "PutObject cairn-lake t/f MethodNotAllowed 405",
        ),
        (
            "DELETE",
            "/cairn-lake/t/f",
            "DeleteObject cairn-lake t/f MethodNotAllowed 405",
        ),
        (
            "POST",
            "/cairn-lake?delete",
            "DeleteObjects cairn-lake - MethodNotAllowed 405",
        ),
        (
            "PUT",
            "/cairn-lake?policy",
            "PutBucketPolicy cairn-lake - MethodNotAllowed 405",
        ),
    ] {
        let answer = fixture.send(method, uri, &[READER]).await;
        let expected = format!("{expected} {}", answer.body.len());
        assert_eq!(fixture.last_note(), expected, "{method} {uri}");
    }
}

#[tokio::test]
async fn a_range_counts_as_what_it_is() {
    let fixture = Fixture::with(&[("f", b"abcdef")]).await;
    let range = [READER, ("range", "bytes=1-3")];
    let answer = fixture.send("GET", "/cairn-lake/f", &range).await;
    assert_eq!(answer.body, b"bcd");
    assert_eq!(fixture.last_note(), "GetObject cairn-lake f ok 206 3");
    let range = [READER, ("range", "bytes=9-")];
    fixture.send("GET", "/cairn-lake/f", &range).await;
    assert!(
        fixture
            .last_note()
            .starts_with("GetObject cairn-lake f InvalidRange 416")
    );
}

#[tokio::test]
async fn refusals_are_told_with_the_message_that_the_client_got() {
    let fixture = Fixture::with(&[("f", b"abc")]).await;
    let stranger = [("x-test-caller", "<stranger>")];
    let answer = fixture.send("GET", "/cairn-lake/f", &stranger).await;
    assert_eq!(answer.status, 403);
    let notes = fixture.gatekeeper.witnessed.lock().expect("unpoisoned");
    let (_, outcome) = notes.last().expect("it was witnessed");
    let message = "s3:GetObject arn:aws:s3:::cairn-lake/f".to_owned();
    assert_eq!(outcome.error, Some(("AccessDenied".to_owned(), message)));
}

// Proves: R20
#[tokio::test]
async fn a_request_that_panics_is_answered_and_told() {
    let fixture = Fixture::with(&[("f", b"abc")]).await;
    let breaker = [("x-test-caller", "breaker")];
    let answer = fixture.send("GET", "/cairn-lake/f", &breaker).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("<Code>InternalError</Code>"));
    let length = answer.body.len();
    let expected = format!("GetObject cairn-lake f InternalError 500 {length}");
    assert_eq!(fixture.last_note(), expected);
}

// Proves: R20
#[tokio::test]
async fn nothing_leaves_that_was_not_noted() {
    let fixture = Fixture::with(&[("f", b"the bytes")]).await;
    for uri in ["/cairn-lake/f", "/cairn-lake", "/"] {
        let caller = [("x-test-caller", "unrecordable")];
        let answer = fixture.send("GET", uri, &caller).await;
        assert_eq!(answer.status, 503, "{uri}");
        assert!(answer.text().contains("<Code>ServiceUnavailable</Code>"));
        assert!(!answer.text().contains("the bytes") && !answer.text().contains("cairn-lake"));
    }
    let unsigned = fixture.send("GET", "/cairn-lake/f", &[]).await;
    assert_eq!(unsigned.status, 403);
    let notes = fixture.gatekeeper.witnessed.lock().expect("unpoisoned");
    assert!(notes.is_empty(), "who was not authenticated is nobody");
}

// Proves: R24, H4
#[tokio::test]
async fn the_fuzzers_saved_heads_are_answered_and_told() {
    let fixture = Fixture::with(&[("event-history/metadata/x.json", b"0123456789")]).await;
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/s3_head");
    for entry in std::fs::read_dir(corpus).expect("every target has a corpus") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let mut lines = text.split('\n');
        let method = lines.next().unwrap_or_default();
        let target = lines.next().unwrap_or_default();
        let mut headers: Vec<(&str, &str)> =
            lines.filter_map(|line| line.split_once(':')).collect();
        headers.push(READER);
        let answer = fixture.send(method, target, &headers).await;
        assert!(answer.status < 500, "{text}: {}", answer.status);
        assert!(!fixture.last_note().starts_with("unknown"), "{text}");
    }
}
