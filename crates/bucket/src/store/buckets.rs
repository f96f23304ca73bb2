//! Buckets: making, finding, deleting them, and their settings.

use cairn_model::{AccountId, Region};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::Buckets;
use super::index::commit;
use super::settings::{Settings, Versioning};
use super::versions::{json_of, to_json};
use crate::error::BucketsError;
use crate::gatekeeper::BucketFacts;

/// A bucket with all that is set of it.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) facts: BucketFacts,
    pub(crate) created_ms: i64,
    pub(crate) versioning: Versioning,
    pub(crate) settings: Settings,
}

impl Bucket {
    pub(super) fn of_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let unreadable =
            |what: &str| sqlx::Error::Decode(format!("the {what} cannot be read").into());
        let owner: &str = row.try_get("owner")?;
        let region: &str = row.try_get("region")?;
        let versioning: &str = row.try_get("versioning")?;
        Ok(Self {
            facts: BucketFacts {
                name: row.try_get("name")?,
                owner: owner.parse().map_err(|_| unreadable("owner"))?,
                region: region.parse().map_err(|_| unreadable("Region"))?,
                policy: row.try_get("policy")?,
            },
            created_ms: row.try_get("created_ms")?,
            versioning: Versioning::parse(versioning).ok_or_else(|| unreadable("versioning"))?,
            settings: json_of(row.try_get("settings")?)?,
        })
    }
}

impl Buckets {
    /// What a gatekeeper has to know of a bucket, if there is one of this name.
    pub async fn facts(&self, name: &str) -> Result<Option<BucketFacts>, BucketsError> {
        Ok(self.bucket(name).await?.map(|bucket| bucket.facts))
    }

