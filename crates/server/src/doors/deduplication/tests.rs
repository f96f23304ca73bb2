use std::sync::Arc;
use std::time::Duration;

use cairn_model::Sequence;
use cairn_platform::{ManualClock, SeededEntropy};

use super::{Deduplication, Identity, Verdict};
use crate::config::DeduplicationConfig;

struct Fixture {
    memory: Deduplication,
    clock: ManualClock,
}

impl Fixture {
    fn new(keys_max: usize) -> Self {
        let clock = ManualClock::at(0);
        let config = DeduplicationConfig {
            window: Duration::from_hours(1),
            keys_max,
        };
        let memory = Deduplication::new(config, Arc::new(clock.clone()), &SeededEntropy::new(1));
        Self { memory, clock }
    }

    fn identity(&self, id: &str, json: &str) -> Identity {
        self.memory
            .identifier()
            .identify("111122223333", "us-east-1", id, json.as_bytes())
    }

    /// Admits one event and settles it at `sequence` if it is fresh.
    fn send(&self, id: &str, json: &str, sequence: u64) -> &'static str {
        let (verdicts, reservation) = self.memory.admit(&[self.identity(id, json)]);
        let appended = Sequence(sequence)..Sequence(sequence + 1);
        self.memory.settle(reservation, Some(appended));
        name(&verdicts[0])
    }
}

fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Fresh => "fresh",
        Verdict::Duplicate => "duplicate",
        Verdict::Conflict => "conflict",
        Verdict::Wait(_) => "wait",
    }
}

// Proves: P1, R11
#[test]
fn a_retry_is_known_within_the_window_and_new_after_it() {
    let fixture = Fixture::new(1000);
    assert_eq!(fixture.send("a", "{}", 0), "fresh");
    assert_eq!(fixture.send("a", "{}", 1), "duplicate");
    assert_eq!(fixture.send("a", "{ }", 1), "conflict");
    fixture.clock.advance(Duration::from_hours(1));
    assert_eq!(fixture.send("a", "{}", 1), "duplicate");
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.send("a", "{}", 1), "fresh");
}

#[test]
fn the_same_id_in_another_account_or_region_is_another_event() {
    let fixture = Fixture::new(1000);
    let identifier = fixture.memory.identifier();
    let one = identifier.identify("111122223333", "us-east-1", "a", b"{}");
    let others = [
        identifier.identify("111122223334", "us-east-1", "a", b"{}"),
        identifier.identify("111122223333", "us-east-2", "a", b"{}"),
        identifier.identify("111122223333", "us-east-1a", "", b"{}"),
    ];
    assert!(others.iter().all(|other| other.key != one.key));
}

#[test]
fn a_batch_knows_its_own_events() {
    let fixture = Fixture::new(1000);
    let batch = [
        fixture.identity("a", "{}"),
        fixture.identity("a", "{}"),
        fixture.identity("a", "{ }"),
        fixture.identity("b", "{}"),
    ];
    let (verdicts, _) = fixture.memory.admit(&batch);
    let names: Vec<_> = verdicts.iter().map(name).collect();
    assert_eq!(names, ["fresh", "duplicate", "conflict", "fresh"]);
}

// Proves: P1
#[tokio::test]
async fn a_second_batch_waits_for_the_first_and_learns_how_it_ended() {
    let fixture = Fixture::new(1000);
    let event = [fixture.identity("a", "{}")];
    for (appended, expected) in [
        (None, "fresh"),
        (Some(Sequence(0)..Sequence(1)), "duplicate"),
    ] {
        let (_, first) = fixture.memory.admit(&event);
        let (verdicts, second) = fixture.memory.admit(&event);
        let Verdict::Wait(mut settled) = verdicts[0].clone() else {
            panic!("expected to wait, got {:?}", verdicts[0]);
        };
        fixture.memory.settle(second, None);
        fixture.memory.settle(first, appended);
        settled
            .wait_for(|settled| *settled)
            .await
            .expect("the first batch settles");
        let (verdicts, again) = fixture.memory.admit(&event);
        assert_eq!(name(&verdicts[0]), expected);
        fixture.memory.settle(again, None);
    }
}

// Proves: P1
#[test]
fn exactly_the_configured_number_is_known_and_the_log_may_forget_the_rest() {
    let keys_max = 10_000;
    let fixture = Fixture::new(keys_max);
    let mut released = Vec::new();
    let batch_events = 500;
    for first in (0..50_000).step_by(batch_events) {
        let ids = first..first + batch_events;
        let batch: Vec<Identity> = ids
            .map(|number| fixture.identity(&format!("event-{number}"), "{}"))
            .collect();
        let (verdicts, reservation) = fixture.memory.admit(&batch);
        assert!(verdicts.iter().all(|verdict| name(verdict) == "fresh"));
        let start = Sequence(u64::try_from(first).expect("a small number"));
        let range = start..start.plus(500);
        released.extend(fixture.memory.settle(reservation, Some(range)));
        assert!(fixture.memory.keys() <= keys_max);
    }
    assert_eq!(fixture.memory.keys(), keys_max);
    assert!(released.is_sorted());
    // The records of what is known are kept, and not many more.
    let kept = 50_000 - released.last().expect("the log may forget").0;
    assert!((10_000..10_000 + 4_096 + 500).contains(&kept), "{kept}");
    let known: Vec<Identity> = (40_000..50_000)
        .map(|number| fixture.identity(&format!("event-{number}"), "{}"))
        .collect();
    let (verdicts, _) = fixture.memory.admit(&known);
    assert!(verdicts.iter().all(|verdict| name(verdict) == "duplicate"));
    assert_eq!(fixture.send("event-39999", "{}", 50_000), "fresh");
}

#[test]
fn restored_keys_keep_their_age() {
    let fixture = Fixture::new(1000);
    let minutes = |minutes: u64| Duration::from_mins(minutes);
    fixture
        .memory
        .restore(&fixture.identity("young", "{}"), Sequence(7), minutes(0));
    fixture
        .memory
        .restore(&fixture.identity("old", "{}"), Sequence(3), minutes(50));
    fixture
        .memory
        .restore(&fixture.identity("gone", "{}"), Sequence(1), minutes(61));
    assert_eq!(fixture.send("gone", "{}", 8), "fresh");
    fixture.clock.advance(minutes(11));
    assert_eq!(fixture.send("old", "{}", 9), "fresh");
    assert_eq!(fixture.send("young", "{}", 10), "duplicate");
}
