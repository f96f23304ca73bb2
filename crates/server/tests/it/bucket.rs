//! The S3 endpoint: what its requests leave in the log and in history, what policies know of them, and
//! how many a principal may send.

use std::path::Path;
use std::sync::Arc;

use cairn_eventlog::{EventLog, SegmentedLog, SegmentedLogConfig};
use cairn_model::PartitionId;
use cairn_platform::{RealDisk, SystemClock};
use cairn_testkit::{Answer, Credentials, SignedClient, TestApp, TestAppBuilder, management_event};
use serde_json::{Value, json};

use crate::sessions::{OTHER, allow, done, tag, user};

const OBJECT: &str = "event-history/metadata/f.json";
const PATH: &str = "/cairn-lake/event-history/metadata/f.json";

/// A server with one known object in its lake.
async fn start(builder: TestAppBuilder) -> TestApp {
    let app = builder.start().await;
    let file = app.data_dir().join("lake").join(OBJECT);
    std::fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("folders");
    std::fs::write(file, b"0123456789").expect("a file");
    app
}

fn reader(app: &TestApp) -> SignedClient {
    app.bucket_client_of(app.client().credentials)
}

/// A client of the S3 endpoint for a new user with a policy.
async fn reader_with(app: &TestApp, name: &str, policy: &Value) -> SignedClient {
    let user = user(app, name, policy).await;
    app.bucket_client_of(user.credentials)
}

/// Ends the server and reads S3's events of one name from the log, oldest first.
async fn logged(app: TestApp, name: &str) -> Vec<Value> {
    let directory = app.data_dir().join("log");
    // The folder outlives the server.
    let copy = tempfile::tempdir().expect("a temporary folder");
    app.restart_after(async |_| copy_files(&directory, copy.path()))
        .await
        .stop()
        .await;
    let config = SegmentedLogConfig {
        directory: copy.path().to_owned(),
        reserve_bytes: 0,
        free_bytes_min: 0,
        ..SegmentedLogConfig::default()
    };
    let clock = Arc::new(SystemClock::new());
    let log = SegmentedLog::open(config, Arc::new(RealDisk), clock).expect("the log opens");
    let partition = PartitionId(0);
    let (mut next, mut events) = (log.start(partition), Vec::new());
    while next < log.durable_end(partition) {
        let records = log.read(partition, next, 1 << 20).await.expect("a read");
        next = records.last().expect("a record").sequence.plus(1);
        let bodies = records.iter().map(|record| &record.record.body);
        events.extend(bodies.map(|body| serde_json::from_slice(body).expect("records are JSON")));
    }
    log.close().await;
    events.retain(|event: &Value| {
        event["eventSource"] == "s3.amazonaws.com" && event["eventName"] == name
    });
    events
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

fn code(answer: &Answer) -> String {
    tag(answer, "Code")
}

// Proves: SEC-011, REC-023, REC-025, REC-026, REC-034, SEL-022
#[tokio::test]
async fn a_read_is_a_data_event_as_s3_writes_it() {
    let app = start(TestAppBuilder::default()).await;
    let bucket = reader(&app);
    let range = [("range", "bytes=2-5"), ("user-agent", "reader/1.0")];
    let answer = bucket
        .s3("GET", &format!("{PATH}?x-id=GetObject"), &range)
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (206, "2345"));
    let (host, key_id) = (app.bucket_address(), bucket.credentials.access_key_id);
    let events = logged(app, "GetObject").await;
    let [event] = events.as_slice() else {
        panic!("one read is one event: {events:?}");
    };
    let mut event = event.clone();
    let identity = event["userIdentity"].take();
    assert_eq!(identity["userName"], "admin");
    assert_eq!(identity["accessKeyId"], key_id);
    let header = |name: &str| answer.header(name).expect("it is sent").to_owned();
    let expected = json!({
        "eventVersion": "1.11",
        "userIdentity": null,
        "eventTime": event["eventTime"],
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "[reader/1.0]",
        "requestParameters": {
            "x-id": "GetObject",
            "bucketName": "cairn-lake",
            "Host": host.to_string(),
            "key": OBJECT,
        },
        "responseElements": null,
        "additionalEventData": {
            "SignatureVersion": "SigV4",
            "bytesTransferredIn": 0,
            "AuthenticationMethod": "AuthHeader",
            "x-amz-id-2": header("x-amz-id-2"),
            "bytesTransferredOut": 4,
        },
        "requestID": header("x-amz-request-id"),
        "eventID": event["eventID"],
        "readOnly": true,
        "resources": [
            {"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::cairn-lake/{OBJECT}")},
            {
                "accountId": "123456789012",
                "type": "AWS::S3::Bucket",
                "ARN": "arn:aws:s3:::cairn-lake",
            },
        ],
        "eventType": "AwsApiCall",
        "managementEvent": false,
        "recipientAccountId": "123456789012",
        "eventCategory": "Data",
    });
    let written = |value: &Value| serde_json::to_string_pretty(value).expect("it is JSON");
    assert_eq!(written(&event), written(&expected));
}

