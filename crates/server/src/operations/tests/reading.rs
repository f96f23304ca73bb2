//! DescribeTrails, GetTrail, ListTrails, GetTrailStatus by Region, and ListPublicKeys.

use cairn_api::ErrorCode as E;
use cairn_catalog::trails::TrailStatus;
use cairn_model::Logging;
use serde_json::json;

use super::*;
use crate::operations::get_trail_status;

/// One trail that covers every Region, and two of one name.
async fn three_trails() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.create_everywhere("everywhere").await;
    fixture.create("local").await;
    let other = json!({"Name": "local", "S3BucketName": "a-bucket"});
    let other = fixture.call_in("eu-west-1", "CreateTrail", other).await;
    assert!(other.is_ok(), "{other:?}");
    fixture
}

// Proves: TRL-024, TRL-025, TRL-067
#[tokio::test]
async fn trails_are_seen_where_they_log() {
    let fixture = three_trails().await;
    let check = async |region: &str, input: Value, expected: &[&str]| {
        let answer = fixture
            .call_in(region, "DescribeTrails", input.clone())
            .await;
        let answer = answer.expect("it is a list");
        let found: Vec<&str> = answer["trailList"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|trail| trail["TrailARN"].as_str().expect("an ARN"))
            .collect();
        assert_eq!(found, expected, "{region} {input}");
    };
    let everywhere = arn("everywhere");
    let (here, there) = (arn("local"), arn_in("eu-west-1", "local"));
    check("us-east-1", json!({}), &[&everywhere, &here]).await;
    check(
        "us-east-1",
        json!({"trailNameList": []}),
        &[&everywhere, &here],
    )
    .await;
    check("eu-west-1", json!({}), &[&there, &everywhere]).await;
    check("ap-south-1", json!({}), &[&everywhere]).await;
    check(
        "ap-south-1",
        json!({"includeShadowTrails": true}),
        &[&everywhere],
    )
    .await;
    check("ap-south-1", json!({"includeShadowTrails": false}), &[]).await;
    check(
        "eu-west-1",
        json!({"includeShadowTrails": false}),
        &[&there],
    )
    .await;
    let named = |names: &[&str]| json!({"trailNameList": names});
    check("eu-west-1", named(&["local"]), &[&there]).await;
    check("eu-west-1", named(&["everywhere"]), &[]).await;
    check(
        "eu-west-1",
        named(&[&everywhere, "local"]),
        &[&there, &everywhere],
    )
    .await;
    check("eu-west-1", named(&[&here]), &[]).await;
    check("us-east-1", named(&[&here, "local", "missing"]), &[&here]).await;
    let bad = named(&["a_"]);
    fixture
        .refused("DescribeTrails", bad, E::InvalidTrailNameException)
        .await;
    let bad = named(&["arn:aws:cloudtrail:us-east-1:1:trail/a"]);
    fixture
        .refused("DescribeTrails", bad, E::CloudTrailARNInvalidException)
        .await;
}

// Proves: TRL-025, TRL-071
#[tokio::test]
async fn a_trail_is_read_by_name_at_home_and_by_arn_wherever_it_logs() {
    let fixture = three_trails().await;
    let everywhere = arn("everywhere");
    let (here, there) = (arn("local"), arn_in("eu-west-1", "local"));
    for operation in ["GetTrail", "GetTrailStatus"] {
        for (region, name, is_there) in [
            ("us-east-1", "everywhere", true),
            ("ap-south-1", everywhere.as_str(), true),
            ("ap-south-1", "everywhere", false),
            ("ap-south-1", here.as_str(), false),
            ("us-east-1", there.as_str(), false),
        ] {
            let answer = fixture
                .call_in(region, operation, json!({"Name": name}))
                .await;
            match answer {
                Ok(_) => assert!(is_there, "{operation} {region} {name}"),
                Err(error) => {
                    assert!(!is_there, "{operation} {region} {name}: {error}");
                    assert_eq!(error.code, E::TrailNotFoundException);
                }
            }
        }
    }
    let listed = fixture.call("ListTrails", json!({})).await.expect("a list");
    assert_eq!(
        names(&listed["Trails"]),
        BTreeSet::from(["everywhere", "local"])
    );
    let first = json!({"Name": "everywhere", "TrailARN": everywhere, "HomeRegion": "us-east-1"});
    assert_eq!(listed["Trails"][0], first);
    let token = json!({"NextToken": "x"});
    fixture
        .refused("ListTrails", token, E::ValidationException)
        .await;
}

