//! The outbox: records that a mutation owes the event log. They are written in the mutation's own
//! transaction and leave once the log holds them; after a crash the drain starts again from the
//! oldest, so a record may reach the log twice, and whoever appends it must know it by its ID. Records
//! that can never reach it go to the quarantine, so that they hold up no others and are not lost.

use sqlx::Row;

use crate::error::CatalogError;
use crate::open::Catalog;
use crate::transaction::WriteTransaction;

/// The log's kind of control records.
const CONTROL: u8 = 2;

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
    /// The encoded routing header, or the control record's.
    pub header: Vec<u8>,
    /// The record's body.
    pub body: Vec<u8>,
}

/// An entry that the outbox need not keep any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainedEntry {
    /// The entry.
    pub id: OutboxId,
    /// Those of its records that did not go into the log.
    pub quarantined: Vec<QuarantinedRecord>,
}

/// A record that the log cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantinedRecord {
    /// Its place in its entry, from 0.
    pub ordinal: usize,
    /// Why.
    pub reason: String,
}

impl WriteTransaction {
    /// Puts an entry behind all others. The control records of what this transaction has configured come
    /// after its own: the event of a change stands before the change in the log (R21).
    /// Gives the entry back as it stands in the outbox.
    pub async fn enqueue(
        &mut self,
        mut entry: OutboxEntry,
    ) -> Result<(OutboxId, OutboxEntry), CatalogError> {
        for control in self.controls.drain(..) {
            let (header, body) = control.encode();
            entry.records.push(OutboxRecord {
                kind: CONTROL,
                header,
                body,
            });
        }
        let during = "writing to the outbox";
        let now_ms = self.now_ms;
        let id: i64 =
            sqlx::query_scalar("INSERT INTO outbox (enqueued_ms) VALUES (?) RETURNING id")
                .bind(now_ms)
                .fetch_one(self.connection())
                .await
                .map_err(CatalogError::while_(during))?;
        for (ordinal, record) in (0_i64..).zip(&entry.records) {
            sqlx::query("INSERT INTO outbox_records VALUES (?, ?, ?, ?, ?)")
                .bind(id)
                .bind(ordinal)
                .bind(i64::from(record.kind))
                .bind(&record.header)
                .bind(&record.body)
                .execute(self.connection())
                .await
                .map_err(CatalogError::while_(during))?;
        }
        Ok((OutboxId(id), entry))
    }

    async fn quarantine(
        &mut self,
        id: OutboxId,
        record: &QuarantinedRecord,
    ) -> Result<(), CatalogError> {
        let now_ms = self.now_ms;
        sqlx::query(
            "INSERT INTO outbox_quarantine \
             SELECT outbox_id, ordinal, kind, header, body, ?3, ?4 FROM outbox_records \
             WHERE outbox_id = ?1 AND ordinal = ?2",
        )
        .bind(id.0)
        .bind(i64::try_from(record.ordinal).unwrap_or(i64::MAX))
        .bind(&record.reason)
        .bind(now_ms)
        .execute(self.connection())
        .await
        .map(drop)
        .map_err(CatalogError::while_("quarantining an outbox record"))
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

    /// The entry, unless it is gone or never was.
    pub async fn outbox_entry(&self, id: OutboxId) -> Result<Option<OutboxEntry>, CatalogError> {
        let rows = sqlx::query(
            "SELECT o.id, r.kind, r.header, r.body \
             FROM outbox o LEFT JOIN outbox_records r ON r.outbox_id = o.id \
             WHERE o.id = ? ORDER BY r.ordinal",
        )
        .bind(id.0)
        .fetch_all(&self.readers)
        .await
        .map_err(CatalogError::while_("reading the outbox"))?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut entry = OutboxEntry::default();
        for row in rows {
            entry.records.extend(record_of(&row)?);
        }
        Ok(Some(entry))
    }

    /// Removes entries that are done with: the log holds their records, and those that it cannot hold
    /// move to the quarantine in the same transaction. Removing an entry twice does nothing.
    pub async fn outbox_done(&self, entries: &[DrainedEntry]) -> Result<(), CatalogError> {
        let mut transaction = self.begin().await?;
        for entry in entries {
            for record in &entry.quarantined {
                transaction.quarantine(entry.id, record).await?;
            }
            sqlx::query("DELETE FROM outbox WHERE id = ?")
                .bind(entry.id.0)
                .execute(transaction.connection())
                .await
                .map_err(CatalogError::while_("emptying the outbox"))?;
        }
        transaction.commit().await
    }

    /// How many records are in the quarantine.
    pub async fn outbox_quarantined(&self) -> Result<u64, CatalogError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox_quarantine")
            .fetch_one(&self.readers)
            .await
            .map_err(CatalogError::while_("counting the quarantine"))?;
        Ok(u64::try_from(count).unwrap_or(0))
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
    // What is no byte is a kind that nobody knows, and so is 0: such a record must not hide the others.
    let kind = u8::try_from(kind).unwrap_or(0);
    Ok(Some(OutboxRecord {
        kind,
        header: row.try_get(2).map_err(CatalogError::while_(during))?,
        body: row.try_get(3).map_err(CatalogError::while_(during))?,
    }))
}
