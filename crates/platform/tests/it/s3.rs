//! The S3 client: what it asks of an endpoint, and what it makes of every answer.

pub(crate) mod fake_endpoint;
mod memory;
mod seaweed;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use cairn_platform::{
    BucketPattern, CredentialSource, NewObject, ObjectBody, ObjectEncryption, ObjectPuts as _,
    PutOutcome, S3Client, S3CredentialSource, S3Credentials, S3EndpointConfig, S3Endpoints,
    S3Failure, S3Purpose, S3Timeouts, StoredBytes,
};

use fake_endpoint::{Answer, FakeEndpoint};

fn config(url: &str) -> S3EndpointConfig {
    S3EndpointConfig {
        name: "test".to_owned(),
        buckets: Vec::new(),
        url: Some(url.to_owned()),
        region: "eu-west-1".to_owned(),
        path_style: true,
        credentials: S3CredentialSource::Static(credentials()),
        ca_file: None,
        timeouts: S3Timeouts::default(),
    }
}

pub(crate) fn credentials() -> S3Credentials {
    S3Credentials {
        access_key_id: "AKIATEST".to_owned(),
        secret: "very-secret".to_owned().into(),
        session_token: Some("token".to_owned()),
    }
}

fn object() -> NewObject {
    let body = b"the bytes";
    NewObject {
        bucket: "audit".to_owned(),
        key: "a/b c.json.gz".to_owned(),
        body: ObjectBody::Bytes(Bytes::from_static(body)),
        sha256: digest(&SHA256, body).as_ref().try_into().expect("32 bytes"),
        metadata: vec![("signature".to_owned(), "00ff".to_owned())],
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        gives_owner_full_control: true,
        encryption: None,
        if_none_match: true,
    }
}

fn delivery() -> S3Purpose {
    S3Purpose::Delivery {
        trail_arn: "arn:aws:cloudtrail:eu-west-1:111111111111:trail/t".to_owned(),
        account: "111111111111".to_owned(),
    }
}

async fn put(answer: Answer, object: &NewObject) -> (Result<PutOutcome, S3Failure>, FakeEndpoint) {
    let endpoint = FakeEndpoint::start(vec![answer]).await;
    let client = S3Client::new(config(&endpoint.url)).expect("a client");
    (client.put_new(object, &delivery()).await, endpoint)
}

fn stored() -> Answer {
    Answer::new("200 OK", &["ETag: \"1\""], "")
}

