//! Making hot objects: of new records, and once more of the records behind a damaged one.

use std::ops::Range;
use std::sync::Arc;

use cairn_catalog::lake::{HotObject, TableId};
use cairn_eventlog::{LogRecord, ReadError, RecordKind};
use cairn_model::{EventClass, PartitionId, Sequence, is_insight_of_store};

use crate::build::{Built, Pending, Poison, build};
use crate::error::LakeError;
use crate::failpoints;
use crate::hot::{self, HotBatch};
use crate::names;
use crate::rows::route;
use crate::table::TableVersion;
use crate::tables::Shared;

/// The table of event history.
pub const EVENT_HISTORY: &str = "event-history";
/// The table of trails' Insights events.
pub const INSIGHTS_EVENTS: &str = "insights-events";

/// The table that takes an event; none if no store selects it.
fn table_of(class: EventClass, json: &[u8]) -> Option<&'static str> {
    match class {
        EventClass::Management => Some(EVENT_HISTORY),
        // OVR-248: those of event data stores are found by SQL only. Insights events are few: a second look is cheap.
        EventClass::Insight if is_insight_of_store(json) => None,
        EventClass::Insight => Some(INSIGHTS_EVENTS),
        EventClass::Data | EventClass::NetworkActivity => None,
    }
}

/// Whether a table takes an event of this class and content.
pub fn is_selected(class: EventClass, json: &[u8]) -> bool {
    table_of(class, json).is_some()
}

/// Where a record goes.
pub(crate) enum Destination {
    Table(&'static str, Pending),
    /// No table takes it.
    Unselected,
    /// Older than the retention.
    TooOld,
    /// Not an event.
    Control,
    Poison(Poison),
}

impl Shared {
    pub(crate) fn destination(&self, record: LogRecord) -> Destination {
        if record.record.kind == RecordKind::Control {
            return Destination::Control;
        }
        let routed = match route(&record) {
            Ok(routed) => routed,
            Err(reason) => return Destination::Poison(Poison { record, reason }),
        };
        let Some(table) = table_of(routed.class, &record.record.body) else {
            return Destination::Unselected;
        };
        if routed.key.time.0 < self.oldest_visible() {
            return Destination::TooOld;
        }
        Destination::Table(
            table,
            Pending {
                record,
                key: routed.key,
            },
        )
    }

    /// Makes rows off the async threads and sets poison aside.
    pub(crate) async fn build_rows(
        &self,
        table: &TableId,
        version: &TableVersion,
        partition: PartitionId,
        pending: Vec<Pending>,
    ) -> Result<Option<arrow::array::RecordBatch>, LakeError> {
        if pending.is_empty() {
            return Ok(None);
        }
        let schema = Arc::clone(&version.arrow);
        let built = move || build(&schema, partition, pending);
        let Built { rows, poison } = self.workers.run(built).await?;
        for poison in poison {
            self.quarantine(table.as_str(), partition, poison).await?;
        }
        Ok(rows)
    }

    /// Keeps a poison event's bytes and the reason (P8). Durable on return, so that the log may go on. The
    /// same event gives the same name and the same bytes.
    pub(crate) async fn quarantine(
        &self,
        table: &str,
        partition: PartitionId,
        poison: Poison,
    ) -> Result<(), LakeError> {
        let sequence = poison.record.sequence;
        let key = format!(
            "quarantine/{table}/{:05}-{:020}.record",
            partition.0, sequence.0
        );
        let bytes = poison.record.quarantined(partition, &poison.reason);
        self.workshop.put(&key, bytes).await?;
        self.counters.add_quarantined();
        tracing::error!(
            table,
            sequence = sequence.0,
            reason = poison.reason,
            object = key,
            "event quarantined"
        );
        Ok(())
    }

    /// Keeps the note that the log has lost records to damage on its disk (R4): the tables go on without them, and
    /// not in silence. Durable on return; the log itself keeps the damaged bytes.
    pub(crate) async fn note_lost(
        &self,
        partition: PartitionId,
        lost: &Range<Sequence>,
        segment: &str,
        offset: u64,
    ) -> Result<(), LakeError> {
        let (first, end) = (lost.start.0, lost.end.0);
        let key = format!(
            "quarantine/log/{:05}-{first}-{end}-{segment}-{offset}.lost",
            partition.0
        );
        let line = serde_json::json!({
            "format": "cairn.lost.1",
            "partition": partition.0,
            "first": first,
            "end": end,
            "segment": segment,
            "offset": offset,
        });
        self.workshop.put(&key, line.to_string().into()).await?;
        self.counters.add_lost(end - first);
        tracing::error!(
            first,
            end,
            segment,
            offset,
            object = key,
            "the event log lost records"
        );
        Ok(())
    }

    /// Writes rows as a hot object. It is durable on return, and not registered yet.
    pub(crate) async fn write_hot(
        &self,
        table: &TableId,
        partition: PartitionId,
        range: Range<Sequence>,
        rows: arrow::array::RecordBatch,
    ) -> Result<Arc<HotBatch>, LakeError> {
        let key = names::hot_key(table, range.start.0, range.end.0, &self.workshop.uuid());
        let encoded = move || hot::encode(&rows).map(|bytes| (rows, bytes));
        let (rows, bytes) = self.workers.run(encoded).await?;
        let object = HotObject {
            object: key,
            partition,
            range,
            rows: rows.num_rows() as u64,
            bytes: bytes.len() as u64,
            checksum: crc32c::crc32c(&bytes),
        };
        self.workshop.put(&object.object, bytes).await?;
        failpoints::reach(failpoints::HOT_WRITTEN);
        Ok(HotBatch::new(object, rows))
    }

    /// Makes a damaged hot object once more and puts it in the place of the damaged one.
    pub(crate) async fn rebuild_hot(
        &self,
        table: &TableId,
        version: &TableVersion,
        damaged: &HotObject,
    ) -> Result<Option<Arc<HotBatch>>, LakeError> {
        let partition = damaged.partition;
        let mut at = damaged.range.start;
        let mut pending = Vec::new();
        while at < damaged.range.end {
            let records = self
                .log
                .read(partition, at, self.config.read_bytes_max)
                .await;
            let records = match records {
                Ok(records) => records,
                Err(ReadError::Corrupt {
                    segment,
                    offset,
                    resume_at,
                }) => {
                    // Twice damaged: the hot object and the log behind it.
                    let lost = at..resume_at.min(damaged.range.end);
                    self.note_lost(partition, &lost, &segment, offset).await?;
                    at = resume_at;
                    continue;
                }
                Err(error) => return Err(LakeError::Log(error)),
            };
            let Some(last) = records.last() else {
                return Err(LakeError::LogBehind {
                    table: table.clone(),
                    partition,
                    position: damaged.range.end,
                    log_end: self.log.durable_end(partition),
                });
            };
            at = last.sequence.plus(1);
            for record in records {
                if record.sequence >= damaged.range.end {
                    break;
                }
                if let Destination::Table(name, one) = self.destination(record)
                    && name == table.as_str()
                {
                    pending.push(one);
                }
            }
        }
        let batch = match self.build_rows(table, version, partition, pending).await? {
            Some(rows) => Some(
                self.write_hot(table, partition, damaged.range.clone(), rows)
                    .await?,
            ),
            None => None,
        };
        let replacement = batch.as_ref().map(|batch| batch.object.clone());
        self.catalog
            .replace_hot(
                crate::tables::WRITER,
                self.epoch,
                table,
                &damaged.object,
                replacement,
            )
            .await
            .map_err(LakeError::Catalog)?;
        Ok(batch)
    }
}
