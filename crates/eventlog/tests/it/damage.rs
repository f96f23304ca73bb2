//! C5: a stopped log's files are flipped, cut, zeroed, swapped, lost and replaced by older copies. Every
//! changed record must be reported and none may come back wrong; batches that were not touched must be
//! readable. `CAIRN_MUTATIONS` sets how many.

mod mutation;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use cairn_eventlog::conformance::record;
use cairn_eventlog::{EventLog, NewRecord, ReadError, Sabotage, SegmentedLog, Stepper};
use cairn_model::Sequence;
use cairn_platform::{Entropy, SeededEntropy, SimDisk};
use futures::FutureExt;

use crate::fixture::{PARTITION, clock, small_config};
use crate::results::{self, RunResult};
use mutation::{Files, Mutation, mutate};

const C5: &str = "C5 damaged log files";
const MUTATIONS: u64 = 1000;
const BATCHES: u64 = 60;

/// A log's files with their truth: as the process left them, and some as they were before.
struct Stopped {
    files: Files,
    earlier: Files,
    records: Vec<NewRecord>,
}

fn open(disk: &SimDisk, bug: Option<Sabotage>) -> (Arc<SegmentedLog>, Stepper) {
    let (config, disk) = (small_config(), Arc::new(disk.clone()));
    match bug {
        Some(bug) => SegmentedLog::open_stepped_sabotaged(config, disk, clock(), bug),
        None => SegmentedLog::open_stepped(config, disk, clock()),
    }
    .expect("a damaged log opens and reports")
}

fn append(log: &SegmentedLog, stepper: &mut Stepper, records: Vec<NewRecord>) -> Sequence {
    let mut appended = log.append_durable(PARTITION, records);
    assert!(
        appended.as_mut().now_or_never().is_none(),
        "the writer has not worked yet"
    );
    while stepper.step() {}
    let range = appended.now_or_never().expect("the writer has answered");
    range.expect("there is room").start
}

fn stopped(clean: bool) -> Stopped {
    let disk = SimDisk::new(7);
    let (log, mut stepper) = open(&disk, None);
    let mut records = Vec::new();
    let mut earlier = Files::new();
    for batch in 0..BATCHES {
        let count = 1 + batch % 5;
        let body_bytes = [40, 900, 2500][usize::try_from(batch % 3).expect("small")];
        let batch: Vec<_> = (0..count)
            .map(|n| record(batch * 10 + n, body_bytes))
            .collect();
        records.extend(batch.iter().cloned());
        append(&log, &mut stepper, batch);
        if records.len() % 20 < 3 {
            // The first copy of each file that is met: long before it was sealed.
            for (path, contents) in files_of(&disk) {
                earlier.entry(path).or_insert(contents);
            }
        }
    }
    if clean {
        let mut closing = Box::pin(log.close());
        assert!(
            closing.as_mut().now_or_never().is_none(),
            "the writer has not worked yet"
        );
        while stepper.step() {}
        closing.now_or_never().expect("the writer has closed");
    }
    Stopped {
        files: files_of(&disk.kill()),
        earlier,
        records,
    }
}

fn files_of(disk: &SimDisk) -> Files {
    let names =
        cairn_platform::Disk::list(disk, &small_config().directory).expect("it can be listed");
    names
        .into_iter()
        .filter(|name| name.ends_with(".segment") || name == "watermark" || name == "released")
        .map(|name| {
            let path = PathBuf::from("/log").join(name);
            let contents = disk.contents(&path).expect("it was listed");
            (path, contents)
        })
        .collect()
}

/// What a reader that records each loss and goes on gets.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    lost: BTreeSet<u64>,
    wrong: Vec<u64>,
    end: u64,
}

async fn see(log: &SegmentedLog, truth: &[NewRecord]) -> Seen {
    let end = log.durable_end(PARTITION).0;
    let mut seen = Seen {
        lost: BTreeSet::new(),
        wrong: Vec::new(),
        end,
    };
    let mut next = 0;
    while next < end {
        match log.read(PARTITION, Sequence(next), 5000).await {
            Ok(records) => {
                assert!(!records.is_empty(), "nothing at {next} of {end}");
                for found in records {
                    assert_eq!(found.sequence.0, next, "a record was skipped in silence");
                    let truth = usize::try_from(next)
                        .ok()
                        .and_then(|index| truth.get(index));
                    if truth.is_none_or(|truth| *truth != found.record) {
                        seen.wrong.push(next);
                    }
                    next += 1;
                }
            }
            Err(ReadError::Corrupt { resume_at, .. }) => {
                assert!(resume_at.0 > next, "a reader must get on");
                seen.lost.extend(next..resume_at.0);
                next = resume_at.0;
            }
            // The oldest segments are gone: where the log starts is told.
            Err(ReadError::Released { start }) => {
                seen.lost.extend(next..start.0);
                next = start.0;
            }
            Err(error @ ReadError::Disk { .. }) => panic!("{error}"),
        }
    }
    seen
}

