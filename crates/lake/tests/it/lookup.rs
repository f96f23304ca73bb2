//! LookupEvents' reader against a plain model: every event in memory, filtered and sorted by hand.

use std::cmp::Reverse;
use std::sync::Arc;

use cairn_lake::{Lake, LookupCursor, LookupKey, LookupPage, LookupQuery, LookupSource};
use cairn_model::{AccountId, EventTime, Region};
use serde_json::{Value, json};

use crate::stage::{NOW_MS, Stage, batches_of, event_id, history, texts};

const ACCOUNTS: [&str; 2] = ["111111111111", "222222222222"];
const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];
const KEYS: [LookupKey; 8] = [
    LookupKey::AccessKeyId,
    LookupKey::EventId,
    LookupKey::EventName,
    LookupKey::EventSource,
    LookupKey::ReadOnly,
    LookupKey::ResourceName,
    LookupKey::ResourceType,
    LookupKey::Username,
];

/// An event as the model knows it: independent of how the product reads records.
#[derive(Clone)]
struct Known {
    number: u32,
    account: &'static str,
    region: &'static str,
    time: EventTime,
    json: String,
}

impl Known {
    fn new(number: u32) -> Self {
        let pick = |salt: u32, of: u32| (number.wrapping_mul(2_654_435_761).rotate_left(salt)) % of;
        let account = ACCOUNTS[pick(3, 2) as usize];
        let region = REGIONS[pick(7, 2) as usize];
        // Whole minutes over four days, so that many events share a time.
        let minutes = i64::from(pick(11, 5_000));
        let time = EventTime::from_micros((NOW_MS - minutes * 60_000) * 1_000).expect("a time");
        let (source, name, read_only) = match pick(13, 10) {
            0 => ("iam.amazonaws.com", "CreateUser", Some(false)),
            1 => ("kms.amazonaws.com", "RotateKey", None),
            2..5 => ("ec2.amazonaws.com", "DescribeInstances", Some(true)),
            _ => ("s3.amazonaws.com", "GetBucketAcl", Some(true)),
        };
        let user = format!("user{}", pick(17, 40));
        let mut event = json!({
            "eventVersion": "1.11",
            "userIdentity": {"type": "IAMUser", "userName": user, "accountId": account,
                             "accessKeyId": format!("AKIA{:016}", pick(19, 25))},
            "eventTime": time.to_string(), "eventSource": source, "eventName": name,
            "awsRegion": region, "sourceIPAddress": "192.0.2.1", "requestParameters": null,
            "responseElements": null, "eventID": event_id(number), "eventType": "AwsApiCall",
            "managementEvent": true, "recipientAccountId": account, "eventCategory": "Management",
        });
        if let Some(read_only) = read_only {
            event["readOnly"] = json!(read_only);
        }
        if source == "s3.amazonaws.com" {
            let bucket = format!("arn:aws:s3:::bucket{}", pick(23, 30));
            event["resources"] = json!([
                {"type": "AWS::S3::Bucket", "ARN": bucket},
                {"type": "AWS::KMS::Key", "ARN": format!("key-of-{bucket}")},
            ]);
        }
        Self {
            number,
            account,
            region,
            time,
            json: event.to_string(),
        }
    }

    fn matches(&self, attribute: Option<&(LookupKey, String)>) -> bool {
        let Some((key, wanted)) = attribute else {
            return true;
        };
        let event: Value = serde_json::from_str(&self.json).expect("it was written above");
        let text = |value: &Value| value.as_str() == Some(wanted.as_str());
        let resource = |member: &str| {
            let resources = event["resources"].as_array();
            resources.is_some_and(|resources| resources.iter().any(|r| text(&r[member])))
        };
        match key {
            LookupKey::AccessKeyId => text(&event["userIdentity"]["accessKeyId"]),
            LookupKey::EventId => text(&event["eventID"]),
            LookupKey::EventName => text(&event["eventName"]),
            LookupKey::EventSource => text(&event["eventSource"]),
            LookupKey::ReadOnly => {
                event["readOnly"].as_bool().map(|b| b.to_string()).as_ref() == Some(wanted)
            }
            LookupKey::ResourceName => resource("ARN"),
            LookupKey::ResourceType => resource("type"),
            LookupKey::Username => text(&event["userIdentity"]["userName"]),
        }
    }
}

