//! An event log that acknowledges some batches without keeping them: what a crash test must find out.
//! It says so in the server's log, so that the test knows when there is something to find.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cairn_eventlog::{AppendError, EventLog, LogRecord, NewRecord, ReadError, ReaderName};
use cairn_model::{PartitionId, Sequence};

/// Of so many batches one is forgotten.
const FORGOTTEN_EVERY: u64 = 7;
/// Records of the test's calls contain this.
const CALL_MARK: &[u8] = b"\"userAgent\":\"cairn-driver/";

#[derive(Debug)]
pub(super) struct ForgetfulLog {
    log: Arc<dyn EventLog>,
    batches: AtomicU64,
    batches_of_calls: AtomicU64,
}

impl ForgetfulLog {
    pub(super) fn over(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            batches: AtomicU64::new(0),
            batches_of_calls: AtomicU64::new(0),
        }
    }

    fn forgets(&self, records: &[NewRecord]) -> bool {
        let holds_calls = records.iter().any(|record| {
            let mut parts = record.body.windows(CALL_MARK.len());
            parts.any(|part| part == CALL_MARK)
        });
        let (batches, what) = if holds_calls {
            (&self.batches_of_calls, "calls")
        } else {
            (&self.batches, "events")
        };
        let forgets =
            batches.fetch_add(1, Ordering::Relaxed) % FORGOTTEN_EVERY == FORGOTTEN_EVERY - 1;
        if forgets {
            tracing::warn!("a planted fault: {what} were forgotten");
        }
        forgets
    }
}

#[async_trait]
impl EventLog for ForgetfulLog {
    async fn append_durable(
        &self,
        partition: PartitionId,
        records: Vec<NewRecord>,
    ) -> Result<Range<Sequence>, AppendError> {
        if self.forgets(&records) {
            let end = self.log.durable_end(partition);
            return Ok(end..end);
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
