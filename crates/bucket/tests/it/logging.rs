//! Access logs: what can be set, which targets are refused, what is delivered and what is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_bucket::{AccessLog, AccessLogConfig, AccessLogEntry, Due};

use crate::Fixture;

/// Lets the log delivery in, as the tests' gatekeeper reads policies.
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:PutObject",
    "Principal": {"Service": "logging.s3.amazonaws.com"}, "Resource": "arn:aws:s3:::logs/*"}}"#;
const INVALID: (u16, &str) = (400, "InvalidTargetBucketForLogging");
const URI: &str = "/bucket?logging";

fn status(inner: &str) -> Vec<u8> {
    format!("<BucketLoggingStatus>{inner}</BucketLoggingStatus>").into_bytes()
}

fn enabled(target: &str, rest: &str) -> Vec<u8> {
    status(&format!(
        "<LoggingEnabled><TargetBucket>{target}</TargetBucket><TargetPrefix>p/</TargetPrefix>{rest}\
         </LoggingEnabled>"
    ))
}

/// Two buckets, the second of which takes logs.
async fn fixture() -> Fixture {
    let fixture = Fixture::with_bucket().await;
    fixture.done("PUT", "/logs", &[], b"").await;
    let policy = POLICY.as_bytes();
    fixture.done("PUT", "/logs?policy", &[], policy).await;
    fixture
}

fn entry(request_id: &str) -> AccessLogEntry {
    AccessLogEntry {
        received_ms: crate::NOW_MS,
        request_id: request_id.into(),
        ..AccessLogEntry::default()
    }
}

async fn keys(fixture: &Fixture) -> Vec<String> {
    let listed = fixture.done("GET", "/logs?list-type=2", &[], b"").await;
    listed.between("<Key>", "<")
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test]
async fn what_was_put_is_told_and_outlives_a_restart_until_it_is_removed() {
    let fixture = fixture().await;
    let none = fixture.done("GET", URI, &[], b"").await;
    assert!(!none.text().contains("LoggingEnabled"), "{}", none.text());
    for (format, told) in [
        ("", ""),
        (
            "<TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat>",
            "SimplePrefix",
        ),
        (
            "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime\
             </PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>",
            "EventTime",
        ),
        (
            "<TargetObjectKeyFormat><PartitionedPrefix/></TargetObjectKeyFormat>",
            "DeliveryTime",
        ),
    ] {
        fixture
            .done("PUT", URI, &[], &enabled("logs", format))
            .await;
        let got = fixture.done("GET", URI, &[], b"").await;
        assert_eq!(got.between("<TargetBucket>", "<"), ["logs"]);
        assert_eq!(got.between("<TargetPrefix>", "<"), ["p/"]);
        let text = got.text();
        assert!(text.contains(told), "{text}");
        assert_eq!(
            text.contains("TargetObjectKeyFormat"),
            !told.is_empty(),
            "{text}"
        );
    }
    let log = AccessLog::new(Arc::clone(&fixture.buckets), AccessLogConfig::default());
    assert!(log.source("bucket").is_some() && log.source("logs").is_none());
    drop(log);
    let fixture = fixture.restart().await;
    let log = AccessLog::new(Arc::clone(&fixture.buckets), AccessLogConfig::default());
    assert!(
        log.source("bucket").is_some(),
        "a restart forgot the setting"
    );
    fixture.done("PUT", URI, &[], &status("")).await;
    let got = fixture.done("GET", URI, &[], b"").await;
    assert!(!got.text().contains("LoggingEnabled"), "{}", got.text());
    assert!(log.source("bucket").is_none());
    // A bucket of the same name that is made later is another one.
    fixture.done("PUT", URI, &[], &enabled("logs", "")).await;
    fixture.done("DELETE", "/bucket", &[], b"").await;
    assert!(log.source("bucket").is_none());
}

