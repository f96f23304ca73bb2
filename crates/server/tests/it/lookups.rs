//! LookupEvents: pages, tokens, times, rates.

use std::time::Duration;

use cairn_platform::{Clock, ManualClock};
use cairn_testkit::{TestApp, TestAppBuilder, management_event};
use serde_json::{Value, json};

/// 2026-06-01T00:00:00Z
const START_MS: i64 = 1_780_272_000_000;

async fn filled(app: &TestApp, count: usize) {
    let mut events = Vec::new();
    for index in 0..count {
        let time = format!("2026-05-31T00:{:02}:{:02}Z", index / 60, index % 60);
        events.push(management_event(&format!("event-{index}"), &time).to_string());
    }
    let events = events.join("\n");
    let report = app.client().put_events(events.as_bytes()).await.json();
    assert_eq!(report["accepted"], count, "{report}");
    app.lookup_until(("Username", "Producer"), count.min(50))
        .await;
}

fn page(count: usize, token: Option<&str>) -> Value {
    let mut input = json!({
        "LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": "Producer"}],
        "MaxResults": count,
    });
    if let Some(token) = token {
        input["NextToken"] = token.into();
    }
    input
}

#[tokio::test]
async fn a_large_page_tells_its_length() {
    let app = TestAppBuilder::default()
        .at(ManualClock::at(START_MS))
        .start()
        .await;
    let mut event = management_event("large", "2026-05-31T00:00:00Z");
    event["requestParameters"] = json!({"note": "x".repeat(100_000)});
    let report = app
        .client()
        .put_events(event.to_string().as_bytes())
        .await
        .json();
    assert_eq!(report["accepted"], 1, "{report}");
    app.lookup_until(("Username", "Producer"), 1).await;
    let client = app.client();
    let answer = client.cloudtrail("LookupEvents", &page(1, None)).await;
    let mut lengths = answer.headers.iter().filter(|(n, _)| n == "content-length");
    let length = lengths.next().map(|(_, value)| value.as_str());
    assert_eq!(length, Some(answer.body.len().to_string().as_str()));
    assert!(answer.body.len() > 100_000);
    app.stop().await;
}