/// Values of an attribute: common, rare and absent ones.
fn values_of(key: LookupKey) -> Vec<String> {
    let values: &[&str] = match key {
        LookupKey::AccessKeyId => &["AKIA0000000000000003", "AKIA9999999999999999"],
        LookupKey::EventId => &["00000000-0000-4000-8000-000000000017", "no-such-event"],
        LookupKey::EventName => &["GetBucketAcl", "CreateUser", "createuser", ""],
        LookupKey::EventSource => &["s3.amazonaws.com", "iam.amazonaws.com", "sqs.amazonaws.com"],
        LookupKey::ReadOnly => &["true", "false", "True"],
        LookupKey::ResourceName => &["arn:aws:s3:::bucket7", "arn:aws:s3:::bucket"],
        LookupKey::ResourceType => &["AWS::S3::Bucket", "AWS::KMS::Key", "AWS::EC2::Instance"],
        LookupKey::Username => &["user0", "user39", "user"],
    };
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn query(account: &str, region: &str) -> LookupQuery {
    LookupQuery {
        account: account.parse::<AccountId>().expect("valid"),
        region: region.parse::<Region>().expect("valid"),
        source: LookupSource::Management,
        attribute: None,
        start: None,
        end: None,
        max_results: 50,
        after: None,
    }
}

/// Every page of a lookup, checked for shape, as one list of event IDs.
async fn all_pages(lake: &Lake, mut query: LookupQuery) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let page = lake.lookup(query.clone()).await.expect("the lookup works");
        assert!(page.events.len() <= query.max_results);
        found.extend(page.events.iter().map(|event| event.event_id.clone()));
        match page.next {
            Some(next) => {
                assert_eq!(
                    page.events.len(),
                    query.max_results,
                    "a page before the last is full"
                );
                query.after = Some(next);
            }
            None => return found,
        }
    }
}

/// What the model finds, newest first; of one time, last arrived first.
fn expected(known: &[Known], query: &LookupQuery) -> Vec<String> {
    let mut found: Vec<(Reverse<EventTime>, Reverse<usize>, u32)> = known
        .iter()
        .enumerate()
        .filter(|(_, k)| k.account == query.account.as_str() && k.region == query.region.as_str())
        .filter(|(_, k)| query.start.is_none_or(|start| k.time >= start))
        .filter(|(_, k)| query.end.is_none_or(|end| k.time <= end))
        .filter(|(_, k)| k.matches(query.attribute.as_ref()))
        .map(|(arrived, k)| (Reverse(k.time), Reverse(arrived), k.number))
        .collect();
    found.sort();
    found
        .into_iter()
        .map(|(_, _, number)| event_id(number))
        .collect()
}

async fn append(stage: &Stage, known: &[Known]) {
    let events: Vec<String> = known.iter().map(|known| known.json.clone()).collect();
    stage.append(&events).await;
}

/// A lake with rows in compacted files, in small files and in hot objects.
async fn filled(stage: &Stage) -> (Arc<Lake>, Vec<Known>) {
    let known: Vec<Known> = (0..4_000).map(Known::new).collect();
    let lake = stage.open().await;
    for (round, chunk) in known.chunks(250).enumerate() {
        append(stage, chunk).await;
        lake.ingest().await.expect("it becomes visible");
        match round {
            13.. => {}
            9 => {
                lake.flush().await.expect("it is committed");
                lake.maintain().await.expect("small files are joined");
            }
            _ => lake.flush().await.expect("it is committed"),
        }
    }
    (lake, known)
}

