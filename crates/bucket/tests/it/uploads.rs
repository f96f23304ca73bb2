//! Uploads in parts.

use crate::Fixture;

/// Least bytes of a part that is not the last.
const PART: usize = 5 * 1024 * 1024;

async fn begin(fixture: &Fixture, headers: &[(&str, &str)]) -> String {
    let begun = fixture
        .done("POST", "/bucket/f?uploads", headers, b"")
        .await;
    begun.between("<UploadId>", "<").pop().expect("an ID")
}

async fn part(fixture: &Fixture, id: &str, number: u32, bytes: &[u8]) -> String {
    let uri = format!("/bucket/f?uploadId={id}&partNumber={number}");
    let answer = fixture.done("PUT", &uri, &[], bytes).await;
    answer.header("etag").to_owned()
}

fn wanted(parts: &[(u32, &str)]) -> String {
    let parts = parts.iter().map(|(number, tag)| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
    });
    let parts: String = parts.collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

#[tokio::test]
async fn parts_become_one_object() {
    let fixture = Fixture::with_bucket().await;
    let id = begin(
        &fixture,
        &[("x-amz-meta-a", "1"), ("content-type", "text/plain")],
    )
    .await;
    let (one, two) = (vec![1; PART], vec![2; 1000]);
    let second = part(&fixture, &id, 7, &two).await;
    part(&fixture, &id, 2, b"replaced").await;
    let first = part(&fixture, &id, 2, &one).await;
    part(&fixture, &id, 9, b"never chosen").await;
    let listed = fixture
        .done(
            "GET",
            &format!("/bucket/f?uploadId={id}&max-parts=2"),
            &[],
            b"",
        )
        .await;
    assert_eq!(listed.between("<PartNumber>", "<"), ["2", "7"]);
    assert!(
        listed.text().contains("<NextPartNumberMarker>7<"),
        "{}",
        listed.text()
    );
    let uploads = fixture.done("GET", "/bucket?uploads", &[], b"").await;
    assert_eq!(
        uploads.between("<UploadId>", "<"),
        std::slice::from_ref(&id)
    );
    let gone = ("GET", "/bucket/f");
    fixture.refused(gone, &[], b"", (404, "NoSuchKey")).await;

    let uri = format!("/bucket/f?uploadId={id}");
    let body = wanted(&[(2, &first), (7, &second)]);
    let done = fixture.done("POST", &uri, &[], body.as_bytes()).await;
    assert!(
        done.text().contains("-2&quot;") || done.text().contains("-2\""),
        "{}",
        done.text()
    );
    let got = fixture.done("GET", "/bucket/f", &[], b"").await;
    assert_eq!(got.body.len(), PART + 1000);
    assert!(got.body[..PART] == one && got.body[PART..] == two);
    assert_eq!(
        (got.header("x-amz-meta-a"), got.header("content-type")),
        ("1", "text/plain")
    );
    assert!(got.header("etag").ends_with("-2\""));
    read_in_parts(&fixture).await;
    assert_eq!(
        fixture.body_files().len(),
        2,
        "parts that nobody wanted are gone"
    );
    let again = ("POST", uri.as_str());
    fixture
        .refused(again, &[], body.as_bytes(), (404, "NoSuchUpload"))
        .await;
    let fixture = fixture.restart().await;
    assert_eq!(
        fixture.done("GET", "/bucket/f", &[], b"").await.body.len(),
        PART + 1000
    );
    fixture.done("DELETE", "/bucket/f", &[], b"").await;
    assert!(fixture.body_files().is_empty());
}

async fn read_in_parts(fixture: &Fixture) {
    // A range across the seam, and one part.
    let across = [("range", "bytes=5242878-5242881")];
    assert_eq!(
        fixture.ask("GET", "/bucket/f", &across, b"").await.body,
        [1, 1, 2, 2]
    );
    let last = fixture.ask("GET", "/bucket/f?partNumber=2", &[], b"").await;
    assert_eq!((last.status, last.body.len()), (206, 1000));
    assert_eq!(last.header("x-amz-mp-parts-count"), "2");
    let third = ("GET", "/bucket/f?partNumber=3");
    fixture
        .refused(third, &[], b"", (416, "InvalidPartNumber"))
        .await;
}

#[tokio::test]
async fn completion_wants_the_right_parts_in_order() {
    let fixture = Fixture::with_bucket().await;
    let id = begin(&fixture, &[]).await;
    let one = part(&fixture, &id, 1, b"small").await;
    let two = part(&fixture, &id, 2, b"last").await;
    let uri = format!("/bucket/f?uploadId={id}");
    let complete = ("POST", uri.as_str());
    for (parts, code) in [
        (
            vec![(2, two.as_str()), (1, one.as_str())],
            "InvalidPartOrder",
        ),
        (
            vec![(1, one.as_str()), (1, one.as_str())],
            "InvalidPartOrder",
        ),
        (vec![(1, two.as_str())], "InvalidPart"),
        (vec![(3, two.as_str())], "InvalidPart"),
        (vec![(1, one.as_str()), (2, two.as_str())], "EntityTooSmall"),
        (vec![], "MalformedXML"),
    ] {
        let body = wanted(&parts);
        fixture
            .refused(complete, &[], body.as_bytes(), (400, code))
            .await;
    }
    fixture.done("PUT", "/bucket/f", &[], b"there").await;
    let body = wanted(&[(1, &one)]);
    let absent = [("if-none-match", "*")];
    let failed = (412, "PreconditionFailed");
    fixture
        .refused(complete, &absent, body.as_bytes(), failed)
        .await;
    assert_eq!(
        fixture.done("GET", "/bucket/f", &[], b"").await.body,
        b"there"
    );
    fixture.done("POST", &uri, &[], body.as_bytes()).await;
    assert_eq!(
        fixture.done("GET", "/bucket/f", &[], b"").await.body,
        b"small"
    );
}

