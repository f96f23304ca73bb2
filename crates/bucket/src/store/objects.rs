//! Objects: a body becomes the newest version of its key, versions go, markers come. Each is one
//! transaction, in which conditions are decided too.

use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqliteConnection, Transaction};

use super::Buckets;
use super::index::commit;
use super::intake::NewBody;
use super::settings::Versioning;
use super::versions::{
    NULL_VERSION, Properties, Tags, VERSION_COLUMNS, Version, stored_count, to_json,
};
use crate::error::BucketsError;

/// Characters of version and upload IDs.
const ID_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
const ID_LENGTH: usize = 32;

/// An object that is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewObject {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) properties: Properties,
    pub(crate) tags: Tags,
    pub(crate) conditions: Conditions,
}

/// What must hold of the object that is there for another to take its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// It must be there, with this entity tag; `*` is any.
    pub(crate) if_match: Option<String>,
    /// It must not be there.
    pub(crate) if_absent: bool,
}

/// A version that has been stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// None in a bucket that never had versions.
    pub(crate) version: Option<String>,
    pub(crate) etag: String,
    pub(crate) modified_ms: i64,
}

/// An object that is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    /// The entity tag that it must have; `*` is any.
    pub(crate) if_match: Option<String>,
}

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// The version that was deleted, or the marker that was made.
    pub(crate) version: Option<String>,
    /// True if a marker was made or deleted.
    pub(crate) is_marker: bool,
}

/// A row of a version that is to be.
pub(super) struct VersionRow<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) is_marker: bool,
    pub(super) bytes: u64,
    pub(super) etag: &'a str,
    pub(super) properties: &'a Properties,
    pub(super) tags: &'a Tags,
}

impl Buckets {
    /// Makes a body the newest version of an object.
    pub(crate) async fn commit_object(
        &self,
        object: NewObject,
        body: NewBody,
    ) -> Result<Stored, BucketsError> {
        let mut object = object;
        object.properties.checksum = Some(body.sums.checksum.clone());
        let decided = self.begin_replacing(&object).await;
        let (mut change, versioning, mut removed) = match decided {
            Ok(begun) => begun,
            Err(error) => {
                self.discard(body).await;
                return Err(error);
            }
        };
        let etag = body.etag();
        let row = VersionRow {
            bucket: &object.bucket,
            key: &object.key,
            is_marker: false,
            bytes: body.bytes,
            etag: &etag,
            properties: &object.properties,
            tags: &object.tags,
        };
        let (id, version) = self.insert_version(&mut change, versioning, row).await?;
        sqlx::query(
            "INSERT INTO bodies (file, version_id, part, bytes, md5, modified_ms, checksum) \
             VALUES (?, ?, 1, ?, ?, ?, ?)",
        )
        .bind(&body.file)
        .bind(id)
        .bind(stored_count(body.bytes))
        .bind(&body.sums.md5)
        .bind(self.clock.now_ms())
        .bind(to_json(&body.sums.checksum))
        .execute(&mut *change)
        .await
        .map_err(BucketsError::while_("storing an object"))?;
        let modified_ms = self.clock.now_ms();
        // If the answer to the commit is lost, the body may be referred to: then only a sweep may decide.
        commit(change).await?;
        self.remove_bodies(std::mem::take(&mut removed)).await;
        Ok(Stored {
            version,
            etag,
            modified_ms,
        })
    }

    /// Begins the change that puts an object in the place of another: decides the conditions and removes
    /// what the new one replaces. Gives the files that go when it is committed.
    pub(super) async fn begin_replacing(
        &self,
        object: &NewObject,
    ) -> Result<(Transaction<'static, Sqlite>, Versioning, Vec<String>), BucketsError> {
        let mut change = self.index.change().await?;
        let versioning = versioning_of(&mut change, &object.bucket).await?;
        let current = current(&mut change, &object.bucket, &object.key).await?;
        let current = current.filter(|version| !version.is_marker);
        if object.conditions.if_absent && current.is_some() {
            return Err(BucketsError::PreconditionFailed);
        }
        if let Some(wanted) = &object.conditions.if_match {
            let there = current.ok_or(BucketsError::NoSuchKey)?;
            if wanted != "*" && *wanted != there.etag {
                return Err(BucketsError::PreconditionFailed);
            }
        }
        let removed = match versioning {
            Versioning::Enabled => Vec::new(),
            Versioning::Unversioned | Versioning::Suspended => {
                remove_version(&mut change, &object.bucket, &object.key, NULL_VERSION).await?
            }
        };
        Ok((change, versioning, removed))
    }

