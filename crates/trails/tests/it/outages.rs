//! S1: buckets that fail for hours and for weeks. What must hold: nothing is lost or doubled (I3), every delivered
//! file stands in one digest of an unbroken chain (I6), the status tells the truth (I7), the spool stays within
//! its budget, and a mended bucket has everything within two of the longest pauses.

use std::sync::Arc;
use std::time::Duration;

use cairn_model::Trail;
use cairn_platform::{
    BucketPattern, S3CredentialSource, S3Credentials, S3EndpointConfig, S3Endpoints, S3Failure,
    S3Timeouts,
};
use cairn_trails::TrailsConfig;
use serde_json::json;
use tokio::task::JoinSet;

use crate::door::Door;
use crate::fake_s3::{FAULTS, FakeS3, Fault};
use crate::results::{amount, record};
use crate::simulation::{Settings, Simulation};
use crate::stage::{BUCKET, Stage, trail, validated};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// The longest pause between two attempts, as configured by default.
const CAP: Duration = Duration::from_mins(5);

const USUAL: Settings = Settings {
    cut_interval: CAP,
    step_min: Duration::ZERO,
    is_sending: true,
    is_frozen: false,
};

fn refused() -> S3Failure {
    S3Failure {
        http_status: Some(403),
        ..S3Failure::new("AccessDenied", "scripted")
    }
}

/// The one client that deliveries use, with the patience of a test.
fn client_of(url: &str) -> Arc<S3Endpoints> {
    let credentials = S3Credentials {
        access_key_id: "AKIATEST".to_owned(),
        secret: "very-secret".to_owned().into(),
        session_token: None,
    };
    let config = S3EndpointConfig {
        name: "fake".to_owned(),
        buckets: vec![BucketPattern::new("*")],
        url: Some(url.to_owned()),
        region: "us-east-1".to_owned(),
        path_style: true,
        credentials: S3CredentialSource::Static(credentials),
        ca_file: None,
        timeouts: S3Timeouts {
            connect: Duration::from_secs(2),
            read: Duration::from_millis(400),
            operation: Duration::from_millis(800),
        },
    };
    let endpoints = S3Endpoints::new(vec![config.clone()], config);
    Arc::new(endpoints.expect("a client"))
}

/// What one outage cost.
#[derive(Debug, Default)]
struct Cost {
    events: usize,
    late: u64,
    attempts: u64,
    files: usize,
}

/// An endpoint that fails in one way, for so long; the real client in front of it.
async fn outage_of(fault: Fault, told: Option<&'static str>, time: Duration) -> Cost {
    let mut stage = Stage::new().await;
    let endpoint = FakeS3::start(&stage.puts).await;
    stage.put_through(client_of(&endpoint.url));
    let bad = validated("bad");
    let mut good: Trail = trail("good");
    "other".clone_into(&mut good.settings.bucket);
    stage.create(&bad).await;
    stage.create(&good).await;
    let mut run = Simulation::start(stage, USUAL).await;
    run.run(2 * CAP).await;
    endpoint.break_bucket(BUCKET, fault);
    run.run(time).await;
    let late = run.waiting().await;
    assert!(late > 1, "{fault:?}: {late} files wait");
    let status = run.stage.status(&bad).await;
    assert_eq!(status.delivery_error.as_deref(), told, "{fault:?}");
    assert!(status.delivery_ms < status.delivery_attempt_ms, "{fault:?}");
    let healthy = run.stage.status(&good).await;
    assert_eq!(healthy.delivery_error, None, "{fault:?}");
    assert_eq!(
        run.stage.delivered_ids("other"),
        run.sent_ids(),
        "{fault:?}"
    );
    endpoint.mend();
    run.settings.is_sending = false;
    run.run(2 * CAP).await;
    assert_eq!(run.waiting().await, 0, "{fault:?}: two caps after repair");
    assert_eq!(run.stage.status(&bad).await.delivery_error, None);
    run.run(2 * HOUR).await;
    assert_eq!(run.stage.delivered_ids(BUCKET), run.sent_ids(), "{fault:?}");
    run.stage.check_listed("us-east-1", &[BUCKET]).await;
    run.stage.check_spool_use().await;
    assert!(run.stage.puts.conflicts().is_empty(), "the same bytes");
    assert!(run.stage.spooled().is_empty());
    assert_eq!(run.stage.status(&bad).await.files_lost, 0);
    let counts = endpoint.counts();
    assert!(counts.faults > 2 && counts.damaged == 0, "{counts:?}");
    Cost {
        events: run.sent.len(),
        late,
        attempts: counts.faults,
        files: run.stage.keys(BUCKET, "AWSLogs").len(),
    }
}

