//! What log groups and buses get, and when they do not.

use std::collections::BTreeSet;
use std::time::Duration;

use cairn_model::selectors::{AdvancedEventSelector, EventSelectors, FieldSelector};
use cairn_model::{InsightSelector, LogGroup, Trail};
use cairn_platform::{LogStream, ServiceFailure};
use cairn_trails::TrailsConfig;
use serde_json::Value;

use crate::stage::{ACCOUNT, BUCKET, START_MS, Stage, next, trail, validated};

const DAY: Duration = Duration::from_hours(24);
const GROUP: &str = "arn:aws:logs:us-east-1:111122223333:log-group:CloudTrail/logs:*";
const ROLE: &str = "arn:aws:iam::111122223333:role/CloudTrail_CloudWatchLogs_Role";

pub(crate) fn writing(mut trail: Trail) -> Trail {
    trail.settings.log_group = Some(LogGroup {
        arn: GROUP.to_owned(),
        role_arn: ROLE.to_owned(),
    });
    trail
}

fn stream() -> LogStream {
    LogStream {
        region: "us-east-1".to_owned(),
        group: "CloudTrail/logs".to_owned(),
        stream: format!("{ACCOUNT}_CloudTrail_us-east-1"),
    }
}

pub(crate) fn trouble() -> ServiceFailure {
    ServiceFailure::new("ServiceUnavailableException", "scripted")
}

fn id_of(json: &str) -> String {
    let event: Value = serde_json::from_str(json).expect("JSON");
    event["eventID"].as_str().expect("an ID").to_owned()
}

impl Stage {
    pub(crate) async fn with_group() -> Self {
        let stage = Self::new().await;
        stage.told.logs.create_group("CloudTrail/logs");
        stage
    }

    pub(crate) async fn with_buses() -> Self {
        let mut stage = Self::new().await;
        stage.add_buses().await;
        stage
    }

    pub(crate) async fn add_buses(&mut self) {
        self.told.has_buses = true;
        self.restart().await;
    }

    pub(crate) async fn deliver_and_feed(&self) {
        self.deliver().await;
        self.trails.tell_now().await;
    }

    /// `eventID`s of the one stream, in its order.
    pub(crate) fn logged_ids(&self) -> Vec<String> {
        let mut streams = self.told.logs.streams();
        let events = streams.remove(&stream()).unwrap_or_default();
        assert!(streams.is_empty(), "{:?}", streams.keys());
        events.iter().map(|event| id_of(&event.message)).collect()
    }

    /// `eventID`s of the bus of a Region, in its order.
    pub(crate) fn bus_ids(&self, region: &str) -> Vec<String> {
        let events = self.told.buses.events().remove(region).unwrap_or_default();
        events.iter().map(|event| id_of(&event.detail)).collect()
    }

    /// An event with so many bytes more, at a time that many milliseconds from now.
    pub(crate) async fn large_event(&mut self, filler: usize, later_ms: i64) -> String {
        let json = self.event_json("us-east-1", "Large", "ec2.amazonaws.com");
        let mut event: Value = serde_json::from_str(&json).expect("JSON");
        let time = chrono_time(START_MS + later_ms);
        event["eventTime"] = Value::String(time);
        // An old version, whose members have no limits: such events stay large.
        event["eventVersion"] = Value::String("1.04".to_owned());
        event["requestParameters"] = serde_json::json!({ "filler": "x".repeat(filler) });
        self.append_event(&event.to_string()).await
    }
}

fn chrono_time(time_ms: i64) -> String {
    let time = cairn_model::EventTime::from_micros(time_ms / 1000 * 1_000_000);
    time.expect("a time").to_string()
}

