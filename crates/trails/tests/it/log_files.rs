//! Which events go into which file, and how files look.

use std::time::Duration;

use cairn_eventlog::EventLog as _;
use cairn_model::InsightSelector;
use cairn_model::selectors::{EventSelector, EventSelectors, ReadWriteType};
use cairn_platform::{ObjectEncryption, S3Purpose};

use crate::stage::{ACCOUNT, BUCKET, Stage, next, trail};

// Proves: TRL-134, TRL-135, TRL-137, TRL-138, SEC-001, SEC-002, SEC-004, SEC-005, SEC-006, SEC-208, TRL-142
#[tokio::test]
async fn events_become_one_file_for_each_trail_and_region_with_names_as_aws_has_them() {
    let mut stage = Stage::new().await;
    let mut all = trail("all");
    all.settings.is_multi_region = true;
    all.settings.key_prefix = Some("logs/x".to_owned());
    stage.create(&all).await;
    let first = stage.event("us-east-1", "RunInstances").await;
    let second = stage.event("us-east-1", "StopInstances").await;
    let third = stage.event("eu-west-1", "RunInstances").await;
    stage.deliver().await;
    let delivered = stage.delivered(BUCKET);
    let found: Vec<(String, Vec<String>)> = delivered
        .iter()
        .map(|(key, ids)| {
            let (start, unique) = key.rsplit_once('_').expect("a unique part");
            let unique = unique.strip_suffix(".json.gz").expect("gzip");
            assert_eq!(unique.len(), 16, "{unique}");
            assert!(
                unique.bytes().all(|c| c.is_ascii_alphanumeric()),
                "{unique}"
            );
            (start.to_owned(), ids.clone())
        })
        .collect();
    let name = |region: &str| {
        format!(
            "logs/x/AWSLogs/{ACCOUNT}/CloudTrail/{region}/2026/11/21/\
             {ACCOUNT}_CloudTrail_{region}_20261121T1002Z"
        )
    };
    assert_eq!(
        found,
        [
            (name("eu-west-1"), vec![third]),
            (name("us-east-1"), vec![first, second]),
        ]
    );
    for object in stage.puts.objects().values() {
        assert!(object.request.gives_owner_full_control);
        assert!(object.request.if_none_match);
        assert_eq!(
            object.request.content_type.as_deref(),
            Some("application/json")
        );
        assert_eq!(object.request.content_encoding.as_deref(), Some("gzip"));
        assert_eq!(object.request.encryption, Some(ObjectEncryption::Managed));
        assert_eq!(
            object.purpose,
            S3Purpose::Delivery {
                trail_arn: all.arn(),
                account: ACCOUNT.to_owned()
            }
        );
    }
    assert!(
        stage.spooled().is_empty(),
        "what is delivered leaves the spool"
    );
}

// Proves: TRL-139
#[tokio::test]
async fn events_stand_in_files_byte_for_byte() {
    let stage = Stage::new().await;
    stage.create(&trail("all")).await;
    let odd = concat!(
        r#"{"eventVersion":"1.08","userIdentity": {"type":"Root"},"eventTime":"2026-11-21T10:00:00Z","#,
        r#""eventSource":"ec2.amazonaws.com","eventName":"RunInstances","awsRegion":"us-east-1","#,
        r#""sourceIPAddress":"192.0.2.1","requestParameters":{"n":1.50,"ä":"\u00e4\/"},"#,
        r#""responseElements":null,"eventID":"odd-1","eventType":"AwsApiCall","#,
        r#""recipientAccountId":"111122223333","managementEvent":true,"eventCategory":"Management","readOnly":false}"#
    );
    stage.append_event(odd).await;
    stage.deliver().await;
    let key = &stage.keys(BUCKET, "/CloudTrail/")[0];
    let text = String::from_utf8(stage.content(BUCKET, key)).expect("UTF-8");
    assert_eq!(text, format!("{{\"Records\":[{odd}]}}"));
}

// Proves: REC-048, REC-054, REC-056
#[tokio::test]
async fn trails_get_events_without_context_and_within_their_limits() {
    let mut stage = Stage::new().await;
    stage.create(&trail("all")).await;
    let json = stage.event_json("us-east-1", "RunInstances", "ec2.amazonaws.com");
    let mut event: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    event["requestParameters"] = serde_json::json!({"userData": "x".repeat(150_000)});
    event["eventContext"] = serde_json::json!({"requestContext": {"aws:SourceVpc": "secret-vpc"}});
    stage.append_event(&event.to_string()).await;
    stage.deliver().await;
    let key = &stage.keys(BUCKET, "/CloudTrail/")[0];
    let record = &stage.records(BUCKET, key)[0];
    assert_eq!(record.get("eventContext"), None);
    assert_eq!(record["requestParameters"]["omitted"], true);
    assert_eq!(record["eventName"], "RunInstances");
}

