//! C4: seeded histories on a disk that loses what was not synced, fails, fills up and stops at any call.
//! `CAIRN_SEEDS` sets how many; a failing seed is printed and repeats exactly.

mod history;
mod model;

use std::panic::AssertUnwindSafe;

use cairn_eventlog::Sabotage;

use crate::results::{self, RunResult};
use history::{Coverage, History};

const C4: &str = "C4 torn and reordered writes";
const SEEDS: u64 = 500;
/// Seeds that once failed, and what was wrong; they run first whatever the number of seeds.
const ONCE_FAILED: [(u64, &str); 3] = [
    (9, "a seal that was only in the page cache was trusted"),
    (
        21,
        "the watermark file of an earlier process was synced after its sync had failed",
    ),
    (1012, "a header torn by a short write was taken for damage"),
];
const CONTROL_SEEDS_MAX: u64 = 2000;

#[expect(
    clippy::disallowed_methods,
    reason = "the number of seeds is a setting of the test run"
)]
fn seeds() -> u64 {
    std::env::var("CAIRN_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SEEDS)
}

fn run(seed: u64, bug: Option<Sabotage>) -> Result<Coverage, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let history = || runtime.block_on(History::new(seed, bug).run());
    std::panic::catch_unwind(AssertUnwindSafe(history))
        .unwrap_or_else(|_| Err("the log panicked".to_owned()))
}

// Proves: C4, R1, R2, R3, R4, R5, R18
#[test]
fn histories_with_faults_keep_every_acknowledged_record() {
    let mut coverage = Coverage::default();
    let known = ONCE_FAILED.into_iter().map(|(seed, _)| seed);
    for seed in known.chain(0..seeds()) {
        match run(seed, None) {
            Ok(reached) => coverage.add(&reached),
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
    results::append(RunResult {
        test: C4,
        runs: seeds(),
        acknowledged: coverage.acknowledged(),
        figure: ("failing seeds", 0),
        ..RunResult::default()
    });
    // A generator that does not reach a fault proves nothing about it.
    assert!(
        coverage.unreached().is_empty(),
        "never reached: {:?}",
        coverage.unreached()
    );
}

// The bug, and nothing else, breaks the promises: without it the same history keeps them.
fn caught(bug: Sabotage) {
    let breaks = |seed: &u64| run(*seed, Some(bug)).is_err() && run(*seed, None).is_ok();
    assert!(
        (0..CONTROL_SEEDS_MAX).any(|seed| breaks(&seed)),
        "no seed finds {bug:?}"
    );
    let figure = ("failing seeds", 0);
    results::append(RunResult {
        test: C4,
        controls: 1,
        figure,
        ..RunResult::default()
    });
}

// Proves: R1
#[test]
fn an_acknowledgement_before_the_sync_is_found() {
    caught(Sabotage::AckBeforeSync);
}

// Proves: R1
#[test]
fn a_missing_directory_sync_is_found() {
    caught(Sabotage::NoDirectorySync);
}

// Proves: R2
#[test]
fn a_second_sync_after_a_failed_one_is_found() {
    caught(Sabotage::RetryFsync);
}

// Proves: R2
#[test]
fn a_segment_continued_from_the_page_cache_is_found() {
    caught(Sabotage::TrustPageCache);
}

// Proves: R4
#[test]
fn unchecked_checksums_are_found() {
    caught(Sabotage::CrcUnchecked);
}

// Proves: R5
#[test]
fn a_release_before_every_reader_has_passed_is_found() {
    caught(Sabotage::ReleaseEarly);
}
