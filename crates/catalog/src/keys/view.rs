//! Reading keys.

use cairn_model::{AccountId, Region};
use cairn_platform::UnixMillis;
use sqlx::{Row, SqliteConnection};

use super::PAGE_ITEMS_MAX;
use super::stored::{Alias, KEY_COLUMNS, KmsKey, MaterialFacts, alias_of, key_of, material_of};
use crate::error::CatalogError;
use crate::identity::Tag;
use crate::trails::TrailView;
use crate::transaction::{ReadTransaction, WriteTransaction};

/// Reads keys.
#[derive(Debug)]
pub struct KeyView<'t> {
    connection: &'t mut SqliteConnection,
}

/// A transaction in which keys can be read.
pub trait ReadKeys: Send {
    /// The keys.
    fn keys(&mut self) -> KeyView<'_>;
}

impl ReadKeys for ReadTransaction {
    fn keys(&mut self) -> KeyView<'_> {
        KeyView {
            connection: self.connection(),
        }
    }
}

impl ReadKeys for WriteTransaction {
    fn keys(&mut self) -> KeyView<'_> {
        KeyView {
            connection: self.connection(),
        }
    }
}

impl KeyView<'_> {
    /// A key by its ID.
    pub async fn find(
        &mut self,
        (account, region): (AccountId, &Region),
        id: &str,
    ) -> Result<Option<KmsKey>, CatalogError> {
        let query = format!(
            "SELECT {KEY_COLUMNS} FROM kms_keys WHERE account = ? AND region = ? AND key_id = ?"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(account.to_string())
            .bind(region.as_str())
            .bind(id)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading a key"))?;
        row.as_ref().map(key_of).transpose()
    }

    /// The IDs behind `after`, in order, `count_max` at most.
    pub async fn ids(
        &mut self,
        (account, region): (AccountId, &Region),
        after: &str,
        count_max: u32,
    ) -> Result<Vec<String>, CatalogError> {
        sqlx::query_scalar(
            "SELECT key_id FROM kms_keys WHERE account = ? AND region = ? AND key_id > ? \
             ORDER BY key_id LIMIT ?",
        )
        .bind(account.to_string())
        .bind(region.as_str())
        .bind(after)
        .bind(count_max.min(PAGE_ITEMS_MAX + 1))
        .fetch_all(&mut *self.connection)
        .await
        .map_err(CatalogError::while_("listing keys"))
    }

    /// An alias by its name.
    pub async fn alias(
        &mut self,
        (account, region): (AccountId, &Region),
        name: &str,
    ) -> Result<Option<Alias>, CatalogError> {
        let row =
            sqlx::query("SELECT * FROM kms_aliases WHERE account = ? AND region = ? AND name = ?")
                .bind(account.to_string())
                .bind(region.as_str())
                .bind(name)
                .fetch_optional(&mut *self.connection)
                .await
                .map_err(CatalogError::while_("reading an alias"))?;
        row.as_ref().map(alias_of).transpose()
    }

    /// The aliases behind `after`, in order, `count_max` at most; those of one key if it is given.
    pub async fn aliases(
        &mut self,
        (account, region): (AccountId, &Region),
        key_id: Option<&str>,
        (after, count_max): (&str, u32),
    ) -> Result<Vec<Alias>, CatalogError> {
        let rows = sqlx::query(
            "SELECT * FROM kms_aliases WHERE account = ?1 AND region = ?2 AND name > ?3 \
             AND (?4 IS NULL OR key_id = ?4) ORDER BY name LIMIT ?5",
        )
        .bind(account.to_string())
        .bind(region.as_str())
        .bind(after)
        .bind(key_id)
        .bind(count_max.min(PAGE_ITEMS_MAX + 1))
        .fetch_all(&mut *self.connection)
        .await
        .map_err(CatalogError::while_("listing aliases"))?;
        rows.iter().map(alias_of).collect()
    }

    /// The tags of a key, by their keys.
    pub async fn tags(&mut self, key: &KmsKey) -> Result<Vec<Tag>, CatalogError> {
        let mut tags = TrailView {
            connection: &mut *self.connection,
        };
        tags.tags(key.account, &key.arn()).await
    }

    /// The sealed material of a version; none if there is no such version, or no such key any more.
    pub async fn material(
        &mut self,
        key: &KmsKey,
        version: u32,
    ) -> Result<Option<Vec<u8>>, CatalogError> {
        sqlx::query_scalar(
            "SELECT sealed FROM kms_materials \
             WHERE account = ? AND region = ? AND key_id = ? AND version = ?",
        )
        .bind(key.account.to_string())
        .bind(key.region.as_str())
        .bind(&key.id)
        .bind(version)
        .fetch_optional(&mut *self.connection)
        .await
        .map_err(CatalogError::while_("reading a key's material"))
    }

    /// Every material that the key has had, oldest first.
    pub async fn materials(&mut self, key: &KmsKey) -> Result<Vec<MaterialFacts>, CatalogError> {
        let rows = sqlx::query(
            "SELECT version, created_ms, is_on_demand FROM kms_materials \
             WHERE account = ? AND region = ? AND key_id = ? ORDER BY version",
        )
        .bind(key.account.to_string())
        .bind(key.region.as_str())
        .bind(&key.id)
        .fetch_all(&mut *self.connection)
        .await
        .map_err(CatalogError::while_("listing a key's material"))?;
        rows.iter().map(material_of).collect()
    }

    /// Keys whose time has come at `now_ms`, of deletion or of new material; a thousand at most.
    pub async fn due(&mut self, now_ms: UnixMillis) -> Result<Vec<KmsKey>, CatalogError> {
        let query = format!(
            "SELECT {KEY_COLUMNS} FROM kms_keys WHERE deletion_ms <= ?1 OR (deletion_ms IS NULL AND is_enabled \
             AND rotation_from_ms + rotation_days * 86400000 <= ?1) LIMIT ?2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(now_ms)
            .bind(PAGE_ITEMS_MAX)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("looking for keys that are due"))?;
        rows.iter().map(key_of).collect()
    }

    /// How many keys there are in a Region of an account.
    pub async fn count(
        &mut self,
        (account, region): (AccountId, &Region),
    ) -> Result<u64, CatalogError> {
        let during = "counting keys";
        let row = sqlx::query("SELECT COUNT(*) FROM kms_keys WHERE account = ? AND region = ?")
            .bind(account.to_string())
            .bind(region.as_str())
            .fetch_one(&mut *self.connection)
            .await
            .map_err(CatalogError::while_(during))?;
        let count: i64 = row.try_get(0).map_err(CatalogError::while_(during))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