#[tokio::test]
async fn an_upload_can_be_given_up() {
    let fixture = Fixture::with_bucket().await;
    let id = begin(&fixture, &[]).await;
    part(&fixture, &id, 1, b"abc").await;
    let uri = format!("/bucket/f?uploadId={id}");
    fixture.done("DELETE", &uri, &[], b"").await;
    assert!(fixture.body_files().is_empty());
    let next = format!("{uri}&partNumber=2");
    for (method, uri) in [("DELETE", &uri), ("PUT", &next), ("GET", &uri)] {
        let missing = (404, "NoSuchUpload");
        fixture.refused((method, uri), &[], b"abc", missing).await;
    }
    for number in ["0", "10001", "-1"] {
        let uri = format!("/bucket/f?uploadId={id}&partNumber={number}");
        let refused = fixture.ask("PUT", &uri, &[], b"abc").await;
        assert_eq!(refused.status, 400, "part {number}");
    }
    assert!(fixture.body_files().is_empty());
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let fixture = Fixture::with_bucket().await;
    fixture
        .done("PUT", "/bucket/from", &[], b"0123456789")
        .await;
    let id = begin(&fixture, &[]).await;
    let uri = format!("/bucket/f?uploadId={id}&partNumber=1");
    let source = ("x-amz-copy-source", "/bucket/from");
    let range = ("x-amz-copy-source-range", "bytes=2-5");
    let copied = fixture.done("PUT", &uri, &[source, range], b"").await;
    let tag = copied
        .between("<ETag>", "<")
        .pop()
        .expect("a tag")
        .replace("&quot;", "");
    for bad in ["bytes=2-", "bytes=5-10", "bytes=-2", "2-5"] {
        let range = ("x-amz-copy-source-range", bad);
        let put = ("PUT", uri.as_str());
        fixture
            .refused(put, &[source, range], b"", (400, "InvalidArgument"))
            .await;
    }
    let body = wanted(&[(1, tag.trim_matches('"'))]);
    fixture
        .done(
            "POST",
            &format!("/bucket/f?uploadId={id}"),
            &[],
            body.as_bytes(),
        )
        .await;
    assert_eq!(
        fixture.done("GET", "/bucket/f", &[], b"").await.body,
        b"2345"
    );
}

#[tokio::test]
async fn checksums_of_parts_make_that_of_the_object() {
    let fixture = Fixture::with_bucket().await;
    let mode = [("x-amz-checksum-mode", "ENABLED")];
    let whole = [
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    ];
    let id = begin(&fixture, &whole).await;
    let (one, two) = (vec![1; PART], b"end");
    let first = part(&fixture, &id, 1, &one).await;
    let second = part(&fixture, &id, 2, two).await;
    let uri = format!("/bucket/f?uploadId={id}");
    let body = wanted(&[(1, &first), (2, &second)]);
    let wrong = [("x-amz-checksum-crc32", "AAAAAA==")];
    fixture
        .refused(("POST", &uri), &wrong, body.as_bytes(), (400, "BadDigest"))
        .await;
    fixture.done("POST", &uri, &[], body.as_bytes()).await;
    let in_parts = fixture.done("HEAD", "/bucket/f", &mode, b"").await;
    let whole = [one.as_slice(), two].concat();
    let named = [("x-amz-sdk-checksum-algorithm", "CRC32")];
    let put = fixture.done("PUT", "/bucket/g", &named, &whole).await;
    let crc = "x-amz-checksum-crc32";
    assert_eq!(in_parts.header(crc), put.header(crc));
    assert_eq!(in_parts.header("x-amz-checksum-type"), "FULL_OBJECT");

    let id = begin(&fixture, &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let only = part(&fixture, &id, 1, two).await;
    let uri = format!("/bucket/f?uploadId={id}");
    fixture
        .done("POST", &uri, &[], wanted(&[(1, &only)]).as_bytes())
        .await;
    let got = fixture.done("HEAD", "/bucket/f", &mode, b"").await;
    assert!(got.header("x-amz-checksum-sha256").ends_with("-1"));
    let impossible = [
        ("x-amz-checksum-algorithm", "SHA256"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    ];
    let begin = ("POST", "/bucket/f?uploads");
    fixture
        .refused(begin, &impossible, b"", (400, "InvalidRequest"))
        .await;
}
