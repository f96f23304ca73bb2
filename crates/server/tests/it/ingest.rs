//! The door for producers' events.

use std::io::Write;

use cairn_testkit::{TestApp, TestAppBuilder, data_event, management_event};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// Recent enough for event history, whatever day the tests run on.
fn now() -> String {
    let millis = cairn_platform::Clock::now_ms(&cairn_platform::SystemClock::new());
    chrono::DateTime::from_timestamp_millis(millis)
        .expect("now is a time")
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn lines(events: &[Value]) -> Vec<u8> {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    lines.join("\n").into_bytes()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("writing into memory");
    encoder.finish().expect("writing into memory")
}

#[tokio::test]
async fn events_come_in_as_lines_or_as_a_log_file_plain_or_compressed() {
    let app = TestApp::start().await;
    let client = app.client();
    let event = |id: &str| management_event(id, &now());
    let accepted =
        json!({"accepted": 1, "duplicates": 0, "unselected": 0, "tooOld": 0, "refused": []});
    let answer = client.put_events(&lines(&[event("one")])).await;
    assert_eq!((answer.status, answer.json()), (200, accepted.clone()));
    let file = json!({"Records": [event("two")]}).to_string();
    assert_eq!(client.put_events(file.as_bytes()).await.json(), accepted);
    let encoding = [("content-encoding", "gzip")];
    let answer = client
        .put_events_with(&gzip(&lines(&[event("three")])), &encoding)
        .await;
    assert_eq!(answer.json(), accepted);
    let found = app.lookup_until(("Username", "Producer"), 3).await;
    let mut ids: Vec<_> = found
        .iter()
        .map(|event| event["eventID"].as_str())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [Some("one"), Some("three"), Some("two")]);
    app.stop().await;
}

// Proves: P8, H8
#[tokio::test]
async fn an_event_that_the_log_can_never_take_is_refused_alone() {
    let app = TestApp::start().await;
    let long = |bytes: usize| format!("arn:aws:iam::111122223333:user/{}", "x".repeat(bytes));
    let mut names = management_event("long-names", &now());
    names["userIdentity"] = json!({"type": "IAMUser", "arn": long(480_000)});
    names["errorCode"] = "x".repeat(500_000).into();
    // Within its own limit, but the routing header repeats the resource, and the caller's name twice.
    let mut found_by = management_event("found-by", &now());
    found_by["userIdentity"] = json!({"type": "IAMUser", "arn": long(2000)});
    found_by["resources"] = json!([{"ARN": ""}]);
    let room = (1 << 20) - found_by.to_string().len();
    found_by["resources"][0]["ARN"] = "r".repeat(room).into();
    let good = management_event("good", &now());
    let answer = app
        .client()
        .put_events(&lines(&[names, found_by, good]))
        .await;
    let report = answer.json();
    assert_eq!(
        (answer.status, &report["accepted"]),
        (200, &json!(1)),
        "{report}"
    );
    let refused = |place: usize| {
        (
            &report["refused"][place]["eventID"],
            &report["refused"][place]["code"],
        )
    };
    let expected = |id, code| (json!(id), json!(code));
    let (id, code) = expected("long-names", "InvalidEventMemberTooLong");
    assert_eq!(refused(0), (&id, &code));
    let (id, code) = expected("found-by", "InvalidEventTooLarge");
    assert_eq!(refused(1), (&id, &code));
    app.lookup_until(("Username", "Producer"), 1).await;
    app.stop().await;
}