// Proves: R14, REC-257, TRL-142
#[tokio::test]
async fn a_put_says_all_that_is_said_of_the_object() {
    let (outcome, endpoint) = put(stored(), &object()).await;
    assert_eq!(outcome, Ok(PutOutcome::Created));
    let asked = &endpoint.asked()[0];
    assert!(
        asked.line.starts_with("PUT /audit/a/b%20c.json.gz"),
        "{}",
        asked.line
    );
    assert_eq!(asked.body, b"the bytes");
    let checksum = aws_smithy_types::base64::encode(digest(&SHA256, b"the bytes"));
    for (name, value) in [
        ("x-amz-meta-signature", "00ff"),
        ("x-amz-acl", "bucket-owner-full-control"),
        ("if-none-match", "*"),
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("content-length", "9"),
        ("x-amz-security-token", "token"),
        ("x-amz-checksum-sha256", checksum.as_str()),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    assert_eq!(asked.header("x-amz-server-side-encryption"), None);
    let authorization = asked.header("authorization").expect("signed");
    assert!(
        authorization.contains("Credential=AKIATEST/"),
        "{authorization}"
    );
    assert!(
        authorization.contains("/eu-west-1/s3/aws4_request"),
        "{authorization}"
    );
}

// Proves: TRL-142, TRL-143
#[tokio::test]
async fn encryption_is_asked_for_as_the_trail_says() {
    let managed = NewObject {
        encryption: Some(ObjectEncryption::Managed),
        if_none_match: false,
        ..object()
    };
    let (_, endpoint) = put(stored(), &managed).await;
    let asked = &endpoint.asked()[0];
    assert_eq!(asked.header("x-amz-server-side-encryption"), Some("AES256"));
    assert_eq!(asked.header("if-none-match"), None);
    let kms = NewObject {
        encryption: Some(ObjectEncryption::Kms {
            key_id: "arn:aws:kms:eu-west-1:111111111111:key/k".to_owned(),
            context: vec![("aws:cloudtrail:arn".to_owned(), "t".to_owned())],
        }),
        ..object()
    };
    let (_, endpoint) = put(stored(), &kms).await;
    let asked = &endpoint.asked()[0];
    assert_eq!(
        asked.header("x-amz-server-side-encryption"),
        Some("aws:kms")
    );
    let key = asked.header("x-amz-server-side-encryption-aws-kms-key-id");
    assert_eq!(key, Some("arn:aws:kms:eu-west-1:111111111111:key/k"));
    let context = aws_smithy_types::base64::encode("{\"aws:cloudtrail:arn\":\"t\"}");
    let sent = asked.header("x-amz-server-side-encryption-context");
    assert_eq!(sent, Some(context.as_str()));
}

// Proves: SEC-307
#[tokio::test]
async fn an_endpoint_that_does_not_use_the_key_has_failed() {
    let kms = NewObject {
        encryption: Some(ObjectEncryption::Kms {
            key_id: "alias/k".to_owned(),
            context: Vec::new(),
        }),
        ..object()
    };
    let with = |algorithm: &str| {
        let header = format!("x-amz-server-side-encryption: {algorithm}");
        Answer::new("200 OK", &[&header], "")
    };
    let (outcome, _) = put(with("aws:kms"), &kms).await;
    assert_eq!(outcome, Ok(PutOutcome::Created));
    for answer in [stored(), with("AES256")] {
        let (outcome, _) = put(answer, &kms).await;
        let failure = outcome.expect_err("it is stored, but not sealed");
        assert_eq!(failure.code, S3Failure::NOT_ENCRYPTED);
    }
}

// Proves: SEC-307
#[tokio::test]
async fn an_endpoint_that_uses_another_key_has_failed() {
    const ID: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "99999999-2222-3333-4444-555555555555";
    let arn = |id: &str| format!("arn:aws:kms:eu-west-1:111111111111:key/{id}");
    let foreign = format!("arn:aws:kms:eu-west-1:999999999999:key/{ID}");
    for (wanted, told, is_good) in [
        (arn(ID), arn(ID), true),
        (arn(ID), ID.to_owned(), true),
        (ID.to_owned(), arn(ID), true),
        ("alias/k".to_owned(), arn(OTHER), true),
        (arn(ID), arn(OTHER), false),
        (arn(ID), OTHER.to_owned(), false),
        (ID.to_owned(), arn(OTHER), false),
        (arn(ID), foreign, false),
    ] {
        let kms = NewObject {
            encryption: Some(ObjectEncryption::Kms {
                key_id: wanted.clone(),
                context: Vec::new(),
            }),
            ..object()
        };
        let algorithm = "x-amz-server-side-encryption: aws:kms";
        let key = format!("x-amz-server-side-encryption-aws-kms-key-id: {told}");
        let answer = Answer::new("200 OK", &[algorithm, &key], "");
        let (outcome, _) = put(answer, &kms).await;
        let failure = outcome.err().map(|failure| failure.code);
        let expected = (!is_good).then(|| S3Failure::NOT_ENCRYPTED.to_owned());
        assert_eq!(failure, expected, "{wanted} {told}");
    }
}

// Proves: R14
#[tokio::test]
async fn an_answer_that_names_another_checksum_is_no_success() {
    let other = aws_smithy_types::base64::encode([7; 32]);
    let header = format!("x-amz-checksum-sha256: {other}");
    let (outcome, _) = put(Answer::new("200 OK", &[&header], ""), &object()).await;
    let failure = outcome.expect_err("something else was stored");
    assert_eq!(failure.code, S3Failure::INVALID_ANSWER);
    let sent = aws_smithy_types::base64::encode(object().sha256);
    let header = format!("x-amz-checksum-sha256: {sent}");
    let (outcome, _) = put(Answer::new("200 OK", &[&header], ""), &object()).await;
    assert_eq!(outcome, Ok(PutOutcome::Created));
}

// Proves: R14
#[tokio::test]
async fn what_lies_under_a_key_is_compared_where_it_may_be_read() {
    for (answer, expected) in [
        (Answer::new("200 OK", &[], "the bytes"), StoredBytes::Same),
        (
            Answer::new("200 OK", &[], "other bytes"),
            StoredBytes::Other,
        ),
        (
            Answer::error("403 Forbidden", "AccessDenied"),
            StoredBytes::Unreadable,
        ),
    ] {
        let endpoint = FakeEndpoint::start(vec![answer]).await;
        let configured = S3EndpointConfig {
            buckets: vec![BucketPattern::new("*")],
            ..config(&endpoint.url)
        };
        let endpoints = S3Endpoints::new(vec![configured], config(&endpoint.url));
        let endpoints = endpoints.expect("clients");
        assert_eq!(endpoints.compare(&object(), &delivery()).await, expected);
    }
    // The embedded endpoint is not asked.
    let endpoint = FakeEndpoint::start(vec![Answer::new("200 OK", &[], "the bytes")]).await;
    let endpoints = S3Endpoints::new(Vec::new(), config(&endpoint.url)).expect("clients");
    let found = endpoints.compare(&object(), &delivery()).await;
    assert_eq!(found, StoredBytes::Unreadable);
    assert!(endpoint.asked().is_empty());
}

// Proves: R14
#[tokio::test]
async fn a_key_that_is_taken_means_delivered_before_and_a_conflict_does_not() {
    let taken = || Answer::error("412 Precondition Failed", "PreconditionFailed");
    let (outcome, _) = put(taken(), &object()).await;
    assert_eq!(outcome, Ok(PutOutcome::AlreadyThere));
    let unconditional = NewObject {
        if_none_match: false,
        ..object()
    };
    let (outcome, _) = put(taken(), &unconditional).await;
    assert_eq!(
        outcome.expect_err("no condition, no success").code,
        "PreconditionFailed"
    );
    let (outcome, _) = put(
        Answer::error("409 Conflict", "ConditionalRequestConflict"),
        &object(),
    )
    .await;
    assert_eq!(
        outcome.expect_err("under way").code,
        "ConditionalRequestConflict"
    );
}

// Proves: R15
#[tokio::test]
async fn each_failure_has_its_code_and_is_tried_once() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    for (answer, code, status) in [
        (
            Answer::error("403 Forbidden", "AccessDenied"),
            "AccessDenied",
            Some(403),
        ),
        (
            Answer::error("404 Not Found", "NoSuchBucket"),
            "NoSuchBucket",
            Some(404),
        ),
        (
            Answer::error("503 Slow Down", "SlowDown"),
            "SlowDown",
            Some(503),
        ),
        (
            Answer::error("500 Oops", "InternalError"),
            "InternalError",
            Some(500),
        ),
        (
            Answer::error("200 OK", "InternalError"),
            "InternalError",
            Some(200),
        ),
        (
            Answer::new("502 Bad Gateway", &[], "<html>"),
            "InternalError",
            Some(502),
        ),
        (
            Answer::Raw(cut.to_owned()),
            S3Failure::INVALID_ANSWER,
            Some(200),
        ),
        (Answer::Raw(String::new()), S3Failure::CONNECTION, None),
    ] {
        let label = format!("{answer:?}");
        let (outcome, endpoint) = put(answer, &object()).await;
        let failure = outcome.expect_err("not stored");
        assert_eq!(
            (failure.code.as_str(), failure.http_status),
            (code, status),
            "{label}: {failure}"
        );
        assert!(!failure.is_timeout, "{label}");
        assert_eq!(endpoint.asked().len(), 1, "{label}");
    }
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_closed_port_is_not() {
    let endpoint = FakeEndpoint::start(vec![Answer::Silence, Answer::Silence]).await;
    for timeouts in [
        S3Timeouts {
            read: Duration::from_millis(50),
            ..S3Timeouts::default()
        },
        S3Timeouts {
            operation: Duration::from_millis(50),
            ..S3Timeouts::default()
        },
    ] {
        let config = S3EndpointConfig {
            timeouts,
            ..config(&endpoint.url)
        };
        let client = S3Client::new(config).expect("a client");
        let failure = client
            .put_new(&object(), &delivery())
            .await
            .expect_err("silence");
        assert!(
            failure.is_timeout && failure.code == S3Failure::TIMEOUT,
            "{failure}"
        );
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", closed.local_addr().expect("bound"));
    drop(closed);
    let client = S3Client::new(config(&url)).expect("a client");
    let failure = client
        .put_new(&object(), &delivery())
        .await
        .expect_err("nobody there");
    assert_eq!(
        (failure.code.as_str(), failure.is_timeout),
        (S3Failure::CONNECTION, false)
    );
}

// Proves: R22, H5
#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = FakeEndpoint::start(vec![stored()]).await;
    for status in [
        "301 Moved Permanently",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let location = format!("Location: {}/audit/key", elsewhere.url);
        let (outcome, _) = put(Answer::new(status, &[&location], ""), &object()).await;
        assert_eq!(outcome.expect_err("not stored").code, "PermanentRedirect");
    }
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.asked());
}

