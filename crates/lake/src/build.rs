//! Batches of rows from log records, with poison events set aside (P8): one bad event must not stop the
//! events after it, and must not be lost either.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cairn_eventlog::LogRecord;
use cairn_model::PartitionId;

use crate::error::LakeError;
use crate::rows::{Event, RowBuilder, SortKey};

/// How often an event is tried before it is set aside (P8).
const TRIES: u32 = 3;

/// A record that waits for its row.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) record: LogRecord,
    pub(crate) key: SortKey,
}

/// A record that no row can be made of.
#[derive(Debug)]
pub(crate) struct Poison {
    pub(crate) record: LogRecord,
    pub(crate) reason: String,
}

/// The rows of a batch, and what could not be made into rows.
#[derive(Debug)]
pub(crate) struct Built {
    /// None if there are no rows.
    pub(crate) rows: Option<RecordBatch>,
    pub(crate) poison: Vec<Poison>,
}

/// Makes the rows of `pending`, in the table's order.
pub(crate) fn build(
    schema: &SchemaRef,
    partition: PartitionId,
    mut pending: Vec<Pending>,
) -> Result<Built, LakeError> {
    pending.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let mut poison = Vec::new();
    if let Ok(rows) = try_rows(schema, partition, &pending) {
        return Ok(Built { rows, poison });
    }
    // Some event is bad: each is tried alone, and the good ones make the batch.
    let mut good = Vec::with_capacity(pending.len());
    for one in pending {
        match try_alone(schema, partition, &one) {
            Ok(()) => good.push(one),
            Err(reason) => poison.push(Poison {
                record: one.record,
                reason,
            }),
        }
    }
    let rows = try_rows(schema, partition, &good).map_err(|reason| LakeError::Rows {
        doing: "building rows",
        reason,
    })?;
    Ok(Built { rows, poison })
}

fn try_alone(schema: &SchemaRef, partition: PartitionId, one: &Pending) -> Result<(), String> {
    let mut reason = String::new();
    for _ in 0..TRIES {
        match try_rows(schema, partition, std::slice::from_ref(one)) {
            Ok(_) => return Ok(()),
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

/// A panic in here is a bug of ours that an event brought out: it counts against the event, so that the
/// pipeline goes on.
fn try_rows(
    schema: &SchemaRef,
    partition: PartitionId,
    pending: &[Pending],
) -> Result<Option<RecordBatch>, String> {
    if pending.is_empty() {
        return Ok(None);
    }
    let build = || -> Result<RecordBatch, String> {
        let mut builder = RowBuilder::new(Arc::clone(schema), pending.len());
        for one in pending {
            builder.push(&Event::read(partition, &one.record)?);
        }
        builder.finish().map_err(|error| error.to_string())
    };
    match catch_unwind(AssertUnwindSafe(build)) {
        Ok(done) => done.map(Some),
        Err(_) => Err("making the row panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests;
