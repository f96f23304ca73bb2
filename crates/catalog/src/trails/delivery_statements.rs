//! Delivery's SQL statements, each on a connection whose transaction the caller owns.

use sqlx::SqliteConnection;

use super::delivery::{
    ChainChange, Cut, Delivered, FileId, FileKind, LostFile, NewDigest, PlannedFile,
};
use super::delivery_rows::{column, stored};
use crate::CatalogError;

type Result<T> = std::result::Result<T, CatalogError>;

pub(super) async fn move_position(connection: &mut SqliteConnection, cut: &Cut) -> Result<()> {
    let during = "moving the trails' position";
    let partition = i64::from(cut.partition.0);
    let end = stored(cut.end.0);
    let moved = match cut.expected {
        Some(expected) => sqlx::query(
            "UPDATE trail_positions SET position = ?2 WHERE partition_id = ?1 AND position = ?3",
        )
        .bind(partition)
        .bind(end)
        .bind(stored(expected.0))
        .execute(connection)
        .await,
        None => {
            sqlx::query(
                "INSERT INTO trail_positions VALUES (?1, ?2) ON CONFLICT (partition_id) DO NOTHING",
            )
            .bind(partition)
            .bind(end)
            .execute(connection)
            .await
        }
    };
    let moved = moved.map_err(CatalogError::while_(during))?;
    if moved.rows_affected() == 1 {
        Ok(())
    } else {
        Err(CatalogError::OutOfStep { what: during })
    }
}

/// Readers of the log need no version before the one that they apply.
pub(super) async fn apply_versions(connection: &mut SqliteConnection, cut: &Cut) -> Result<()> {
    let during = "applying a trail's version";
    for applied in &cut.applied {
        let (id, version) = (&applied.trail.0, stored(applied.version));
        sqlx::query(
            "INSERT INTO trail_applied VALUES (?1, ?2, ?3) \
             ON CONFLICT (partition_id, trail_id) DO UPDATE SET version = max(version, ?3)",
        )
        .bind(i64::from(cut.partition.0))
        .bind(id)
        .bind(version)
        .execute(&mut *connection)
        .await
        .map_err(CatalogError::while_(during))?;
        // Files and chains may still go by the version before.
        sqlx::query(
            "DELETE FROM trail_versions WHERE trail_id = ?1 AND version < ?2 \
             AND NOT EXISTS (SELECT 1 FROM trail_files AS f \
                 WHERE f.trail_id = ?1 AND f.version = trail_versions.version) \
             AND NOT EXISTS (SELECT 1 FROM digest_chains AS c \
                 WHERE c.trail_id = ?1 AND c.version = trail_versions.version)",
        )
        .bind(id)
        .bind(version)
        .execute(&mut *connection)
        .await
        .map_err(CatalogError::while_(during))?;
    }
    Ok(())
}

pub(super) async fn change_chain(
    connection: &mut SqliteConnection,
    change: &ChainChange,
) -> Result<()> {
    let during = "changing a digest chain";
    let query = match change {
        ChainChange::Open {
            trail,
            version,
            account,
            region,
            at_ms,
        } => sqlx::query(
            "INSERT INTO digest_chains (trail_id, account, region, version, window_start_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (trail_id, account, region) WHERE closing_ms IS NULL \
             DO UPDATE SET version = ?4",
        )
        .bind(&trail.0)
        .bind(account.as_str())
        .bind(region.as_str())
        .bind(stored(*version))
        .bind(*at_ms),
        ChainChange::CloseAll { trail, at_ms } => sqlx::query(
            "UPDATE digest_chains SET closing_ms = ?2 WHERE trail_id = ?1 AND closing_ms IS NULL",
        )
        .bind(&trail.0)
        .bind(*at_ms),
        ChainChange::CloseOthers {
            trail,
            region,
            at_ms,
        } => sqlx::query(
            "UPDATE digest_chains SET closing_ms = ?2 \
             WHERE trail_id = ?1 AND closing_ms IS NULL AND region <> ?3",
        )
        .bind(&trail.0)
        .bind(*at_ms)
        .bind(region.as_str()),
    };
    query
        .execute(connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_(during))
}

