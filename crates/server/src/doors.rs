//! The doors: every way by which an event enters the log. Whatever the way, an event is canonical,
//! recognised if it came before, durable before anyone hears that it is accepted, and counted.

pub(crate) mod admission;
mod call_record;
mod deduplication;
pub(crate) mod gzip;
mod outbox;
mod oversize;
mod parameters;
mod put_events;
mod user_identity;
pub(crate) mod waiting_room;

pub(crate) use call_record::{
    CallRecord, OWN_SOURCE, RecordIds, RecordedArn, RecordedResource, ServiceEvent,
};
pub(crate) use deduplication::{Deduplication, READER as DEDUPLICATION_READER};
pub(crate) use outbox::{Fate, Outbox};
pub(crate) use parameters::recorded_members;
pub(crate) use put_events::{
    Batch, BatchFault, BatchLimits, BatchReader, BatchReport, Conflict, Denied, Forbidden,
    read_batch,
};
pub(crate) use user_identity::RecordedCaller;
pub(crate) use waiting_room::WaitingRoom;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_eventlog::{AppendError, EventLog, LogRecord, NewRecord, ReadError, RecordKind};

use cairn_lake::is_selected;
use cairn_model::{
    AccountId, CanonicalEvent, Completion, PartitionId, RecordError, RoutingHeader, Sequence,
    canonicalize,
};
use cairn_platform::{Clock, Entropy};
use futures::FutureExt as _;
use tokio::sync::watch;

use crate::metrics::Metrics;
use deduplication::{Identifier, Identity, Verdict};

/// The embedded log's one partition.
pub(crate) const PARTITION: PartitionId = PartitionId(0);

/// Bytes read from the log at a time while the memory of event IDs is rebuilt.
const REBUILD_READ_BYTES: usize = 4 << 20;

/// Whether a trail collects the event with this header.
pub(crate) type Collects<'a> = dyn Fn(&RoutingHeader<'_>) -> bool + 'a;

/// An event that is ready for the log.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    identity: Identity,
    /// Whether a table of the lake takes it.
    kept: bool,
    /// Whether a trail takes it.
    collected: bool,
    record: NewRecord,
}

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is durable.
    Accepted {
        /// Whether a table of the lake keeps it.
        kept: bool,
        /// False if neither a table nor a trail selects it, so that it is logged and counted only.
        selected: bool,
    },
    /// It was durable before; this is its second acknowledgement.
    Duplicate,
    /// Another event with its ID is durable.
    Conflict,
}

/// The common way into the log.
#[derive(Debug)]
pub(crate) struct Doors {
    log: Arc<dyn EventLog>,
    memory: Arc<Deduplication>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Arc<Metrics>,
}

