//! Putting, reading, copying and deleting objects.

use crate::Fixture;

const READER: (&str, &str) = ("x-test-caller", "reader");

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

#[tokio::test]
async fn what_was_put_comes_back_with_its_properties() {
    let fixture = Fixture::with_bucket().await;
    let bytes = pattern(700_000);
    let headers = [
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("cache-control", "no-store"),
        ("x-amz-meta-who", "me"),
        ("x-amz-tagging", "a=1&b=two%20words"),
    ];
    let put = fixture.done("PUT", "/bucket/a/b", &headers, &bytes).await;
    assert_eq!(put.header("x-amz-server-side-encryption"), "AES256");
    for method in ["GET", "HEAD"] {
        let got = fixture.done(method, "/bucket/a/b", &[], b"").await;
        assert_eq!(got.header("etag"), put.header("etag"));
        assert_eq!(got.header("content-length"), "700000");
        assert_eq!(got.header("content-type"), "text/plain");
        assert_eq!(got.header("content-encoding"), "gzip");
        assert_eq!(got.header("cache-control"), "no-store");
        assert_eq!(got.header("x-amz-meta-who"), "me");
        assert_eq!(got.header("last-modified"), "Sun, 01 Mar 2026 12:00:00 GMT");
        if method == "GET" {
            assert_eq!(got.body, bytes);
            assert_eq!(got.header("x-amz-tagging-count"), "2");
        }
    }
    let tags = fixture.done("GET", "/bucket/a/b?tagging", &[], b"").await;
    assert_eq!(tags.between("<Value>", "</Value>"), ["1", "two words"]);
    assert_eq!(fixture.clock.sleepers(), 0, "nothing waits");
}

#[tokio::test]
async fn ranges_cross_chunks_and_stop_at_the_end() {
    let fixture = Fixture::with_bucket().await;
    let bytes = pattern(200_000);
    fixture.done("PUT", "/bucket/f", &[], &bytes).await;
    for (range, wanted) in [
        ("bytes=0-0", &bytes[..1]),
        ("bytes=65535-65536", &bytes[65_535..65_537]),
        ("bytes=1-199998", &bytes[1..199_999]),
        ("bytes=-5", &bytes[199_995..]),
        ("bytes=199999-900000", &bytes[199_999..]),
    ] {
        let got = fixture
            .ask("GET", "/bucket/f", &[("range", range)], b"")
            .await;
        assert_eq!((got.status, got.body.as_slice()), (206, wanted), "{range}");
    }
    let past = [("range", "bytes=200000-")];
    let get = ("GET", "/bucket/f");
    fixture
        .refused(get, &past, b"", (416, "InvalidRange"))
        .await;
    fixture.done("PUT", "/bucket/empty", &[], b"").await;
    assert!(
        fixture
            .done("GET", "/bucket/empty", &[], b"")
            .await
            .body
            .is_empty()
    );
}

// Proves: H4
#[tokio::test]
async fn any_key_is_a_key_and_none_is_a_path() {
    let fixture = Fixture::with_bucket().await;
    let long = "k".repeat(1024);
    let keys = [
        "%2e%2e",
        "%2e%2e/%2e%2e/secret",
        "a//b",
        "/lead",
        "a/./b",
        "a%5cb",
        "nul%00byte",
        "%01",
        "%0a",
        "%c3%a9",
        "..%2fx",
        &long,
        ".",
        "arn:aws:s3:::other/x",
    ];
    for (at, key) in keys.iter().enumerate() {
        let body = at.to_string();
        fixture
            .done("PUT", &format!("/bucket/{key}"), &[], body.as_bytes())
            .await;
    }
    for (at, key) in keys.iter().enumerate() {
        let got = fixture
            .done("GET", &format!("/bucket/{key}"), &[], b"")
            .await;
        assert_eq!(got.body, at.to_string().as_bytes(), "{key}");
    }
    let listed = fixture
        .done("GET", "/bucket?encoding-type=url", &[], b"")
        .await;
    let mut listed = listed.between("<Key>", "</Key>");
    assert_eq!(listed.len(), keys.len());
    assert!(
        listed.contains(&"../../secret".to_owned()) && listed.contains(&"nul%00byte".to_owned())
    );
    listed.dedup();
    assert_eq!(listed.len(), keys.len(), "each is its own");
    let too_long = format!("/bucket/{}", "k".repeat(1025));
    let put = ("PUT", too_long.as_str());
    fixture
        .refused(put, &[], b"", (400, "KeyTooLongError"))
        .await;
    // Names of files are ours alone: two digits, then thirty-two.
    for file in fixture.body_files() {
        let name = file
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(
            name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()),
            "{name}"
        );
    }
    assert_eq!(
        std::fs::read_dir(fixture.folder.path())
            .expect("the folder")
            .count(),
        2
    );
}

