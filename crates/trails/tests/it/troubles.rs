//! Buckets that fail, crashes, clocks that jump, spools that are full.

use std::sync::Arc;
use std::time::Duration;

use cairn_eventlog::{EventLog as _, RecordKind};
use cairn_platform::{S3Failure, ScriptedPut};
use cairn_trails::TrailsConfig;

use crate::full_disk::FullDisk;
use crate::stage::{ACCOUNT, BUCKET, START_MS, Stage, next, trail, validated};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn failure(code: &str, status: u16) -> S3Failure {
    S3Failure {
        http_status: Some(status),
        ..S3Failure::new(code, "scripted")
    }
}

fn timeout() -> S3Failure {
    S3Failure {
        is_timeout: true,
        ..S3Failure::new(S3Failure::TIMEOUT, "scripted")
    }
}

impl Stage {
    /// Tries until everything is delivered or `attempts` rounds are over, with time between.
    async fn retry(&self, attempts: u32) {
        for _ in 0..attempts {
            self.clock.advance(Duration::from_mins(6));
            self.trails.deliver_now().await.expect("delivers");
        }
    }
}

// Proves: TRL-133, REC-154, R14, R15, TRL-079
#[tokio::test]
async fn failures_are_retried_with_the_same_bytes_until_the_bucket_has_them() {
    let mut stage = Stage::new().await;
    let made = trail("all");
    stage.create(&made).await;
    let id = stage.event("us-east-1", "A").await;
    stage.puts.script(
        BUCKET,
        [
            ScriptedPut::Fail(failure("SlowDown", 503)),
            ScriptedPut::Fail(failure("AccessDenied", 403)),
            ScriptedPut::Fail(timeout()),
            ScriptedPut::StoreThenFail(timeout()),
        ],
    );
    stage.deliver().await;
    let status = stage.status(&made).await;
    assert_eq!(status.delivery_error.as_deref(), Some("SlowDown"));
    assert_eq!(status.delivery_attempt_ms, Some(START_MS));
    assert_eq!(status.delivery_ms, None);
    stage.retry(1).await;
    let status = stage.status(&made).await;
    assert_eq!(status.delivery_error.as_deref(), Some("AccessDenied"));
    stage.retry(1).await;
    let status = stage.status(&made).await;
    assert_eq!(
        status.delivery_error.as_deref(),
        Some("AccessDenied"),
        "a bucket that does not answer in time tells nothing new"
    );
    stage.retry(3).await;
    assert_eq!(stage.delivered_ids(BUCKET), [id]);
    assert!(
        stage.puts.conflicts().is_empty(),
        "the same bytes under the same key"
    );
    let status = stage.status(&made).await;
    assert_eq!(status.delivery_error, None);
    assert!(status.delivery_ms.is_some());
    assert!(stage.spooled().is_empty());
    let attempts = stage.puts.attempts();
    stage.retry(3).await;
    assert_eq!(stage.puts.attempts(), attempts, "nothing is put once more");
}

// Proves: TRL-133, SEC-212, R15
#[tokio::test]
async fn after_thirty_days_a_file_is_given_up_and_counted() {
    let mut stage = Stage::new().await;
    let made = validated("all");
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.event("us-east-1", "B").await;
    stage.puts.delete_bucket(BUCKET);
    stage.deliver().await;
    for _ in 0..29 {
        stage.clock.advance(DAY);
        stage.trails.deliver_now().await.expect("delivers");
    }
    assert_eq!(stage.status(&made).await.files_lost, 0);
    assert!(!stage.spooled().is_empty());
    stage.clock.advance(2 * DAY);
    stage.trails.deliver_now().await.expect("delivers");
    let status = stage.status(&made).await;
    assert_eq!((status.files_lost, status.events_lost), (1, 2));
    assert_eq!(status.delivery_error.as_deref(), Some("NoSuchBucket"));
    assert_eq!(stage.trails.counts().lost_events, 2);
    assert!(stage.spooled().is_empty());
    // What comes now goes its way, and the chain of digests goes on.
    stage.puts.create_bucket(BUCKET);
    let later = stage.event("us-east-1", "C").await;
    stage.deliver().await;
    stage.pass(HOUR).await;
    stage.pass(HOUR).await;
    assert_eq!(stage.delivered_ids(BUCKET), [later]);
    stage.check_all_listed("us-east-1").await;
}

