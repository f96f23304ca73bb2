use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_eventlog::{AppendError, EventLog, LogRecord, MemoryLog, NewRecord, ReadError};
use cairn_model::{PartitionId, Sequence};
use cairn_platform::{Clock, ManualClock, SeededEntropy};
use serde_json::{Value, json};

use super::{RECORDS_MAX, WaitingRoom};
use crate::config::DeduplicationConfig;
use crate::doors::{Deduplication, Doors, Outcome, PARTITION, Prepared, ServiceEvent};
use crate::metrics::Metrics;

/// A log whose disk is full when the test says so.
#[derive(Debug)]
pub(crate) struct FullLog {
    inner: MemoryLog,
    pub(crate) full: AtomicBool,
    panics: AtomicBool,
}

#[async_trait]
impl EventLog for FullLog {
    async fn append_durable(
        &self,
        partition: PartitionId,
        records: Vec<NewRecord>,
    ) -> Result<Range<Sequence>, AppendError> {
        assert!(!self.panics.load(Ordering::Relaxed), "as the test wants it");
        if self.full.load(Ordering::Relaxed) {
            return Err(AppendError::RefusedNoSpace);
        }
        self.inner.append_durable(partition, records).await
    }

    fn durable_end(&self, partition: PartitionId) -> Sequence {
        self.inner.durable_end(partition)
    }

    fn start(&self, partition: PartitionId) -> Sequence {
        self.inner.start(partition)
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, ReadError> {
        self.inner.read(partition, from, bytes_max).await
    }

    async fn wait_beyond(&self, partition: PartitionId, position: Sequence) {
        self.inner.wait_beyond(partition, position).await;
    }

    fn advance_reader(&self, partition: PartitionId, reader: &'static str, position: Sequence) {
        self.inner.advance_reader(partition, reader, position);
    }
}

struct Fixture {
    log: Arc<FullLog>,
    doors: Doors,
    room: WaitingRoom,
}

/// Doors to a log whose disk is full.
pub(crate) fn full_doors() -> (Arc<FullLog>, Doors) {
    let Fixture { log, doors, .. } = fixture();
    (log, doors)
}

fn fixture() -> Fixture {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(0));
    let inner = MemoryLog::new(Arc::clone(&clock), 64 << 20, 4 << 20);
    let log = Arc::new(FullLog {
        inner,
        full: AtomicBool::new(true),
        panics: AtomicBool::new(false),
    });
    let entropy = Arc::new(SeededEntropy::new(1));
    let window = std::time::Duration::from_hours(1);
    let config = DeduplicationConfig {
        window,
        keys_max: 1_000_000,
    };
    let memory = Deduplication::new(config, Arc::clone(&clock), &*entropy);
    let contract = Arc::clone(&log) as Arc<dyn EventLog>;
    let doors = Doors::new(
        contract,
        Arc::new(memory),
        clock,
        entropy,
        Arc::new(Metrics::default()),
    );
    Fixture {
        log,
        doors,
        room: WaitingRoom::default(),
    }
}

fn event(doors: &Doors) -> Prepared {
    event_of(doors, json!({}))
}

fn event_of(doors: &Doors, details: Value) -> Prepared {
    let account = "111122223333".parse().expect("twelve digits");
    let event = ServiceEvent {
        account,
        region: "us-east-1",
        completed_ms: 0,
        event_source: "cloudtrail.amazonaws.com",
        event_name: "Test",
        details,
    };
    let json: Bytes = event.to_json(&doors.new_id());
    doors.prepare_own(account, &json).expect("it is valid")
}

// Proves: C6
#[tokio::test]
async fn records_wait_for_room_and_go_in_once() {
    let Fixture { log, doors, room } = fixture();
    for _ in 0..1_200 {
        room.append(&doors, vec![event(&doors)])
            .await
            .expect("it may wait");
    }
    assert_eq!(room.len(), 1_200);
    room.offer(&doors).await;
    assert_eq!(room.len(), 1_200, "a full disk takes nothing");
    log.full.store(false, Ordering::Relaxed);
    room.offer(&doors).await;
    assert_eq!(room.len(), 0);
    assert_eq!(log.durable_end(PARTITION), Sequence(1_200));
}

// Proves: C6
#[tokio::test]
async fn large_records_go_in_a_few_at_a_time() {
    let Fixture { log, doors, room } = fixture();
    for _ in 0..20 {
        let large = event_of(&doors, json!({"text": "x".repeat(400_000)}));
        room.append(&doors, vec![large]).await.expect("it may wait");
    }
    log.full.store(false, Ordering::Relaxed);
    room.offer(&doors).await;
    assert_eq!(room.len(), 0, "together they are more than a batch");
}

#[tokio::test]
async fn a_panic_in_the_log_leaves_no_event_in_doubt_for_ever() {
    let Fixture { log, doors, .. } = fixture();
    log.full.store(false, Ordering::Relaxed);
    let one = event(&doors);
    log.panics.store(true, Ordering::Relaxed);
    let appended = doors.append(vec![one.clone()]).await;
    assert!(matches!(appended, Err(AppendError::Closed)));
    log.panics.store(false, Ordering::Relaxed);
    let again = doors.append(vec![one]).await.expect("it can be sent again");
    assert_eq!(
        again,
        [Outcome::Accepted {
            kept: true,
            selected: true
        }]
    );
}

// Proves: R18
#[tokio::test]
async fn a_full_room_refuses() {
    let Fixture { doors, room, .. } = fixture();
    let one = event(&doors);
    assert!(room.take_in(vec![one.clone(); RECORDS_MAX]));
    let refused = room.append(&doors, vec![one]).await;
    assert!(matches!(refused, Err(AppendError::RefusedNoSpace)));
    assert_eq!(room.len(), RECORDS_MAX);
}