/// A file that is to be validated belongs to the newest chain that was open when its cut was recorded.
pub(super) async fn insert_file(
    connection: &mut SqliteConnection,
    file: &PlannedFile,
) -> Result<()> {
    let kind = match file.kind {
        FileKind::Log => "log",
        FileKind::Digest => "digest",
    };
    sqlx::query(
        "INSERT INTO trail_files (trail_id, version, kind, account, region, bucket, object_key, \
             kms_key_arn, spooled, byte_count, object_sha256, content_sha256, signature, \
             event_count, oldest_event_ms, newest_event_ms, created_ms, next_attempt_ms, chain_id) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?17, \
             CASE WHEN ?18 THEN (SELECT max(id) FROM digest_chains \
                 WHERE trail_id = ?1 AND account = ?4 AND region = ?5) END)",
    )
    .bind(&file.trail.0)
    .bind(stored(file.version))
    .bind(kind)
    .bind(file.account.as_str())
    .bind(file.region.as_str())
    .bind(&file.bucket)
    .bind(&file.object_key)
    .bind(&file.kms_key_arn)
    .bind(&file.spooled)
    .bind(stored(file.bytes))
    .bind(&file.object_sha256[..])
    .bind(&file.content_sha256[..])
    .bind(&file.signature)
    .bind(stored(file.events))
    .bind(file.event_times_ms.map(|times| times.0))
    .bind(file.event_times_ms.map(|times| times.1))
    .bind(file.created_ms)
    .bind(file.is_validated)
    .execute(connection)
    .await
    .map(drop)
    .map_err(CatalogError::while_("recording a file"))
}

/// Delivered files stay until a digest lists them, if one is to; the others are done with.
pub(super) async fn settle_file(
    connection: &mut SqliteConnection,
    delivered: &Delivered,
) -> Result<()> {
    let during = "recording a delivery";
    let row = sqlx::query(
        "UPDATE trail_files SET delivered_ms = max(?2, coalesce( \
             (SELECT window_start_ms FROM digest_chains WHERE id = chain_id), ?2)) \
         WHERE id = ?1 AND delivered_ms IS NULL RETURNING trail_id, kind",
    )
    .bind(delivered.id.0)
    .bind(delivered.delivered_ms)
    .fetch_optional(&mut *connection)
    .await
    .map_err(CatalogError::while_(during))?;
    let Some(row) = row else { return Ok(()) };
    let (trail, kind): (String, String) = (column(&row, "trail_id")?, column(&row, "kind")?);
    sqlx::query("DELETE FROM trail_files WHERE id = ? AND chain_id IS NULL")
        .bind(delivered.id.0)
        .execute(&mut *connection)
        .await
        .map_err(CatalogError::while_(during))?;
    let text = if kind == "digest" {
        "INSERT INTO trail_status (trail_id, digest_delivery_ms) VALUES (?1, ?3) \
         ON CONFLICT (trail_id) DO UPDATE SET digest_delivery_ms = ?3, digest_delivery_error = NULL"
    } else {
        "INSERT INTO trail_status (trail_id, delivery_attempt_ms, delivery_ms) VALUES (?1, ?2, ?3) \
         ON CONFLICT (trail_id) DO UPDATE \
         SET delivery_attempt_ms = ?2, delivery_ms = ?3, delivery_error = NULL"
    };
    sqlx::query(text)
        .bind(trail)
        .bind(delivered.attempted_ms)
        .bind(delivered.delivered_ms)
        .execute(connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_(during))
}

/// A bucket that did not answer in time leaves what is said of errors as it was (TRL-079).
pub(super) async fn tell_failure(
    connection: &mut SqliteConnection,
    trail: &str,
    kind: &str,
    attempted_ms: i64,
    error: Option<&str>,
) -> Result<()> {
    let text = if kind == "digest" {
        "INSERT INTO trail_status (trail_id, digest_delivery_error) VALUES (?1, ?3) \
         ON CONFLICT (trail_id) DO UPDATE \
         SET digest_delivery_error = coalesce(?3, digest_delivery_error)"
    } else {
        "INSERT INTO trail_status (trail_id, delivery_attempt_ms, delivery_error) VALUES (?1, ?2, ?3) \
         ON CONFLICT (trail_id) DO UPDATE \
         SET delivery_attempt_ms = ?2, delivery_error = coalesce(?3, delivery_error)"
    };
    sqlx::query(text)
        .bind(trail)
        .bind(attempted_ms)
        .bind(error)
        .execute(connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("recording a trail's trouble"))
}