// Proves: SEL-022, OVR-018
#[tokio::test]
async fn listings_are_data_events_and_questions_about_the_bucket_are_management_events() {
    let app = start(TestAppBuilder::default()).await;
    let bucket = reader(&app);
    let listed = bucket
        .s3("GET", "/cairn-lake?list-type=2&prefix=event%2Fx", &[])
        .await;
    assert_eq!(listed.status, 200);
    assert_eq!(
        bucket.s3("GET", "/cairn-lake?location", &[]).await.status,
        200
    );
    let buckets = bucket.s3("GET", "/", &[]).await;
    assert!(buckets.text().contains("<Name>cairn-lake</Name>"));
    for name in ["GetBucketLocation", "ListBuckets"] {
        let found = &app.lookup_until(("EventName", name), 1).await[0];
        assert_eq!(found["eventSource"], "s3.amazonaws.com");
        assert_eq!(found["managementEvent"], true);
        assert_eq!(found["readOnly"], true);
    }
    let answer = app.client().lookup(("EventName", "ListObjects")).await;
    let none: &[Value] = &[];
    assert_eq!(answer.json()["Events"], json!(none));
    let event = &logged(app, "ListObjects").await[0];
    let parameters = &event["requestParameters"];
    assert_eq!(parameters["list-type"], "2");
    assert_eq!(parameters["prefix"], "event/x");
    assert_eq!(
        event["resources"][0],
        json!({"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::cairn-lake/"})
    );
    assert_eq!(event["managementEvent"], false);
}

// Proves: SEC-027, SEC-102, R20
#[tokio::test]
async fn a_refused_read_and_an_attempted_write_stay_in_the_owners_history() {
    let app = start(TestAppBuilder::default()).await;
    let mary = reader_with(&app, "Mary", &allow("s3:ListBucket")).await;
    assert_eq!(mary.s3("GET", "/cairn-lake", &[]).await.status, 200);
    let answer = mary.s3("GET", PATH, &[]).await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (403, "AccessDenied")
    );
    let answer = mary.s3("DELETE", PATH, &[]).await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (405, "MethodNotAllowed")
    );
    let told = app
        .lookup_until(("EventName", "LakeAccessRefused"), 2)
        .await;
    let details: Vec<&Value> = told
        .iter()
        .map(|event| &event["serviceEventDetails"])
        .collect();
    let of = |operation: &str| {
        let found = details.iter().find(|told| told["operation"] == operation);
        *found.unwrap_or_else(|| panic!("{operation} is not in {details:?}"))
    };
    assert_eq!(of("GetObject")["reason"], "AccessDenied");
    assert_eq!(of("DeleteObject")["reason"], "MethodNotAllowed");
    for told in &details {
        assert_eq!(told["principalArn"], "arn:aws:iam::123456789012:user/Mary");
        assert_eq!(told["sourceIPAddress"], "127.0.0.1");
        assert_eq!(told["key"], OBJECT);
    }
    let read = &logged(app, "GetObject").await[0];
    assert_eq!(read["errorCode"], "AccessDenied");
    let message = read["errorMessage"].as_str().expect("a text");
    assert!(message.contains("s3:GetObject"), "{message}");
    assert_eq!(of("GetObject")["requestID"], read["requestID"]);
}

