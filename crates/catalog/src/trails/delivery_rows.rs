//! Rows of delivery as values, and values as rows.

use cairn_model::{AccountId, Region, TrailId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::delivery::{
    ChainId, DigestChain, FileId, FileKind, PlannedFile, PreviousDigest, RecordedFile, SigningKey,
};
use crate::CatalogError;

type Result<T> = std::result::Result<T, CatalogError>;

/// The columns of `trail_files` that [`recorded_file`] reads.
pub(super) const FILE_COLUMNS: &str = "id, trail_id, version, kind, chain_id IS NOT NULL AS is_validated, account, region, \
     bucket, object_key, kms_key_arn, spooled, byte_count, object_sha256, content_sha256, signature, \
     event_count, newest_event_ms, oldest_event_ms, created_ms, attempts, failing_ms, last_attempt_ms";

/// The columns of `digest_chains` that [`digest_chain`] reads.
pub(super) const CHAIN_COLUMNS: &str = "id, trail_id, version, account, region, window_start_ms, previous_bucket, \
     previous_key, previous_hash, previous_signature, closing_ms";

pub(super) fn recorded_file(row: &SqliteRow) -> Result<RecordedFile> {
    let oldest: Option<i64> = column(row, "oldest_event_ms")?;
    let newest: Option<i64> = column(row, "newest_event_ms")?;
    let kind: String = column(row, "kind")?;
    let kind = match kind.as_str() {
        "log" => FileKind::Log,
        "digest" => FileKind::Digest,
        _ => return Err(unreadable("kind of file", kind)),
    };
    Ok(RecordedFile {
        id: FileId(column(row, "id")?),
        file: PlannedFile {
            trail: TrailId(column(row, "trail_id")?),
            version: number(row, "version")?,
            kind,
            is_validated: column(row, "is_validated")?,
            account: account(row)?,
            region: region(row)?,
            bucket: column(row, "bucket")?,
            object_key: column(row, "object_key")?,
            kms_key_arn: column(row, "kms_key_arn")?,
            spooled: column(row, "spooled")?,
            bytes: number(row, "byte_count")?,
            object_sha256: hash(row, "object_sha256")?,
            content_sha256: hash(row, "content_sha256")?,
            signature: column(row, "signature")?,
            events: number(row, "event_count")?,
            event_times_ms: oldest.zip(newest),
            created_ms: column(row, "created_ms")?,
        },
        attempts: u32::try_from(number(row, "attempts")?).unwrap_or(u32::MAX),
        failing_ms: column(row, "failing_ms")?,
        last_attempt_ms: column(row, "last_attempt_ms")?,
    })
}

pub(super) fn digest_chain(row: &SqliteRow) -> Result<DigestChain> {
    let bucket: Option<String> = column(row, "previous_bucket")?;
    let key: Option<String> = column(row, "previous_key")?;
    let hash: Option<String> = column(row, "previous_hash")?;
    let signature: Option<String> = column(row, "previous_signature")?;
    let previous = match (bucket, key, hash, signature) {
        (Some(bucket), Some(key), Some(hash), Some(signature)) => Some(PreviousDigest {
            bucket,
            key,
            hash,
            signature,
        }),
        (None, None, None, None) => None,
        // A digest that names half of the one before it would break the chain for good.
        _ => return Err(unreadable("digest chain", "half a previous digest".into())),
    };
    Ok(DigestChain {
        id: ChainId(column(row, "id")?),
        trail: TrailId(column(row, "trail_id")?),
        version: number(row, "version")?,
        account: account(row)?,
        region: region(row)?,
        window_start_ms: column(row, "window_start_ms")?,
        previous,
        closing_ms: column(row, "closing_ms")?,
    })
}

pub(super) fn signing_key(row: &SqliteRow) -> Result<SigningKey> {
    let from: i64 = column(row, "valid_from_ms")?;
    let to: i64 = column(row, "valid_to_ms")?;
    Ok(SigningKey {
        region: region(row)?,
        fingerprint: column(row, "fingerprint")?,
        public_key: column(row, "public_key")?,
        private_sealed: column(row, "private_sealed")?,
        valid_ms: from..to,
    })
}

pub(super) fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(name)
        .map_err(CatalogError::while_("reading a column"))
}

pub(super) fn number(row: &SqliteRow, name: &'static str) -> Result<u64> {
    let value: i64 = column(row, name)?;
    u64::try_from(value).map_err(|_| unreadable(name, value.to_string()))
}

/// A number for a column. Nothing that is counted here comes near the limit.
pub(super) fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn account(row: &SqliteRow) -> Result<AccountId> {
    let text: String = column(row, "account")?;
    text.parse().map_err(|_| unreadable("account", text))
}

pub(super) fn region(row: &SqliteRow) -> Result<Region> {
    let text: String = column(row, "region")?;
    text.parse().map_err(|_| unreadable("Region", text))
}

pub(super) fn hash(row: &SqliteRow, name: &'static str) -> Result<[u8; 32]> {
    let bytes: Vec<u8> = column(row, name)?;
    bytes
        .try_into()
        .map_err(|_| unreadable(name, "not 32 bytes".into()))
}

pub(super) fn unreadable(what: &'static str, value: String) -> CatalogError {
    CatalogError::Unreadable { what, value }
}
