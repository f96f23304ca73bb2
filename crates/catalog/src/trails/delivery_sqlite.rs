//! Delivery's entry over the embedded database. Each change is one mutation of the one writing connection, so that
//! the witness counts it: a catalog that lost a cut or a digest is refused at the next start instead of making
//! other files of the same events (C5).

use super::configuration::ReadTrails;
use super::delivery::{
    ChainId, CurrentTrails, Cut, Delivered, DigestChain, FailedAttempt, FileId, NewDigest,
    NotificationMade, ReaderState, RecordedFile, SigningKey, SpoolUse, TrailsCatalog,
};
use super::delivery_rows::{
    CHAIN_COLUMNS, FILE_COLUMNS, column, digest_chain, number, recorded_file, signing_key,
};
use super::delivery_statements as sql;
use super::outlets_sqlite::{count_lost_feed, insert_feed, notify_of};
use crate::{Catalog, CatalogError};
use async_trait::async_trait;
use cairn_model::{PartitionId, Region, Sequence, Trail, TrailId};

type Result<T> = std::result::Result<T, CatalogError>;

#[async_trait]
impl TrailsCatalog for Catalog {
    async fn reader_state(&self, partition: PartitionId) -> Result<ReaderState> {
        let during = "reading where the trails are";
        let mut transaction = self.read().await?;
        let connection = transaction.connection();
        let position: Option<i64> =
            sqlx::query_scalar("SELECT position FROM trail_positions WHERE partition_id = ?")
                .bind(i64::from(partition.0))
                .fetch_optional(&mut *connection)
                .await
                .map_err(CatalogError::while_(during))?;
        let rows = sqlx::query(
            "SELECT trail_id, version FROM trail_applied WHERE partition_id = ? ORDER BY trail_id",
        )
        .bind(i64::from(partition.0))
        .fetch_all(&mut *connection)
        .await
        .map_err(CatalogError::while_(during))?;
        drop(transaction);
        let mut state = ReaderState {
            position: position.map(|position| Sequence(u64::try_from(position).unwrap_or(0))),
            ..ReaderState::default()
        };
        for row in rows {
            let id = TrailId(column(&row, "trail_id")?);
            match self.trail_at(&id, number(&row, "version")?).await {
                Ok(trail) => state.trails.extend(trail),
                Err(CatalogError::Unreadable { .. }) => state.unreadable.push(id),
                Err(error) => return Err(error),
            }
        }
        Ok(state)
    }

    async fn trail_at(&self, trail: &TrailId, version: u64) -> Result<Option<Trail>> {
        let mut transaction = self.read().await?;
        match transaction.trails().version(trail, version).await {
            // Readers have passed it long ago.
            Err(CatalogError::NoSuchEntity(_)) => Ok(None),
            found => found,
        }
    }

    async fn applied_version(
        &self,
        partition: PartitionId,
        trail: &TrailId,
    ) -> Result<Option<u64>> {
        let row = sqlx::query(
            "SELECT version FROM trail_applied WHERE partition_id = ? AND trail_id = ?",
        )
        .bind(i64::from(partition.0))
        .bind(&trail.0)
        .fetch_optional(&self.readers)
        .await
        .map_err(CatalogError::while_("reading an applied version"))?;
        row.map(|row| number(&row, "version")).transpose()
    }

    async fn current_trails(&self) -> Result<CurrentTrails> {
        self.read().await?.trails().all_readable().await
    }

    async fn record_cut(&self, cut: &Cut) -> Result<()> {
        let mut transaction = self.begin().await?;
        let now_ms = transaction.now_ms();
        let connection = transaction.connection();
        sql::move_position(connection, cut).await?;
        for change in &cut.chains {
            sql::change_chain(connection, change).await?;
        }
        for file in &cut.files {
            sql::insert_file(connection, file).await?;
        }
        for lost in &cut.lost {
            sql::count_lost(connection, lost, now_ms).await?;
        }
        for feed in &cut.feeds {
            insert_feed(connection, feed).await?;
        }
        for lost in &cut.lost_feeds {
            let what = (&lost.lane, lost.events);
            count_lost_feed(connection, what, now_ms, &lost.error).await?;
        }
        // Last: what the files and chains of this very cut go by must stay.
        sql::apply_versions(connection, cut).await?;
        transaction.commit().await
    }