// Proves: TRL-125, TRL-127, TRL-141, OVR-226, SEL-006
#[tokio::test]
async fn insights_events_go_into_a_folder_of_their_own_and_only_where_their_type_is_wanted() {
    let mut stage = Stage::new().await;
    let mut wants = trail("wants");
    wants.settings.validates_log_files = true;
    wants.settings.insight_selectors = vec![InsightSelector {
        insight_type: "ApiErrorRateInsight".to_owned(),
        event_categories: Vec::new(),
    }];
    let mut plain = trail("plain");
    plain.settings.key_prefix = Some("plain".to_owned());
    stage.create(&wants).await;
    stage.create(&plain).await;
    let insight = |id: &str, kind: &str| {
        serde_json::json!({
            "eventVersion": "1.08",
            "eventTime": "2026-11-21T10:00:00Z",
            "awsRegion": "us-east-1",
            "eventID": id,
            "eventType": "AwsCloudTrailInsight",
            "recipientAccountId": ACCOUNT,
            "sharedEventID": "shared-1",
            "insightDetails": {
                "state": "Start",
                "eventSource": "ec2.amazonaws.com",
                "eventName": "RunInstances",
                "insightType": kind,
                "insightContext": {"statistics": {}},
            },
            "eventCategory": "Insight",
        })
        .to_string()
    };
    let errors = insight("insight-errors", "ApiErrorRateInsight");
    stage.append_event(&errors).await;
    let calls = insight("insight-calls", "ApiCallRateInsight");
    stage.append_event(&calls).await;
    let activity = stage.event("us-east-1", "RunInstances").await;
    stage.deliver().await;
    let found = stage.keys(BUCKET, "/CloudTrail-Insight/");
    let start = format!(
        "AWSLogs/{ACCOUNT}/CloudTrail-Insight/us-east-1/2026/11/21/\
         {ACCOUNT}_CloudTrail-Insight_us-east-1_20261121T1002Z_"
    );
    assert!(
        found.len() == 1 && found[0].starts_with(&start),
        "{found:?}"
    );
    let text = String::from_utf8(stage.content(BUCKET, &found[0])).expect("UTF-8");
    assert_eq!(text, format!("{{\"Records\":[{errors}]}}"));
    let others = stage.delivered_ids(BUCKET);
    assert_eq!(
        others,
        [activity.clone(), activity],
        "one file for each trail"
    );
    stage.pass(Duration::from_hours(1)).await;
    let listed = stage.check_chain("us-east-1").await;
    assert!(listed.contains(&found[0]), "signed like all log files");
}

// Proves: TRL-002, TRL-043, TRL-044, TRL-042, SEL-021
#[tokio::test]
async fn scope_and_selectors_decide_who_gets_an_event() {
    let mut stage = Stage::new().await;
    let mut reads = trail("reads");
    reads.settings.bucket = "other".to_owned();
    reads.settings.is_multi_region = true;
    reads.settings.includes_global_service_events = false;
    reads.settings.event_selectors = EventSelectors::Basic(vec![EventSelector {
        read_write_type: ReadWriteType::ReadOnly,
        ..EventSelector::default()
    }]);
    let mut off = trail("off");
    off.settings.bucket = "nowhere".to_owned();
    off.logging.is_on = false;
    let mut europe = trail("europe");
    europe.home_region = crate::stage::region("eu-west-1");
    europe.settings.key_prefix = Some("europe".to_owned());
    for made in [&trail("home"), &reads, &off, &europe] {
        stage.create(made).await;
    }
    let write = stage.event("us-east-1", "RunInstances").await;
    let away = stage.event("eu-west-1", "RunInstances").await;
    let mut read = stage.event_json("eu-west-1", "DescribeInstances", "ec2.amazonaws.com");
    read = read.replace("\"readOnly\":false", "\"readOnly\":true");
    let read = stage.append_event(&read).await;
    let global = stage.event_json("us-east-1", "ListUsers", "iam.amazonaws.com");
    let global = global.replace("\"readOnly\":false", "\"readOnly\":true");
    let global = stage.append_event(&global).await;
    stage.deliver().await;
    let by_prefix = |prefix: &str| -> Vec<String> {
        let files = stage.delivered(BUCKET);
        let of_prefix = files.into_iter().filter(|(key, _)| key.starts_with(prefix));
        of_prefix.flat_map(|(_, ids)| ids).collect()
    };
    assert_eq!(by_prefix("AWSLogs/"), [write, global]);
    assert_eq!(by_prefix("europe/"), [away, read.clone()]);
    assert_eq!(
        stage.delivered_ids("other"),
        [read],
        "no global events, no writes"
    );
    assert_eq!(
        stage.trails.counts().failures,
        0,
        "nothing was put for a trail that is off"
    );
}

