//! Lines and names as S3 documents them, and what happens at the bounds.

use http::{HeaderMap, Method, Uri};

use super::*;
use crate::operation::Access;
use crate::store::{AccessLogging, BucketsConfig};

/// 2019-02-06T00:00:38Z.
const EXAMPLE_MS: i64 = 1_549_411_238_000;

fn source(key_format: Option<KeyFormat>) -> Arc<LoggedBucket> {
    Arc::new(LoggedBucket {
        name: "amzn-s3-demo-bucket1".into(),
        owner: "123456789012".parse().expect("an account"),
        region: "us-west-1".parse().expect("a Region"),
        logging: AccessLogging {
            target_bucket: "logs".into(),
            target_prefix: "p/".into(),
            key_format,
        },
    })
}

fn access(method: &str, uri: &str) -> Option<Access> {
    let method: Method = method.parse().expect("a method");
    let uri: Uri = uri.parse().expect("a URI");
    Access::of(&method, &uri, &HeaderMap::new())
}

/// The request of S3's documentation.
fn example() -> AccessLogEntry {
    AccessLogEntry {
        received_ms: EXAMPLE_MS,
        remote_ip: "192.0.2.3".into(),
        requester: Some("arn:aws:iam::123456789012:user/alice".into()),
        request_id: "3E57427F3EXAMPLE".into(),
        access: access("GET", "/amzn-s3-demo-bucket1?versioning"),
        method: "GET".into(),
        target: "/amzn-s3-demo-bucket1?versioning".into(),
        protocol: "HTTP/1.1",
        status: 200,
        sent_bytes: 113,
        total_ms: 7,
        user_agent: Some("S3Console/0.4".into()),
        host_id: "s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234="
            .into(),
        authentication: Some("AuthHeader"),
        cipher_suite: Some("ECDHE-RSA-AES128-GCM-SHA256"),
        host: Some("amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com".into()),
        tls_version: Some("TLSv1.2"),
        ..AccessLogEntry::default()
    }
}

#[test]
fn a_line_is_that_of_the_documentation() {
    let line = line::line(&source(None), &example());
    let expected = "123456789012 amzn-s3-demo-bucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 \
        arn:aws:iam::123456789012:user/alice 3E57427F3EXAMPLE REST.GET.VERSIONING - \
        \"GET /amzn-s3-demo-bucket1?versioning HTTP/1.1\" 200 - 113 - 7 - \"-\" \"S3Console/0.4\" - \
        s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV4 \
        ECDHE-RSA-AES128-GCM-SHA256 AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com \
        TLSv1.2 - -\n";
    assert_eq!(line, expected);
}

#[test]
fn nothing_that_a_client_sends_ends_a_field_or_a_line() {
    let entry = AccessLogEntry {
        access: access("GET", "/b/a%20b%0A%22c/%C3%A9"),
        target: "/b/\"x".into(),
        user_agent: Some("a\" 200 - \"b\nc".into()),
        referrer: Some("\u{e9}\"".into()),
        host: Some("h \"t".into()),
        ..example()
    };
    let line = line::line(&source(None), &entry);
    assert_eq!(line.matches('\n').count(), 1);
    assert!(
        line.contains(" a%20b%0A%22c/%C3%A9 \"GET /b/%22x HTTP/1.1\" "),
        "{line}"
    );
    assert!(
        line.contains(" \"%C3%A9%22\" \"a%22 200 - %22b%0Ac\" "),
        "{line}"
    );
    assert!(line.contains(" h%20%22t "), "{line}");
}

#[test]
fn operations_have_the_names_of_s3() {
    let check = |method: &str, uri: &str, expected: &str| {
        let entry = AccessLogEntry {
            access: access(method, uri),
            method: method.into(),
            ..example()
        };
        let line = line::line(&source(None), &entry);
        let found = line.split(' ').nth(7);
        assert_eq!(found, Some(expected), "{method} {uri}");
    };
    check("GET", "/b", "REST.GET.BUCKET");
    check("GET", "/b?versions", "REST.GET.BUCKETVERSIONS");
    check("GET", "/b?logging", "REST.GET.LOGGING_STATUS");
    check("PUT", "/b?policy", "REST.PUT.BUCKETPOLICY");
    check("GET", "/b?policyStatus", "REST.GET.POLICY_STATUS");
    check("GET", "/b?acl", "REST.GET.ACL");
    check("GET", "/b?tagging", "REST.GET.TAGGING");
    check("GET", "/b?lifecycle", "REST.GET.LIFECYCLE");
    check("PUT", "/b/k", "REST.PUT.OBJECT");
    check("GET", "/b/k?tagging", "REST.GET.OBJECT_TAGGING");
    check("PUT", "/b/k?uploadId=u&partNumber=1", "REST.PUT.PART");
    check("POST", "/b/k?uploads", "REST.POST.UPLOADS");
    check("POST", "/b/k?uploadId=u", "REST.POST.UPLOAD");
    check("POST", "/b?delete", "REST.POST.MULTI_OBJECT_DELETE");
    check("PATCH", "/b/k", "REST.PATCH.OBJECT");
}

