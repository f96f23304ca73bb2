//! What keys have appointments for: their deletion, and new material. Nobody calls for it, so the events come from the
//! service itself.

use std::sync::Arc;

use cairn_catalog::keys::{KmsKey, ReadKeys};
use cairn_catalog::{CatalogError, OutboxEntry, OutboxRecord};
use cairn_eventlog::RecordKind;
use serde_json::json;

use super::error::KmsError;
use super::operation::key_resource;
use super::rotation;
use crate::doors::{Outbox, ServiceEvent};
use crate::pipeline::Server;

/// The source of the events.
const SOURCE: &str = "kms.amazonaws.com";

/// Why an appointment was not kept; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AppointmentError {
    /// The catalog did not do it.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The key could not be given new material.
    #[error(transparent)]
    Key(#[from] KmsError),
    /// The event of it cannot be recorded.
    #[error("the event of it cannot be recorded: {0}")]
    Record(String),
}

/// Deletes the keys and renews the materials whose time has come; how many. A key that is deleted is lost for good, so
/// the time is the earliest that it may be: while two clocks disagree the later one does not count (S8). Without the
/// lake, which knows it, nothing is done.
pub(crate) async fn keep_appointments(server: &Arc<Server>) -> Result<usize, AppointmentError> {
    let Some(lake) = server.lake.lake() else {
        return Ok(0);
    };
    let now_ms = lake.earliest_ms();
    let mut reading = server.world.catalog.read().await?;
    let due = reading.keys().due(now_ms).await?;
    drop(reading);
    let mut kept = 0;
    for key in due {
        match keep(server, &key, now_ms).await {
            Ok(is_kept) => kept += usize::from(is_kept),
            // It must not hold up those behind it.
            Err(error) => {
                tracing::error!(%error, key = key.arn(), "a key's appointment is not kept yet");
            }
        }
    }
    Ok(kept)
}

/// One key, looked at once more where it is changed: somebody may have cancelled meanwhile.
async fn keep(server: &Server, found: &KmsKey, now_ms: i64) -> Result<bool, AppointmentError> {
    let mut transaction = server.world.catalog.begin().await?;
    let place = (found.account, &found.region);
    let Some(mut key) = transaction.keys().find(place, &found.id).await? else {
        return Ok(false);
    };
    let name = if let Some(deletion) = key.deletion {
        if deletion.due_ms > now_ms {
            return Ok(false);
        }
        transaction.delete_kms_key(&key).await?;
        "DeleteKey"
    } else {
        let due = key.rotation.filter(|rotation| rotation.due_ms() <= now_ms);
        let Some(mut due) = due.filter(|_| key.is_enabled) else {
            return Ok(false);
        };
        due.from_ms = now_ms;
        key.rotation = Some(due);
        rotation::rotate(&server.world, &mut transaction, &mut key, false).await?;
        "RotateKey"
    };
    let entry = entry(server, &key, name)?;
    Outbox::check(&entry).map_err(|error| AppointmentError::Record(error.to_string()))?;
    transaction.enqueue(entry).await?;
    transaction.commit().await?;
    tracing::info!(key = key.arn(), event = name, "kept a key's appointment");
    Ok(true)
}

fn entry(server: &Server, key: &KmsKey, name: &str) -> Result<OutboxEntry, AppointmentError> {
    let event = ServiceEvent {
        account: key.account,
        region: key.region.as_str(),
        completed_ms: server.clock.now_ms(),
        event_source: SOURCE,
        event_name: name,
        details: json!({"keyId": key.id}),
    };
    let json = event.to_json_about(&server.doors.new_id(), &[key_resource(key)]);
    let prepared = server.doors.prepare_own(key.account, &json);
    let prepared = prepared.map_err(|error| AppointmentError::Record(error.to_string()))?;
    let (header, body) = prepared.into_parts();
    Ok(OutboxEntry {
        records: vec![OutboxRecord {
            kind: RecordKind::Event as u8,
            header,
            body,
        }],
    })
}
