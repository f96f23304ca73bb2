//! What delivery and signing have written down, as the API tells it.

use cairn_model::{Region, TrailId};
use sqlx::Row;

use crate::error::CatalogError;
use crate::trails::configuration::TrailView;

/// How delivery of a trail goes. Times are in milliseconds since the epoch; `None` is never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrailStatus {
    /// The last attempt to put a log file into the bucket.
    pub delivery_attempt_ms: Option<i64>,
    /// The last log file that the bucket took.
    pub delivery_ms: Option<i64>,
    /// What the bucket said to the last attempt, if it refused it.
    pub delivery_error: Option<String>,
    /// The last digest that the bucket took.
    pub digest_delivery_ms: Option<i64>,
    /// What the bucket said to the last digest, if it refused it.
    pub digest_delivery_error: Option<String>,
    /// The last attempt to tell the topic.
    pub notification_attempt_ms: Option<i64>,
    /// The last notification that the topic took.
    pub notification_ms: Option<i64>,
    /// What the topic said to the last attempt, if it refused it.
    pub notification_error: Option<String>,
    /// The last delivery to the log group.
    pub logs_delivery_ms: Option<i64>,
    /// What the log group said to the last attempt, if it refused it.
    pub logs_delivery_error: Option<String>,
    /// Log files that were given up.
    pub files_lost: i64,
    /// Events in them.
    pub events_lost: i64,
    /// Log files that the topic was not told of.
    pub notifications_lost: i64,
    /// Events that the log group did not get: too large, too old, or given up.
    pub logs_events_lost: i64,
}

/// A key that digests are, or were, signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicSigningKey {
    /// The key's fingerprint, as digests name it.
    pub fingerprint: String,
    /// The public key: DER of PKCS #1.
    pub public_key: Vec<u8>,
    /// When it begins to sign, in milliseconds since the epoch.
    pub valid_from_ms: i64,
    /// When its digests end.
    pub valid_to_ms: i64,
}

impl TrailView<'_> {
    /// How delivery of a trail goes; all empty before the first attempt.
    pub async fn status(&mut self, id: &TrailId) -> Result<TrailStatus, CatalogError> {
        let during = "reading a trail's status";
        let row = sqlx::query(
            "SELECT delivery_attempt_ms, delivery_ms, delivery_error, digest_delivery_ms, \
             digest_delivery_error, notification_attempt_ms, notification_ms, notification_error, \
             logs_delivery_ms, logs_delivery_error, files_lost, events_lost, \
             notifications_lost, logs_events_lost \
             FROM trail_status WHERE trail_id = ?",
        )
        .bind(&id.0)
        .fetch_optional(&mut *self.connection)
        .await
        .map_err(CatalogError::while_(during))?;
        let Some(row) = row else {
            return Ok(TrailStatus::default());
        };
        let read = || -> Result<TrailStatus, sqlx::Error> {
            Ok(TrailStatus {
                delivery_attempt_ms: row.try_get(0)?,
                delivery_ms: row.try_get(1)?,
                delivery_error: row.try_get(2)?,
                digest_delivery_ms: row.try_get(3)?,
                digest_delivery_error: row.try_get(4)?,
                notification_attempt_ms: row.try_get(5)?,
                notification_ms: row.try_get(6)?,
                notification_error: row.try_get(7)?,
                logs_delivery_ms: row.try_get(8)?,
                logs_delivery_error: row.try_get(9)?,
                files_lost: row.try_get(10)?,
                events_lost: row.try_get(11)?,
                notifications_lost: row.try_get(12)?,
                logs_events_lost: row.try_get(13)?,
            })
        };
        read().map_err(CatalogError::while_(during))
    }

    /// The keys of a Region that were valid at some moment of the range, ends included, oldest first (REC-266,
    /// REC-270).
    pub async fn signing_keys(
        &mut self,
        region: &Region,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<PublicSigningKey>, CatalogError> {
        let during = "reading signing keys";
        let rows = sqlx::query(
            "SELECT fingerprint, public_key, valid_from_ms, valid_to_ms FROM signing_keys \
             WHERE region = ? AND valid_from_ms <= ? AND valid_to_ms >= ? \
             ORDER BY valid_from_ms, fingerprint",
        )
        .bind(region.as_str())
        .bind(to_ms)
        .bind(from_ms)
        .fetch_all(&mut *self.connection)
        .await
        .map_err(CatalogError::while_(during))?;
        let key_of = |row: &sqlx::sqlite::SqliteRow| -> Result<PublicSigningKey, sqlx::Error> {
            Ok(PublicSigningKey {
                fingerprint: row.try_get(0)?,
                public_key: row.try_get(1)?,
                valid_from_ms: row.try_get(2)?,
                valid_to_ms: row.try_get(3)?,
            })
        };
        let keys: Result<_, _> = rows.iter().map(key_of).collect();
        keys.map_err(CatalogError::while_(during))
    }
}