pub(super) async fn count_lost(
    connection: &mut SqliteConnection,
    lost: &LostFile,
    now_ms: i64,
) -> Result<()> {
    tell_failure(connection, &lost.trail.0, "log", now_ms, Some(&lost.error)).await?;
    add_lost(connection, &lost.trail.0, stored(lost.events)).await
}

pub(super) async fn add_lost(
    connection: &mut SqliteConnection,
    trail: &str,
    events: i64,
) -> Result<()> {
    sqlx::query(
        "UPDATE trail_status SET files_lost = files_lost + 1, events_lost = events_lost + ?2 \
         WHERE trail_id = ?1",
    )
    .bind(trail)
    .bind(events)
    .execute(connection)
    .await
    .map(drop)
    .map_err(CatalogError::while_("counting what is lost"))
}

/// Takes a file out of its chain: the digest that lists it is this one and no other.
pub(super) async fn unlist(
    connection: &mut SqliteConnection,
    digest: &NewDigest,
    file: FileId,
) -> Result<()> {
    let during = "listing a file in a digest";
    let gone = sqlx::query(
        "DELETE FROM trail_files WHERE id = ? AND chain_id = ? AND delivered_ms IS NOT NULL",
    )
    .bind(file.0)
    .bind(digest.chain.id.0)
    .execute(connection)
    .await
    .map_err(CatalogError::while_(during))?;
    in_step(gone.rows_affected(), during)
}

/// Takes the second in which a digest ends for it alone: one that is not later than the last would be put
/// under a name that is taken.
pub(super) async fn take_end(connection: &mut SqliteConnection, digest: &NewDigest) -> Result<()> {
    let during = "naming a digest";
    let taken = sqlx::query(
        "INSERT INTO digest_ends VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (account, region, trail_arn) DO UPDATE SET end_ms = ?4 \
         WHERE end_ms / 1000 < ?4 / 1000",
    )
    .bind(digest.chain.account.as_str())
    .bind(digest.chain.region.as_str())
    .bind(&digest.trail_arn)
    .bind(digest.window_ms.end)
    .execute(connection)
    .await
    .map_err(CatalogError::while_(during))?;
    in_step(taken.rows_affected(), during)
}

pub(super) async fn advance_chain(
    connection: &mut SqliteConnection,
    digest: &NewDigest,
) -> Result<()> {
    let during = "ending a digest's window";
    let summary = &digest.summary;
    let moved = sqlx::query(
        "UPDATE digest_chains SET window_start_ms = ?3, previous_bucket = ?4, previous_key = ?5, \
             previous_hash = ?6, previous_signature = ?7 \
         WHERE id = ?1 AND window_start_ms = ?2",
    )
    .bind(digest.chain.id.0)
    .bind(digest.window_ms.start)
    .bind(digest.window_ms.end)
    .bind(&summary.bucket)
    .bind(&summary.key)
    .bind(&summary.hash)
    .bind(&summary.signature)
    .execute(connection)
    .await
    .map_err(CatalogError::while_(during))?;
    in_step(moved.rows_affected(), during)
}

pub(super) async fn end_chain(connection: &mut SqliteConnection, digest: &NewDigest) -> Result<()> {
    let during = "ending a digest chain";
    let gone = sqlx::query(
        "DELETE FROM digest_chains WHERE id = ?1 AND window_start_ms = ?2 \
         AND closing_ms IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM trail_files WHERE chain_id = ?1)",
    )
    .bind(digest.chain.id.0)
    .bind(digest.window_ms.start)
    .execute(connection)
    .await
    .map_err(CatalogError::while_(during))?;
    in_step(gone.rows_affected(), during)
}

fn in_step(rows: u64, what: &'static str) -> Result<()> {
    if rows == 1 {
        Ok(())
    } else {
        Err(CatalogError::OutOfStep { what })
    }
}