// Proves: OVR-076, OVR-086
#[tokio::test]
async fn a_second_spelling_of_a_member_hides_nothing() {
    let stage = Stage::new().await;
    let lake = stage.open().await;
    let plain = Known::new(1);
    let others = "\"awsregion\":null,\"eventname\":\"ListUsers\",\"EventSource\":\"sts.amazonaws.com\",\
                  \"eventid\":\"x\",\"readonly\":true,\"UserIdentity\":{\"type\":\"Root\"}";
    let first = format!("{{{others},{}", &plain.json[1..]);
    let mut later: Value = serde_json::from_str(&plain.json).expect("it is JSON");
    later["eventID"] = json!(event_id(2));
    let later = later.to_string();
    let last = format!("{},{others}}}", &later[..later.len() - 1]);
    stage.append(&[first, last]).await;
    lake.flush().await.expect("it is committed");
    let page = lake.lookup(query(plain.account, plain.region)).await;
    let shown = page.expect("the lookup works").events;
    let event: Value = serde_json::from_str(&plain.json).expect("it is JSON");
    let ids: Vec<_> = shown.iter().map(|shown| shown.event_id.clone()).collect();
    assert_eq!(ids, [event_id(2), event_id(1)]);
    for shown in shown {
        assert_eq!(event["eventName"], shown.event_name);
        assert_eq!(event["eventSource"], shown.event_source);
        assert_eq!(event["readOnly"].as_bool(), shown.read_only);
        let user = event["userIdentity"]["userName"].as_str();
        assert_eq!(user, shown.user_name.as_deref());
    }
    let view = lake.read_view(&history()).expect("the table exists");
    for batch in batches_of(&lake, &view).await {
        let kinds = texts(&batch, "_useridentity_type");
        assert_eq!(kinds, vec![Some("IAMUser".to_owned()); 2]);
    }
}

// Proves: OVR-073, OVR-075, OVR-076, OVR-078, OVR-085, OVR-090
#[tokio::test]
async fn every_attribute_finds_what_a_scan_finds() {
    let stage = Stage::new().await;
    let (lake, known) = filled(&stage).await;
    let mut compared = 0;
    for account in ACCOUNTS {
        for region in REGIONS {
            let all = query(account, region);
            assert_eq!(all_pages(&lake, all.clone()).await, expected(&known, &all));
            for key in KEYS {
                for value in values_of(key) {
                    let mut asked = query(account, region);
                    asked.attribute = Some((key, value.clone()));
                    asked.max_results = 17;
                    let found = all_pages(&lake, asked.clone()).await;
                    assert_eq!(
                        found,
                        expected(&known, &asked),
                        "{key:?}={value} {account} {region}"
                    );
                    compared += found.len();
                }
            }
        }
    }
    assert!(compared > 5_000, "the values match too little: {compared}");
}