fn check(stopped: &Stopped, mutation: &Mutation, bug: Option<Sabotage>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let disk = SimDisk::new(1);
        for (path, contents) in &mutation.files {
            disk.plant(path, contents);
        }
        let (log, mut stepper) = open(&disk, bug);
        let seen = see(&log, &stopped.records).await;
        let fail = |what: &str| Err(format!("{}: {what}: {seen:?}", mutation.description));
        if !seen.wrong.is_empty() {
            return fail("wrong records were read");
        }
        if seen.end < stopped.records.len() as u64 {
            return fail("records at the end vanished in silence");
        }
        if !mutation.must_lose.is_subset(&seen.lost) {
            return fail("a changed record was not reported");
        }
        if !seen.lost.is_subset(&mutation.may_lose) {
            return fail("an undamaged batch could not be read");
        }
        if !seen.lost.is_empty() && log.status().damage.is_empty() {
            return fail("the operator was not told");
        }
        // The log goes on after the damage, and the damage stays known.
        let added = record(77, 300);
        let first = append(&log, &mut stepper, vec![added.clone()]);
        if first.0 != seen.end {
            return fail("the next record got a sequence of another");
        }
        drop((log, stepper));
        let (log, _stepper) = open(&disk.kill(), bug);
        let mut truth = stopped.records.clone();
        truth.resize(usize::try_from(seen.end).expect("small"), record(0, 0));
        truth.push(added);
        let again = see(&log, &truth).await;
        if again.lost != seen.lost || !again.wrong.is_empty() || again.end != seen.end + 1 {
            return fail("the next opening sees it differently");
        }
        Ok(())
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the number is a setting of the test run"
)]
fn mutations() -> u64 {
    let set = std::env::var("CAIRN_MUTATIONS")
        .ok()
        .and_then(|text| text.parse().ok());
    set.unwrap_or(MUTATIONS)
}

fn random_mutation(stopped: &Stopped, seed: u64) -> Mutation {
    let random = SeededEntropy::new(seed);
    let mut below = |bound: usize| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % bound as u64).expect("below the bound")
    };
    mutate(&stopped.files, &stopped.earlier, &mut below)
}

// Proves: C5, R4, R6
#[test]
fn every_changed_record_is_reported_and_the_others_are_readable() {
    for clean in [true, false] {
        let stopped = stopped(clean);
        let mut with_loss = 0;
        for seed in 0..mutations() {
            let mutation = random_mutation(&stopped, seed);
            with_loss += u64::from(!mutation.must_lose.is_empty());
            if let Err(broken) = check(&stopped, &mutation, None) {
                panic!("clean {clean}, seed {seed}: {broken}");
            }
        }
        let figure = ("wrong rows", 0);
        results::append(RunResult {
            test: C5,
            runs: mutations(),
            figure,
            ..RunResult::default()
        });
        assert!(
            with_loss > mutations() / 4,
            "too few mutations touch records: {with_loss}"
        );
    }
}

fn caught(bug: Sabotage) {
    let stopped = stopped(true);
    let found = (0..500).any(|seed| {
        let mutation = random_mutation(&stopped, seed);
        let with_bug = || check(&stopped, &mutation, Some(bug)).is_err();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(with_bug)).unwrap_or(true)
            && check(&stopped, &mutation, None).is_ok()
    });
    assert!(found, "no mutation finds {bug:?}");
    let figure = ("wrong rows", 0);
    results::append(RunResult {
        test: C5,
        controls: 1,
        figure,
        ..RunResult::default()
    });
}

// Proves: R4
#[test]
fn unchecked_checksums_are_found() {
    caught(Sabotage::CrcUnchecked);
}

// Proves: R4
#[test]
fn a_forgotten_watermark_is_found() {
    caught(Sabotage::IgnoreWatermark);
}
