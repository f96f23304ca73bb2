//! An event log that damages the routing header of some events on their way: events that pass the door
//! and of which no row can be made (P8).

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_eventlog::{AppendError, EventLog, LogRecord, NewRecord, ReadError, ReaderName};
use cairn_model::{PartitionId, Sequence};

/// Events that contain this are poisoned.
const MARK: &[u8] = b"\"eventName\":\"Poisoned\"";

#[derive(Debug)]
pub(super) struct PoisoningLog {
    pub(super) log: Arc<dyn EventLog>,
}

#[async_trait]
impl EventLog for PoisoningLog {
    async fn append_durable(
        &self,
        partition: PartitionId,
        mut records: Vec<NewRecord>,
    ) -> Result<Range<Sequence>, AppendError> {
        for record in &mut records {
            let is_marked = record.body.windows(MARK.len()).any(|part| part == MARK);
            if is_marked {
                record.header = Bytes::from_static(b"\xffpoison");
            }
        }
        self.log.append_durable(partition, records).await
    }

    fn durable_end(&self, partition: PartitionId) -> Sequence {
        self.log.durable_end(partition)
    }

    fn start(&self, partition: PartitionId) -> Sequence {
        self.log.start(partition)
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: Sequence,
        bytes_max: usize,
    ) -> Result<Vec<LogRecord>, ReadError> {
        self.log.read(partition, from, bytes_max).await
    }

    async fn wait_beyond(&self, partition: PartitionId, position: Sequence) {
        self.log.wait_beyond(partition, position).await;
    }

    fn advance_reader(&self, partition: PartitionId, reader: ReaderName, position: Sequence) {
        self.log.advance_reader(partition, reader, position);
    }
}
