//! Objects, ranges, conditions, refusals.

use crate::Fixture;

const READER: (&str, &str) = ("x-test-caller", "reader");

#[tokio::test]
async fn an_object_comes_back_byte_for_byte() {
    let bytes: Vec<u8> = (0..700_000u32)
        .map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1])
        .collect();
    let fixture = Fixture::with(&[("t1/data/part-1.parquet", &bytes)]).await;
    let answer = fixture.get("/cairn-lake/t1/data/part-1.parquet").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, bytes);
    assert_eq!(answer.header("content-length"), "700000");
}

#[tokio::test]
async fn ranges_are_answered_with_the_bytes_asked_for() {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let fixture = Fixture::with(&[("f", &bytes)]).await;
    for (range, wanted) in [
        ("bytes=0-0", &bytes[..1]),
        ("bytes=262140-262150", &bytes[262_140..=262_150]),
        ("bytes=-8", &bytes[299_992..]),
        ("bytes=299999-400000", &bytes[299_999..]),
    ] {
        let answer = fixture
            .send("GET", "/cairn-lake/f", &[READER, ("range", range)])
            .await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (206, wanted),
            "{range}"
        );
    }
    let answer = fixture
        .send(
            "GET",
            "/cairn-lake/f",
            &[READER, ("range", "bytes=300000-")],
        )
        .await;
    assert_eq!(answer.status, 416);
    assert!(answer.text().contains("<Code>InvalidRange</Code>"));
}

#[tokio::test]
async fn the_entity_tag_guards_reads() {
    let fixture = Fixture::with(&[("f", b"abc")]).await;
    let tag = fixture.get("/cairn-lake/f").await.header("etag").to_owned();
    let same = fixture
        .send("GET", "/cairn-lake/f", &[READER, ("if-match", &tag)])
        .await;
    assert_eq!(same.status, 200);
    let other = fixture
        .send("GET", "/cairn-lake/f", &[READER, ("if-match", "\"other\"")])
        .await;
    assert_eq!(other.status, 412);
    let unchanged = fixture
        .send("GET", "/cairn-lake/f", &[READER, ("if-none-match", &tag)])
        .await;
    assert_eq!(unchanged.status, 304);
}

#[tokio::test]
async fn head_tells_the_length_without_the_bytes() {
    let fixture = Fixture::with(&[("f", b"abcdef")]).await;
    let answer = fixture.send("HEAD", "/cairn-lake/f", &[READER]).await;
    assert_eq!((answer.status, answer.header("content-length")), (200, "6"));
    assert!(answer.body.is_empty());
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let fixture = Fixture::with(&[("a/f", b"abc")]).await;
    for (uri, code) in [
        ("/cairn-lake/a/g", "NoSuchKey"),
        ("/cairn-lake/a", "NoSuchKey"),
        ("/cairn-lake/a/f/g", "NoSuchKey"),
        ("/other-bucket/a/f", "NoSuchBucket"),
    ] {
        let answer = fixture.get(uri).await;
        assert_eq!(answer.status, 404, "{uri}");
        assert!(
            answer.text().contains(&format!("<Code>{code}</Code>")),
            "{uri}"
        );
    }
}

// Proves: H4
#[tokio::test]
async fn no_key_leads_out_of_the_folder() {
    let fixture = Fixture::with(&[("inside", b"abc")]).await;
    let secret = fixture.folder.path().join("secret");
    std::fs::write(&secret, b"top secret").expect("a file beside the lake");
    let lake = fixture.folder.path().join("lake");
    std::os::unix::fs::symlink(&secret, lake.join("link")).expect("a symbolic link");
    for path in [
        "../secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "a/../../secret",
        "./../secret",
        "//secret",
        "..%5csecret",
        "%2e%2e%2fsecret",
        "link",
        "inside%00",
        "....//secret",
        "%c0%ae%c0%ae/secret",
    ] {
        let answer = fixture.get(&format!("/cairn-lake/{path}")).await;
        assert!(answer.status >= 400, "{path} answered {}", answer.status);
        assert!(!answer.text().contains("top secret"), "{path}");
    }
    assert!(!fixture.get("/cairn-lake").await.text().contains("link"));
}

// Proves: R20
#[tokio::test]
async fn nothing_is_served_without_a_caller_and_a_grant() {
    let fixture = Fixture::with(&[("f", b"abc")]).await;
    let uris = [
        "/cairn-lake/f",
        "/cairn-lake",
        "/cairn-lake?location",
        "/",
        "/cairn-lake?list-type=2",
    ];
    for uri in uris {
        for method in ["GET", "HEAD", "PUT", "DELETE", "POST"] {
            let unsigned = fixture.send(method, uri, &[]).await;
            assert_eq!(unsigned.status, 403, "{method} {uri} unsigned");
        }
        let stranger = fixture
            .send("GET", uri, &[("x-test-caller", "stranger")])
            .await;
        assert!(
            [403, 501].contains(&stranger.status),
            "{uri} by a stranger: {}",
            stranger.status
        );
        assert!(!stranger.text().contains("abc"));
    }
}

#[tokio::test]
async fn writes_are_refused() {
    let fixture = Fixture::with(&[("f", b"abc")]).await;
    for (method, uri) in [
        ("PUT", "/cairn-lake/f"),
        ("PUT", "/cairn-lake/new"),
        ("DELETE", "/cairn-lake/f"),
        ("POST", "/cairn-lake?delete"),
    ] {
        let answer = fixture.send(method, uri, &[READER]).await;
        assert_eq!(answer.status, 405, "{method} {uri}");
    }
    assert_eq!(fixture.get("/cairn-lake/f").await.body, b"abc");
}

#[tokio::test]
async fn the_bucket_tells_its_region() {
    let fixture = Fixture::with(&[]).await;
    let answer = fixture.get("/cairn-lake?location").await;
    assert!(answer.text().contains("eu-west-1"), "{}", answer.text());
}

#[tokio::test]
async fn parameters_of_a_presigned_request_do_not_reach_the_protocol() {
    let fixture = Fixture::with(&[("f", b"abc")]).await;
    let uri = "/cairn-lake/f?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Date=b\
               &X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00";
    let answer = fixture.get(uri).await;
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (200, b"abc".as_slice())
    );
}