#[tokio::test]
async fn targets_that_would_not_take_the_log_are_refused() {
    let fixture = fixture().await;
    let put = ("PUT", URI);
    fixture
        .refused(put, &[], &enabled("nowhere", ""), INVALID)
        .await;
    fixture
        .refused(put, &[], &enabled("cairn-lake", ""), INVALID)
        .await;
    // It has no policy.
    fixture
        .refused(put, &[], &enabled("bucket", ""), INVALID)
        .await;
    let other = [("x-test-account", "210987654321")];
    fixture.done("PUT", "/theirs", &other, b"").await;
    let theirs = POLICY.replace("logs", "theirs");
    fixture
        .done("PUT", "/theirs?policy", &other, theirs.as_bytes())
        .await;
    fixture
        .refused(put, &[], &enabled("theirs", ""), INVALID)
        .await;
    let grants = "<TargetGrants><Grant><Permission>READ</Permission></Grant></TargetGrants>";
    let refused = (400, "AccessControlListNotSupported");
    fixture
        .refused(put, &[], &enabled("logs", grants), refused)
        .await;
    let both = "<TargetObjectKeyFormat><SimplePrefix/><PartitionedPrefix/></TargetObjectKeyFormat>";
    fixture
        .refused(put, &[], &enabled("logs", both), (400, "MalformedXML"))
        .await;
    let got = fixture.done("GET", URI, &[], b"").await;
    assert!(!got.text().contains("LoggingEnabled"), "{}", got.text());
    // A bucket may log into itself.
    let own = POLICY.replace("logs", "bucket");
    fixture
        .done("PUT", "/bucket?policy", &[], own.as_bytes())
        .await;
    fixture.done("PUT", URI, &[], &enabled("bucket", "")).await;
}

#[tokio::test]
async fn lines_come_as_one_object_under_the_prefix() {
    let fixture = fixture().await;
    fixture.done("PUT", URI, &[], &enabled("logs", "")).await;
    let log = AccessLog::new(Arc::clone(&fixture.buckets), AccessLogConfig::default());
    let source = log.source("bucket").expect("it is logged");
    log.add(&source, &entry("FIRST"));
    log.add(&source, &entry("SECOND"));
    log.flush(&*fixture.gatekeeper, Due::All).await;
    let keys = keys(&fixture).await;
    let [key] = keys.as_slice() else {
        panic!("one object is delivered: {keys:?}");
    };
    let unique = key
        .strip_prefix("p/2026-03-01-12-00-00-")
        .expect("the time");
    assert!(
        unique.len() == 16
            && unique
                .bytes()
                .all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
    );
    let object = fixture
        .done("GET", &format!("/logs/{key}"), &[], b"")
        .await
        .text();
    let ids: Vec<_> = object.lines().map(|line| line.split(' ').nth(6)).collect();
    assert_eq!(ids, [Some("FIRST"), Some("SECOND")]);
    assert_eq!(log.held_bytes(), 0);
    assert_eq!(count(&log.counters.delivered_lines), 2);
    assert_eq!(count(&log.counters.delivered_objects), 1);
    log.flush(&*fixture.gatekeeper, Due::All).await;
    assert_eq!(
        count(&log.counters.delivered_objects),
        1,
        "nothing is delivered twice"
    );
}

#[tokio::test]
async fn a_delivery_that_the_policy_stops_is_tried_once_more() {
    let fixture = fixture().await;
    fixture.done("PUT", URI, &[], &enabled("logs", "")).await;
    let log = AccessLog::new(Arc::clone(&fixture.buckets), AccessLogConfig::default());
    let source = log.source("bucket").expect("it is logged");
    let gate = &*fixture.gatekeeper;
    log.add(&source, &entry("KEPT"));
    fixture.done("DELETE", "/logs?policy", &[], b"").await;
    log.flush(gate, Due::All).await;
    assert_eq!(count(&log.counters.failures), 1);
    // What is tried again waits for the next interval, whatever else is full.
    log.flush(gate, Due::Full).await;
    assert_eq!(count(&log.counters.failures), 1);
    fixture
        .done("PUT", "/logs?policy", &[], POLICY.as_bytes())
        .await;
    log.flush(gate, Due::All).await;
    assert_eq!(keys(&fixture).await.len(), 1);
    assert_eq!(count(&log.counters.dropped_lines), 0);

    log.add(&source, &entry("LOST"));
    fixture.done("DELETE", "/logs?policy", &[], b"").await;
    log.flush(gate, Due::All).await;
    log.flush(gate, Due::All).await;
    assert_eq!(count(&log.counters.dropped_lines), 1);
    assert_eq!(log.held_bytes(), 0);
    log.add(&source, &entry("LAST"));
    log.flush(gate, Due::Last).await;
    assert_eq!(count(&log.counters.dropped_lines), 2);
    assert_eq!((log.held_bytes(), count(&log.counters.failures)), (0, 4));
    assert_eq!(keys(&fixture).await.len(), 1);
}
