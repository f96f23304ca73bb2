//! What lookups show of an event, wherever it lies, and how little they read for it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_eventlog::EventLog as _;
use cairn_lake::{
    Lake, LookupEvent, LookupKey, LookupPage, LookupQuery, LookupSource, ObjectError, Objects,
};
use serde_json::{Value, json};

use crate::stage::{PARTITION, Stage, event_id, record};

fn query(region: &str) -> LookupQuery {
    LookupQuery {
        account: "111111111111".parse().expect("valid"),
        region: region.parse().expect("valid"),
        source: LookupSource::Management,
        attribute: None,
        start: None,
        end: None,
        max_results: 50,
        after: None,
    }
}

async fn page(lake: &Lake, query: &LookupQuery) -> LookupPage {
    lake.lookup(query.clone()).await.expect("the lookup works")
}

/// Callers, resources and spellings of every kind that lookups treat differently.
fn unlike_events() -> Vec<String> {
    let identities = [
        json!({"type": "Root", "arn": "arn:aws:iam::111111111111:root", "accessKeyId": ""}),
        json!({"type": "IAMUser", "userName": "J\u{e9}r\u{f4}me \"J\"", "accessKeyId": "AKIA1"}),
        json!({"type": "IAMUser", "arn": "arn:aws:iam::111111111111:user/path/anna"}),
        json!({"type": "AssumedRole", "principalId": "AROA1:by-principal", "accessKeyId": "ASIA1"}),
        json!({"type": "AssumedRole", "arn": "arn:aws:sts::111111111111:assumed-role/r/session"}),
        json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}),
        json!({"userName": null}),
    ];
    let calls = [
        json!({"eventSource": "s3.amazonaws.com", "eventName": "GetBucketAcl", "readOnly": true,
               "resources": [{"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::b"},
                             {"ARNPrefix": "arn:aws:s3:::b/"}, {"type": "AWS::S3::Object"}],
               "requestParameters": {"bucketName": "b"}}),
        json!({"eventSource": "ec2.amazonaws.com", "eventName": "StopInstances", "readOnly": false,
               "requestParameters": {"instancesSet": {"items": [{"instanceId": "i-0a"}]}}}),
        json!({"eventSource": "iam.amazonaws.com", "eventName": "CreateUser", "readOnly": null,
               "requestParameters": {"userName": "new\ntwo"}, "unknownMember": [1, 2.50]}),
        json!({"eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin",
               "eventContext": {"requestContext": {"a": "b"}}}),
    ];
    let mut events = Vec::new();
    for (identity, call) in identities
        .iter()
        .flat_map(|i| calls.iter().map(move |c| (i, c)))
    {
        let number = u32::try_from(events.len()).expect("few");
        let mut event = json!({
            "eventVersion": "1.11", "userIdentity": identity, "eventID": event_id(number),
            "eventTime": format!("2026-11-{:02}T10:00:00Z", 1 + number % 5),
            "awsRegion": "us-east-1", "eventType": "AwsApiCall", "managementEvent": true,
            "recipientAccountId": "111111111111", "eventCategory": "Management",
        });
        let members = event.as_object_mut().expect("an object");
        members.extend(call.as_object().expect("an object").clone());
        events.push(
            event
                .to_string()
                .replace("GetBucketAcl", "GetBucket\\u0041cl"),
        );
    }
    events
}

// Proves: OVR-086, OVR-087, OVR-088, OVR-089
#[tokio::test]
async fn an_event_shows_the_same_from_memory_from_a_file_and_from_joined_files() {
    let mut stage = Stage::new().await;
    stage.config.compaction_files_min = 2;
    let lake = stage.open().await;
    let events = unlike_events();
    let mut hot: Vec<LookupEvent> = Vec::new();
    for chunk in events.chunks(7) {
        stage.append(chunk).await;
        lake.ingest().await.expect("it becomes visible");
        for event in chunk {
            let event: Value = serde_json::from_str(event).expect("it is JSON");
            let id = event["eventID"].as_str().expect("text").to_owned();
            let mut asked = query("us-east-1");
            asked.attribute = Some((LookupKey::EventId, id));
            let found = page(&lake, &asked).await.events;
            assert_eq!(found.len(), 1);
            hot.extend(found);
        }
        lake.flush().await.expect("it is committed");
    }
    assert_eq!(hot.len(), events.len());
    let named = |shown: &LookupEvent| (shown.user_name.is_some(), shown.resources.len());
    let kinds: std::collections::BTreeSet<_> = hot.iter().map(named).collect();
    assert!(kinds.len() > 4, "the events are too much alike: {kinds:?}");
    let files = stage
        .objects()
        .list("event-history/data/")
        .await
        .expect("a list")
        .len();
    let check = async || {
        for shown in &hot {
            let mut asked = query("us-east-1");
            asked.attribute = Some((LookupKey::EventId, shown.event_id.clone()));
            assert_eq!(
                page(&lake, &asked).await.events,
                std::slice::from_ref(shown)
            );
        }
    };
    check().await;
    lake.maintain().await.expect("small files are joined");
    let view = lake
        .read_view(&crate::stage::history())
        .expect("the table exists");
    assert!(view.files.len() < files, "nothing was joined");
    check().await;
}

