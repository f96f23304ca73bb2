use cairn_catalog::{OutboxEntry, OutboxId, OutboxRecord};
use cairn_eventlog::{AppendError, EventLog, MemoryLog, RecordKind};
use cairn_platform::{ManualClock, SeededEntropy};
use serde_json::json;

use super::*;
use crate::config::DeduplicationConfig;
use crate::doors::{Deduplication, PARTITION, ServiceEvent};
use crate::metrics::Metrics;

const BATCH_BYTES_MAX: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

struct Fixture {
    outbox: Outbox,
    catalog: Arc<Catalog>,
    log: Arc<MemoryLog>,
    clock: ManualClock,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let manual = ManualClock::at(1_700_000_000_000);
        let clock: Arc<dyn Clock> = Arc::new(manual.clone());
        let path = folder.path().join("catalog.sqlite");
        let catalog = Catalog::open(&path, Arc::clone(&clock)).await;
        let catalog = Arc::new(catalog.expect("opens"));
        let log = Arc::new(MemoryLog::new(
            Arc::clone(&clock),
            64 << 20,
            BATCH_BYTES_MAX,
        ));
        let entropy = Arc::new(SeededEntropy::new(7));
        let config = DeduplicationConfig {
            window: Duration::from_hours(1),
            keys_max: 1_000_000,
        };
        let memory = Deduplication::new(config, Arc::clone(&clock), &*entropy);
        let doors = Doors::new(
            Arc::clone(&log) as Arc<dyn EventLog>,
            Arc::new(memory),
            Arc::clone(&clock),
            entropy,
            Arc::new(Metrics::default()),
        );
        let outbox = Outbox::new(Arc::clone(&catalog), Arc::new(doors), clock);
        Self {
            outbox,
            catalog,
            log,
            clock: manual,
            _folder: folder,
        }
    }

    fn event(&self, text: &str) -> OutboxRecord {
        let account = "111122223333".parse().expect("twelve digits");
        let event = ServiceEvent {
            account,
            region: "us-east-1",
            completed_ms: self.clock.now_ms(),
            event_source: "cairn.amazonaws.com",
            event_name: "Tested",
            details: json!({ "text": text }),
        };
        let id = self.outbox.doors.new_id();
        let prepared = self
            .outbox
            .doors
            .prepare_own(account, &event.to_json(&id))
            .expect("a valid event");
        let (header, body) = prepared.into_parts();
        OutboxRecord {
            kind: RecordKind::Event as u8,
            header,
            body,
        }
    }

    async fn commit(&self, records: Vec<OutboxRecord>) -> OutboxId {
        let mut transaction = self.catalog.begin().await.expect("begins");
        let id = transaction.enqueue(OutboxEntry { records }).await;
        transaction.commit().await.expect("commits");
        id.expect("enqueues").0
    }

    fn records_in_log(&self) -> u64 {
        self.log.durable_end(PARTITION).0
    }

    async fn counts(&self) -> (u64, u64) {
        let waiting = self.catalog.outbox_depth().await.expect("counts");
        let quarantined = self.catalog.outbox_quarantined().await.expect("counts");
        (waiting, quarantined)
    }
}

// Proves: R21
#[tokio::test]
async fn what_cannot_be_read_is_kept_and_holds_up_nothing() {
    let fixture = Fixture::new().await;
    let mut unreadable = fixture.event("unreadable");
    unreadable.header.truncate(3);
    let unknown = OutboxRecord {
        kind: 77,
        ..fixture.event("of an unknown kind")
    };
    let poisoned = fixture
        .commit(vec![unreadable, fixture.event("its neighbour"), unknown])
        .await;
    let good = fixture.commit(vec![fixture.event("good")]).await;
    assert_eq!(fixture.outbox.drain_all().await, Ok(2));
    assert_eq!(fixture.records_in_log(), 2);
    assert_eq!(fixture.counts().await, (0, 2));
    assert!(fixture.outbox.wait_for(good, PATIENCE).await);
    assert!(!fixture.outbox.wait_for(poisoned, PATIENCE).await);
}

// Proves: R21
#[tokio::test]
async fn what_the_log_can_never_take_is_kept_and_holds_up_nothing() {
    let fixture = Fixture::new().await;
    let large = fixture.event(&"x".repeat(2 * BATCH_BYTES_MAX));
    // Two that fit one by one, but not together.
    let half = |name: &str| fixture.event(&name.repeat(BATCH_BYTES_MAX * 5 / 8));
    fixture.commit(vec![half("a"), large, half("b")]).await;
    fixture.commit(vec![fixture.event("behind")]).await;
    assert_eq!(fixture.outbox.drain_all().await, Ok(2));
    assert_eq!(fixture.records_in_log(), 3);
    assert_eq!(fixture.counts().await, (0, 1));
}

// Proves: R21, R9
#[tokio::test]
async fn an_entry_that_cannot_be_removed_is_appended_once() {
    let fixture = Fixture::new().await;
    fixture.commit(vec![fixture.event("once")]).await;
    for _ in 0..3 {
        // Removing fails each time; meanwhile the memory of event IDs forgets the event.
        let carried = fixture.outbox.carry_pending().await;
        assert_eq!(carried.map(|done| done.len()).ok(), Some(1));
        fixture.clock.advance(Duration::from_hours(5));
    }
    assert_eq!(fixture.records_in_log(), 1);
    assert_eq!(fixture.outbox.drain_all().await, Ok(1));
    assert_eq!(fixture.records_in_log(), 1);
    assert_eq!(fixture.counts().await, (0, 0));
}

// Proves: R21, R12
#[tokio::test]
async fn the_fate_of_a_mutation_is_told_by_its_entry_not_by_its_id() {
    let fixture = Fixture::new().await;
    let lost = OutboxEntry {
        records: vec![fixture.event("rolled back")],
    };
    let mut transaction = fixture.catalog.begin().await.expect("begins");
    let lost_id = transaction.enqueue(lost.clone()).await.expect("enqueues").0;
    drop(transaction);
    assert_eq!(fixture.outbox.fate_of(lost_id, &lost).await, Fate::NotMade);
    let made = OutboxEntry {
        records: vec![fixture.event("made")],
    };
    let made_id = fixture.commit(made.records.clone()).await;
    assert_eq!(made_id, lost_id, "an ID that was rolled back comes again");
    for drained in [0, 1] {
        assert_eq!(fixture.outbox.fate_of(made_id, &made).await, Fate::Made);
        assert_eq!(fixture.outbox.fate_of(lost_id, &lost).await, Fate::NotMade);
        assert_eq!(fixture.outbox.drain_all().await, Ok(1 - drained));
    }
    fixture.catalog.close().await;
    assert_eq!(fixture.outbox.fate_of(made_id, &made).await, Fate::Unknown);
}

// Proves: R21
#[tokio::test]
async fn an_entry_is_measured_before_it_is_committed() {
    let record = |bytes: usize| OutboxRecord {
        kind: RecordKind::Event as u8,
        header: Vec::new(),
        body: vec![b'x'; bytes],
    };
    let entry = |bytes: usize| OutboxEntry {
        records: vec![record(bytes / 2), record(bytes - bytes / 2)],
    };
    assert!(Outbox::check(&entry(ENTRY_BYTES_MAX)).is_ok());
    let refused = Outbox::check(&entry(ENTRY_BYTES_MAX + 1));
    assert!(matches!(
        refused,
        Err(AppendError::RefusedTooLarge { bytes }) if bytes == ENTRY_BYTES_MAX + 1
    ));
}