// Proves: S1, R14, R15, R16, I3, I6, I7, TRL-079
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_may_fail_in_any_way_for_hours() {
    let time = amount(Duration::from_mins(20), 6 * HOUR);
    let mut runs = JoinSet::new();
    for (fault, told) in FAULTS {
        runs.spawn(outage_of(fault, told, time));
    }
    let mut sum = Cost::default();
    while let Some(cost) = runs.join_next().await {
        let cost = cost.expect("the outage was survived");
        sum.events += cost.events;
        sum.late += cost.late;
        sum.attempts += cost.attempts;
        sum.files += cost.files;
    }
    record(
        "S1 endpoint that fails",
        json!({
            "runs": FAULTS.len(),
            "acks": sum.events,
            "lost": 0,
            "duplicates": 0,
            "figures": {
                "virtual hours": time.as_secs() / 3600 * FAULTS.len() as u64,
                "files": sum.files,
                "files late": sum.late,
                "files lost": 0,
                "attempts in vain": sum.attempts,
            },
        }),
    );
}

// Proves: S1, R15, R18, I3, I6, I7, TRL-133
#[tokio::test]
async fn outages_of_up_to_three_days_lose_nothing() {
    let hours: &[u32] = amount(&[1, 5], &[1, 2, 4, 8, 16, 24, 48, 72]);
    let (mut events, mut late, mut attempts, mut files) = (0, 0, 0, 0);
    for &hours in hours {
        let mut stage = Stage::new().await;
        let door = Door::before(&stage.puts);
        stage.put_through(Arc::clone(&door) as _);
        let made = validated("bad");
        stage.create(&made).await;
        let mut run = Simulation::start(stage, USUAL).await;
        run.run(HOUR).await;
        door.close(BUCKET, refused());
        run.run(hours * HOUR).await;
        let waiting = run.waiting().await;
        assert!(waiting >= 12 * u64::from(hours), "{waiting} wait");
        let status = run.stage.status(&made).await;
        assert_eq!(status.delivery_error.as_deref(), Some("AccessDenied"));
        door.open(BUCKET);
        run.settings.is_sending = false;
        run.run(2 * CAP).await;
        assert_eq!(run.waiting().await, 0, "two caps after repair");
        run.run(2 * HOUR).await;
        assert_eq!(run.stage.delivered_ids(BUCKET), run.sent_ids());
        run.stage.check_all_listed("us-east-1").await;
        run.stage.check_spool_use().await;
        assert_eq!(run.stage.starting_digests("us-east-1"), 1);
        assert!(run.stage.spooled().is_empty());
        events += run.sent.len();
        late += waiting;
        attempts += door.came().len();
        files += door.keys(BUCKET).len();
    }
    record(
        "S1 outages of hours",
        json!({
            "runs": hours.len(),
            "acks": events,
            "lost": 0,
            "duplicates": 0,
            "figures": {
                "virtual hours": hours.iter().sum::<u32>(),
                "files late": late,
                "files lost": 0,
                "attempts per file": per_file(attempts, files),
            },
        }),
    );
}

// Proves: S1, R15, TRL-133, SEC-212, I7
#[tokio::test]
async fn an_outage_of_six_weeks_loses_what_was_tried_for_thirty_days_and_no_more() {
    let mut stage = Stage::new().await;
    let door = Door::before(&stage.puts);
    stage.put_through(Arc::clone(&door) as _);
    let made = trail("bad");
    stage.create(&made).await;
    let settings = Settings {
        cut_interval: amount(6 * HOUR, HOUR),
        step_min: amount(HOUR, Duration::ZERO),
        is_sending: true,
        is_frozen: false,
    };
    let mut run = Simulation::start(stage, settings).await;
    door.close(BUCKET, refused());
    run.run(29 * DAY + 23 * HOUR).await;
    assert_eq!(run.stage.status(&made).await.events_lost, 0, "not early");
    let early = run.sent.len();
    run.run(12 * DAY).await;
    let status = run.stage.status(&made).await;
    assert_eq!(status.delivery_error.as_deref(), Some("AccessDenied"));
    let counted = run.stage.trails.counts().lost_events;
    let lost = usize::try_from(status.events_lost).expect("few");
    assert!(lost > 0 && lost <= early, "{lost} lost");
    assert_eq!(counted, lost as u64, "metric and status agree");
    door.open(BUCKET);
    run.settings.is_sending = false;
    run.run(2 * CAP).await;
    assert_eq!(run.waiting().await, 0, "two caps after repair");
    assert_eq!(
        run.stage.status(&made).await.events_lost,
        status.events_lost
    );
    let delivered = run.stage.delivered_ids(BUCKET);
    assert_eq!(delivered.len() + lost, run.sent.len(), "none is forgotten");
    assert_eq!(run.stage.status(&made).await.files_lost, status.events_lost);
    run.stage.check_spool_use().await;
    assert!(run.stage.spooled().is_empty());
    record(
        "S1 outage of 42 days",
        json!({
            "runs": 1,
            "acks": run.sent.len(),
            "duplicates": 0,
            "figures": {
                "virtual hours": 42 * 24,
                "files given up after 30 days": lost,
                "files late": delivered.len(),
                "attempts per file": per_file(door.came().len(), door.keys(BUCKET).len()),
            },
        }),
    );
}