// Proves: REC-154, TRL-065
#[tokio::test]
async fn deleting_a_trail_ends_the_attempts() {
    let mut stage = Stage::new().await;
    let made = trail("all");
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.puts.delete_bucket(BUCKET);
    stage.deliver().await;
    stage.delete(&made).await;
    stage.deliver().await;
    assert_eq!(stage.status(&made).await.files_lost, 1);
    let attempts = stage.puts.attempts();
    stage.retry(5).await;
    assert_eq!(stage.puts.attempts(), attempts);
    assert!(stage.spooled().is_empty());
}

// Proves: S5, R15
#[tokio::test]
async fn a_broken_bucket_holds_up_no_other_trail() {
    let mut stage = Stage::new().await;
    stage.create(&trail("good")).await;
    let mut bad = trail("bad");
    bad.settings.bucket = "missing".to_owned();
    stage.create(&bad).await;
    let mut expected = Vec::new();
    for _ in 0..24 {
        expected.push(stage.event("us-east-1", "A").await);
        stage.clock.advance(HOUR);
        stage.deliver().await;
    }
    expected.sort_unstable();
    assert_eq!(stage.delivered_ids(BUCKET), expected);
    let used = stage.trails.spool_use().await.expect("reads");
    assert_eq!(used.len(), 1);
    assert_eq!((used[0].files, used[0].events), (24, 24));
    stage.puts.create_bucket("missing");
    stage.retry(2).await;
    assert_eq!(stage.delivered_ids("missing"), expected);
}

#[tokio::test]
async fn while_a_bucket_fails_one_file_at_a_time_is_tried() {
    let mut stage = Stage::new().await;
    stage.create(&trail("all")).await;
    for _ in 0..10 {
        stage.event("us-east-1", "A").await;
        stage.trails.cut_now().await.expect("cuts");
    }
    stage.puts.delete_bucket(BUCKET);
    stage.trails.deliver_now().await.expect("delivers");
    assert_eq!(
        stage.puts.attempts(),
        4,
        "as many as one trail has places, and then none"
    );
    stage.puts.create_bucket(BUCKET);
    stage.retry(1).await;
    assert_eq!(stage.delivered_ids(BUCKET).len(), 10);
}

// Proves: C2, R14, R16, I3
#[tokio::test]
async fn a_restart_between_any_two_steps_loses_and_doubles_nothing() {
    let mut stage = Stage::new().await;
    stage.create(&validated("all")).await;
    let mut expected = Vec::new();
    for round in 0..12_u32 {
        expected.push(stage.event("us-east-1", "A").await);
        if round % 2 == 0 {
            stage
                .puts
                .script(BUCKET, [ScriptedPut::StoreThenFail(timeout())]);
        }
        stage.restart().await;
        stage.trails.cut_now().await.expect("cuts");
        stage.restart().await;
        stage.trails.deliver_now().await.expect("delivers");
        stage.restart().await;
        stage.clock.advance(Duration::from_mins(20));
        stage.trails.sign_now().await.expect("signs");
        stage.restart().await;
        stage.retry(1).await;
    }
    stage.pass(2 * HOUR).await;
    assert_eq!(stage.delivered_ids(BUCKET), expected);
    assert!(stage.puts.conflicts().is_empty());
    stage.check_all_listed("us-east-1").await;
    assert_eq!(stage.starting_digests("us-east-1"), 1);
    assert!(stage.spooled().is_empty());
}

// Proves: S8, R17
#[tokio::test]
async fn windows_never_move_back_whatever_the_clock_does() {
    let mut stage = Stage::new().await;
    stage.create(&validated("all")).await;
    let mut expected = Vec::new();
    let hour_ms = 3_600_000;
    let mut wall = START_MS;
    for jump in [
        0,
        hour_ms,
        -hour_ms,
        24 * hour_ms,
        -24 * hour_ms,
        -365 * 24 * hour_ms,
        400 * 24 * hour_ms,
    ] {
        wall += jump;
        stage.clock.jump_to(wall);
        expected.push(stage.event("us-east-1", "A").await);
        stage.deliver().await;
        // Both clocks go on by an hour, in steps, as a running server sees it.
        for _ in 0..3 {
            stage.pass(Duration::from_mins(20)).await;
        }
        stage.retry(1).await;
        wall += hour_ms + 360_000;
    }
    stage.pass(2 * HOUR).await;
    stage.pass(2 * HOUR).await;
    expected.sort_unstable();
    assert_eq!(stage.delivered_ids(BUCKET), expected);
    stage.check_all_listed("us-east-1").await;
    let digests = stage.digests("us-east-1").len();
    assert!((7..60).contains(&digests), "{digests} digests");
    assert_eq!(stage.starting_digests("us-east-1"), 1);
    assert_eq!(
        stage.trails.counts().lost_events,
        0,
        "nothing is given up early"
    );
}