// Proves: TRL-158, REC-167, REC-168, REC-172, REC-179
#[tokio::test]
async fn a_log_group_gets_exactly_the_events_of_the_files() {
    let mut stage = Stage::with_group().await;
    let mut made = writing(trail("all"));
    made.settings.is_multi_region = true;
    stage.create(&made).await;
    let mut ids = vec![stage.event("us-east-1", "A").await];
    ids.push(stage.event("eu-west-1", "B").await);
    let with_context = stage
        .event_json("us-east-1", "C", "ec2.amazonaws.com")
        .replace(
            r#""eventName""#,
            r#""eventContext":{"tags":{}},"eventName""#,
        );
    ids.push(stage.append_event(&with_context).await);
    stage.deliver_and_feed().await;
    let mut logged = stage.logged_ids();
    logged.sort_unstable();
    assert_eq!(logged, ids);
    let events = &stage.told.logs.streams()[&stream()];
    assert!(
        events
            .iter()
            .all(|event| !event.message.contains("eventContext"))
    );
    assert!(
        events
            .iter()
            .all(|event| event.time_ms == START_MS / 1000 * 1000)
    );
    assert!(stage.spooled().is_empty(), "both are done with the files");
    let status = stage.status(&made).await;
    assert_eq!(status.logs_delivery_ms, Some(START_MS));
    assert_eq!(status.logs_delivery_error, None);
    assert_eq!(stage.trails.outlet_counts().logs_events, 3);
    // Nothing is sent once more.
    let attempts = stage.told.logs.attempts();
    stage.deliver_and_feed().await;
    assert_eq!(stage.told.logs.attempts(), attempts);
}

// Proves: S6, R15, TRL-080
#[tokio::test]
async fn log_groups_and_buckets_wait_for_one_another_in_nothing() {
    let mut stage = Stage::with_group().await;
    let made = writing(validated("all"));
    stage.create(&made).await;
    let first = stage.event("us-east-1", "A").await;
    stage.puts.delete_bucket(BUCKET);
    stage.deliver_and_feed().await;
    assert_eq!(
        stage.logged_ids(),
        std::slice::from_ref(&first),
        "the bucket is down, the log group is not"
    );
    assert_eq!(stage.spooled().len(), 1, "the file waits for its bucket");
    stage.puts.create_bucket(BUCKET);
    stage.told.logs.delete_group("CloudTrail/logs");
    stage.clock.advance(Duration::from_mins(6));
    let second = stage.event("us-east-1", "B").await;
    stage.deliver_and_feed().await;
    assert_eq!(stage.delivered_ids(BUCKET), [first.clone(), second.clone()]);
    let status = stage.status(&made).await;
    assert_eq!(
        status.logs_delivery_error.as_deref(),
        Some("ResourceNotFoundException")
    );
    assert_eq!(status.delivery_error, None);
    // A digest that lists them, and its delivery, let go of what the bucket needed, not of the rest.
    stage.pass(Duration::from_hours(1)).await;
    stage.check_all_listed("us-east-1").await;
    assert_eq!(stage.spooled().len(), 1);
    stage.restart().await;
    stage.told.logs.create_group("CloudTrail/logs");
    stage.trails.tell_now().await;
    assert_eq!(stage.logged_ids(), [second]);
    assert_eq!(stage.status(&made).await.logs_delivery_error, None);
    assert!(stage.spooled().is_empty());
}

// Proves: REC-170, S6
#[tokio::test]
async fn batches_keep_the_rules_and_what_is_too_large_or_too_old_is_counted() {
    let mut stage = Stage::with_group().await;
    let made = writing(trail("all"));
    stage.create(&made).await;
    let mut ids = BTreeSet::new();
    for turn in 0..12 {
        ids.insert(stage.large_event(200_000, -turn * 7_200_000).await);
    }
    stage.large_event(262_144, 0).await;
    // Of the second batch, the two oldest are too old.
    stage.told.logs.script([Ok(0), Ok(2)]);
    stage.deliver_and_feed().await;
    let batches = stage.told.logs.batches();
    assert!(batches.len() >= 3, "{}", batches.len());
    for batch in &batches {
        let bytes: usize = batch.iter().map(|event| event.message.len() + 26).sum();
        assert!(bytes <= 1_048_576 && batch.len() <= 10_000);
        assert!(batch.is_sorted_by_key(|event| event.time_ms));
        let span = batch[batch.len() - 1].time_ms - batch[0].time_ms;
        assert!(span < 86_400_000);
    }
    let sent: BTreeSet<String> = batches
        .iter()
        .flatten()
        .map(|event| id_of(&event.message))
        .collect();
    assert_eq!(sent, ids);
    assert_eq!(stage.status(&made).await.logs_events_lost, 3);
    let counts = stage.trails.outlet_counts();
    assert_eq!((counts.logs_events, counts.lost_logs_events), (10, 3));
}

