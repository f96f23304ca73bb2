//! S5: what a bucket that refuses everything costs the other trails of its node. Puts take virtual time here, and
//! there are fewer places than trails.

use std::sync::Arc;
use std::time::Duration;

use cairn_platform::{Clock as _, S3Failure};
use cairn_trails::TrailsConfig;
use serde_json::json;

use crate::door::{Door, Waiting};
use crate::results::{amount, record};
use crate::simulation::whole_millis;
use crate::stage::{Stage, trail};

const TRAILS: usize = 20;
const INTERVAL: Duration = Duration::from_mins(5);
const PUT: Duration = Duration::from_millis(200);
const BAD: &str = "bucket-19";

/// Times from cut to bucket, sorted.
struct Latencies(Vec<Duration>);

impl Latencies {
    fn p99(&self) -> Duration {
        self.0[self.0.len() * 99 / 100]
    }
}

/// What is measured.
#[derive(Clone, Copy)]
struct Case {
    /// Puts in flight.
    places: usize,
    cuts: u32,
    /// How long the bad bucket takes to refuse; without it all buckets are good.
    refusal: Option<Duration>,
}

/// The latencies of all trails but the last, whose bucket may be the bad one.
async fn latencies(case: Case) -> Latencies {
    let Case {
        places,
        cuts,
        refusal,
    } = case;
    let mut stage = Stage::with(|config| TrailsConfig {
        puts_max: places,
        ..config
    })
    .await;
    let door = Door::before(&stage.puts);
    for number in 0..TRAILS {
        let mut one = trail(&format!("trail-{number:02}"));
        one.settings.bucket = format!("bucket-{number:02}");
        stage.puts.create_bucket(&one.settings.bucket);
        stage.create(&one).await;
    }
    if refusal.is_some() {
        door.close(BAD, S3Failure::new("AccessDenied", "scripted"));
    }
    door.hold();
    stage.put_through(Arc::clone(&door) as _);
    stage.restart().await;
    let clock = Arc::clone(&stage.clock);
    let mut steps = stage.trails.put_steps();
    let (mut latencies, mut under_way) = (Vec::new(), Vec::<(Duration, Waiting)>::new());
    let (mut cut_at, mut next_cut) = (Duration::ZERO, clock.monotonic());
    let mut cuts_left = cuts;
    while cuts_left > 0 || clock.monotonic() < next_cut {
        let now = clock.monotonic();
        if now >= next_cut {
            cuts_left -= 1;
            (cut_at, next_cut) = (now, now + INTERVAL);
            stage.event("us-east-1", "A").await;
            stage.trails.cut_now().await.expect("cuts");
            steps.tell();
        }
        let pause = whole_millis(steps.start_due().await);
        for put in door.held(steps.in_flight()).await {
            if !under_way.iter().any(|(_, known)| *known == put) {
                let takes = refusal.filter(|_| put.bucket == BAD).unwrap_or(PUT);
                under_way.push((now + takes, put));
            }
        }
        under_way.sort_by_key(|(end, _)| *end);
        let first = under_way.first().map(|(end, _)| *end);
        let until = (now + pause).min(next_cut).min(first.unwrap_or(next_cut));
        clock.advance(until.saturating_sub(now));
        if first.is_some_and(|end| end <= until) {
            let (_, put) = under_way.remove(0);
            door.release(&put.key);
            assert!(steps.end_one().await);
            if put.bucket != BAD {
                latencies.push(until.saturating_sub(cut_at));
            }
        }
    }
    let expected = usize::try_from(cuts).expect("few") * (TRAILS - 1);
    assert_eq!(latencies.len(), expected, "every good trail got every file");
    latencies.sort_unstable();
    Latencies(latencies)
}

// Proves: S5, R15
#[tokio::test]
async fn a_bad_bucket_of_twenty_costs_the_others_less_than_a_tenth() {
    let cuts: u32 = amount(18, 288);
    let good = Case {
        places: 8,
        cuts,
        refusal: None,
    };
    let bad = Case {
        refusal: Some(Duration::from_secs(10)),
        ..good
    };
    let before = latencies(good).await.p99();
    let beside = latencies(bad).await.p99();
    assert!(beside * 10 <= before * 11, "{before:?} becomes {beside:?}");
    record(
        "S5",
        json!({
            "runs": 1,
            "figures": {
                "virtual hours": f64::from(cuts) / 12.0,
                "p99 of good trails s": beside.as_secs_f64(),
                "p99 without the bad one s": before.as_secs_f64(),
            },
        }),
    );
}

/// Control: with a single place, which the bad bucket holds for minutes at a time, the harm is seen.
#[tokio::test]
async fn the_harness_of_neighbours_sees_a_node_that_lets_one_hold_up_all() {
    let good = Case {
        places: 1,
        cuts: 6,
        refusal: None,
    };
    let bad = Case {
        refusal: Some(Duration::from_secs(200)),
        ..good
    };
    let before = latencies(good).await.p99();
    let beside = latencies(bad).await.p99();
    assert!(beside * 10 > before * 11, "{before:?} becomes {beside:?}");
    record("S5", json!({"controls": 1, "controls_caught": 1}));
}