#[tokio::test]
async fn a_record_that_this_build_would_refuse_is_shown_by_its_row() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    let whole = unlike_events();
    let refused = concat!(
        r#"{"eventID":"kept","eventName":"Old","eventSource":"old.amazonaws.com","#,
        r#""awsRegion":"us-east-1"}"#
    );
    let lacking = whole[1].replace("\"eventCategory\":\"Management\",", "");
    assert_ne!(lacking, whole[1]);
    let mut records = vec![record(&whole[0]), record(&whole[1]), record(&whole[2])];
    records[1].body = Bytes::from_static(refused.as_bytes());
    records[2].body = Bytes::from(lacking.clone());
    stage
        .log
        .append_durable(PARTITION, records)
        .await
        .expect("the log takes it");
    lake.ingest().await.expect("it becomes visible");
    let hot = page(&lake, &query("us-east-1")).await.events;
    lake.flush().await.expect("it is committed");
    let shown = page(&lake, &query("us-east-1")).await.events;
    assert_eq!(shown, hot);
    let old = shown
        .iter()
        .find(|event| event.event_id == "kept")
        .expect("it is shown");
    assert_eq!(old.json, refused.as_bytes());
    assert_eq!(old.event_name, "Old");
    // Its row knows the user and the resources of the event that the header was made of.
    assert_eq!(old.user_name.as_deref(), Some("root"));
    assert!(shown.iter().any(|event| event.json == lacking.as_bytes()));
}

/// A store that counts the bytes that lookups read.
#[derive(Debug)]
struct CountingObjects {
    inner: Arc<dyn Objects>,
    read: AtomicU64,
}

#[async_trait]
impl Objects for CountingObjects {
    async fn put_durable(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.inner.put_durable(key, bytes).await
    }

    async fn get(&self, key: &str) -> Result<Bytes, ObjectError> {
        self.inner.get(key).await
    }

    fn get_range_blocking(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.read
            .fetch_add(range.end - range.start, Ordering::Relaxed);
        self.inner.get_range_blocking(key, range)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.inner.delete(key).await
    }
}

/// Rows of the file below: twelve blocks.
const ROWS: u32 = 12 * 1_024;

/// One day's event of a bucket that it shares with no other.
fn unlike_bucket(number: u32) -> String {
    let region = ["eu-west-1", "us-east-1"][number as usize % 2];
    // Texts that compress badly, as real ones do.
    let noise: Vec<u32> = (0..12)
        .map(|part| (number * 31 + part).wrapping_mul(2_654_435_761))
        .collect();
    json!({
        "eventVersion": "1.11", "userIdentity": {"type": "IAMUser", "userName": "u"},
        "eventTime": format!("2026-11-20T{:02}:{:02}:{:02}Z",
                             number / 3_600 % 24, number / 60 % 60, number % 60),
        "eventSource": "s3.amazonaws.com", "eventName": "GetBucketAcl", "awsRegion": region,
        "requestParameters": {"noise": noise}, "eventID": event_id(number), "readOnly": true,
        "resources": [{"type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::bucket-{number}")}],
        "eventType": "AwsApiCall", "managementEvent": true,
        "recipientAccountId": "111111111111", "eventCategory": "Management",
    })
    .to_string()
}

#[tokio::test]
async fn a_rare_value_is_found_without_reading_the_file() {
    let stage = Stage::new().await;
    let counting = Arc::new(CountingObjects {
        inner: stage.objects(),
        read: AtomicU64::new(0),
    });
    let objects: Arc<dyn Objects> = Arc::clone(&counting) as _;
    let lake = stage
        .open_on(objects, Arc::clone(&stage.catalog) as _)
        .await
        .expect("it opens");
    let events: Vec<String> = (0..ROWS).map(unlike_bucket).collect();
    stage.append(&events).await;
    lake.flush().await.expect("it is committed");
    lake.maintain().await.expect("files are joined");
    let view = lake
        .read_view(&crate::stage::history())
        .expect("the table exists");
    assert_eq!(view.files.len(), 1, "one file holds the day");
    let bytes_of = async |name: String, found: usize| {
        let mut asked = query("us-east-1");
        asked.attribute = Some((LookupKey::ResourceName, name));
        let before = counting.read.load(Ordering::Relaxed);
        assert_eq!(page(&lake, &asked).await.events.len(), found);
        counting.read.load(Ordering::Relaxed) - before
    };
    // The footer, the index's directory and whose rows are where are remembered from here on.
    bytes_of("arn:aws:s3:::bucket-1".to_owned(), 1).await;
    let absent = bytes_of("arn:aws:s3:::no-such-bucket".to_owned(), 0).await;
    let elsewhere = bytes_of("arn:aws:s3:::bucket-6000".to_owned(), 0).await;
    let found = bytes_of("arn:aws:s3:::bucket-6001".to_owned(), 1).await;
    let file = view.files[0].bytes;

    assert!(absent <= 2 * 16_384, "{absent} bytes for nothing");
    assert!(
        elsewhere <= 2 * 16_384,
        "{elsewhere} bytes for another Region's"
    );
    assert!(found * 3 < file, "{found} of {file} bytes for one event");
}