// Proves: S6, R15
#[tokio::test]
async fn a_restart_repeats_the_batch_whose_answer_was_lost_and_no_other() {
    let mut stage = Stage::with_group().await;
    stage.create(&writing(trail("all"))).await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(stage.large_event(200_000, 0).await);
    }
    // Two batches are taken; of the third nobody knows.
    stage.told.logs.script([Ok(0), Ok(0), Err(trouble())]);
    stage.deliver_and_feed().await;
    assert_eq!(stage.logged_ids(), ids[..10]);
    stage.restart().await;
    stage.trails.tell_now().await;
    assert_eq!(stage.logged_ids(), ids);
    // The same where one read makes several batches, for their times lie apart.
    for turn in 0..4 {
        ids.push(stage.large_event(10, turn * 86_400_000).await);
    }
    stage.told.logs.script([Ok(0), Ok(0), Err(trouble())]);
    stage.deliver_and_feed().await;
    stage.restart().await;
    stage.trails.tell_now().await;
    assert_eq!(stage.logged_ids(), ids);
    // What was taken without an answer comes again.
    let mut more = Vec::new();
    for _ in 0..12 {
        more.push(stage.large_event(200_000, 0).await);
    }
    stage.told.logs.lose_answer_after(1);
    stage.deliver_and_feed().await;
    stage.restart().await;
    stage.trails.tell_now().await;
    ids.extend_from_slice(&more[..10]);
    ids.extend_from_slice(&more[5..]);
    assert_eq!(stage.logged_ids(), ids);
}

// Proves: TRL-133, R15
#[tokio::test]
async fn after_thirty_days_events_are_given_up_and_counted() {
    let mut stage = Stage::new().await;
    let made = writing(trail("all"));
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.event("us-east-1", "B").await;
    stage.deliver_and_feed().await;
    for _ in 0..29 {
        stage.clock.advance(DAY);
        stage.trails.tell_now().await;
    }
    assert_eq!(stage.status(&made).await.logs_events_lost, 0);
    assert_eq!(stage.spooled().len(), 1);
    stage.clock.advance(2 * DAY);
    stage.trails.tell_now().await;
    let status = stage.status(&made).await;
    assert_eq!((status.logs_events_lost, status.events_lost), (2, 0));
    assert_eq!(
        status.logs_delivery_error.as_deref(),
        Some("ResourceNotFoundException")
    );
    assert!(stage.spooled().is_empty());
    // Without a log group nothing more is sent.
    stage.told.logs.create_group("CloudTrail/logs");
    stage
        .change(&next(&made, |trail| trail.settings.log_group = None))
        .await;
    stage.event("us-east-1", "C").await;
    stage.deliver_and_feed().await;
    assert!(stage.told.logs.batches().is_empty());
}

// Proves: R15, R18, S6
#[tokio::test]
async fn a_log_group_that_is_down_fills_its_own_budget_alone() {
    let mut stage = Stage::with(|config| TrailsConfig {
        spool_trail_bytes_max: 2_000,
        ..config
    })
    .await;
    let made = writing(trail("all"));
    stage.create(&made).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(stage.event("us-east-1", "A").await);
        stage.deliver_and_feed().await;
        stage.clock.advance(Duration::from_mins(6));
    }
    assert_eq!(stage.delivered_ids(BUCKET), ids, "the bucket has all");
    let status = stage.status(&made).await;
    assert!(
        status.logs_events_lost > 0,
        "the spool is full for the log group"
    );
    assert_eq!(status.events_lost, 0);
    let used = stage.trails.lane_use().await.expect("measures");
    assert!(used.iter().map(|one| one.bytes).sum::<u64>() <= 2_000);
    // And the reverse.
    stage.told.logs.create_group("CloudTrail/logs");
    stage.trails.tell_now().await;
    let before = stage.logged_ids().len();
    stage.puts.delete_bucket(BUCKET);
    for _ in 0..20 {
        stage.event("us-east-1", "A").await;
        stage.deliver_and_feed().await;
        stage.clock.advance(Duration::from_mins(6));
    }
    assert_eq!(stage.logged_ids().len(), before + 20);
    assert!(stage.status(&made).await.events_lost > 0);
}