#[test]
fn objects_are_named_by_time_in_the_folders_of_their_format() {
    let name = |format, day| key::object_key(&source(format), day, EXAMPLE_MS, "0123456789ABCDEF");
    let plain = "p/2019-02-06-00-00-38-0123456789ABCDEF";
    assert_eq!(name(None, None), plain);
    assert_eq!(name(Some(KeyFormat::SimplePrefix), None), plain);
    let folder = "p/123456789012/us-west-1/amzn-s3-demo-bucket1";
    let by_delivery = Some(KeyFormat::PartitionedPrefix(DateSource::DeliveryTime));
    assert_eq!(
        name(by_delivery, None),
        format!("{folder}/2019/02/06/2019-02-06-00-00-38-0123456789ABCDEF")
    );
    let by_event = Some(KeyFormat::PartitionedPrefix(DateSource::EventTime));
    assert_eq!(
        name(by_event, Some("2019-02-05")),
        format!("{folder}/2019/02/05/2019-02-05-00-00-00-0123456789ABCDEF")
    );
}

async fn log(config: AccessLogConfig) -> (tempfile::TempDir, AccessLog) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let buckets = Buckets::open(
        BucketsConfig {
            folder: folder.path().to_owned(),
            ..BucketsConfig::default()
        },
        cairn_platform::MasterKey::generate(&cairn_platform::SystemEntropy::new()),
        Arc::new(cairn_platform::ManualClock::at(EXAMPLE_MS)),
        Arc::new(cairn_platform::SystemEntropy::new()),
    );
    (
        folder,
        AccessLog::new(buckets.await.expect("a store"), config),
    )
}

fn dropped(log: &AccessLog) -> u64 {
    log.counters.dropped_lines.load(Ordering::Relaxed)
}

#[tokio::test]
async fn lines_without_room_are_dropped_and_counted() {
    let bytes = line::line(&source(None), &example()).len();
    let (_folder, log) = log(AccessLogConfig {
        object_bytes: usize::MAX,
        bucket_bytes_max: 2 * bytes,
        bytes_max: 3 * bytes,
    })
    .await;
    let first = source(None);
    for _ in 0..3 {
        log.add(&first, &example());
    }
    assert_eq!((log.held_bytes(), dropped(&log)), (2 * bytes, 1));
    let mut other = LoggedBucket::clone(&first);
    // As long a name, so that its lines are as long.
    other.name = "amzn-s3-demo-bucket2".into();
    let other = Arc::new(other);
    log.add(&other, &example());
    assert_eq!((log.held_bytes(), dropped(&log)), (3 * bytes, 1));
    log.add(&other, &example());
    assert_eq!((log.held_bytes(), dropped(&log)), (3 * bytes, 2));
    // What is on its way still takes its room.
    assert_eq!(log.take(Due::All).len(), 2);
    log.add(&other, &example());
    assert_eq!((log.held_bytes(), dropped(&log)), (3 * bytes, 3));
}

#[tokio::test]
async fn only_full_objects_are_taken_early_and_days_are_kept_apart() {
    let bytes = line::line(&source(None), &example()).len();
    let (_folder, log) = log(AccessLogConfig {
        object_bytes: 2 * bytes,
        ..AccessLogConfig::default()
    })
    .await;
    let by_event = KeyFormat::PartitionedPrefix(DateSource::EventTime);
    let source = source(Some(by_event));
    log.add(&source, &example());
    assert!(log.take(Due::Full).is_empty());
    let next_day = AccessLogEntry {
        received_ms: EXAMPLE_MS + 86_400_000,
        ..example()
    };
    log.add(&source, &next_day);
    assert!(log.take(Due::Full).is_empty());
    log.add(&source, &next_day);
    log.full().await;
    let full = log.take(Due::Full);
    let days: Vec<_> = full
        .iter()
        .map(|batch| batch.place.day.as_deref())
        .collect();
    assert_eq!(days, [Some("2019-02-07")]);
    assert_eq!(full[0].lines.count, 2);
    assert_eq!(log.take(Due::All).len(), 1);
}

#[tokio::test]
async fn small_objects_are_taken_early_when_they_crowd_the_room() {
    let bytes = line::line(&source(None), &example()).len();
    let (_folder, log) = log(AccessLogConfig {
        bytes_max: 5 * bytes,
        ..AccessLogConfig::default()
    })
    .await;
    for number in 1..=3 {
        assert!(log.take(Due::Full).is_empty(), "{number}");
        let mut other = LoggedBucket::clone(&source(None));
        other.name = format!("amzn-s3-demo-bucket{number}");
        log.add(&Arc::new(other), &example());
    }
    log.full().await;
    assert_eq!(log.take(Due::Full).len(), 3);
    // They are on their way: what comes now waits again.
    log.add(&source(None), &example());
    assert!(log.take(Due::Full).is_empty());
    assert_eq!(dropped(&log), 0);
}