// Proves: S1, R18, I7
#[tokio::test]
async fn the_backlog_stays_within_its_budget_and_what_is_beyond_is_told() {
    const BUDGET: u64 = 20_000;
    let budget = |config| TrailsConfig {
        spool_trail_bytes_max: BUDGET,
        ..config
    };
    let mut stage = Stage::with(budget).await;
    let door = Door::before(&stage.puts);
    stage.put_through(Arc::clone(&door) as _);
    let made = trail("bad");
    stage.create(&made).await;
    let mut run = Simulation::start(stage, USUAL).await;
    door.close(BUCKET, refused());
    run.run(amount(8 * HOUR, 3 * DAY)).await;
    assert!(
        run.spool_bytes_max <= BUDGET,
        "{} bytes",
        run.spool_bytes_max
    );
    let status = run.stage.status(&made).await;
    let lost = usize::try_from(status.events_lost).expect("few");
    assert!(lost > 0, "the budget is used up");
    door.open(BUCKET);
    run.settings.is_sending = false;
    run.run(2 * CAP).await;
    let delivered = run.stage.delivered_ids(BUCKET).len();
    assert_eq!(delivered + lost, run.sent.len(), "none is forgotten");
    run.stage.check_spool_use().await;
    record(
        "S1 outage beyond the spool",
        json!({
            "runs": 1,
            "acks": run.sent.len(),
            "figures": {
                "budget bytes": BUDGET,
                "most bytes in the spool": run.spool_bytes_max,
                "events told as lost": lost,
            },
        }),
    );
}

/// Control: what the checks above rest on finds a lost file, and a file that came twice.
#[tokio::test]
async fn the_outage_harness_sees_what_is_lost_and_what_is_doubled() {
    let stage = Stage::new().await;
    stage.create(&validated("all")).await;
    let mut run = Simulation::start(stage, USUAL).await;
    run.run(HOUR).await;
    // A delivery that nobody made: the row goes, the object is not there.
    let door = Door::before(&run.stage.puts);
    run.stage.put_through(Arc::clone(&door) as _);
    let mut run = Simulation::start(run.stage, USUAL).await;
    door.close(BUCKET, refused());
    run.run(CAP).await;
    run.stage
        .execute("DELETE FROM trail_files WHERE delivered_ms IS NULL AND kind = 'log'")
        .await;
    door.open(BUCKET);
    run.settings.is_sending = false;
    run.run(2 * CAP).await;
    assert_eq!(run.waiting().await, 0);
    let sent = run.sent_ids();
    let delivered = run.stage.delivered_ids(BUCKET);
    let lost = sent.iter().filter(|id| !delivered.contains(id)).count();
    assert!(lost > 0, "the planted loss is seen");
    // An event that stands in the log twice.
    let before = delivered.len();
    let twice = run.stage.event_json("us-east-1", "A", "ec2.amazonaws.com");
    for _ in 0..2 {
        run.stage.append_event(&twice).await;
    }
    run.stage.deliver().await;
    let mut delivered = run.stage.delivered_ids(BUCKET);
    assert_eq!(delivered.len(), before + 2);
    delivered.dedup();
    assert_eq!(delivered.len(), before + 1, "the doubling is seen");
    record(
        "S1 outages of hours",
        json!({"controls": 2, "controls_caught": 2}),
    );
}

fn per_file(attempts: usize, files: usize) -> f64 {
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    let files = u32::try_from(files).unwrap_or(u32::MAX);
    (f64::from(attempts) / f64::from(files) * 10.0).round() / 10.0
}
