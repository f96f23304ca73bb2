//! S8: a wall clock that jumps by an hour, a day, a year, or stands still, amid deliveries and an outage. Windows
//! never move back, nothing is given up or forgotten early, every event arrives once.

use std::sync::Arc;
use std::time::Duration;

use cairn_platform::{Clock as _, Entropy as _, S3Failure, SeededEntropy};
use serde_json::json;

use crate::door::Door;
use crate::results::{amount, record};
use crate::simulation::{Settings, Simulation};
use crate::stage::{BUCKET, Stage, validated};

const HOUR: Duration = Duration::from_hours(1);
const HOUR_MS: i64 = 3_600_000;
const JUMPS: [i64; 6] = [
    HOUR_MS,
    -HOUR_MS,
    24 * HOUR_MS,
    -24 * HOUR_MS,
    -365 * 24 * HOUR_MS,
    365 * 24 * HOUR_MS,
];
/// Jumps of one run, of which some freeze the clock instead.
const JUMPS_OF_RUN: usize = 8;

/// One run of its own jumps; how many events it sent.
async fn survive(seed: u64) -> usize {
    let chance = SeededEntropy::new(seed);
    let pick = |below: usize| {
        let mut random = [0; 8];
        chance.fill(&mut random);
        usize::from(random[0]) % below
    };
    let mut stage = Stage::new().await;
    let door = Door::before(&stage.puts);
    stage.put_through(Arc::clone(&door) as _);
    let made = validated("audit-trail");
    stage.create(&made).await;
    let settings = Settings {
        cut_interval: Duration::from_mins(10),
        step_min: Duration::from_secs(30),
        is_sending: true,
        is_frozen: false,
    };
    let mut run = Simulation::start(stage, settings).await;
    run.run(HOUR).await;
    let broken_at = pick(JUMPS_OF_RUN);
    for number in 0..JUMPS_OF_RUN {
        if number == broken_at {
            door.close(BUCKET, S3Failure::new("SlowDown", "scripted"));
        }
        let jump = pick(JUMPS.len() + 1);
        run.settings.is_frozen = jump == JUMPS.len();
        if let Some(jump) = JUMPS.get(jump) {
            let clock = &run.stage.clock;
            clock.jump_to(clock.now_ms() + jump);
        }
        run.run(HOUR * 3 / 2).await;
        if number == broken_at + 2 {
            door.open(BUCKET);
        }
    }
    door.open(BUCKET);
    run.settings.is_frozen = false;
    run.settings.is_sending = false;
    run.run(HOUR / 4).await;
    assert_eq!(run.waiting().await, 0, "seed {seed}: all is delivered");
    run.run(2 * HOUR).await;
    let stage = &run.stage;
    assert_eq!(stage.delivered_ids(BUCKET), run.sent_ids(), "seed {seed}");
    stage.check_all_listed("us-east-1").await;
    assert_eq!(stage.starting_digests("us-east-1"), 1, "seed {seed}");
    let digests = stage.digests("us-east-1").len();
    // An hour each; a day's jump forward brings a day of windows, a year's brings one.
    assert!(
        (10..16 + 26 * JUMPS_OF_RUN).contains(&digests),
        "seed {seed}: {digests}"
    );
    let status = stage.status(&made).await;
    assert_eq!(
        (status.files_lost, status.events_lost),
        (0, 0),
        "seed {seed}"
    );
    assert!(stage.spooled().is_empty());
    run.sent.len()
}

// Proves: S8, R15, R17, I3, I6
#[tokio::test]
async fn a_clock_may_jump_and_stand_still() {
    let seeds: u64 = amount(4, 60);
    let mut events = 0;
    for seed in 0..seeds {
        events += survive(seed).await;
    }
    record(
        "S8",
        json!({
            "runs": seeds,
            "acks": events,
            "lost": 0,
            "duplicates": 0,
            "figures": {"jumps": seeds * JUMPS_OF_RUN as u64, "breaks": 0},
        }),
    );
}

/// Control: a window that was moved back, as by a program that trusts the wall clock, breaks the chain.
#[tokio::test]
#[should_panic(expected = "windows join")]
async fn the_clock_harness_sees_a_window_that_moves_back() {
    let mut stage = Stage::new().await;
    stage.create(&validated("audit-trail")).await;
    stage.event("us-east-1", "A").await;
    stage.deliver().await;
    stage.pass(HOUR).await;
    stage
        .execute("UPDATE digest_chains SET window_start_ms = window_start_ms - 1800000")
        .await;
    record("S8", json!({"controls": 1, "controls_caught": 1}));
    stage.pass(2 * HOUR).await;
    stage.check_all_listed("us-east-1").await;
}