    /// Adds the newest version of a key. Gives its row and, in a bucket with versions, its ID.
    pub(super) async fn insert_version(
        &self,
        change: &mut SqliteConnection,
        versioning: Versioning,
        row: VersionRow<'_>,
    ) -> Result<(i64, Option<String>), BucketsError> {
        let during = "storing an object";
        let version = match versioning {
            Versioning::Enabled => self.new_id(),
            Versioning::Unversioned | Versioning::Suspended => NULL_VERSION.to_owned(),
        };
        sqlx::query(
            "UPDATE versions SET is_latest = 0 WHERE bucket = ? AND key = ? AND is_latest = 1",
        )
        .bind(row.bucket)
        .bind(row.key.as_bytes())
        .execute(&mut *change)
        .await
        .map_err(BucketsError::while_(during))?;
        let done = sqlx::query(
            "INSERT INTO versions \
             (bucket, key, version, is_latest, is_marker, bytes, etag, modified_ms, properties, tags) \
             VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?)",
        )
        .bind(row.bucket)
        .bind(row.key.as_bytes())
        .bind(&version)
        .bind(row.is_marker)
        .bind(stored_count(row.bytes))
        .bind(row.etag)
        .bind(self.clock.now_ms())
        .bind(to_json(row.properties))
        .bind(to_json(row.tags))
        .execute(&mut *change)
        .await
        .map_err(BucketsError::while_(during))?;
        let told = (versioning != Versioning::Unversioned).then_some(version);
        Ok((done.last_insert_rowid(), told))
    }