    pub(crate) async fn bucket(&self, name: &str) -> Result<Option<Bucket>, BucketsError> {
        let during = "reading a bucket";
        let row = sqlx::query("SELECT * FROM buckets WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.index.readers)
            .await
            .map_err(BucketsError::while_(during))?;
        row.map(|row| Bucket::of_row(&row))
            .transpose()
            .map_err(BucketsError::while_(during))
    }

    /// The buckets of an account, by name, after `after`.
    pub(crate) async fn buckets_of(
        &self,
        owner: AccountId,
        after: &str,
        buckets_max: usize,
    ) -> Result<Vec<Bucket>, BucketsError> {
        let during = "listing buckets";
        let rows =
            sqlx::query("SELECT * FROM buckets WHERE owner = ? AND name > ? ORDER BY name LIMIT ?")
                .bind(owner.as_str())
                .bind(after)
                .bind(i64::try_from(buckets_max).unwrap_or(i64::MAX))
                .fetch_all(&self.index.readers)
                .await
                .map_err(BucketsError::while_(during))?;
        rows.iter()
            .map(Bucket::of_row)
            .collect::<Result<_, _>>()
            .map_err(BucketsError::while_(during))
    }

    /// Makes a bucket. Names are shared by all accounts (TRL-281).
    pub(crate) async fn create_bucket(
        &self,
        name: &str,
        owner: AccountId,
        region: &Region,
        settings: &Settings,
    ) -> Result<(), BucketsError> {
        let during = "making a bucket";
        let mut change = self.index.change().await?;
        let taken: Option<String> = sqlx::query_scalar("SELECT owner FROM buckets WHERE name = ?")
            .bind(name)
            .fetch_optional(&mut *change)
            .await
            .map_err(BucketsError::while_(during))?;
        match taken {
            Some(holder) if holder == owner.as_str() => {
                return Err(BucketsError::BucketAlreadyOwnedByYou);
            }
            Some(_) => return Err(BucketsError::BucketAlreadyExists),
            None => {}
        }
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM buckets WHERE owner = ?")
            .bind(owner.as_str())
            .fetch_one(&mut *change)
            .await
            .map_err(BucketsError::while_(during))?;
        if usize::try_from(count).unwrap_or(usize::MAX) >= self.config.buckets_per_account_max {
            return Err(BucketsError::TooManyBuckets);
        }
        sqlx::query(
            "INSERT INTO buckets (name, owner, region, created_ms, settings) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(name)
        .bind(owner.as_str())
        .bind(region.as_str())
        .bind(self.clock.now_ms())
        .bind(to_json(settings))
        .execute(&mut *change)
        .await
        .map_err(BucketsError::while_(during))?;
        commit(change).await
    }

    /// Deletes a bucket without objects. Uploads that are not complete go with it.
    pub(crate) async fn delete_bucket(&self, name: &str) -> Result<(), BucketsError> {
        let during = "deleting a bucket";
        let mut change = self.index.change().await?;
        let object: Option<i64> =
            sqlx::query_scalar("SELECT id FROM versions WHERE bucket = ? LIMIT 1")
                .bind(name)
                .fetch_optional(&mut *change)
                .await
                .map_err(BucketsError::while_(during))?;
        if object.is_some() {
            return Err(BucketsError::BucketNotEmpty);
        }
        let files: Vec<String> = sqlx::query_scalar(
            "SELECT file FROM bodies WHERE upload_id IN (SELECT id FROM uploads WHERE bucket = ?)",
        )
        .bind(name)
        .fetch_all(&mut *change)
        .await
        .map_err(BucketsError::while_(during))?;
        for statement in [
            "DELETE FROM uploads WHERE bucket = ?",
            "DELETE FROM buckets WHERE name = ?",
        ] {
            sqlx::query(statement)
                .bind(name)
                .execute(&mut *change)
                .await
                .map_err(BucketsError::while_(during))?;
        }
        commit(change).await?;
        self.look_again(name).await?;
        self.remove_bodies(files).await;
        Ok(())
    }

    pub(crate) async fn set_versioning(
        &self,
        name: &str,
        versioning: Versioning,
    ) -> Result<(), BucketsError> {
        let statement = "UPDATE buckets SET versioning = ?2 WHERE name = ?1";
        self.set(name, statement, Some(versioning.as_str())).await
    }

    pub(crate) async fn set_policy(
        &self,
        name: &str,
        policy: Option<&str>,
    ) -> Result<(), BucketsError> {
        let statement = "UPDATE buckets SET policy = ?2 WHERE name = ?1";
        self.set(name, statement, policy).await
    }

    /// Changes the settings of a bucket by what `change` makes of them.
    pub(crate) async fn change_settings(
        &self,
        name: &str,
        alter: impl FnOnce(&mut Settings) + Send,
    ) -> Result<(), BucketsError> {
        let during = "changing the settings of a bucket";
        let mut change = self.index.change().await?;
        let stored: Option<String> =
            sqlx::query_scalar("SELECT settings FROM buckets WHERE name = ?")
                .bind(name)
                .fetch_optional(&mut *change)
                .await
                .map_err(BucketsError::while_(during))?;
        let stored = stored.ok_or(BucketsError::NoSuchBucket)?;
        let mut settings: Settings = json_of(&stored).map_err(BucketsError::while_(during))?;
        alter(&mut settings);
        sqlx::query("UPDATE buckets SET settings = ? WHERE name = ?")
            .bind(to_json(&settings))
            .bind(name)
            .execute(&mut *change)
            .await
            .map_err(BucketsError::while_(during))?;
        commit(change).await
    }

    async fn set(
        &self,
        name: &str,
        statement: &'static str,
        value: Option<&str>,
    ) -> Result<(), BucketsError> {
        let mut change = self.index.change().await?;
        let done = sqlx::query(statement)
            .bind(name)
            .bind(value)
            .execute(&mut *change)
            .await
            .map_err(BucketsError::while_("changing a bucket"))?;
        if done.rows_affected() == 0 {
            return Err(BucketsError::NoSuchBucket);
        }
        commit(change).await
    }
}