// Proves: R15
#[tokio::test]
async fn a_damaged_file_is_given_up_and_the_next_goes_on() {
    let mut stage = Stage::with_group().await;
    let made = writing(trail("all"));
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.trails.cut_now().await.expect("cuts");
    let file = stage.spooled().remove(0);
    std::fs::write(&file, b"damaged").expect("writes");
    let second = stage.event("us-east-1", "B").await;
    stage.deliver_and_feed().await;
    assert_eq!(stage.logged_ids(), [second]);
    let status = stage.status(&made).await;
    assert_eq!((status.logs_events_lost, status.events_lost), (1, 1));
}

// Proves: SEL-010, REC-048, S6
#[tokio::test]
async fn a_bus_gets_each_event_once_however_many_trails_take_it() {
    let mut stage = Stage::with_buses().await;
    let everywhere = next(&trail("everywhere"), |trail| {
        trail.version = 1;
        trail.settings.is_multi_region = true;
    });
    stage.create(&everywhere).await;
    stage.create(&trail("home")).await;
    let here = stage.event("us-east-1", "A").await;
    let there = stage.event("eu-west-1", "B").await;
    stage.event("ap-south-1", "C").await;
    stage.deliver_and_feed().await;
    assert_eq!(stage.bus_ids("us-east-1"), [here]);
    assert_eq!(stage.bus_ids("eu-west-1"), [there]);
    assert_eq!(stage.told.buses.events().len(), 3);
    // What no trail takes goes nowhere.
    stage.delete(&everywhere).await;
    stage.event("eu-west-1", "D").await;
    stage.deliver_and_feed().await;
    assert_eq!(stage.bus_ids("eu-west-1").len(), 1);
    assert!(stage.spooled().is_empty());
    assert_eq!(stage.trails.outlet_counts().bus_events, 3);
}

// Proves: S6, R15
#[tokio::test]
async fn entries_that_a_bus_refuses_are_put_again_alone() {
    let mut stage = Stage::with_buses().await;
    stage.create(&trail("all")).await;
    let mut ids = Vec::new();
    for _ in 0..25 {
        ids.push(stage.event("us-east-1", "A").await);
    }
    let buses = &stage.told.buses;
    buses.script([Ok(vec![]), Ok(vec![1, 4]), Ok(vec![0]), Ok(vec![2])]);
    stage.deliver_and_feed().await;
    let batches = |stage: &Stage| {
        let mut batches = stage.told.buses.batches();
        batches.sort_unstable();
        batches
    };
    assert_eq!(batches(&stage), [5, 10, 10]);
    // Also after a restart.
    stage.restart().await;
    stage.trails.tell_now().await;
    stage.clock.advance(Duration::from_mins(6));
    stage.trails.tell_now().await;
    assert_eq!(batches(&stage), [1, 3, 5, 10, 10]);
    let mut put = stage.bus_ids("us-east-1");
    put.sort_unstable();
    assert_eq!(put, ids, "each once");
    assert!(stage.spooled().is_empty());
}

// Proves: S6, R15, TRL-133
#[tokio::test]
async fn a_bus_that_is_down_holds_up_nothing_and_ends_after_thirty_days() {
    let mut stage = Stage::with_buses().await;
    stage.told.logs.create_group("CloudTrail/logs");
    stage.create(&writing(trail("all"))).await;
    let id = stage.event("us-east-1", "A").await;
    stage
        .told
        .buses
        .script(std::iter::repeat_n(Err(trouble()), 40));
    stage.deliver_and_feed().await;
    let only = [id];
    assert_eq!(stage.delivered_ids(BUCKET), only);
    assert_eq!(stage.logged_ids(), only);
    assert_eq!(stage.spooled().len(), 1);
    for _ in 0..31 {
        stage.clock.advance(DAY);
        stage.trails.tell_now().await;
    }
    assert_eq!(stage.trails.outlet_counts().lost_bus_events, 1);
    assert!(stage.spooled().is_empty());
}