// Proves: S8
#[tokio::test]
async fn a_node_that_was_off_for_a_month_signs_one_long_window() {
    let mut stage = Stage::new().await;
    stage.create(&validated("all")).await;
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    stage.restart().await;
    stage.pass(30 * DAY).await;
    stage.check_all_listed("us-east-1").await;
    assert_eq!(stage.digests("us-east-1").len(), 1);
    stage.pass(HOUR).await;
    assert_eq!(stage.digests("us-east-1").len(), 2);
}

// Proves: R18
#[tokio::test]
async fn a_spool_without_room_loses_that_trails_events_and_says_so() {
    let mut stage = Stage::with(|config| TrailsConfig {
        spool_trail_bytes_max: 2_000,
        ..config
    })
    .await;
    let mut bad = trail("bad");
    bad.settings.bucket = "missing".to_owned();
    stage.create(&bad).await;
    stage.create(&trail("good")).await;
    for _ in 0..10 {
        stage.event("us-east-1", "A").await;
        stage.deliver().await;
    }
    assert_eq!(stage.delivered_ids(BUCKET).len(), 10);
    let status = stage.status(&bad).await;
    assert_eq!(status.delivery_error.as_deref(), Some("SpoolFull"));
    let kept = stage.trails.spool_use().await.expect("reads")[0].events;
    assert!(kept > 0);
    assert_eq!(status.events_lost + i64::try_from(kept).expect("few"), 10);
    let folder: u64 = stage
        .spooled()
        .iter()
        .map(|path| std::fs::metadata(path).expect("a file").len())
        .sum();
    assert!(folder <= 2_000, "{folder} bytes");
}

// Proves: R16
#[tokio::test]
async fn a_spooled_file_that_was_damaged_is_neither_put_nor_vouched_for() {
    let mut stage = Stage::new().await;
    let made = validated("all");
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.trails.cut_now().await.expect("cuts");
    let path = stage.spooled().remove(0);
    let mut bytes = std::fs::read(&path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).expect("writes");
    stage.trails.deliver_now().await.expect("delivers");
    assert!(stage.keys(BUCKET, "/CloudTrail/").is_empty());
    let status = stage.status(&made).await;
    assert_eq!(status.delivery_error.as_deref(), Some("SpoolDamaged"));
    assert_eq!(status.events_lost, 1);
    // Damaged between delivery and digest: the digest does not list it.
    stage.event("us-east-1", "B").await;
    stage.deliver().await;
    let is_aside = |path: &std::path::PathBuf| path.to_string_lossy().contains("damaged-");
    let path = stage.spooled().into_iter().find(|path| !is_aside(path));
    std::fs::write(path.expect("the delivered file"), b"other").expect("writes");
    stage.pass(HOUR).await;
    assert_eq!(stage.digests("us-east-1")[0].digest.log_files.len(), 0);
    assert_eq!(stage.trails.counts().unlisted, 1);
}

#[tokio::test]
async fn a_thousand_outputs_share_a_small_buffer() {
    let mut stage = Stage::with(|config| TrailsConfig {
        buffer_bytes_max: 256 << 10,
        ..config
    })
    .await;
    let mut made = Vec::new();
    for number in 0..50 {
        let mut one = trail(&format!("trail-{number}"));
        one.settings.is_multi_region = true;
        one.settings.key_prefix = Some(format!("p{number:02}"));
        stage.create(&one).await;
        made.push(one);
    }
    for number in 0..200 {
        stage.event(&format!("xx-test-{}", number % 20), "A").await;
    }
    stage.deliver().await;
    let files = stage.delivered(BUCKET);
    assert_eq!(files.len(), 1_000, "50 trails in 20 Regions");
    assert!(files.values().all(|ids| ids.len() == 10));
    assert!(files.keys().all(|key| key.contains(ACCOUNT)));
    let stopped = next(&made[0], |trail| trail.logging.is_on = false);
    stage.change(&stopped).await;
}

// Proves: S8, R15
#[tokio::test]
async fn a_clock_that_was_wrong_gives_nothing_up() {
    let mut stage = Stage::new().await;
    let made = trail("all");
    stage.create(&made).await;
    let id = stage.event("us-east-1", "A").await;
    stage.puts.delete_bucket(BUCKET);
    stage.deliver().await;
    let year_ms = 365 * 86_400_000;
    for wall in [
        START_MS + year_ms,
        START_MS - year_ms,
        START_MS + 2 * year_ms,
    ] {
        stage.clock.jump_to(wall);
        stage.retry(2).await;
    }
    assert_eq!(stage.status(&made).await.files_lost, 0);
    // Set right again: what was to wait a year waits no longer than any other file.
    stage.clock.jump_to(START_MS + 3_600_000);
    stage.puts.create_bucket(BUCKET);
    stage.retry(2).await;
    assert_eq!(stage.delivered_ids(BUCKET), [id]);
}