// Proves: TRL-075, TRL-076, TRL-077, TRL-078, TRL-079, TRL-080, TRL-081
#[test]
fn a_status_tells_times_in_both_forms_and_errors_only_if_there_are_any() {
    let logging = Logging {
        is_on: true,
        started_ms: Some(1_700_000_000_500),
        stopped_ms: None,
    };
    let fresh = get_trail_status::answer(&logging, TrailStatus::default());
    let expected = json!({
        "IsLogging": true,
        "LatestDeliveryAttemptSucceeded": "",
        "LatestDeliveryAttemptTime": "",
        "LatestNotificationAttemptSucceeded": "",
        "LatestNotificationAttemptTime": "",
        "StartLoggingTime": 1_700_000_000.5,
        "TimeLoggingStarted": "2023-11-14T22:13:20Z",
        "TimeLoggingStopped": "",
    });
    assert_eq!(serde_json::to_value(fresh).expect("JSON"), expected);
    let status = TrailStatus {
        delivery_attempt_ms: Some(1_700_000_001_000),
        delivery_ms: Some(1_700_000_002_000),
        delivery_error: Some("NoSuchBucket".to_owned()),
        digest_delivery_ms: Some(1_700_000_003_000),
        digest_delivery_error: Some("AccessDenied".to_owned()),
        notification_attempt_ms: Some(1_700_000_004_000),
        notification_ms: Some(1_700_000_005_000),
        notification_error: Some("AuthorizationError".to_owned()),
        logs_delivery_ms: Some(1_700_000_006_000),
        logs_delivery_error: Some("ResourceNotFoundException".to_owned()),
        files_lost: 1,
        events_lost: 2,
        notifications_lost: 3,
        logs_events_lost: 4,
    };
    let logging = Logging {
        is_on: false,
        started_ms: Some(1_700_000_000_500),
        stopped_ms: Some(1_700_000_007_000),
    };
    let expected = json!({
        "IsLogging": false,
        "LatestCloudWatchLogsDeliveryError": "ResourceNotFoundException",
        "LatestCloudWatchLogsDeliveryTime": 1_700_000_006.0,
        "LatestDeliveryAttemptSucceeded": "2023-11-14T22:13:22Z",
        "LatestDeliveryAttemptTime": "2023-11-14T22:13:21Z",
        "LatestDeliveryError": "NoSuchBucket",
        "LatestDeliveryTime": 1_700_000_002.0,
        "LatestDigestDeliveryError": "AccessDenied",
        "LatestDigestDeliveryTime": 1_700_000_003.0,
        "LatestNotificationAttemptSucceeded": "2023-11-14T22:13:25Z",
        "LatestNotificationAttemptTime": "2023-11-14T22:13:24Z",
        "LatestNotificationError": "AuthorizationError",
        "LatestNotificationTime": 1_700_000_005.0,
        "StartLoggingTime": 1_700_000_000.5,
        "StopLoggingTime": 1_700_000_007.0,
        "TimeLoggingStarted": "2023-11-14T22:13:20Z",
        "TimeLoggingStopped": "2023-11-14T22:13:27Z",
    });
    let answer = get_trail_status::answer(&logging, status);
    assert_eq!(serde_json::to_value(answer).expect("JSON"), expected);
}

// Proves: REC-264
#[tokio::test]
async fn public_keys_of_a_range_that_ends_before_it_begins_are_refused() {
    let fixture = Fixture::new().await;
    let none = Ok(json!({"PublicKeyList": []}));
    let now = NOW_MS / 1000;
    for (input, is_good) in [
        (json!({}), true),
        (json!({"StartTime": now - 10}), true),
        (json!({"EndTime": now + 10}), true),
        (json!({"StartTime": 5, "EndTime": 5}), true),
        // What is not given is now.
        (json!({"StartTime": now + 10}), false),
        (json!({"EndTime": now - 10}), false),
        (json!({"StartTime": 6, "EndTime": 5}), false),
    ] {
        if is_good {
            assert_eq!(fixture.call("ListPublicKeys", input).await, none);
        } else {
            let code = E::InvalidTimeRangeException;
            fixture.refused("ListPublicKeys", input, code).await;
        }
    }
    let token = json!({"NextToken": "x"});
    fixture
        .refused("ListPublicKeys", token, E::InvalidTokenException)
        .await;
}
