//! Tags of CloudTrail's resources, by ARN. Keys that differ in case are different keys.

use cairn_model::AccountId;
use sqlx::Row;

use crate::error::CatalogError;
use crate::identity::Tag;
use crate::trails::configuration::{ReadTrails, TrailView};
use crate::transaction::WriteTransaction;

/// The most tags that a resource can have (TRL-019).
pub const RESOURCE_TAGS_MAX: usize = 50;

impl TrailView<'_> {
    /// The tags of a resource, by key.
    pub async fn tags(&mut self, account: AccountId, arn: &str) -> Result<Vec<Tag>, CatalogError> {
        let during = "reading a resource's tags";
        let rows = sqlx::query(
            "SELECT key, value FROM resource_tags WHERE account = ? AND arn = ? ORDER BY key",
        )
        .bind(account.to_string())
        .bind(arn)
        .fetch_all(&mut *self.connection)
        .await
        .map_err(CatalogError::while_(during))?;
        rows.iter()
            .map(|row| {
                Ok(Tag {
                    key: row.try_get(0).map_err(CatalogError::while_(during))?,
                    value: row.try_get(1).map_err(CatalogError::while_(during))?,
                })
            })
            .collect()
    }
}

impl WriteTransaction {
    /// Adds tags to a resource, in place of those with the same keys.
    pub async fn put_resource_tags(
        &mut self,
        account: AccountId,
        arn: &str,
        tags: &[Tag],
    ) -> Result<(), CatalogError> {
        for tag in tags {
            sqlx::query(
                "INSERT INTO resource_tags (account, arn, key, value) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (account, arn, key) DO UPDATE SET value = ?4",
            )
            .bind(account.to_string())
            .bind(arn)
            .bind(&tag.key)
            .bind(&tag.value)
            .execute(self.connection())
            .await
            .map_err(CatalogError::while_("adding tags"))?;
        }
        if self.trails().tags(account, arn).await?.len() > RESOURCE_TAGS_MAX {
            return Err(CatalogError::LimitExceeded {
                quota: "TagsPerResource",
                limit: RESOURCE_TAGS_MAX,
            });
        }
        Ok(())
    }

    /// Removes the tags with those keys; a key that is not there is no error.
    pub async fn delete_resource_tags(
        &mut self,
        account: AccountId,
        arn: &str,
        keys: &[String],
    ) -> Result<(), CatalogError> {
        for key in keys {
            sqlx::query("DELETE FROM resource_tags WHERE account = ? AND arn = ? AND key = ?")
                .bind(account.to_string())
                .bind(arn)
                .bind(key)
                .execute(self.connection())
                .await
                .map_err(CatalogError::while_("removing tags"))?;
        }
        Ok(())
    }

    pub(crate) async fn delete_all_resource_tags(
        &mut self,
        account: AccountId,
        arn: &str,
    ) -> Result<(), CatalogError> {
        sqlx::query("DELETE FROM resource_tags WHERE account = ? AND arn = ?")
            .bind(account.to_string())
            .bind(arn)
            .execute(self.connection())
            .await
            .map(drop)
            .map_err(CatalogError::while_("removing tags"))
    }
}