#[tokio::test]
async fn what_is_stated_of_a_body_must_be_true() {
    let fixture = Fixture::with_bucket().await;
    let put = ("PUT", "/bucket/f");
    for (header, good, bad) in [
        (
            "content-md5",
            "kAFQmDzST7DWlj99KOF/cg==",
            "AAAAAAAAAAAAAAAAAAAAAA==",
        ),
        ("x-amz-checksum-crc32", "NSRBwg==", "AAAAAA=="),
        ("x-amz-checksum-crc32c", "Nks/tw==", "AAAAAA=="),
        (
            "x-amz-checksum-sha1",
            "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
        (
            "x-amz-checksum-sha256",
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
    ] {
        fixture
            .refused(put, &[(header, bad)], b"abc", (400, "BadDigest"))
            .await;
        fixture
            .done("PUT", "/bucket/f", &[(header, good)], b"abc")
            .await;
        if header != "content-md5" {
            let mode = [("x-amz-checksum-mode", "ENABLED")];
            let got = fixture.done("GET", "/bucket/f", &mode, b"").await;
            assert_eq!(got.header(header), good);
            let plain = fixture.done("GET", "/bucket/f", &[], b"").await;
            assert!(!plain.headers.contains_key(header));
        }
    }
    let short = [("content-md5", "AAAA")];
    fixture
        .refused(put, &short, b"abc", (400, "InvalidDigest"))
        .await;
    let two = [
        ("x-amz-checksum-crc32", "NSRBwg=="),
        ("x-amz-checksum-crc32c", "Nks/tw=="),
    ];
    fixture
        .refused(put, &two, b"abc", (400, "InvalidRequest"))
        .await;
    assert_eq!(
        fixture.body_files().len(),
        1,
        "what is refused leaves nothing"
    );
}

#[tokio::test]
async fn readers_state_what_they_have() {
    let fixture = Fixture::with_bucket().await;
    let put = fixture.done("PUT", "/bucket/f", &[], b"abc").await;
    let tag = put.header("etag").to_owned();
    let (past, now) = (
        "Sun, 01 Mar 2026 11:59:59 GMT",
        "Sun, 01 Mar 2026 12:00:00 GMT",
    );
    for (header, value, status) in [
        ("if-match", tag.as_str(), 200),
        ("if-match", "*", 200),
        ("if-match", "\"other\"", 412),
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", "\"other\"", 200),
        ("if-modified-since", past, 200),
        ("if-modified-since", now, 304),
        ("if-unmodified-since", past, 412),
        ("if-unmodified-since", now, 200),
    ] {
        for method in ["GET", "HEAD"] {
            let got = fixture
                .ask(method, "/bucket/f", &[(header, value)], b"")
                .await;
            assert_eq!(got.status, status, "{method} {header}: {value}");
        }
    }
}

#[tokio::test]
async fn writers_state_what_must_be_there() {
    let fixture = Fixture::with_bucket().await;
    let put = ("PUT", "/bucket/f");
    let (absent, any) = ([("if-none-match", "*")], [("if-match", "*")]);
    fixture.refused(put, &any, b"0", (404, "NoSuchKey")).await;
    let first = fixture.done("PUT", "/bucket/f", &absent, b"1").await;
    fixture
        .refused(put, &absent, b"2", (412, "PreconditionFailed"))
        .await;
    let other = [("if-match", "\"other\"")];
    fixture
        .refused(put, &other, b"3", (412, "PreconditionFailed"))
        .await;
    let same = [("if-match", first.header("etag"))];
    fixture.done("PUT", "/bucket/f", &same, b"4").await;
    assert_eq!(fixture.done("GET", "/bucket/f", &[], b"").await.body, b"4");
    assert_eq!(fixture.body_files().len(), 1, "bodies that lost are gone");
    let delete = ("DELETE", "/bucket/f");
    fixture
        .refused(delete, &other, b"", (412, "PreconditionFailed"))
        .await;
}

#[tokio::test]
async fn of_many_who_want_to_be_first_one_is() {
    let fixture = Fixture::with_bucket().await;
    let puts = (0..12).map(|number| {
        let fixture = &fixture;
        async move {
            let body = [number; 3];
            fixture
                .ask("PUT", "/bucket/f", &[("if-none-match", "*")], &body)
                .await
                .status
        }
    });
    let statuses = futures::future::join_all(puts).await;
    let first: Vec<usize> = (0..12).filter(|at| statuses[*at] == 200).collect();
    assert_eq!(first.len(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 11);
    let number = u8::try_from(first[0]).expect("small");
    assert_eq!(
        fixture.done("GET", "/bucket/f", &[], b"").await.body,
        [number; 3]
    );
}

#[tokio::test]
async fn copies_are_objects_of_their_own() {
    let fixture = Fixture::with_bucket().await;
    let bytes = pattern(150_000);
    let headers = [
        ("x-amz-meta-a", "1"),
        ("content-type", "text/plain"),
        ("x-amz-tagging", "t=1"),
    ];
    let put = fixture.done("PUT", "/bucket/from", &headers, &bytes).await;
    let source = ("x-amz-copy-source", "/bucket/from");
    let copied = fixture.done("PUT", "/bucket/to", &[source], b"").await;
    assert!(
        copied.text().contains("<CopyObjectResult"),
        "{}",
        copied.text()
    );
    let replaced = [
        source,
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-meta-b", "2"),
    ];
    fixture.done("PUT", "/bucket/other", &replaced, b"").await;
    fixture.done("DELETE", "/bucket/from", &[], b"").await;
    let got = fixture.done("GET", "/bucket/to", &[], b"").await;
    assert_eq!(
        (got.body.len(), got.header("etag")),
        (150_000, put.header("etag"))
    );
    assert_eq!(got.body, bytes);
    assert_eq!(got.header("x-amz-meta-a"), "1");
    assert_eq!(got.header("x-amz-tagging-count"), "1");
    let other = fixture.done("GET", "/bucket/other", &[], b"").await;
    assert!(!other.headers.contains_key("x-amz-meta-a") && other.body == bytes);
    assert_eq!(other.header("x-amz-meta-b"), "2");
    let to = ("PUT", "/bucket/to");
    let own = [("x-amz-copy-source", "/bucket/to")];
    fixture
        .refused(to, &own, b"", (400, "InvalidRequest"))
        .await;
    fixture
        .refused(to, &[source], b"", (404, "NoSuchKey"))
        .await;
    let missing = [("x-amz-copy-source", "/nowhere/f")];
    fixture
        .refused(to, &missing, b"", (404, "NoSuchBucket"))
        .await;
}

#[tokio::test]
async fn a_copy_needs_leave_to_read_its_source() {
    let fixture = Fixture::with_bucket().await;
    fixture.done("PUT", "/bucket/from", &[], b"abc").await;
    fixture
        .gatekeeper
        .demands
        .lock()
        .expect("unpoisoned")
        .clear();
    let source = [("x-amz-copy-source", "bucket/from?versionId=null")];
    fixture.done("PUT", "/bucket/to", &source, b"").await;
    let demands = fixture
        .gatekeeper
        .demands
        .lock()
        .expect("unpoisoned")
        .clone();
    let copied = "s3:x-amz-copy-source=bucket/from?versionId=null";
    assert_eq!(
        demands,
        [
            format!("s3:PutObject arn:aws:s3:::bucket/to {copied}"),
            "s3:GetObjectVersion arn:aws:s3:::bucket/from s3:VersionId=null".to_owned(),
        ]
    );
}

#[tokio::test]
async fn many_objects_go_at_once() {
    let fixture = Fixture::with_bucket().await;
    for key in ["a", "b", "c"] {
        fixture
            .done("PUT", &format!("/bucket/{key}"), &[], b"1")
            .await;
    }
    let wanted = "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key></Object>\
                  <Object><Key>never</Key></Object></Delete>";
    let answer = fixture
        .done("POST", "/bucket?delete", &[], wanted.as_bytes())
        .await;
    assert_eq!(answer.between("<Key>", "</Key>"), ["a", "b", "never"]);
    let left = fixture.done("GET", "/bucket?list-type=2", &[], b"").await;
    assert_eq!(left.between("<Key>", "</Key>"), ["c"]);
    assert_eq!(fixture.body_files().len(), 1);
    let bad = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    let post = ("POST", "/bucket?delete");
    fixture
        .refused(post, &bad, wanted.as_bytes(), (400, "BadDigest"))
        .await;
}

// Proves: R20
#[tokio::test]
async fn strangers_learn_nothing_but_the_names_of_buckets() {
    let fixture = Fixture::with_bucket().await;
    fixture.done("PUT", "/bucket/f", &[], b"abc").await;
    let stranger = [("x-test-caller", "stranger")];
    for (method, uri) in [
        ("GET", "/bucket/f"),
        ("GET", "/bucket/none"),
        ("PUT", "/bucket/f"),
        ("DELETE", "/bucket/f"),
        ("GET", "/bucket"),
        ("GET", "/bucket?versions"),
        ("GET", "/bucket?policy"),
        ("PUT", "/bucket/f?uploadId=x&partNumber=1"),
        ("POST", "/bucket/f?uploads"),
        ("DELETE", "/bucket"),
        ("PUT", "/new-bucket"),
        ("GET", "/bucket?uploads"),
        ("GET", "/"),
        ("PUT", "/bucket/f?tagging"),
        ("GET", "/bucket/f?acl"),
    ] {
        let tagging = if uri.ends_with("?tagging") {
            "<Tagging><TagSet></TagSet></Tagging>"
        } else {
            ""
        };
        let answer = fixture
            .send_body(method, uri, &stranger, s3s::Body::from(tagging.to_owned()))
            .await;
        assert_eq!(answer.status, 403, "{method} {uri}: {}", answer.text());
        assert!(!answer.text().contains("abc"));
    }
    let nowhere = fixture.send("GET", "/nowhere/f", &stranger).await;
    assert_eq!(nowhere.status, 404);
    // Who may get but not list does not learn what is not there.
    let getter = [("x-test-caller", "getter")];
    assert_eq!(fixture.send("GET", "/bucket/f", &getter).await.status, 200);
    assert_eq!(
        fixture.send("GET", "/bucket/none", &getter).await.status,
        403
    );
    assert_eq!(
        fixture.send("GET", "/bucket/none", &[READER]).await.status,
        404
    );
    let wanted = b"<Delete><Object><Key>f</Key></Object></Delete>".to_vec();
    let body = s3s::Body::from(wanted);
    let answer = fixture
        .send_body("POST", "/bucket?delete", &stranger, body)
        .await;
    assert!(
        answer.text().contains("<Code>AccessDenied</Code>"),
        "{}",
        answer.text()
    );
    assert_eq!(
        fixture.done("GET", "/bucket/f", &[], b"").await.body,
        b"abc"
    );
}

#[tokio::test]
async fn wishes_that_are_not_granted_are_refused() {
    let fixture = Fixture::with_bucket().await;
    for (header, value, status, code) in [
        (
            "x-amz-object-lock-mode",
            "COMPLIANCE",
            501,
            "NotImplemented",
        ),
        (
            "x-amz-server-side-encryption-customer-algorithm",
            "AES256",
            501,
            "NotImplemented",
        ),
        (
            "x-amz-website-redirect-location",
            "/x",
            501,
            "NotImplemented",
        ),
        (
            "x-amz-grant-read",
            "id=1",
            400,
            "AccessControlListNotSupported",
        ),
        (
            "x-amz-acl",
            "public-read",
            400,
            "AccessControlListNotSupported",
        ),
        ("x-amz-storage-class", "GLACIER", 400, "InvalidStorageClass"),
        (
            "x-amz-server-side-encryption",
            "aws:kms",
            400,
            "KMS.NotFoundException",
        ),
        (
            "x-amz-server-side-encryption",
            "rot13",
            400,
            "InvalidArgument",
        ),
        (
            "x-amz-expected-bucket-owner",
            "999999999999",
            403,
            "AccessDenied",
        ),
        ("if-none-match", "\"tag\"", 501, "NotImplemented"),
    ] {
        let put = ("PUT", "/bucket/f");
        fixture
            .refused(put, &[(header, value)], b"abc", (status, code))
            .await;
    }
    assert!(fixture.body_files().is_empty());
    let acl = [("x-amz-acl", "bucket-owner-full-control")];
    fixture.done("PUT", "/bucket/f", &acl, b"abc").await;
}

#[tokio::test]
async fn what_is_not_implemented_says_so() {
    let fixture = Fixture::with_bucket().await;
    let metadata = "m".repeat(2049);
    let put = ("PUT", "/bucket/f");
    let large = [("x-amz-meta-a", metadata.as_str())];
    fixture
        .refused(put, &large, b"abc", (400, "MetadataTooLarge"))
        .await;
    for (method, uri) in [
        ("PUT", "/bucket?website"),
        ("GET", "/bucket?cors"),
        ("PUT", "/bucket?notification"),
        ("GET", "/bucket/f?attributes"),
        ("GET", "/bucket?lifecycle"),
    ] {
        let answer = fixture.ask(method, uri, &[], b"").await;
        assert!(
            answer.status == 501 || answer.status == 400,
            "{method} {uri}: {}",
            answer.status
        );
    }
    assert!(fixture.body_files().is_empty());
}

#[tokio::test]
async fn bodies_have_a_bound() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("lake")).expect("a fresh folder");
    let limits = crate::Limits {
        body_bytes_max: 1000,
        buckets_max: 1,
    };
    let fixture = Fixture::in_folder(folder, limits).await;
    fixture.done("PUT", "/bucket", &[], b"").await;
    let second = ("PUT", "/bucket2");
    fixture
        .refused(second, &[], b"", (400, "TooManyBuckets"))
        .await;
    fixture.done("PUT", "/bucket/f", &[], &pattern(1000)).await;
    let put = ("PUT", "/bucket/g");
    fixture
        .refused(put, &[], &pattern(1001), (400, "EntityTooLarge"))
        .await;
    assert_eq!(fixture.body_files().len(), 1);
}