// Proves: R15
#[tokio::test]
async fn a_file_that_cannot_be_read_holds_up_no_other_of_its_trail() {
    let mut stage = Stage::new().await;
    let made = trail("all");
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    stage.trails.cut_now().await.expect("cuts");
    let path = stage.spooled().remove(0);
    let aside = path.with_extension("elsewhere");
    std::fs::rename(&path, &aside).expect("moves");
    stage.trails.deliver_now().await.expect("tries");
    let status = stage.status(&made).await;
    assert_eq!(status.delivery_error.as_deref(), Some("SpoolUnreadable"));
    let later = stage.event("us-east-1", "B").await;
    stage.trails.cut_now().await.expect("cuts");
    stage.retry(3).await;
    assert_eq!(stage.delivered_ids(BUCKET), [later]);
    assert_eq!(
        stage.status(&made).await.files_lost,
        0,
        "the disk may come back"
    );
    std::fs::rename(&aside, &path).expect("moves back");
    stage.retry(2).await;
    assert_eq!(stage.delivered_ids(BUCKET).len(), 2);
}

// Proves: R15, S5
#[tokio::test]
async fn trouble_with_one_chain_keeps_no_other_from_its_digests() {
    let mut stage = Stage::new().await;
    let mut bad = validated("bad");
    bad.home_region = crate::stage::region("eu-west-1");
    stage.create(&bad).await;
    stage.create(&validated("good")).await;
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    stage.spoil_signing_key("eu-west-1").await;
    stage.pass(HOUR).await;
    stage.pass(HOUR).await;
    stage.check_all_listed("us-east-1").await;
    assert_eq!(stage.digests("us-east-1").len(), 2);
    assert_eq!(stage.digests("eu-west-1").len(), 0);
    assert!(stage.trails.counts().failures >= 2);
}

// Proves: R18
#[tokio::test]
async fn what_a_failed_cut_has_spooled_is_removed() {
    let disk = FullDisk::new();
    let spill = |config| TrailsConfig {
        buffer_bytes_max: 1,
        ..config
    };
    let mut stage = Stage::on(Arc::new(disk.clone()), spill).await;
    stage.create(&trail("all")).await;
    stage
        .trails
        .cut_now()
        .await
        .expect("passes the control record");
    for _ in 0..5 {
        stage.event("us-east-1", "A").await;
    }
    disk.set_full(true);
    for _ in 0..3 {
        stage.trails.cut_now().await.expect_err("the disk is full");
        assert!(stage.spooled().is_empty(), "{:?}", stage.spooled());
    }
    disk.set_full(false);
    stage.deliver().await;
    assert_eq!(stage.delivered_ids(BUCKET).len(), 5);
    assert!(stage.spooled().is_empty());
}

// Proves: R21
#[tokio::test]
async fn a_deleted_trail_stays_deleted_when_its_control_records_come_again() {
    let mut stage = Stage::new().await;
    let made = validated("all");
    stage.create(&made).await;
    stage.event("us-east-1", "A").await;
    // A file that waits keeps the version that it was made by.
    stage.puts.delete_bucket(BUCKET);
    let changed = next(&made, |trail| {
        trail.settings.key_prefix = Some("p".to_owned());
    });
    stage.change(&changed).await;
    stage.delete(&changed).await;
    let from = cairn_model::Sequence(0);
    let log = stage.log.read(cairn_model::PartitionId(0), from, 1 << 20);
    let controls = log
        .await
        .expect("reads")
        .into_iter()
        .map(|record| record.record);
    let controls = controls.filter(|record| record.kind == RecordKind::Control);
    stage.trails.cut_now().await.expect("cuts");
    stage.append(controls.collect()).await;
    stage.event("us-east-1", "Unseen").await;
    stage.trails.cut_now().await.expect("cuts");
    stage.puts.create_bucket(BUCKET);
    stage.retry(2).await;
    stage.pass(HOUR).await;
    assert_eq!(stage.delivered_ids(BUCKET).len(), 1);
    assert_eq!(
        stage.digests("us-east-1").len(),
        1,
        "the last of its one chain"
    );
}
