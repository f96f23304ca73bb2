//! The same promises in memory, for tests of what stands before and after the log. Nothing survives the
//! process, so nothing here is for a server.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cairn_model::{PartitionId, Sequence};
use cairn_platform::Clock;
use tokio::sync::watch;

use crate::{AppendError, EventLog, LogRecord, NewRecord, ReadError, ReaderName};

/// An event log in memory: one partition, number 0, bounded in bytes.
#[derive(Debug)]
pub struct MemoryLog {
    clock: Arc<dyn Clock>,
    bytes_max: usize,
    batch_bytes_max: usize,
    state: Mutex<State>,
    end: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<LogRecord>,
    bytes: usize,
    start: u64,
    readers: BTreeMap<ReaderName, u64>,
}

impl MemoryLog {
    /// An empty log that holds `bytes_max` and takes batches of up to `batch_bytes_max`.
    pub fn new(clock: Arc<dyn Clock>, bytes_max: usize, batch_bytes_max: usize) -> Self {
        let (state, end) = (Mutex::default(), watch::Sender::new(0));
        Self {
            clock,
            bytes_max,
            batch_bytes_max,
            state,
            end,
        }
    }

    // Held for pushes and copies, never across an await.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append_durable(
        &self,
        partition: PartitionId,
        records: Vec<NewRecord>,
    ) -> Result<Range<Sequence>, AppendError> {
        let end = self.durable_end(partition);
        if records.is_empty() {
            return Ok(end..end);
        }
        let bytes = records.iter().map(record_bytes).sum();
        if bytes > self.batch_bytes_max {
            return Err(AppendError::RefusedTooLarge { bytes });
        }
        let accepted_ms = self.clock.now_ms();
        let mut state = self.lock();
        if state.bytes + bytes > self.bytes_max {
            return Err(AppendError::RefusedNoSpace);
        }
        state.bytes += bytes;
        let first = state.end();
        for (sequence, record) in (first..).zip(records) {
            state.records.push_back(LogRecord {
                sequence: Sequence(sequence),
                accepted_ms,
                record,
            });
        }
        let end = state.end();
        // Under the lock, so that ends are published in their order.
        self.end.send_replace(end);
        Ok(Sequence(first)..Sequence(end))
    }

    fn durable_end(&self, partition: PartitionId) -> Sequence {
        assert_eq!(
            partition,
            PartitionId(0),
            "the log in memory has one partition"
        );
        Sequence(*self.end.borrow())
    }

    fn start(&self, _partition: PartitionId) -> Sequence {
        Sequence(self.lock().start)
    }

    async fn read(
        &self,
        _partition: PartitionId,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, ReadError> {
        let state = self.lock();
        let Some(skipped) = from.0.checked_sub(state.start) else {
            return Err(ReadError::Released {
                start: Sequence(state.start),
            });
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let mut records = Vec::new();
        for record in state.records.iter().skip(skipped) {
            if !records.is_empty() && bytes >= bytes_max {
                break;
            }
            bytes += record_bytes(&record.record);
            records.push(record.clone());
        }
        Ok(records)
    }

    async fn wait_beyond(&self, _partition: PartitionId, position: Sequence) {
        let mut end = self.end.subscribe();
        // The sender lives as long as this log.
        let _ = end.wait_for(|end| *end > position.0).await;
    }

    fn advance_reader(&self, _partition: PartitionId, reader: ReaderName, position: Sequence) {
        let mut state = self.lock();
        let known = state.readers.entry(reader).or_insert(position.0);
        *known = (*known).max(position.0);
        let passed = state.readers.values().copied().min().unwrap_or(0);
        while state.start < passed {
            let Some(record) = state.records.pop_front() else {
                break;
            };
            state.bytes -= record_bytes(&record.record);
            state.start += 1;
        }
    }
}

impl State {
    fn end(&self) -> u64 {
        self.start + self.records.len() as u64
    }
}

fn record_bytes(record: &NewRecord) -> usize {
    record.header.len() + record.body.len() + record.context.len()
}