    /// A version of an object: the named one, or the newest. Markers are told as they are.
    pub(crate) async fn version(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Version, BucketsError> {
        let mut read = self.index.read().await?;
        match version {
            None => current(&mut read, bucket, key)
                .await?
                .ok_or(BucketsError::NoSuchKey),
            Some(version) => named(&mut read, bucket, key, version)
                .await?
                .ok_or(BucketsError::NoSuchVersion),
        }
    }

    /// Deletes objects in one change: for ever if the version is named, or the bucket keeps none. A
    /// condition that does not hold spares its object alone.
    pub(crate) async fn delete_objects(
        &self,
        bucket: &str,
        deletions: &[Deletion],
    ) -> Result<Vec<Result<Deleted, BucketsError>>, BucketsError> {
        let mut change = self.index.change().await?;
        let versioning = versioning_of(&mut change, bucket).await?;
        let (mut results, mut removed) = (Vec::with_capacity(deletions.len()), Vec::new());
        for deletion in deletions {
            match self
                .delete_one(&mut change, (bucket, versioning), deletion)
                .await
            {
                Ok((deleted, files)) => {
                    removed.extend(files);
                    results.push(Ok(deleted));
                }
                Err(error @ (BucketsError::PreconditionFailed | BucketsError::NoSuchKey)) => {
                    results.push(Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        commit(change).await?;
        self.remove_bodies(removed).await;
        Ok(results)
    }

    async fn delete_one(
        &self,
        change: &mut SqliteConnection,
        (bucket, versioning): (&str, Versioning),
        deletion: &Deletion,
    ) -> Result<(Deleted, Vec<String>), BucketsError> {
        let key = deletion.key.as_str();
        if let Some(wanted) = &deletion.if_match {
            let there = current(change, bucket, key).await?;
            let there = there.filter(|version| !version.is_marker);
            let there = there.ok_or(BucketsError::NoSuchKey)?;
            if wanted != "*" && *wanted != there.etag {
                return Err(BucketsError::PreconditionFailed);
            }
        }
        if let Some(version) = &deletion.version {
            return delete_named(change, bucket, key, version).await;
        }
        let removed = match versioning {
            Versioning::Enabled => Vec::new(),
            Versioning::Unversioned | Versioning::Suspended => {
                remove_version(change, bucket, key, NULL_VERSION).await?
            }
        };
        if versioning == Versioning::Unversioned {
            return Ok((Deleted::default(), removed));
        }
        let row = VersionRow {
            bucket,
            key,
            is_marker: true,
            bytes: 0,
            etag: "",
            properties: &Properties::default(),
            tags: &Tags::new(),
        };
        let (_, version) = self.insert_version(change, versioning, row).await?;
        let is_marker = true;
        Ok((Deleted { version, is_marker }, removed))
    }

    /// Replaces the tags of a version. Gives its ID.
    pub(crate) async fn set_tags(
        &self,
        version: &Version,
        tags: &Tags,
    ) -> Result<(), BucketsError> {
        let mut change = self.index.change().await?;
        let done = sqlx::query("UPDATE versions SET tags = ? WHERE id = ?")
            .bind(to_json(tags))
            .bind(version.id)
            .execute(&mut *change)
            .await
            .map_err(BucketsError::while_("tagging an object"))?;
        if done.rows_affected() == 0 {
            return Err(BucketsError::NoSuchKey);
        }
        commit(change).await
    }

    /// A new ID of a version or an upload.
    pub(super) fn new_id(&self) -> String {
        let mut random = [0; ID_LENGTH];
        self.entropy.fill(&mut random);
        let characters = random.map(|byte| ID_ALPHABET[usize::from(byte & 63)]);
        characters.iter().copied().map(char::from).collect()
    }
}

/// Whether a bucket keeps versions; the bucket must be there.
pub(super) async fn versioning_of(
    connection: &mut SqliteConnection,
    bucket: &str,
) -> Result<Versioning, BucketsError> {
    let stored: Option<String> =
        sqlx::query_scalar("SELECT versioning FROM buckets WHERE name = ?")
            .bind(bucket)
            .fetch_optional(connection)
            .await
            .map_err(BucketsError::while_("reading a bucket"))?;
    let stored = stored.ok_or(BucketsError::NoSuchBucket)?;
    Versioning::parse(&stored).ok_or_else(|| BucketsError::Failed {
        during: "reading a bucket",
        reason: format!("unknown versioning {stored}"),
    })
}

async fn current(
    connection: &mut SqliteConnection,
    bucket: &str,
    key: &str,
) -> Result<Option<Version>, BucketsError> {
    let statement = format!(
        "SELECT {VERSION_COLUMNS} FROM versions WHERE bucket = ? AND key = ? AND is_latest = 1"
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(bucket)
        .bind(key.as_bytes())
        .fetch_optional(connection)
        .await
        .map_err(BucketsError::while_("reading a version"))?;
    row.map(|row| Version::of_row(&row)).transpose()
}

async fn named(
    connection: &mut SqliteConnection,
    bucket: &str,
    key: &str,
    version: &str,
) -> Result<Option<Version>, BucketsError> {
    let statement = format!(
        "SELECT {VERSION_COLUMNS} FROM versions WHERE bucket = ? AND key = ? AND version = ?"
    );
    let row = sqlx::query(AssertSqlSafe(statement))
        .bind(bucket)
        .bind(key.as_bytes())
        .bind(version)
        .fetch_optional(connection)
        .await
        .map_err(BucketsError::while_("reading a version"))?;
    row.map(|row| Version::of_row(&row)).transpose()
}

/// Deletes a version for ever; the one before it becomes the newest. S3 says no word if there is none.
async fn delete_named(
    change: &mut SqliteConnection,
    bucket: &str,
    key: &str,
    version: &str,
) -> Result<(Deleted, Vec<String>), BucketsError> {
    let there = named(change, bucket, key, version).await?;
    let removed = remove_version(change, bucket, key, version).await?;
    if there.as_ref().is_some_and(|version| version.is_latest) {
        sqlx::query(
            "UPDATE versions SET is_latest = 1 WHERE id = \
             (SELECT id FROM versions WHERE bucket = ? AND key = ? ORDER BY id DESC LIMIT 1)",
        )
        .bind(bucket)
        .bind(key.as_bytes())
        .execute(change)
        .await
        .map_err(BucketsError::while_("deleting a version"))?;
    }
    let deleted = Deleted {
        version: Some(version.to_owned()),
        is_marker: there.is_some_and(|version| version.is_marker),
    };
    Ok((deleted, removed))
}

/// Takes a version out of the index. Gives its files.
async fn remove_version(
    change: &mut SqliteConnection,
    bucket: &str,
    key: &str,
    version: &str,
) -> Result<Vec<String>, BucketsError> {
    let during = "deleting a version";
    let rows = sqlx::query(
        "SELECT file FROM bodies JOIN versions ON versions.id = bodies.version_id \
         WHERE bucket = ? AND key = ? AND version = ?",
    )
    .bind(bucket)
    .bind(key.as_bytes())
    .bind(version)
    .fetch_all(&mut *change)
    .await
    .map_err(BucketsError::while_(during))?;
    sqlx::query("DELETE FROM versions WHERE bucket = ? AND key = ? AND version = ?")
        .bind(bucket)
        .bind(key.as_bytes())
        .bind(version)
        .execute(&mut *change)
        .await
        .map_err(BucketsError::while_(during))?;
    rows.iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(BucketsError::while_(during))
}