// Proves: P1, R11
#[tokio::test]
async fn a_retry_is_acknowledged_again_and_stored_once() {
    let app = TestApp::start().await;
    let client = app.client();
    let event = management_event("one", &now());
    let batch = lines(std::slice::from_ref(&event));
    assert_eq!(client.put_events(&batch).await.json()["accepted"], 1);
    let again = client.put_events(&batch).await;
    assert_eq!(
        (again.status, &again.json()["duplicates"]),
        (200, &json!(1))
    );
    let twice = lines(&[event.clone(), management_event("two", &now())]);
    let report = client.put_events(&twice).await.json();
    assert_eq!(
        (&report["accepted"], &report["duplicates"]),
        (&json!(1), &json!(1))
    );
    let mut other = event;
    other["eventName"] = "DeleteBucket".into();
    let refused = client.put_events(&lines(&[other])).await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.json()["refused"][0]["code"],
        "DuplicatedAuditEventId"
    );
    assert_eq!(refused.json()["refused"][0]["eventID"], "one");

    let audit = &app
        .lookup_until(("EventName", "DuplicateEventRefused"), 1)
        .await[0];
    assert_eq!(audit["eventType"], "AwsServiceEvent");
    assert_eq!(audit["serviceEventDetails"]["eventIDs"], json!(["one"]));
    assert_eq!(app.lookup_until(("Username", "Producer"), 2).await.len(), 2);
    app.stop().await;
}

// Proves: P1
#[tokio::test]
async fn the_same_batch_many_times_at_once_is_stored_once() {
    let app = TestApp::start().await;
    let events: Vec<Value> = (0..40)
        .map(|index| management_event(&format!("event-{index}"), &now()))
        .collect();
    let batch = lines(&events);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, batch) = (app.client(), batch.clone());
        calls.spawn(async move { client.put_events(&batch).await.json() });
    }
    let mut accepted = 0;
    while let Some(report) = calls.join_next().await {
        let report = report.expect("no call panics");
        let count = |name: &str| report[name].as_u64().expect("a number");
        assert_eq!(count("accepted") + count("duplicates"), 40, "{report}");
        accepted += count("accepted");
    }
    assert_eq!(accepted, 40);
    let found = app.lookup_until(("Username", "Producer"), 40).await;
    assert_eq!(found.len(), 40);
    app.stop().await;
}

#[tokio::test]
async fn each_event_that_cannot_be_taken_says_why_and_the_rest_goes_in() {
    let app = TestApp::start().await;
    let mut elsewhere = management_event("elsewhere", &now());
    elsewhere["awsRegion"] = "me-south-1".into();
    let mut nobody = management_event("nobody", &now());
    nobody["recipientAccountId"] = "999999999999".into();
    let mut nameless = management_event("nameless", &now());
    nameless
        .as_object_mut()
        .expect("an object")
        .remove("eventName");
    let good = management_event("good", &now());
    let data = data_event("data", &now());
    let mut batch = lines(&[elsewhere, nobody, nameless, good, data]);
    batch.extend_from_slice(b"\n{\"eventID\": \"broken\"");
    let answer = app.client().put_events(&batch).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let report = answer.json();
    assert_eq!(report["accepted"], 2);
    assert_eq!(report["unselected"], 1, "no store selects data events");
    let refused: Vec<_> = report["refused"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|refusal| {
            (
                refusal["index"].clone(),
                refusal["eventID"].clone(),
                refusal["code"].clone(),
            )
        })
        .collect();
    assert_eq!(
        refused,
        [
            (json!(0), json!("elsewhere"), json!("RegionNotEnabled")),
            (json!(1), json!("nobody"), json!("AccountNotFound")),
            (
                json!(2),
                json!("nameless"),
                json!("InvalidEventMissingMember")
            ),
            (json!(5), json!(null), json!("InvalidEventJson")),
        ]
    );
    app.stop().await;
}