// Proves: SEL-134, REC-062, REC-063, REC-064, REC-065
#[tokio::test]
async fn another_accounts_attempt_is_recorded_in_both_accounts() {
    let app = start(TestAppBuilder::default()).await;
    let create = [("Action", "CreateAccount"), ("AccountId", OTHER)];
    let made = done(&app.client(), "cairn", &create).await;
    let owner = Credentials::new(&tag(&made, "AccessKeyId"), &tag(&made, "SecretAccessKey"));
    let stranger = app.bucket_client_of(owner);
    assert_eq!(stranger.s3("GET", PATH, &[]).await.status, 403);
    let copies = logged(app, "GetObject").await;
    let [theirs, ours] = copies.as_slice() else {
        panic!("one copy for each account: {copies:?}");
    };
    assert_eq!(theirs["recipientAccountId"], OTHER);
    assert_eq!(ours["recipientAccountId"], "123456789012");
    assert_eq!(theirs["sharedEventID"], ours["sharedEventID"]);
    assert!(theirs["sharedEventID"].is_string());
    assert_eq!(ours["userIdentity"]["type"], "AWSAccount");
    assert_eq!(ours["userIdentity"]["accountId"], OTHER);
}

// Proves: SEC-103
#[tokio::test]
async fn policies_see_address_transport_and_prefix() {
    let app = start(TestAppBuilder::default().with("http.trusted_proxies", "127.0.0.1")).await;
    let when = |condition: Value| {
        let statement = json!({
            "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition,
        });
        json!({"Version": "2012-10-17", "Statement": [statement]})
    };
    let office = when(json!({"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}));
    let office = reader_with(&app, "office", &office).await;
    let from = |address| [("x-forwarded-for", address)];
    assert_eq!(
        office.s3("GET", PATH, &from("198.51.100.7")).await.status,
        200
    );
    assert_eq!(
        office.s3("GET", PATH, &from("203.0.113.7")).await.status,
        403
    );
    assert_eq!(office.s3("GET", PATH, &[]).await.status, 403);

    let secure = when(json!({"Bool": {"aws:SecureTransport": "true"}}));
    let secure = reader_with(&app, "secure", &secure).await;
    assert_eq!(secure.s3("GET", PATH, &[]).await.status, 403);
    let plain = when(json!({"Bool": {"aws:SecureTransport": "false"}}));
    let plain = reader_with(&app, "plain", &plain).await;
    assert_eq!(plain.s3("GET", PATH, &[]).await.status, 200);

    let prefix = when(json!({"StringLike": {"s3:prefix": "event-history/*"}}));
    let prefix = reader_with(&app, "prefix", &prefix).await;
    let list = |prefix: &str| format!("/cairn-lake?list-type=2&prefix={prefix}");
    let inside = list("event-history%2Fmetadata");
    assert_eq!(prefix.s3("GET", &inside, &[]).await.status, 200);
    assert_eq!(prefix.s3("GET", &list("insights"), &[]).await.status, 403);
    assert_eq!(prefix.s3("GET", "/cairn-lake", &[]).await.status, 403);
    // What a listing asks for means nothing where nothing is listed.
    let disguised = format!("{PATH}?prefix=event-history%2Fmetadata");
    assert_eq!(prefix.s3("GET", &disguised, &[]).await.status, 403);
    let told = app
        .lookup_until(("EventName", "LakeAccessRefused"), 6)
        .await;
    let addresses: Vec<&Value> = told
        .iter()
        .map(|event| &event["serviceEventDetails"]["sourceIPAddress"])
        .collect();
    assert!(addresses.contains(&&json!("203.0.113.7")), "{addresses:?}");
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn a_principal_beyond_its_rate_is_slowed_down_and_others_are_not() {
    let builder = TestAppBuilder::default()
        .with("s3.requests_per_second", "1")
        .with("s3.requests_burst", "2");
    let app = start(builder).await;
    let mary = reader_with(&app, "Mary", &allow("s3:*")).await;
    let bucket = reader(&app);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let answer = bucket.s3("GET", PATH, &[]).await;
        statuses.push(answer.status);
        if answer.status == 503 {
            assert_eq!(code(&answer), "SlowDown");
        }
    }
    assert_eq!(statuses[..2], [200, 200]);
    // Five requests within a second; one more token at most comes back meanwhile.
    assert!(statuses.contains(&503), "{statuses:?}");
    assert_eq!(mary.s3("GET", PATH, &[]).await.status, 200);
    let metrics = app.client().unsigned("GET", "/metrics").await.text();
    assert!(metrics.contains("cairn_not_admitted_total{reason=\"rate\"}"));
    app.stop().await;
}

#[tokio::test]
async fn requests_bytes_and_failures_are_counted() {
    let app = start(TestAppBuilder::default()).await;
    let bucket = reader(&app);
    for _ in 0..3 {
        assert_eq!(bucket.s3("GET", PATH, &[]).await.status, 200);
    }
    assert_eq!(bucket.s3("GET", "/cairn-lake/none", &[]).await.status, 404);
    assert_eq!(bucket.unsigned("GET", PATH).await.status, 403);
    let metrics = app.client().unsigned("GET", "/metrics").await.text();
    for line in [
        "cairn_requests_total{service=\"s3\",operation=\"GetObject\",code=\"ok\"} 3",
        "cairn_requests_total{service=\"s3\",operation=\"GetObject\",code=\"NoSuchKey\"} 1",
        "cairn_request_seconds_count{service=\"s3\",operation=\"GetObject\"} 4",
        "cairn_authentication_failures_total{reason=\"missing\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let sent = metrics
        .lines()
        .find_map(|line| line.strip_prefix("cairn_s3_sent_bytes_total "))
        .expect("bytes are counted");
    assert!(sent.parse::<u64>().expect("a number") > 30, "{sent}");
    app.stop().await;
}

#[tokio::test]
async fn reading_the_lake_counts_as_a_use_of_the_key() {
    let app = start(TestAppBuilder::default()).await;
    let mary = reader_with(&app, "Mary", &allow("s3:*")).await;
    assert_eq!(mary.s3("GET", PATH, &[]).await.status, 200);
    let key_id = mary.credentials.access_key_id.as_str();
    let ask = [("Action", "GetAccessKeyLastUsed"), ("AccessKeyId", key_id)];
    let used = done(&app.client(), "iam", &ask).await;
    assert_eq!(tag(&used, "ServiceName"), "s3");
    app.stop().await;
}

// Proves: REC-051
#[tokio::test]
async fn an_encrypted_read_is_recorded_with_its_suite() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures");
    let file = |name: &str| fixtures.join(name).display().to_string();
    let builder = TestAppBuilder::default()
        .with("tls.certificate_file", &file("localhost.cert.pem"))
        .with("tls.private_key_file", &file("localhost.key.pem"));
    let app = start(builder).await;
    let pem = std::fs::read(file("localhost.cert.pem")).expect("the fixture is there");
    let bucket = reader(&app).over_tls(&pem);
    assert_eq!(bucket.s3("GET", PATH, &[]).await.status, 200);
    let event = &logged(app, "GetObject").await[0];
    let suite = event["tlsDetails"]["cipherSuite"].as_str().expect("a text");
    assert!(suite.starts_with("TLS_"), "{suite}");
    assert_eq!(event["additionalEventData"]["CipherSuite"], suite);
    assert_eq!(event["tlsDetails"]["tlsVersion"], "TLSv1.3");
}

#[tokio::test]
async fn the_operators_account_stays_the_one_of_the_first_start() {
    let app = start(TestAppBuilder::default()).await;
    let create = [("Action", "CreateAccount"), ("AccountId", OTHER)];
    let made = done(&app.client(), "cairn", &create).await;
    let owner = Credentials::new(&tag(&made, "AccessKeyId"), &tag(&made, "SecretAccessKey"));
    let app = app.restart_with("account.default_id", OTHER).await;
    let stranger = app.bucket_client_of(owner.clone());
    assert_eq!(stranger.s3("GET", PATH, &[]).await.status, 403);
    assert_eq!(reader(&app).s3("GET", PATH, &[]).await.status, 200);
    let mut event = management_event("of another account", "2026-01-01T00:00:00Z");
    event["recipientAccountId"] = "123456789012".into();
    let body = event.to_string();
    let answer = app.client_of(owner).put_events(body.as_bytes()).await;
    assert_eq!(answer.json()["refused"][0]["code"], "AccessDenied");
    event["recipientAccountId"] = OTHER.into();
    let body = event.to_string();
    let answer = app.client().put_events(body.as_bytes()).await;
    assert_eq!(answer.json()["accepted"], 1, "{}", answer.text());
    app.stop().await;
}