// Proves: OVR-085, OVR-086, OVR-090
#[tokio::test]
async fn pages_are_stable_newest_first_and_end() {
    let app = TestAppBuilder::default()
        .at(ManualClock::at(START_MS))
        .start()
        .await;
    filled(&app, 45).await;
    let client = app.client();
    let mut token: Option<String> = None;
    let mut ids = Vec::new();
    loop {
        let answer = client
            .cloudtrail("LookupEvents", &page(20, token.as_deref()))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        for event in body["Events"].as_array().expect("a list") {
            assert_eq!(event["EventName"], "CreateBucket");
            assert_eq!(event["Username"], "Producer");
            assert_eq!(event["AccessKeyId"], "AKIAPRODUCER");
            assert_eq!(event["ReadOnly"], "false");
            assert!(
                event["EventTime"].is_f64(),
                "a number with fraction: {event}"
            );
            assert_eq!(
                event["Resources"],
                json!([{"ResourceType": "AWS::S3::Bucket", "ResourceName": "example"}])
            );
            ids.push(event["EventId"].as_str().expect("a text").to_owned());
        }
        // What arrives between two pages is not on the next one.
        let late_id = format!("late-{}", ids.len());
        let late = management_event(&late_id, "2026-05-31T00:00:00Z");
        client.put_events(late.to_string().as_bytes()).await;
        app.lookup_until(("EventId", &late_id), 1).await;
        match body["NextToken"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    let expected: Vec<_> = (0..45)
        .rev()
        .map(|index| format!("event-{index}"))
        .collect();
    assert_eq!(ids, expected);
    app.stop().await;
}

// Proves: OVR-090
#[tokio::test]
async fn a_token_is_bound_to_its_request_and_its_time() {
    let clock = ManualClock::at(START_MS);
    let app = TestAppBuilder::default().at(clock.clone()).start().await;
    filled(&app, 3).await;
    let client = app.client();
    let answer = client
        .cloudtrail("LookupEvents", &page(1, None))
        .await
        .json();
    let token = answer["NextToken"].as_str().expect("there is more");
    let refused = |answer: cairn_testkit::Answer| {
        assert_eq!(
            (answer.status, answer.error().as_str()),
            (400, "InvalidNextTokenException")
        );
    };
    let mut other = page(1, Some(token));
    other["LookupAttributes"][0]["AttributeValue"] = "Else".into();
    refused(client.cloudtrail("LookupEvents", &other).await);
    let elsewhere = app.client().in_region("eu-west-1");
    refused(
        elsewhere
            .cloudtrail("LookupEvents", &page(1, Some(token)))
            .await,
    );
    let mut tampered = token.to_owned();
    tampered.replace_range(
        10..11,
        if tampered.as_bytes()[10] == b'A' {
            "B"
        } else {
            "A"
        },
    );
    refused(
        client
            .cloudtrail("LookupEvents", &page(1, Some(&tampered)))
            .await,
    );
    assert_eq!(
        client
            .cloudtrail("LookupEvents", &page(1, Some(token)))
            .await
            .status,
        200
    );
    clock.advance(Duration::from_secs(3601));
    refused(
        client
            .cloudtrail("LookupEvents", &page(1, Some(token)))
            .await,
    );
    app.stop().await;
}

// Proves: OVR-092
#[tokio::test]
async fn two_lookups_a_second_for_an_account_and_region() {
    let clock = ManualClock::at(START_MS);
    let app = TestAppBuilder::default()
        .with("lookup.requests_per_second", "2")
        .at(clock.clone())
        .start()
        .await;
    let client = app.client();
    let lookup = async || client.cloudtrail("LookupEvents", &json!({})).await;
    assert_eq!(lookup().await.status, 200);
    assert_eq!(lookup().await.status, 200);
    let refused = lookup().await;
    assert_eq!(
        (refused.status, refused.error().as_str()),
        (400, "ThrottlingException")
    );
    let elsewhere = app.client().in_region("eu-west-1");
    assert_eq!(
        elsewhere
            .cloudtrail("LookupEvents", &json!({}))
            .await
            .status,
        200
    );
    clock.advance(Duration::from_millis(500));
    assert_eq!(lookup().await.status, 200);
    assert_eq!(lookup().await.status, 400);
    app.stop().await;
}

// Proves: OVR-041, OVR-080
#[tokio::test]
async fn times_are_inclusive_and_regions_apart() {
    let app = TestAppBuilder::default()
        .at(ManualClock::at(START_MS))
        .start()
        .await;
    filled(&app, 5).await;
    let range = |start: i64, end: i64| {
        let mut input = page(50, None);
        // 2026-05-31T00:00:00Z
        input["StartTime"] = (1_780_185_600 + start).into();
        input["EndTime"] = (1_780_185_600 + end).into();
        input
    };
    let client = app.client();
    for (start, end, expected) in [(1, 3, 3), (0, 4, 5), (5, 9, 0), (2, 2, 1)] {
        let answer = client
            .cloudtrail("LookupEvents", &range(start, end))
            .await
            .json();
        let events = answer["Events"].as_array().expect("a list");
        assert_eq!(events.len(), expected, "{start} to {end}");
    }
    let elsewhere = app.client().in_region("eu-west-1");
    let answer = elsewhere
        .cloudtrail("LookupEvents", &page(50, None))
        .await
        .json();
    assert_eq!(answer["Events"], json!([]));
    app.stop().await;
}

#[tokio::test]
async fn a_request_signed_five_minutes_off_is_refused() {
    let clock = ManualClock::at(START_MS);
    let app = TestAppBuilder::default().at(clock.clone()).start().await;
    let punctual = app.client();
    assert_eq!(
        punctual.cloudtrail("LookupEvents", &json!({})).await.status,
        200
    );
    let behind = app.client_at(ManualClock::at(clock.now_ms() - 301_000));
    let answer = behind.cloudtrail("LookupEvents", &json!({})).await;
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (400, "InvalidSignatureException")
    );
    app.stop().await;
}

// Proves: OVR-084, OVR-088, OVR-089
#[tokio::test]
async fn a_page_has_fifty_events_unless_asked_and_an_event_of_nothing_lists_no_resources() {
    let app = TestAppBuilder::default()
        .at(ManualClock::at(START_MS))
        .start()
        .await;
    filled(&app, 55).await;
    let client = app.client();
    let events = async |input: &Value| {
        let answer = client.cloudtrail("LookupEvents", input).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["Events"].as_array().expect("a list").clone()
    };
    assert_eq!(events(&json!({})).await.len(), 50);
    assert_eq!(events(&page(50, None)).await.len(), 50);
    assert_eq!(events(&page(10, None)).await.len(), 10);
    for count in [0, 51] {
        let answer = client.cloudtrail("LookupEvents", &page(count, None)).await;
        assert_eq!(answer.status, 400, "{count}");
    }
    let mut plain = management_event("plain", "2026-05-31T01:00:00Z");
    for (name, value) in [
        ("eventName", json!("DescribeTrails")),
        ("eventSource", json!("cloudtrail.amazonaws.com")),
        ("requestParameters", Value::Null),
        ("responseElements", Value::Null),
    ] {
        plain[name] = value;
    }
    let members = plain.as_object_mut().expect("an object");
    members.remove("resources");
    let report = client.put_events(plain.to_string().as_bytes()).await.json();
    assert_eq!(report["accepted"], 1, "{report}");
    app.lookup_until(("EventId", "plain"), 1).await;
    let asked = json!({"LookupAttributes": [
        {"AttributeKey": "EventId", "AttributeValue": "plain"},
    ]});
    let found = &events(&asked).await[0];
    assert_eq!(found["Resources"], json!([]));
    let text = found["CloudTrailEvent"].as_str().expect("a text");
    assert!(text.contains(r#""requestParameters":null"#), "{text}");
    app.stop().await;
}
