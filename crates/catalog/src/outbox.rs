//! The outbox: records that a mutation owes the event log. They are written in the mutation's own
//! transaction and leave once the log holds them; after a crash the drain starts again from the
//! oldest, so a record may reach the log twice, and whoever appends it must know it by its ID.

use sqlx::Row;

use crate::error::CatalogError;
use crate::open::Catalog;
use crate::transaction::WriteTransaction;

/// The place of an entry in the outbox. Later entries have greater IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxId(pub i64);

/// What one mutation owes the log: its records belong into one batch, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The records.
    pub records: Vec<OutboxRecord>,
}

/// One record for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRecord {
    /// The log's record kind.
    pub kind: u8,
    /// The encoded routing header, or the control record's name.
    pub header: Vec<u8>,
    /// The record's body.
    pub body: Vec<u8>,
}

impl WriteTransaction {
    /// Puts an entry behind all others.
    pub async fn enqueue(&mut self, entry: OutboxEntry) -> Result<OutboxId, CatalogError> {
        let during = "writing to the outbox";
        let now_ms = self.now_ms;
        let id: i64 =
            sqlx::query_scalar("INSERT INTO outbox (enqueued_ms) VALUES (?) RETURNING id")
                .bind(now_ms)
                .fetch_one(self.connection())
                .await
                .map_err(CatalogError::while_(during))?;
        for (ordinal, record) in (0_i64..).zip(entry.records) {
            sqlx::query("INSERT INTO outbox_records VALUES (?, ?, ?, ?, ?)")
                .bind(id)
                .bind(ordinal)
                .bind(i64::from(record.kind))
                .bind(record.header)
                .bind(record.body)
                .execute(self.connection())
                .await
                .map_err(CatalogError::while_(during))?;
        }
        Ok(OutboxId(id))
    }
}

impl Catalog {
    /// The oldest entries that the log does not hold yet, at most `entries_max`, in order.
    pub async fn outbox_pending(
        &self,
        entries_max: u32,
    ) -> Result<Vec<(OutboxId, OutboxEntry)>, CatalogError> {
        let during = "reading the outbox";
        let rows = sqlx::query(
            "SELECT o.id, r.kind, r.header, r.body \
             FROM (SELECT id FROM outbox ORDER BY id LIMIT ?) o \
             LEFT JOIN outbox_records r ON r.outbox_id = o.id \
             ORDER BY o.id, r.ordinal",
        )
        .bind(i64::from(entries_max))
        .fetch_all(&self.readers)
        .await
        .map_err(CatalogError::while_(during))?;
        let mut entries: Vec<(OutboxId, OutboxEntry)> = Vec::new();
        for row in rows {
            let id = OutboxId(row.try_get(0).map_err(CatalogError::while_(during))?);
            if entries.last().is_none_or(|(last, _)| *last != id) {
                entries.push((id, OutboxEntry::default()));
            }
            if let Some(record) = record_of(&row)?
                && let Some((_, entry)) = entries.last_mut()
            {
                entry.records.push(record);
            }
        }
        Ok(entries)
    }

    /// Removes entries that the log holds. Removing one twice does nothing.
    pub async fn outbox_done(&self, ids: &[OutboxId]) -> Result<(), CatalogError> {
        let during = "emptying the outbox";
        let mut transaction = self.begin().await?;
        for id in ids {
            sqlx::query("DELETE FROM outbox WHERE id = ?")
                .bind(id.0)
                .execute(transaction.connection())
                .await
                .map_err(CatalogError::while_(during))?;
        }
        transaction.commit().await
    }

    /// How many entries wait.
    pub async fn outbox_depth(&self) -> Result<u64, CatalogError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox")
            .fetch_one(&self.readers)
            .await
            .map_err(CatalogError::while_("counting the outbox"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

/// None for an entry without records.
fn record_of(row: &sqlx::sqlite::SqliteRow) -> Result<Option<OutboxRecord>, CatalogError> {
    let during = "reading the outbox";
    let kind: Option<i64> = row.try_get(1).map_err(CatalogError::while_(during))?;
    let Some(kind) = kind else { return Ok(None) };
    let kind = u8::try_from(kind).map_err(|_| CatalogError::Unreadable {
        what: "record kind",
        value: kind.to_string(),
    })?;
    Ok(Some(OutboxRecord {
        kind,
        header: row.try_get(2).map_err(CatalogError::while_(during))?,
        body: row.try_get(3).map_err(CatalogError::while_(during))?,
    }))
}
