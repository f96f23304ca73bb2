//! Uploads to the S3 endpoint whose bodies are wrong, slow or cut off, and those of other accounts and of
//! services.

use cairn_access::SecretKey;
use cairn_access::sigv4::{self, RequestParts, ServiceRules, SigningRequest, sha256_hex, sign};
use cairn_platform::{Clock, MasterKey, SystemClock, SystemEntropy};
use cairn_server::sts::{ServiceSession, ServiceSource, service_credentials};
use cairn_testkit::{Answer, Credentials, SignedClient, TestApp, TestAppBuilder};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::raw_http::exchange;
use crate::sessions::{OTHER, allow, done, tag, user};

const PATH: &str = "/the-logs/AWSLogs/x";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
/// "hello" with its CRC32.
const CHUNKS: &str = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main";

/// A server with a bucket, and a client of the owner's administrator.
async fn start(builder: TestAppBuilder) -> (TestApp, SignedClient) {
    let app = builder.start().await;
    let client = app.bucket_client_of(app.client().credentials);
    assert_eq!(client.s3("PUT", "/the-logs", &[]).await.status, 200);
    (app, client)
}

fn outcome(answer: &Answer) -> (u16, String) {
    (answer.status, tag(answer, "Code"))
}

async fn put_policy(
    owner: &SignedClient,
    principal: serde_json::Value,
    condition: serde_json::Value,
) {
    let policy = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": principal, "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::the-logs/AWSLogs/*", "Condition": condition,
    }});
    let policy = policy.to_string();
    let hash = sha256_hex(policy.as_bytes());
    let body = (hash.as_str(), policy.as_bytes());
    let answer = owner.s3_upload("/the-logs?policy", &[], body).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// The head of an upload as the administrator signs it, for tests that write the body themselves.
fn head(app: &TestApp, payload: &str, headers: &[(&str, &str)], unsigned: &str) -> String {
    let credentials = app.client().credentials;
    let secret = SecretKey::new(credentials.secret.clone());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| pair(name, value))
        .collect();
    headers.push(pair("host", &app.bucket_address().to_string()));
    let signing = SigningRequest {
        request: RequestParts {
            method: "PUT",
            path: PATH,
            query: "",
            headers: &headers,
            now_ms: SystemClock::new().now_ms(),
        },
        payload_hash: payload,
        region: "us-east-1",
        service: "s3",
        rules: ServiceRules::S3,
    };
    let signer = sigv4::Credentials {
        access_key_id: &credentials.access_key_id,
        secret: &secret,
        security_token: None,
    };
    let added = sign(&signing, &signer).expect("signs");
    let mut written = String::new();
    for (name, value) in headers.iter().chain(&added) {
        written.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    format!("PUT {PATH} HTTP/1.1\r\n{written}{unsigned}\r\n\r\n")
}

// Proves: A2
#[tokio::test]
async fn a_body_that_is_not_what_was_signed_becomes_no_object() {
    let (app, client) = start(TestAppBuilder::default()).await;
    let right = sha256_hex(b"hello");
    let answer = client.s3_upload(PATH, &[], (&right, b"hellO")).await;
    let mismatch = (400, "XAmzContentSHA256Mismatch".to_owned());
    assert_eq!(outcome(&answer), mismatch);
    let chunked = |length| {
        [
            ("x-amz-decoded-content-length", length),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("content-encoding", "aws-chunked"),
        ]
    };
    let damaged = CHUNKS.replace("hello", "hellO");
    let cut = &CHUNKS[..CHUNKS.len() - 4];
    let wrong_trailer = CHUNKS.replace("crc32:", "crc32c:");
    for (length, body, code) in [
        ("5", damaged.as_str(), "BadDigest"),
        ("5", cut, "IncompleteBody"),
        ("6", CHUNKS, "IncompleteBody"),
        ("5", &wrong_trailer, "MalformedTrailerError"),
    ] {
        let body = (UNSIGNED_TRAILER, body.as_bytes());
        let answer = client.s3_upload(PATH, &chunked(length), body).await;
        assert_eq!(outcome(&answer), (400, code.to_owned()), "{length}");
    }
    assert_eq!(client.s3("GET", PATH, &[]).await.status, 404);
    let body = (UNSIGNED_TRAILER, CHUNKS.as_bytes());
    let answer = client.s3_upload(PATH, &chunked("5"), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = client.s3("GET", PATH, &[]).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    assert_eq!(answer.header("content-encoding"), None);
    let metrics = app.client().unsigned("GET", "/metrics").await.text();
    assert!(metrics.contains("cairn_s3_received_bytes_total"));
    app.stop().await;
}

#[tokio::test]
async fn an_upload_in_chunks_of_http_is_stored_and_its_connection_closed() {
    let (app, client) = start(TestAppBuilder::default()).await;
    let announced = [
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    let head = head(
        &app,
        UNSIGNED_TRAILER,
        &announced,
        "transfer-encoding: chunked",
    );
    let length = CHUNKS.len();
    let request = format!("{head}{length:x}\r\n{CHUNKS}\r\n0\r\n\r\n");
    let answer = exchange(app.bucket_address(), request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(client.s3("GET", PATH, &[]).await.text(), "hello");
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn a_client_that_stops_sending_fails_its_upload_alone() {
    let builder = TestAppBuilder::default().with("http.body_read_timeout", "1s");
    let (app, client) = start(builder).await;
    let head = head(&app, &sha256_hex(b"hello"), &[], "content-length: 5");
    let mut slow = TcpStream::connect(app.bucket_address())
        .await
        .expect("connects");
    slow.write_all(format!("{head}he").as_bytes())
        .await
        .expect("is sent");
    let mut answer = String::new();
    slow.read_to_string(&mut answer)
        .await
        .expect("an answer and an end");
    assert!(answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
    assert_eq!(client.s3("GET", PATH, &[]).await.status, 404);
    let mut gone = TcpStream::connect(app.bucket_address())
        .await
        .expect("connects");
    gone.write_all(format!("{head}hell").as_bytes())
        .await
        .expect("is sent");
    drop(gone);
    app.eventually("the attempt is counted", async || {
        let metrics = app.client().unsigned("GET", "/metrics").await.text();
        metrics.contains("operation=\"PutObject\",code=\"IncompleteBody\"} 1")
    })
    .await;
    assert_eq!(client.s3("GET", PATH, &[]).await.status, 404);
    app.stop().await;
}

// Proves: SEC-102, R20
#[tokio::test]
async fn another_account_writes_where_the_buckets_policy_and_its_own_allow_it() {
    let (app, owner) = start(TestAppBuilder::default()).await;
    let create = [("Action", "CreateAccount"), ("AccountId", OTHER)];
    let made = done(&app.client(), "cairn", &create).await;
    let theirs = Credentials::new(&tag(&made, "AccessKeyId"), &tag(&made, "SecretAccessKey"));
    let stranger = app.bucket_client_of(theirs);
    let hash = sha256_hex(b"hello");
    let body = (hash.as_str(), b"hello".as_slice());
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(outcome(&stranger.s3_upload(PATH, &[], body).await), denied);
    put_policy(&owner, json!({"AWS": OTHER}), json!({})).await;
    assert_eq!(stranger.s3_upload(PATH, &[], body).await.status, 200);
    assert_eq!(outcome(&stranger.s3("GET", PATH, &[]).await), denied);
    let outside = stranger.s3_upload("/the-logs/other", &[], body).await;
    assert_eq!(outcome(&outside), denied);
    let mary = user(&app, "Mary", &allow("s3:ListAllMyBuckets")).await;
    let mary = app.bucket_client_of(mary.credentials);
    assert_eq!(outcome(&mary.s3_upload(PATH, &[], body).await), denied);
    assert_eq!(owner.s3("GET", PATH, &[]).await.text(), "hello");
    app.stop().await;
}

// Proves: SEC-204, SEC-207, SEC-210, R20
#[tokio::test]
async fn a_trails_service_writes_where_the_buckets_policy_lets_it() {
    let (app, owner) = start(TestAppBuilder::default()).await;
    let key = MasterKey::from_hex(&app.read("master.key")).expect("the server's key");
    let service = |arn: &str| {
        let session = ServiceSession {
            name: "cloudtrail.amazonaws.com".to_owned(),
            source: ServiceSource {
                arn: arn.to_owned(),
                account: "123456789012".parse().expect("an account"),
            },
            expires_ms: SystemClock::new().now_ms() + 60_000,
        };
        let made = service_credentials(&key, &SystemEntropy::new(), &session);
        Credentials {
            access_key_id: made.access_key_id,
            secret: made.secret.expose().to_owned(),
            token: Some(made.session_token),
        }
    };
    let trail = app.bucket_client_of(service(TRAIL));
    let hash = sha256_hex(b"hello");
    let body = (hash.as_str(), b"hello".as_slice());
    let acl = [("x-amz-acl", "bucket-owner-full-control")];
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(outcome(&trail.s3_upload(PATH, &acl, body).await), denied);
    let principal = json!({"Service": "cloudtrail.amazonaws.com"});
    let condition = json!({"StringEquals": {
        "aws:SourceArn": TRAIL, "s3:x-amz-acl": "bucket-owner-full-control",
    }});
    put_policy(&owner, principal, condition).await;
    let answer = trail.s3_upload(PATH, &acl, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(outcome(&trail.s3_upload(PATH, &[], body).await), denied);
    let evil = app.bucket_client_of(service(&TRAIL.replace("main", "evil")));
    assert_eq!(outcome(&evil.s3_upload(PATH, &acl, body).await), denied);
    assert_eq!(outcome(&trail.s3("GET", PATH, &[]).await), denied);
    let api = app
        .client_of(service(TRAIL))
        .lookup(("EventName", "x"))
        .await;
    assert_eq!(api.error(), "UnrecognizedClientException");
    app.stop().await;
}