// Proves: R14, R16
#[tokio::test]
async fn bytes_that_were_not_recorded_are_not_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spooled");
    let of_file = |length| NewObject {
        body: ObjectBody::File {
            path: path.clone(),
            length,
        },
        ..object()
    };
    std::fs::write(&path, b"the bytes").expect("a file");
    let (outcome, endpoint) = put(stored(), &of_file(9)).await;
    assert_eq!(outcome, Ok(PutOutcome::Created));
    assert_eq!(endpoint.asked()[0].body, b"the bytes");
    let refused = async |object: NewObject| {
        let (outcome, endpoint) = put(stored(), &object).await;
        assert_eq!(
            outcome.expect_err("not sent").code,
            S3Failure::INVALID_REQUEST
        );
        assert!(endpoint.asked().is_empty());
    };
    refused(of_file(8)).await;
    std::fs::write(&path, b"The bytes").expect("a file");
    refused(of_file(9)).await;
    std::fs::remove_file(&path).expect("it was there");
    refused(of_file(9)).await;
    refused(NewObject {
        sha256: [0; 32],
        ..object()
    })
    .await;
}

#[tokio::test]
async fn objects_and_listings_are_read() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>p/1</Key><Size>3</Size>\
                </Contents><Contents><Key>p/2 &amp; 3</Key><Size>4</Size></Contents></ListBucketResult>";
    let wrapped = "<CreateBucketConfiguration><LocationConstraint></LocationConstraint>\
                   </CreateBucketConfiguration>";
    let location = "<LocationConstraint>eu-central-1</LocationConstraint>";
    let endpoint = FakeEndpoint::start(vec![
        Answer::new("200 OK", &["x-amz-meta-Signature: 00ff"], "contents"),
        Answer::error("404 Not Found", "NoSuchKey"),
        Answer::new("200 OK", &[], page),
        Answer::new("200 OK", &[], location),
        Answer::new("200 OK", &[], "<LocationConstraint/>"),
        Answer::new("200 OK", &[], wrapped),
        Answer::new("200 OK", &[], "<Other/>"),
        Answer::Raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned()),
        Answer::new("200 OK", &[], "too long"),
    ])
    .await;
    let client = S3Client::new(config(&endpoint.url)).expect("a client");
    let purpose = S3Purpose::Command;
    let found = client.get("audit", "k", &purpose).await.expect("found");
    assert_eq!(found.head.metadata["signature"], "00ff");
    assert_eq!(found.head.length, 8);
    assert_eq!(
        found.read_all(8).await.as_deref(),
        Ok(b"contents".as_slice())
    );
    let missing = client
        .get("audit", "k", &purpose)
        .await
        .expect_err("missing");
    assert!(missing.is_no_such_key(), "{missing}");
    let page = client
        .list("audit", "p/", Some("p/0"), &purpose)
        .await
        .expect("a page");
    let keys: Vec<&str> = page
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    assert_eq!(keys, ["p/1", "p/2 & 3"]);
    assert_eq!(page.next_marker.as_deref(), Some("p/2 & 3"));
    let line = &endpoint.asked()[2].line;
    assert!(
        line.contains("marker=p%2F0") && line.contains("prefix=p%2F"),
        "{line}"
    );
    let region = client.bucket_location("audit", &purpose).await;
    assert_eq!(region.as_deref(), Ok("eu-central-1"));
    let region = client.bucket_location("audit", &purpose).await;
    assert_eq!(region.as_deref(), Ok("us-east-1"));
    let region = client.bucket_location("audit", &purpose).await;
    assert_eq!(region.as_deref(), Ok("us-east-1"));
    let other = client.bucket_location("audit", &purpose).await;
    other.expect_err("no location");
    let cut = client.get("audit", "k", &purpose).await.expect("begins");
    assert_eq!(
        cut.read_all(1_000).await.expect_err("cut").code,
        S3Failure::CONNECTION
    );
    let long = client.get("audit", "k", &purpose).await.expect("begins");
    assert_eq!(
        long.read_all(7).await.expect_err("long").code,
        S3Failure::INVALID_ANSWER
    );
}

