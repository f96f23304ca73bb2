//! Uploads in parts. Parts are bodies of their own; completing an upload makes them the bodies of one
//! version, in one transaction and without copying.

use s3s::crypto::{Checksum as _, Md5};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};

use serde::{Deserialize, Serialize};

use super::Buckets;
use super::data_keys::KmsEncryption;
use super::index::commit;
use super::intake::{NewBody, hex};
use super::listing::successor;
use super::objects::{Conditions, NewObject, Stored, VersionRow, versioning_of};
use super::versions::{Properties, Tags, count_of, json_of, key_of, stored_count, to_json};
use crate::checksums::{self, Algorithm, ChecksumKind, StoredChecksum};
use crate::error::BucketsError;

/// Least bytes of a part that is not the last.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
/// Most bytes of an object in parts.
const OBJECT_BYTES_MAX: u64 = 5 << 40;

/// The checksum that an upload is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WantedChecksum {
    pub(crate) algorithm: Algorithm,
    pub(crate) kind: ChecksumKind,
}

/// An upload that is to be.
#[derive(Clone, Debug)]
pub(crate) struct NewUpload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) properties: Properties,
    pub(crate) tags: Tags,
    pub(crate) checksum: Option<WantedChecksum>,
}

/// An upload that is not complete.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) initiated_ms: i64,
    pub(crate) properties: Properties,
    pub(crate) tags: Tags,
    pub(crate) checksum: Option<WantedChecksum>,
}

/// A part that is there.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    file: String,
    pub(crate) number: i32,
    pub(crate) bytes: u64,
    pub(crate) md5: Vec<u8>,
    pub(crate) modified_ms: i64,
    pub(crate) checksum: StoredChecksum,
}

impl Part {
    pub(crate) fn etag(&self) -> String {
        hex(&self.md5)
    }
}

/// A part as whoever completes the upload names it.
#[derive(Clone, Debug)]
pub(crate) struct ChosenPart {
    pub(crate) number: i32,
    pub(crate) etag: String,
    /// Its checksums, as far as they are stated.
    pub(crate) checksums: Vec<(Algorithm, String)>,
}

/// Which uploads to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadsRequest {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) key_after: String,
    /// With it, the uploads of the key `key_after` with a greater ID come first.
    pub(crate) id_after: Option<String>,
    pub(crate) uploads_max: usize,
}

/// What completes an upload.
#[derive(Clone, Debug)]
pub(crate) struct Completion<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) id: &'a str,
    pub(crate) parts: &'a [ChosenPart],
    pub(crate) conditions: Conditions,
    /// The checksum of the whole, if it is stated.
    pub(crate) stated: Option<(Algorithm, String)>,
    pub(crate) stated_bytes: Option<u64>,
}

/// An object that was completed.
#[derive(Clone, Debug)]
pub(crate) struct Completed {
    pub(crate) stored: Stored,
    pub(crate) checksum: Option<StoredChecksum>,
    /// SSE-KMS, if it has that.
    pub(crate) encryption: Option<KmsEncryption>,
}

impl Upload {
    fn of_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            key: key_of(row.try_get("key")?)?,
            initiated_ms: row.try_get("initiated_ms")?,
            properties: json_of(row.try_get("properties")?)?,
            tags: json_of(row.try_get("tags")?)?,
            checksum: json_of(row.try_get("checksum")?)?,
        })
    }
}

impl Part {
    fn of_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            file: row.try_get("file")?,
            number: row.try_get("part")?,
            bytes: count_of(row.try_get("bytes")?),
            md5: row.try_get("md5")?,
            modified_ms: row.try_get("modified_ms")?,
            checksum: json_of(row.try_get("checksum")?)?,
        })
    }
}