    async fn waiting_trails(&self) -> Result<Vec<(TrailId, i64)>> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT trail_id, min(next_attempt_ms) FROM trail_files WHERE delivered_ms IS NULL \
             GROUP BY trail_id",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(CatalogError::while_("listing waiting trails"))?;
        Ok(rows
            .into_iter()
            .map(|(id, due)| (TrailId(id), due))
            .collect())
    }

    async fn waiting_files(
        &self,
        trail: &TrailId,
        now_ms: i64,
        mended_ms: i64,
        files_max: u32,
    ) -> Result<Vec<RecordedFile>> {
        let text = format!(
            "SELECT {FILE_COLUMNS} FROM trail_files WHERE trail_id = ? AND delivered_ms IS NULL \
             AND (next_attempt_ms <= ? OR next_attempt_ms >= ?) \
             ORDER BY next_attempt_ms, id LIMIT ?"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(&trail.0)
            .bind(now_ms)
            .bind(mended_ms)
            .bind(i64::from(files_max))
            .fetch_all(&self.readers)
            .await
            .map_err(CatalogError::while_("listing waiting files"))?;
        rows.iter().map(recorded_file).collect()
    }

    async fn record_delivered(&self, delivered: &Delivered) -> Result<NotificationMade> {
        let mut transaction = self.begin().await?;
        let notified = notify_of(&mut transaction, delivered).await?;
        sql::settle_file(transaction.connection(), delivered).await?;
        transaction.commit().await?;
        Ok(notified)
    }

    async fn record_failure(&self, failed: &FailedAttempt) -> Result<()> {
        let during = "recording an attempt";
        let mut transaction = self.begin().await?;
        let connection = transaction.connection();
        let row = sqlx::query(
            "UPDATE trail_files SET attempts = attempts + 1, next_attempt_ms = ?2, \
                 failing_ms = ?3, last_attempt_ms = ?4 \
             WHERE id = ?1 AND delivered_ms IS NULL RETURNING trail_id, kind",
        )
        .bind(failed.id.0)
        .bind(failed.next_attempt_ms)
        .bind(failed.failing_ms)
        .bind(failed.attempted_ms)
        .fetch_optional(&mut *connection)
        .await
        .map_err(CatalogError::while_(during))?;
        if let Some(row) = row {
            let (trail, kind): (String, String) =
                (column(&row, "trail_id")?, column(&row, "kind")?);
            let error = failed.error.as_deref();
            sql::tell_failure(connection, &trail, &kind, failed.attempted_ms, error).await?;
        }
        transaction.commit().await
    }

    async fn record_lost(&self, id: FileId, attempted_ms: i64, error: &str) -> Result<()> {
        let during = "giving a file up";
        let mut transaction = self.begin().await?;
        let connection = transaction.connection();
        let row = sqlx::query(
            "DELETE FROM trail_files WHERE id = ? AND delivered_ms IS NULL \
             RETURNING trail_id, kind, event_count",
        )
        .bind(id.0)
        .fetch_optional(&mut *connection)
        .await
        .map_err(CatalogError::while_(during))?;
        if let Some(row) = row {
            let (trail, kind): (String, String) =
                (column(&row, "trail_id")?, column(&row, "kind")?);
            sql::tell_failure(connection, &trail, &kind, attempted_ms, Some(error)).await?;
            let events: i64 = column(&row, "event_count")?;
            sql::add_lost(connection, &trail, events).await?;
        }
        transaction.commit().await
    }

    async fn chains(&self) -> Result<Vec<DigestChain>> {
        let text =
            format!("SELECT {CHAIN_COLUMNS} FROM digest_chains ORDER BY window_start_ms, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(text))
            .fetch_all(&self.readers)
            .await
            .map_err(CatalogError::while_("listing digest chains"))?;
        rows.iter().map(digest_chain).collect()
    }

    async fn chain(&self, chain: ChainId) -> Result<Option<DigestChain>> {
        let text = format!("SELECT {CHAIN_COLUMNS} FROM digest_chains WHERE id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(chain.0)
            .fetch_optional(&self.readers)
            .await
            .map_err(CatalogError::while_("reading a digest chain"))?;
        row.as_ref().map(digest_chain).transpose()
    }

    async fn files_of_chain(
        &self,
        chain: ChainId,
        before_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<RecordedFile>> {
        let text = format!(
            "SELECT {FILE_COLUMNS} FROM trail_files \
             WHERE chain_id = ? AND (delivered_ms < ? OR delivered_ms > ?) \
             ORDER BY delivered_ms, id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(chain.0)
            .bind(before_ms)
            .bind(now_ms)
            .fetch_all(&self.readers)
            .await
            .map_err(CatalogError::while_("listing the files of a chain"))?;
        rows.iter().map(recorded_file).collect()
    }

    async fn waiting_in_chain(&self, chain: ChainId) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM trail_files WHERE chain_id = ? AND delivered_ms IS NULL",
        )
        .bind(chain.0)
        .fetch_one(&self.readers)
        .await
        .map_err(CatalogError::while_("counting the files of a chain"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn last_digest_end(&self, chain: &DigestChain, trail_arn: &str) -> Result<Option<i64>> {
        sqlx::query_scalar(
            "SELECT end_ms FROM digest_ends WHERE account = ? AND region = ? AND trail_arn = ?",
        )
        .bind(chain.account.as_str())
        .bind(chain.region.as_str())
        .bind(trail_arn)
        .fetch_optional(&self.readers)
        .await
        .map_err(CatalogError::while_("reading where a digest ended"))
    }

    async fn record_digest(&self, digest: &NewDigest) -> Result<()> {
        let mut transaction = self.begin().await?;
        let connection = transaction.connection();
        for file in &digest.listed {
            sql::unlist(connection, digest, *file).await?;
        }
        sql::insert_file(connection, &digest.file).await?;
        sql::take_end(connection, digest).await?;
        if digest.is_final {
            sql::end_chain(connection, digest).await?;
        } else {
            sql::advance_chain(connection, digest).await?;
        }
        transaction.commit().await
    }

    async fn signing_key(&self, region: &Region, now_ms: i64) -> Result<Option<SigningKey>> {
        let row = sqlx::query(
            "SELECT region, fingerprint, public_key, private_sealed, valid_from_ms, valid_to_ms \
             FROM signing_keys WHERE region = ?1 AND private_sealed IS NOT NULL \
             AND valid_from_ms <= ?2 AND valid_to_ms > ?2 ORDER BY valid_to_ms DESC LIMIT 1",
        )
        .bind(region.as_str())
        .bind(now_ms)
        .fetch_optional(&self.readers)
        .await
        .map_err(CatalogError::while_("reading a signing key"))?;
        row.as_ref().map(signing_key).transpose()
    }

    async fn put_signing_key(&self, key: &SigningKey) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("INSERT INTO signing_keys VALUES (?, ?, ?, ?, ?, ?)")
            .bind(key.region.as_str())
            .bind(&key.fingerprint)
            .bind(&key.public_key)
            .bind(&key.private_sealed)
            .bind(key.valid_ms.start)
            .bind(key.valid_ms.end)
            .execute(transaction.connection())
            .await
            .map_err(CatalogError::while_("storing a signing key"))?;
        transaction.commit().await
    }

    async fn retire_signing_keys(&self, now_ms: i64) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE signing_keys SET private_sealed = NULL WHERE valid_to_ms <= ?")
            .bind(now_ms)
            .execute(transaction.connection())
            .await
            .map_err(CatalogError::while_("retiring signing keys"))?;
        transaction.commit().await
    }

    async fn spooled(&self) -> Result<Vec<String>> {
        sqlx::query_scalar("SELECT spooled FROM trail_files UNION SELECT spooled FROM trail_feeds")
            .fetch_all(&self.readers)
            .await
            .map_err(CatalogError::while_("listing spooled files"))
    }

    async fn spool_use(&self) -> Result<Vec<SpoolUse>> {
        let rows = sqlx::query(
            "SELECT trail_id, waiting_files AS files, waiting_events AS events, byte_count AS bytes, \
                 (SELECT min(created_ms) FROM trail_files AS f \
                  WHERE f.trail_id = s.trail_id AND f.delivered_ms IS NULL) AS oldest \
             FROM trail_spool AS s ORDER BY trail_id",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(CatalogError::while_("measuring the spool"))?;
        let used = rows.iter().map(|row| {
            Ok(SpoolUse {
                trail: TrailId(column(row, "trail_id")?),
                files: number(row, "files")?,
                events: number(row, "events")?,
                bytes: number(row, "bytes")?,
                oldest_waiting_ms: column(row, "oldest")?,
            })
        });
        used.collect()
    }
}