impl Doors {
    pub(crate) fn new(
        log: Arc<dyn EventLog>,
        memory: Arc<Deduplication>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            log,
            memory,
            clock,
            entropy,
            metrics,
        }
    }

    /// Turns canonical events into log records. Cheap to copy into parsing threads.
    pub(crate) fn preparer(&self) -> Preparer {
        Preparer {
            identifier: self.memory.identifier(),
        }
    }

    /// A new event ID or request ID.
    pub(crate) fn new_id(&self) -> String {
        self.entropy.uuid()
    }

    /// Event IDs remembered now.
    pub(crate) fn keys(&self) -> usize {
        self.memory.keys()
    }

    /// An own event, from its JSON, which is complete but for what rules can add.
    pub(crate) fn prepare_own(
        &self,
        account: AccountId,
        json: &Bytes,
    ) -> Result<Prepared, RecordError> {
        let mut new_event_id = || self.entropy.uuid();
        let event = canonicalize(
            json,
            &mut Completion {
                account,
                new_event_id: &mut new_event_id,
            },
        )?;
        Ok(self.preparer().prepare(event))
    }

    /// Appends a batch. `Ok` says that every event is durable, or was, or can never be; an error leaves
    /// the batch to be sent again: what did become durable is then recognised.
    ///
    /// The append goes on even if the caller goes away, so that every reservation is settled.
    pub(crate) async fn append(&self, events: Vec<Prepared>) -> Result<Vec<Outcome>, AppendError> {
        let identities: Vec<Identity> = events.iter().map(|event| event.identity).collect();
        let mut events: Vec<Option<Prepared>> = events.into_iter().map(Some).collect();
        let mut outcomes: Vec<Option<Outcome>> = vec![None; events.len()];
        let mut open: Vec<usize> = (0..events.len()).collect();
        while !open.is_empty() {
            let batch: Vec<Identity> = open.iter().map(|index| identities[*index]).collect();
            let (verdicts, reservation) = self.memory.admit(&batch);
            let mut records = Vec::new();
            let mut waits: Vec<(usize, watch::Receiver<bool>)> = Vec::new();
            for (index, verdict) in open.iter().copied().zip(verdicts) {
                outcomes[index] = match verdict {
                    Verdict::Fresh => events[index].take().map(|event| {
                        records.push(event.record);
                        Outcome::Accepted {
                            kept: event.kept,
                            selected: event.kept || event.collected,
                        }
                    }),
                    Verdict::Duplicate => Some(Outcome::Duplicate),
                    Verdict::Conflict => Some(Outcome::Conflict),
                    Verdict::Wait(settled) => {
                        waits.push((index, settled));
                        None
                    }
                };
            }
            self.append_reserved(records, reservation).await?;
            open = Vec::with_capacity(waits.len());
            for (index, mut settled) in waits {
                // Without a verdict on the other batch there can be none on this one.
                settled
                    .wait_for(|settled| *settled)
                    .await
                    .map_err(|_| AppendError::Closed)?;
                open.push(index);
            }
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Appends control records, which nothing recognises: whoever reads them must not mind them twice.
    pub(crate) async fn append_controls(&self, records: Vec<NewRecord>) -> Result<(), AppendError> {
        if records.is_empty() {
            return Ok(());
        }
        self.log.append_durable(PARTITION, records).await.map(drop)
    }

    async fn append_reserved(
        &self,
        records: Vec<NewRecord>,
        reservation: deduplication::Reservation,
    ) -> Result<(), AppendError> {
        if records.is_empty() {
            self.memory.settle(reservation, None);
            return Ok(());
        }
        let (log, memory) = (Arc::clone(&self.log), Arc::clone(&self.memory));
        let (clock, metrics) = (Arc::clone(&self.clock), Arc::clone(&self.metrics));
        let append = tokio::spawn(async move {
            let began = clock.monotonic();
            // A panic leaves the batch in doubt, as a closed log does; its keys must not stay reserved.
            let appending = AssertUnwindSafe(log.append_durable(PARTITION, records));
            let appended = appending.catch_unwind().await;
            let appended = appended.unwrap_or(Err(AppendError::Closed));
            metrics
                .append_seconds
                .observe(clock.monotonic().saturating_sub(began).as_secs_f64());
            let range = appended.as_ref().ok().cloned();
            if let Some(released) = memory.settle(reservation, range) {
                log.advance_reader(PARTITION, deduplication::READER, released);
            }
            appended.map(drop)
        });
        append.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Fills the memory of event IDs from the log and registers it as a reader. Call once, before any
    /// append; the log keeps what is remembered.
    pub(crate) async fn rebuild(&self) -> Result<u64, ReadError> {
        let (start, end) = (self.log.start(PARTITION), self.log.durable_end(PARTITION));
        let first = Sequence(end.0.saturating_sub(self.memory.keys_max())).max(start);
        self.log
            .advance_reader(PARTITION, deduplication::READER, first);
        let newest_ms = self.newest_accepted_ms(end).await?;
        let (mut position, mut restored) = (first, 0);
        // While one chunk is hashed, the next is read: a gigabyte of log must not hold up the start.
        let mut hashing = tokio::task::spawn_blocking(|| 0);
        while position < end {
            let read = self.log.read(PARTITION, position, REBUILD_READ_BYTES).await;
            let records = match read {
                Ok(records) => records,
                // The log has told the operator. What is lost can only be stored again if it is sent again.
                Err(ReadError::Corrupt { resume_at, .. }) => {
                    position = resume_at;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(last) = records.last() else { break };
            position = last.sequence.plus(1);
            restored += hashing.await.expect("remembering records does not panic");
            let (preparer, memory) = (self.preparer(), Arc::clone(&self.memory));
            hashing = tokio::task::spawn_blocking(move || {
                preparer.remember(&memory, &records, newest_ms)
            });
        }
        restored += hashing.await.expect("remembering records does not panic");
        Ok(restored)
    }

    async fn newest_accepted_ms(&self, end: Sequence) -> Result<i64, ReadError> {
        if end <= self.log.start(PARTITION) {
            return Ok(0);
        }
        match self.log.read(PARTITION, Sequence(end.0 - 1), 1).await {
            Ok(records) => Ok(records.last().map_or(0, |record| record.accepted_ms)),
            // All ages count as nothing then: what is remembered is remembered a little longer.
            Err(ReadError::Corrupt { .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// Turns canonical events into log records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preparer {
    identifier: Identifier,
}

impl Preparer {
    pub(crate) fn prepare(&self, event: CanonicalEvent) -> Prepared {
        let mut header = Vec::with_capacity(256);
        event.header.encode(&mut header);
        Prepared {
            identity: self.identify(&event.header, &event.json),
            kept: is_selected(event.header.class, &event.json),
            collected: false,
            record: NewRecord {
                kind: RecordKind::Event,
                header: Bytes::from(header),
                body: event.json,
                context: Bytes::new(),
            },
        }
    }

    /// An event that was prepared before and kept as header and body, as in the outbox.
    pub(crate) fn restore(&self, header: Vec<u8>, body: Vec<u8>) -> Option<Prepared> {
        let decoded = RoutingHeader::decode(&header).ok()?;
        let identity = self.identify(&decoded, &body);
        let kept = is_selected(decoded.class, &body);
        let record = NewRecord {
            kind: RecordKind::Event,
            header: Bytes::from(header),
            body: Bytes::from(body),
            context: Bytes::new(),
        };
        Some(Prepared {
            identity,
            kept,
            collected: false,
            record,
        })
    }

    fn identify(&self, header: &RoutingHeader<'_>, json: &[u8]) -> Identity {
        self.identifier.identify(
            header.account.as_str(),
            header.region.as_str(),
            &header.event_id,
            json,
        )
    }

    /// Puts events that the log holds into the memory; returns how many.
    fn remember(&self, memory: &Deduplication, records: &[LogRecord], newest_ms: i64) -> u64 {
        let mut restored = 0;
        for record in records {
            if let Some(identity) = self.identify_record(record) {
                let age_ms = newest_ms.saturating_sub(record.accepted_ms);
                let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
                memory.restore(&identity, record.sequence, age);
                restored += 1;
            }
        }
        restored
    }

    fn identify_record(&self, record: &LogRecord) -> Option<Identity> {
        if record.record.kind != RecordKind::Event {
            return None;
        }
        let header = RoutingHeader::decode(&record.record.header).ok()?;
        Some(self.identify(&header, &record.record.body))
    }
}

impl Prepared {
    /// What selectors see of the event; none if it cannot be read, which does not happen.
    pub(crate) fn header(&self) -> Option<RoutingHeader<'_>> {
        RoutingHeader::decode(&self.record.header).ok()
    }

    /// Asks the trails of an event that the lake does not keep.
    pub(crate) fn note_collection(&mut self, collects: &Collects<'_>) {
        self.collected = !self.kept && self.header().is_some_and(|header| collects(&header));
    }

    /// Header and body as the outbox keeps them.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<u8>) {
        (self.record.header.to_vec(), self.record.body.to_vec())
    }

    /// Size of what is stored.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = self.record.header.len() + self.record.body.len();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}