// Proves: OVR-036
#[tokio::test]
async fn events_older_than_history_are_counted_in_the_answer() {
    let app = TestAppBuilder::default()
        .with("lake.history_retention", "30d")
        .start()
        .await;
    let now_ms = cairn_platform::Clock::now_ms(&cairn_platform::SystemClock::new());
    let days_ago = |days: i64| {
        chrono::DateTime::from_timestamp_millis(now_ms - days * 86_400_000 + 60_000)
            .expect("a time")
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    };
    let events = [
        management_event("within", &days_ago(30)),
        management_event("beyond", &days_ago(31)),
        data_event("of no store anyway", &days_ago(31)),
        management_event("now", &now()),
    ];
    let report = app.client().put_events(&lines(&events)).await.json();
    assert_eq!(report["accepted"], 4);
    assert_eq!(
        (&report["tooOld"], &report["unselected"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(app.lookup_until(("EventId", "within"), 1).await.len(), 1);
    app.lookup_until(("EventId", "now"), 1).await;
    let beyond = app.client().lookup(("EventId", "beyond")).await.json();
    assert_eq!(beyond["Events"], json!([]));
    app.stop().await;
}

// Proves: H2, R18
#[tokio::test]
async fn bodies_that_are_no_batch_are_refused_whole() {
    let app = TestAppBuilder::default()
        .with("ingest.body_bytes_max", "2MiB")
        .with("ingest.events_max", "10")
        .start()
        .await;
    let client = app.client();
    let gzipped = [("content-encoding", "gzip")];
    let eleven: Vec<Value> = (0..11)
        .map(|i| management_event(&i.to_string(), &now()))
        .collect();
    let too_many = client.put_events(&lines(&eleven)).await;
    assert_eq!(
        (too_many.status, too_many.error().as_str()),
        (400, "ValidationException")
    );
    let empty = client.put_events(b"").await;
    assert_eq!(
        (empty.status, empty.error().as_str()),
        (400, "ValidationException")
    );
    let no_gzip = client.put_events_with(b"{}", &gzipped).await;
    assert_eq!(
        (no_gzip.status, no_gzip.error().as_str()),
        (400, "ValidationException")
    );
    let other = client
        .put_events_with(b"{}", &[("content-encoding", "br")])
        .await;
    assert_eq!(
        (other.status, other.error().as_str()),
        (400, "ValidationException")
    );
    let bomb = client
        .put_events_with(&gzip(&vec![b' '; 3 << 20]), &gzipped)
        .await;
    assert!(matches!(bomb.status, 400 | 413), "{}", bomb.text());
    let large = client.put_events(&vec![b' '; (2 << 20) + 1]).await;
    assert_eq!(
        (large.status, large.error().as_str()),
        (413, "RequestEntityTooLargeException")
    );
    assert_eq!(client.unsigned("GET", "/healthz").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_principal_beyond_its_rate_is_told_to_wait() {
    let app = TestAppBuilder::default()
        .with("ingest.requests_per_second", "1")
        .with("ingest.requests_burst", "2")
        .start()
        .await;
    let client = app.client();
    let batch = lines(&[management_event("one", &now())]);
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(client.put_events(&batch).await);
    }
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert!(!refused.is_empty());
    assert_eq!(refused[0].error(), "ThrottlingException");
    assert_eq!(refused[0].header("retry-after"), Some("1"));
    app.stop().await;
}

/// Damages the batch of the event log that holds `event_id`.
fn damage_log(data_dir: &std::path::Path, event_id: &str) {
    let needle = format!("\"{event_id}\"").into_bytes();
    for file in std::fs::read_dir(data_dir.join("log")).expect("the log's folder") {
        let path = file.expect("it can be listed").path();
        let Ok(mut bytes) = std::fs::read(&path) else {
            continue;
        };
        let found = bytes
            .windows(needle.len())
            .position(|window| window == needle);
        if let Some(at) = found {
            bytes[at + 1] ^= 1;
            std::fs::write(&path, bytes).expect("it can be written");
            return;
        }
    }
    panic!("no file of the log holds {event_id}");
}

// Proves: R4
#[tokio::test]
async fn a_damaged_log_does_not_stop_the_doors() {
    let app = TestApp::start().await;
    // One time for all: a retry is the same bytes.
    let time = now();
    let event = |name: &str| management_event(name, &time).to_string().into_bytes();
    app.client().put_events(&event("one")).await;
    app.client().put_events(&event("two")).await;
    assert_eq!(app.lookup_until(("EventId", "two"), 1).await.len(), 1);
    let app = app
        .restart_after(async |folder| damage_log(folder, "one"))
        .await;
    let report = app.client().put_events(&event("three")).await.json();
    assert_eq!(report["accepted"], 1);
    assert_eq!(app.lookup_until(("EventId", "three"), 1).await.len(), 1);
    // What history had taken over before stays; what is remembered beside the damage is remembered.
    assert_eq!(app.lookup_until(("EventId", "one"), 1).await.len(), 1);
    assert_eq!(
        app.client().put_events(&event("two")).await.json()["duplicates"],
        1
    );
    app.stop().await;
}