#[derive(Debug, Default)]
struct Sessions {
    asked: Mutex<Vec<S3Purpose>>,
}

#[async_trait]
impl CredentialSource for Sessions {
    async fn credentials(&self, purpose: &S3Purpose) -> Result<S3Credentials, S3Failure> {
        let mut asked = self.asked.lock().expect("no panic");
        asked.push(purpose.clone());
        Ok(S3Credentials {
            access_key_id: format!("ASIA{}", asked.len()),
            ..credentials()
        })
    }
}

#[tokio::test]
async fn each_request_has_credentials_of_its_purpose() {
    let sessions = Arc::new(Sessions::default());
    let endpoint = FakeEndpoint::start(vec![stored(), stored()]).await;
    let config = S3EndpointConfig {
        credentials: S3CredentialSource::Dynamic(Arc::<Sessions>::clone(&sessions)),
        ..config(&endpoint.url)
    };
    let client = S3Client::new(config).expect("a client");
    for _ in 0..2 {
        client
            .put_new(&object(), &delivery())
            .await
            .expect("stored");
    }
    assert_eq!(
        *sessions.asked.lock().expect("no panic"),
        [delivery(), delivery()]
    );
    let keys: Vec<bool> = (endpoint.asked().iter().enumerate())
        .map(|(index, asked)| {
            let authorization = asked.header("authorization").expect("signed");
            authorization.contains(&format!("Credential=ASIA{}/", index + 1))
        })
        .collect();
    assert_eq!(keys, [true, true]);
}