// Proves: REC-168, SEL-010
#[tokio::test]
async fn insights_events_are_told_and_network_activity_is_not() {
    let mut stage = Stage::with_buses().await;
    stage.told.logs.create_group("CloudTrail/logs");
    let mut made = writing(trail("all"));
    made.settings.insight_selectors = vec![InsightSelector {
        insight_type: "ApiErrorRateInsight".to_owned(),
        event_categories: Vec::new(),
    }];
    let field = |field: &str, value: &str| FieldSelector {
        field: field.to_owned(),
        equals: vec![value.to_owned()],
        starts_with: Vec::new(),
        ends_with: Vec::new(),
        not_equals: Vec::new(),
        not_starts_with: Vec::new(),
        not_ends_with: Vec::new(),
    };
    let selector = |field_selectors| AdvancedEventSelector {
        name: None,
        field_selectors,
    };
    made.settings.event_selectors = EventSelectors::Advanced(vec![
        selector(vec![field("eventCategory", "Management")]),
        selector(vec![
            field("eventCategory", "NetworkActivity"),
            field("eventSource", "kms.amazonaws.com"),
        ]),
    ]);
    stage.create(&made).await;
    let activity = stage.event("us-east-1", "A").await;
    let network = stage.event_json("us-east-1", "Decrypt", "kms.amazonaws.com");
    let mut network: Value = serde_json::from_str(&network).expect("JSON");
    network["eventType"] = "AwsVpceEvent".into();
    network["eventCategory"] = "NetworkActivity".into();
    network["managementEvent"] = false.into();
    network["vpcEndpointId"] = "vpce-1".into();
    let network = stage.append_event(&network.to_string()).await;
    let insight = serde_json::json!({
        "eventVersion": "1.08",
        "eventTime": "2026-11-21T10:00:00Z",
        "awsRegion": "us-east-1",
        "eventID": "insight",
        "eventType": "AwsCloudTrailInsight",
        "recipientAccountId": ACCOUNT,
        "sharedEventID": "shared-1",
        "insightDetails": {
            "state": "Start",
            "eventSource": "ec2.amazonaws.com",
            "eventName": "RunInstances",
            "insightType": "ApiErrorRateInsight",
            "insightContext": {"statistics": {}},
        },
        "eventCategory": "Insight",
    });
    let insight = stage.append_event(&insight.to_string()).await;
    stage.deliver_and_feed().await;
    assert!(
        stage.delivered_ids(BUCKET).contains(&network),
        "its file has it"
    );
    let mut logged = stage.logged_ids();
    logged.sort_unstable();
    assert_eq!(logged, [activity.clone(), insight.clone()]);
    assert_eq!(stage.bus_ids("us-east-1"), [activity, insight]);
    let told = &stage.told.buses.events()["us-east-1"][1];
    let expected = ("aws.cloudtrail", "AWS Insight via CloudTrail");
    assert_eq!((told.source.as_str(), told.detail_type.as_str()), expected);
    assert_eq!(stage.status(&made).await.logs_events_lost, 0);
}

// Proves: SEL-010, R18
#[tokio::test]
async fn events_of_regions_without_a_bus_are_not_kept_for_one() {
    let mut stage = Stage::with_buses().await;
    stage.told.buses.serve_only("eu-west-1");
    let mut made = trail("all");
    made.settings.is_multi_region = true;
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    let there = stage.event("eu-west-1", "B").await;
    stage.deliver_and_feed().await;
    assert_eq!(stage.bus_ids("eu-west-1"), [there]);
    assert_eq!(stage.told.buses.events().len(), 1);
    assert!(stage.spooled().is_empty());
}