impl Buckets {
    /// Begins an upload. Gives its ID.
    pub(crate) async fn create_upload(&self, upload: &NewUpload) -> Result<String, BucketsError> {
        let id = self.new_id();
        let mut change = self.index.change().await?;
        versioning_of(&mut change, &upload.bucket).await?;
        sqlx::query(
            "INSERT INTO uploads (id, bucket, key, initiated_ms, properties, tags, checksum) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(&upload.bucket)
        .bind(upload.key.as_bytes())
        .bind(self.clock.now_ms())
        .bind(to_json(&upload.properties))
        .bind(to_json(&upload.tags))
        .bind(to_json(&upload.checksum))
        .execute(&mut *change)
        .await
        .map_err(BucketsError::while_("beginning an upload"))?;
        commit(change).await?;
        Ok(id)
    }

    /// The upload of this ID, bucket and key.
    pub(crate) async fn upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<Upload, BucketsError> {
        let mut read = self.index.read().await?;
        find(&mut read, bucket, key, id).await
    }

    /// Makes a body a part of an upload, in the place of one with the same number.
    pub(crate) async fn commit_part(
        &self,
        (bucket, key, id): (&str, &str, &str),
        number: i32,
        body: NewBody,
    ) -> Result<i64, BucketsError> {
        let during = "storing a part";
        let mut change = self.index.change().await?;
        if let Err(error) = find(&mut change, bucket, key, id).await {
            drop(change);
            self.discard(body).await;
            return Err(error);
        }
        let replaced: Vec<String> =
            sqlx::query_scalar("SELECT file FROM bodies WHERE upload_id = ? AND part = ?")
                .bind(id)
                .bind(number)
                .fetch_all(&mut *change)
                .await
                .map_err(BucketsError::while_(during))?;
        sqlx::query("DELETE FROM bodies WHERE upload_id = ? AND part = ?")
            .bind(id)
            .bind(number)
            .execute(&mut *change)
            .await
            .map_err(BucketsError::while_(during))?;
        let modified_ms = self.clock.now_ms();
        sqlx::query(
            "INSERT INTO bodies (file, upload_id, part, bytes, md5, modified_ms, checksum) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&body.file)
        .bind(id)
        .bind(number)
        .bind(stored_count(body.bytes))
        .bind(&body.sums.md5)
        .bind(modified_ms)
        .bind(to_json(&body.sums.checksum))
        .execute(&mut *change)
        .await
        .map_err(BucketsError::while_(during))?;
        commit(change).await?;
        self.remove_bodies(replaced).await;
        Ok(modified_ms)
    }

    /// The parts of an upload with greater numbers than `after`, in order.
    pub(crate) async fn parts(
        &self,
        id: &str,
        after: i32,
        parts_max: usize,
    ) -> Result<Vec<Part>, BucketsError> {
        let mut read = self.index.read().await?;
        parts_after(&mut read, id, after, parts_max).await
    }

    /// Uploads that are not complete, by key and ID; one more than wanted if there are more.
    pub(crate) async fn uploads(
        &self,
        request: &UploadsRequest,
    ) -> Result<Vec<Upload>, BucketsError> {
        let during = "listing uploads";
        let start = request.prefix.as_bytes().max(request.key_after.as_bytes());
        // Without an ID all of the key's uploads are done; the greatest ID leaves none of them.
        let below_id = match (&request.id_after, request.key_after.is_empty()) {
            (_, true) => "",
            (Some(id), false) => id,
            (None, false) => "~",
        };
        let rows = sqlx::query(
            "SELECT id, key, initiated_ms, properties, tags, checksum FROM uploads \
             WHERE bucket = ?1 AND key >= ?2 AND key < ?3 AND (key > ?4 OR (key = ?4 AND id > ?5)) \
             ORDER BY key, id LIMIT ?6",
        )
        .bind(&request.bucket)
        .bind(start)
        .bind(successor(request.prefix.as_bytes()))
        .bind(request.key_after.as_bytes())
        .bind(below_id)
        .bind(
            i64::try_from(request.uploads_max)
                .unwrap_or(i64::MAX)
                .saturating_add(1),
        )
        .fetch_all(&self.index.readers)
        .await
        .map_err(BucketsError::while_(during))?;
        rows.iter()
            .map(Upload::of_row)
            .collect::<Result<_, _>>()
            .map_err(BucketsError::while_(during))
    }

    /// Ends an upload and forgets its parts.
    pub(crate) async fn abort_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> Result<(), BucketsError> {
        let mut change = self.index.change().await?;
        find(&mut change, bucket, key, id).await?;
        let files = end_upload(&mut change, id).await?;
        commit(change).await?;
        self.remove_bodies(files).await;
        Ok(())
    }

    /// Makes the chosen parts an object.
    pub(crate) async fn complete_upload(
        &self,
        completion: Completion<'_>,
    ) -> Result<Completed, BucketsError> {
        let upload = self
            .upload(completion.bucket, completion.key, completion.id)
            .await?;
        let mut object = NewObject {
            bucket: completion.bucket.to_owned(),
            key: completion.key.to_owned(),
            properties: upload.properties,
            tags: upload.tags,
            conditions: completion.conditions.clone(),
        };
        let (mut change, versioning, mut removed) = self.begin_replacing(&object).await?;
        // Again, and inside the change: another completion may have been faster.
        find(
            &mut change,
            completion.bucket,
            completion.key,
            completion.id,
        )
        .await?;
        let there = parts_after(&mut change, completion.id, 0, usize::MAX).await?;
        let chosen = choose(there, completion.parts)?;
        let bytes = chosen.iter().map(|part| part.bytes).sum();
        if bytes > OBJECT_BYTES_MAX {
            return Err(BucketsError::EntityTooLarge);
        }
        if completion
            .stated_bytes
            .is_some_and(|stated| stated != bytes)
        {
            return Err(BucketsError::BadDigest {
                what: "x-amz-mp-object-size",
            });
        }
        let checksum = checksum_of(upload.checksum, &chosen, completion.stated.as_ref())?;
        object.properties.checksum.clone_from(&checksum);
        object.properties.parts = u32::try_from(chosen.len()).ok();
        let digests: Vec<u8> = chosen.iter().flat_map(|part| part.md5.clone()).collect();
        let etag = format!("{}-{}", hex(&Md5::checksum(&digests)), chosen.len());
        let row = VersionRow {
            bucket: &object.bucket,
            key: &object.key,
            is_marker: false,
            bytes,
            etag: &etag,
            properties: &object.properties,
            tags: &object.tags,
        };
        let (version_id, version) = self.insert_version(&mut change, versioning, row).await?;
        move_parts(&mut change, version_id, &chosen).await?;
        removed.extend(end_upload(&mut change, completion.id).await?);
        let modified_ms = self.clock.now_ms();
        commit(change).await?;
        self.remove_bodies(removed).await;
        let stored = Stored {
            version,
            etag,
            modified_ms,
        };
        Ok(Completed {
            stored,
            checksum,
            encryption: object.properties.encryption,
        })
    }
}

async fn find(
    connection: &mut SqliteConnection,
    bucket: &str,
    key: &str,
    id: &str,
) -> Result<Upload, BucketsError> {
    let during = "reading an upload";
    let row = sqlx::query(
        "SELECT id, key, initiated_ms, properties, tags, checksum FROM uploads \
         WHERE id = ? AND bucket = ? AND key = ?",
    )
    .bind(id)
    .bind(bucket)
    .bind(key.as_bytes())
    .fetch_optional(connection)
    .await
    .map_err(BucketsError::while_(during))?;
    let row = row.ok_or(BucketsError::NoSuchUpload)?;
    Upload::of_row(&row).map_err(BucketsError::while_(during))
}

async fn parts_after(
    connection: &mut SqliteConnection,
    id: &str,
    after: i32,
    parts_max: usize,
) -> Result<Vec<Part>, BucketsError> {
    let during = "reading the parts of an upload";
    let rows = sqlx::query(
        "SELECT file, part, bytes, md5, modified_ms, checksum FROM bodies \
         WHERE upload_id = ? AND part > ? ORDER BY part LIMIT ?",
    )
    .bind(id)
    .bind(after)
    .bind(i64::try_from(parts_max).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await
    .map_err(BucketsError::while_(during))?;
    rows.iter()
        .map(Part::of_row)
        .collect::<Result<_, _>>()
        .map_err(BucketsError::while_(during))
}

/// The parts that are named, if they are there, in order, and large enough.
fn choose(there: Vec<Part>, named: &[ChosenPart]) -> Result<Vec<Part>, BucketsError> {
    if !named.is_sorted_by(|one, next| one.number < next.number) {
        return Err(BucketsError::InvalidPartOrder);
    }
    let mut there = there.into_iter();
    let mut chosen = Vec::with_capacity(named.len());
    for name in named {
        let part = there.find(|part| part.number == name.number);
        let part = part.ok_or(BucketsError::InvalidPart)?;
        let is_other = |(algorithm, value): &(Algorithm, String)| {
            part.checksum.algorithm == *algorithm && part.checksum.value != *value
        };
        if part.etag() != name.etag || name.checksums.iter().any(is_other) {
            return Err(BucketsError::InvalidPart);
        }
        chosen.push(part);
    }
    let Some((_, before_last)) = chosen.split_last() else {
        return Err(BucketsError::InvalidPart);
    };
    if before_last.iter().any(|part| part.bytes < PART_BYTES_MIN) {
        return Err(BucketsError::EntityTooSmall);
    }
    Ok(chosen)
}

/// The checksum of the whole. One that is stated must be the one that the parts make.
fn checksum_of(
    wanted: Option<WantedChecksum>,
    parts: &[Part],
    stated: Option<&(Algorithm, String)>,
) -> Result<Option<StoredChecksum>, BucketsError> {
    let first = parts.first().map(|part| part.checksum.algorithm);
    let wanted = wanted.or(first.map(|algorithm| WantedChecksum {
        algorithm,
        kind: algorithm.default_kind(),
    }));
    let whole = wanted.and_then(|wanted| {
        let sums = parts.iter().map(|part| (&part.checksum, part.bytes));
        checksums::of_parts(wanted.algorithm, wanted.kind, sums)
    });
    let agrees = |(algorithm, value): &(Algorithm, String)| {
        let whole = whole.as_ref();
        whole.is_some_and(|whole| whole.algorithm == *algorithm && whole.value == *value)
    };
    match stated {
        Some(stated) if !agrees(stated) => Err(BucketsError::BadDigest {
            what: stated.0.name(),
        }),
        _ => Ok(whole),
    }
}

async fn move_parts(
    change: &mut Transaction<'static, Sqlite>,
    version_id: i64,
    parts: &[Part],
) -> Result<(), BucketsError> {
    for part in parts {
        sqlx::query("UPDATE bodies SET version_id = ?, upload_id = NULL WHERE file = ?")
            .bind(version_id)
            .bind(&part.file)
            .execute(&mut **change)
            .await
            .map_err(BucketsError::while_("completing an upload"))?;
    }
    Ok(())
}

/// Takes an upload out of the index. Gives the files of the parts that it still has.
async fn end_upload(change: &mut SqliteConnection, id: &str) -> Result<Vec<String>, BucketsError> {
    let during = "ending an upload";
    let files = sqlx::query_scalar("SELECT file FROM bodies WHERE upload_id = ?")
        .bind(id)
        .fetch_all(&mut *change)
        .await
        .map_err(BucketsError::while_(during))?;
    sqlx::query("DELETE FROM uploads WHERE id = ?")
        .bind(id)
        .execute(&mut *change)
        .await
        .map_err(BucketsError::while_(during))?;
    Ok(files)
}