#[tokio::test]
async fn a_bucket_belongs_to_the_first_endpoint_whose_pattern_matches() {
    let (first, second) = (
        FakeEndpoint::start(vec![stored()]).await,
        FakeEndpoint::start(vec![stored()]).await,
    );
    let embedded = FakeEndpoint::start(vec![stored()]).await;
    let with = |endpoint: &FakeEndpoint, name: &str, pattern: &str| S3EndpointConfig {
        name: name.to_owned(),
        buckets: vec![BucketPattern::new(pattern)],
        ..config(&endpoint.url)
    };
    let endpoints = S3Endpoints::new(
        vec![
            with(&first, "first", "audit-*"),
            with(&second, "second", "a*"),
        ],
        with(&embedded, "embedded", ""),
    )
    .expect("clients");
    for (bucket, name, is_embedded) in [
        ("audit-1", "first", false),
        ("archive", "second", false),
        ("logs", "embedded", true),
    ] {
        assert_eq!(endpoints.of_bucket(bucket).name(), name);
        assert_eq!(endpoints.is_embedded(bucket), is_embedded, "{bucket}");
        let object = NewObject {
            bucket: bucket.to_owned(),
            ..object()
        };
        assert_eq!(
            endpoints.put_new(&object, &delivery()).await,
            Ok(PutOutcome::Created)
        );
    }
    for (endpoint, bucket) in [(first, "audit-1"), (second, "archive"), (embedded, "logs")] {
        assert!(
            endpoint.asked()[0]
                .line
                .starts_with(&format!("PUT /{bucket}/"))
        );
    }
}

// Proves: R23
#[tokio::test]
async fn no_secret_shows_and_an_unusable_certificate_file_is_named() {
    let client = S3Client::new(config("http://127.0.0.1:1")).expect("a client");
    let shown = format!("{client:?} {:?}", config("http://127.0.0.1:1"));
    assert!(!shown.contains("very-secret"), "{shown}");
    for file in ["/nonexistent/ca.pem", "/etc/hostname"] {
        let config = S3EndpointConfig {
            ca_file: Some(file.into()),
            ..config("https://127.0.0.1:1")
        };
        let failure = S3Client::new(config).expect_err("no certificate");
        assert!(failure.message.contains(file), "{failure}");
    }
}
