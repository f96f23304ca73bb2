//! Tags of users, roles and managed policies. Keys that differ in case only are the same key.

use sqlx::Row;

use crate::error::CatalogError;
use crate::identity::identities::folded;
use crate::identity::quotas::TAGS_MAX;
use crate::identity::view::{Edit, View};

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value, which may be empty.
    pub value: String,
}

impl View<'_> {
    /// The tags of an identity or managed policy, by key.
    pub async fn tags(&mut self, owner_id: &str) -> Result<Vec<Tag>, CatalogError> {
        let during = "reading tags";
        let rows = sqlx::query(
            "SELECT key, value FROM identity_tags WHERE account = ? AND owner_id = ? ORDER BY key",
        )
        .bind(self.account.to_string())
        .bind(owner_id)
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

impl Edit<'_> {
    /// Adds tags, in place of those with the same keys.
    pub async fn put_tags(&mut self, owner_id: &str, tags: &[Tag]) -> Result<(), CatalogError> {
        for tag in tags {
            sqlx::query(
                "INSERT INTO identity_tags (account, owner_id, key_folded, key, value) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account, owner_id, key_folded) \
                 DO UPDATE SET key = ?4, value = ?5",
            )
            .bind(self.account.to_string())
            .bind(owner_id)
            .bind(folded(&tag.key))
            .bind(&tag.key)
            .bind(&tag.value)
            .execute(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("adding tags"))?;
            self.mark_changed();
        }
        if self.tags(owner_id).await?.len() > TAGS_MAX {
            return Err(CatalogError::LimitExceeded {
                quota: "TagsPerResource",
                limit: TAGS_MAX,
            });
        }
        Ok(())
    }

    /// Removes the tags with those keys; a key that is not there is no error.
    pub async fn delete_tags(
        &mut self,
        owner_id: &str,
        keys: &[String],
    ) -> Result<(), CatalogError> {
        self.mark_changed();
        for key in keys {
            sqlx::query(
                "DELETE FROM identity_tags WHERE account = ? AND owner_id = ? AND key_folded = ?",
            )
            .bind(self.account.to_string())
            .bind(owner_id)
            .bind(folded(key))
            .execute(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("removing tags"))?;
        }
        Ok(())
    }

    pub(crate) async fn delete_all_tags(&mut self, owner_id: &str) -> Result<(), CatalogError> {
        sqlx::query("DELETE FROM identity_tags WHERE account = ? AND owner_id = ?")
            .bind(self.account.to_string())
            .bind(owner_id)
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(CatalogError::while_("removing tags"))
    }
}