// Proves: OVR-085, OVR-090
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lookups_at_the_same_time_find_what_each_finds_alone() {
    let stage = Stage::new().await;
    let (lake, known) = filled(&stage).await;
    let known = Arc::new(known);
    let tasks = KEYS.iter().cycle().take(24).enumerate().map(|(at, key)| {
        let (lake, known) = (Arc::clone(&lake), Arc::clone(&known));
        tokio::spawn(async move {
            for value in values_of(*key) {
                let mut asked = query(ACCOUNTS[at % 2], REGIONS[at / 8 % 2]);
                asked.attribute = Some((*key, value));
                let found = all_pages(&lake, asked.clone()).await;
                assert_eq!(found, expected(&known, &asked), "{asked:?}");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("it finds what there is");
    }
}

// Proves: OVR-080
#[tokio::test]
async fn both_ends_of_the_time_range_are_inclusive() {
    let stage = Stage::new().await;
    let (lake, known) = filled(&stage).await;
    for index in [0, 1_000, 3_999] {
        let event = &known[index];
        let mut asked = query(event.account, event.region);
        asked.start = Some(event.time);
        asked.end = Some(event.time);
        let found = all_pages(&lake, asked.clone()).await;
        assert_eq!(found, expected(&known, &asked));
        assert!(found.contains(&event_id(event.number)));
        asked.start = Some(known[(index + 1) % 4_000].time.min(event.time));
        asked.end = Some(known[(index + 1) % 4_000].time.max(event.time));
        assert_eq!(
            all_pages(&lake, asked.clone()).await,
            expected(&known, &asked)
        );
    }
}

#[tokio::test]
async fn an_event_comes_back_byte_for_byte_with_its_parts() {
    let stage = Stage::new().await;
    let (lake, known) = filled(&stage).await;
    for index in [100, 3_900] {
        let event = &known[index];
        let mut asked = query(event.account, event.region);
        asked.attribute = Some((LookupKey::EventId, event_id(event.number)));
        let LookupPage { events, next } = lake.lookup(asked).await.expect("the lookup works");
        assert_eq!((events.len(), next), (1, None));
        let record: Value = serde_json::from_str(&event.json).expect("it was written above");
        let found = &events[0];
        assert_eq!(found.json, event.json.as_bytes());
        assert_eq!(found.event_time, event.time);
        assert_eq!(
            found.event_name,
            record["eventName"].as_str().expect("text")
        );
        assert_eq!(
            found.event_source,
            record["eventSource"].as_str().expect("text")
        );
        assert_eq!(found.read_only, record["readOnly"].as_bool());
        assert_eq!(
            found.user_name.as_deref(),
            record["userIdentity"]["userName"].as_str()
        );
        assert_eq!(
            found.access_key_id.as_deref(),
            record["userIdentity"]["accessKeyId"].as_str()
        );
        let resources = record["resources"].as_array().cloned().unwrap_or_default();
        let wanted: Vec<(Option<String>, String)> = resources
            .iter()
            .map(|r| {
                (
                    r["type"].as_str().map(str::to_owned),
                    r["ARN"].as_str().unwrap_or_default().to_owned(),
                )
            })
            .collect();
        assert_eq!(found.resources, wanted);
    }
}

// Proves: OVR-090
#[tokio::test]
async fn paging_is_stable_while_events_arrive_and_files_change() {
    let stage = Stage::new().await;
    let (lake, mut known) = filled(&stage).await;
    let mut asked = query(ACCOUNTS[0], REGIONS[0]);
    let wanted = expected(&known, &asked);
    let mut found: Vec<String> = Vec::new();
    let mut number = 4_000;
    loop {
        let page = lake.lookup(asked.clone()).await.expect("the lookup works");
        found.extend(page.events.iter().map(|event| event.event_id.clone()));
        let Some(next) = page.next else { break };
        let stored = serde_json::to_string(&next).expect("a cursor can be stored");
        asked.after = Some(serde_json::from_str::<LookupCursor>(&stored).expect("and read back"));
        let more: Vec<Known> = (number..number + 40).map(Known::new).collect();
        number += 40;
        append(&stage, &more).await;
        known.extend(more);
        lake.ingest().await.expect("it becomes visible");
        if number % 120 == 0 {
            lake.flush().await.expect("it is committed");
            lake.maintain().await.expect("files are joined");
        }
    }
    assert_eq!(found, wanted);
    asked.after = None;
    assert_eq!(
        all_pages(&lake, asked.clone()).await,
        expected(&known, &asked),
        "a new lookup sees all"
    );
}

// Proves: OVR-034, OVR-036
#[tokio::test]
async fn what_is_past_the_retention_is_not_shown_even_before_it_is_removed() {
    let stage = Stage::new().await;
    let (lake, known) = filled(&stage).await;
    let mut asked = query(ACCOUNTS[0], REGIONS[0]);
    let before = all_pages(&lake, asked.clone()).await;
    let span_ms: u64 = 4_999 * 60_000;
    stage.clock.advance(std::time::Duration::from_millis(
        90 * 24 * 3_600_000 - span_ms / 2,
    ));
    let oldest_ms = NOW_MS - i64::try_from(span_ms / 2).expect("days");
    let after = all_pages(&lake, asked.clone()).await;
    assert!(!after.is_empty() && after.len() < before.len());
    asked.start = EventTime::from_micros(oldest_ms * 1_000).ok();
    assert_eq!(after, expected(&known, &asked));
}