// Proves: TRL-062, TRL-061, REC-165
#[tokio::test]
async fn a_change_counts_from_its_place_in_the_log_on() {
    let mut stage = Stage::new().await;
    let made = trail("all");
    stage.create(&made).await;
    let before = stage.event("us-east-1", "A").await;
    let stopped = next(&made, |trail| trail.logging.is_on = false);
    stage.change(&stopped).await;
    stage.event("us-east-1", "Unseen").await;
    let moved = next(&stopped, |trail| {
        trail.logging.is_on = true;
        trail.settings.bucket = "other".to_owned();
    });
    stage.change(&moved).await;
    let after = stage.event("us-east-1", "B").await;
    stage.delete(&moved).await;
    stage.event("us-east-1", "Unseen").await;
    stage.deliver().await;
    assert_eq!(stage.delivered_ids(BUCKET), [before]);
    assert_eq!(stage.delivered_ids("other"), [after]);
}

#[tokio::test]
async fn a_control_record_that_comes_again_changes_nothing() {
    let mut stage = Stage::new().await;
    let made = trail("all");
    stage.create(&made).await;
    let first = stage.log.read(
        cairn_model::PartitionId(0),
        cairn_model::Sequence(0),
        1 << 20,
    );
    let controls = first.await.expect("reads");
    let stopped = next(&made, |trail| trail.logging.is_on = false);
    stage.change(&stopped).await;
    // As a crash between append and the outbox's emptying leaves it.
    let again = controls.into_iter().map(|record| record.record);
    stage.append(again.collect()).await;
    stage.event("us-east-1", "Unseen").await;
    stage.delete(&stopped).await;
    let first = stage
        .log
        .read(cairn_model::PartitionId(0), cairn_model::Sequence(0), 1);
    let created = first.await.expect("reads");
    stage
        .append(created.into_iter().map(|record| record.record).collect())
        .await;
    stage.event("us-east-1", "Unseen").await;
    stage.deliver().await;
    assert!(stage.puts.objects().is_empty());
}

// Proves: SEC-010, TRL-131, REC-153
#[tokio::test]
async fn files_are_cut_on_whole_multiples_of_the_interval() {
    let mut stage = Stage::new().await;
    stage.create(&trail("all")).await;
    stage
        .trails
        .cut_now()
        .await
        .expect("passes the control record");
    stage.event("us-east-1", "A").await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let trails = std::sync::Arc::clone(&stage.trails);
    let running = tokio::spawn(async move { trails.run(stopped).await });
    // The start stands at 10:02:30.
    let mut waited = Duration::ZERO;
    while stage.keys(BUCKET, "/CloudTrail/").is_empty() {
        tokio::task::yield_now().await;
        if stage.clock.sleepers() >= 3 && waited < Duration::from_secs(150) {
            stage.clock.advance(Duration::from_secs(1));
            waited += Duration::from_secs(1);
        }
    }
    let key = &stage.keys(BUCKET, "/CloudTrail/")[0];
    assert!(key.contains("20261121T1005Z"), "{key}");
    stop.send(true).expect("it runs");
    running.await.expect("no panic").expect("no trouble");
}

// Proves: TRL-139, SEC-006
#[tokio::test]
async fn large_files_are_split_and_pieces_make_one_gzip_member() {
    let mut stage = Stage::with(|config| cairn_trails::TrailsConfig {
        file_bytes_max: 3 << 20,
        buffer_bytes_max: 256 << 10,
        ..config
    })
    .await;
    stage.create(&trail("all")).await;
    let mut expected = Vec::new();
    for number in 0..300 {
        let json = stage.event_json("us-east-1", "RunInstances", "ec2.amazonaws.com");
        let mut event: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let noise: String = (0..20_000_u32)
            .map(|at| char::from(b'a' + u8::try_from((at * 7919 + number) % 26).expect("a letter")))
            .collect();
        event["requestParameters"] = serde_json::json!({ "data": noise });
        expected.push(stage.append_event(&event.to_string()).await);
    }
    stage.deliver().await;
    let files = stage.delivered(BUCKET);
    assert_eq!(files.len(), 2, "6 MB in files of 3 MiB");
    expected.sort_unstable();
    assert_eq!(stage.delivered_ids(BUCKET), expected);
}
