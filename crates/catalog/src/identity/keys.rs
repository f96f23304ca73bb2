//! Access keys. The catalog sees secrets sealed only.

use cairn_platform::UnixMillis;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::CatalogError;
use crate::identity::cache::KeyUse;
use crate::identity::quotas::KEYS_PER_USER_MAX;
use crate::identity::view::{Edit, View};

/// An access key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its ID.
    pub key_id: String,
    /// Its user's unique ID; none for the account's root user.
    pub user_id: Option<String>,
    /// Whether it may sign.
    pub active: bool,
    /// When it was made.
    pub created_ms: UnixMillis,
    /// When, where and for what it last signed, as far as it is written down.
    pub last_use: Option<KeyUse>,
}

/// An access key to make.
#[derive(Clone, Debug)]
pub struct NewAccessKey {
    /// Its ID.
    pub key_id: String,
    /// Its user's unique ID; none for the account's root user.
    pub user_id: Option<String>,
    /// Its secret, sealed.
    pub secret_sealed: Vec<u8>,
}

const COLUMNS: &str = "SELECT key_id, user_id, active, created_ms, used_ms, used_service, \
     used_region FROM access_keys";

impl View<'_> {
    /// The keys of a user, or of the root user, oldest first.
    pub async fn access_keys(
        &mut self,
        user_id: Option<&str>,
    ) -> Result<Vec<AccessKey>, CatalogError> {
        let query =
            format!("{COLUMNS} WHERE account = ? AND user_id IS ? ORDER BY created_ms, key_id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .bind(user_id)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("listing access keys"))?;
        rows.iter().map(key_of).collect()
    }

    /// The key with that ID, whoever in the account holds it.
    pub async fn access_key(&mut self, key_id: &str) -> Result<Option<AccessKey>, CatalogError> {
        let query = format!("{COLUMNS} WHERE account = ? AND key_id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .bind(key_id)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading an access key"))?;
        row.as_ref().map(key_of).transpose()
    }

    async fn key_of_user(
        &mut self,
        user_id: Option<&str>,
        key_id: &str,
    ) -> Result<AccessKey, CatalogError> {
        let key = self.access_key(key_id).await?;
        key.filter(|key| key.user_id.as_deref() == user_id)
            .ok_or_else(|| {
                let message = format!("The Access Key with id {key_id} cannot be found.");
                CatalogError::NoSuchEntity(message)
            })
    }
}

impl Edit<'_> {
    /// Makes an access key.
    pub async fn create_access_key(&mut self, new: NewAccessKey) -> Result<(), CatalogError> {
        if self.access_keys(new.user_id.as_deref()).await?.len() >= KEYS_PER_USER_MAX {
            let (quota, limit) = ("AccessKeysPerUser", KEYS_PER_USER_MAX);
            return Err(CatalogError::LimitExceeded { quota, limit });
        }
        self.mark_changed();
        sqlx::query(
            "INSERT INTO access_keys (account, key_id, user_id, secret_sealed, active, created_ms) \
             VALUES (?, ?, ?, ?, 1, ?)",
        )
        .bind(self.account.to_string())
        .bind(new.key_id)
        .bind(new.user_id)
        .bind(new.secret_sealed)
        .bind(self.now_ms)
        .execute(&mut *self.connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("making an access key"))
    }

    /// Lets a key sign, or not.
    pub async fn set_key_active(
        &mut self,
        user_id: Option<&str>,
        key_id: &str,
        active: bool,
    ) -> Result<(), CatalogError> {
        self.key_of_user(user_id, key_id).await?;
        self.mark_changed();
        sqlx::query("UPDATE access_keys SET active = ? WHERE account = ? AND key_id = ?")
            .bind(active)
            .bind(self.account.to_string())
            .bind(key_id)
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(CatalogError::while_("changing an access key"))
    }

    /// Deletes a key.
    pub async fn delete_access_key(
        &mut self,
        user_id: Option<&str>,
        key_id: &str,
    ) -> Result<(), CatalogError> {
        self.key_of_user(user_id, key_id).await?;
        self.mark_changed();
        sqlx::query("DELETE FROM access_keys WHERE account = ? AND key_id = ?")
            .bind(self.account.to_string())
            .bind(key_id)
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(CatalogError::while_("deleting an access key"))
    }
}

fn key_of(row: &SqliteRow) -> Result<AccessKey, CatalogError> {
    let read = |error| CatalogError::while_("reading an access key")(error);
    let used_ms: Option<i64> = row.try_get("used_ms").map_err(read)?;
    let last_use = match used_ms {
        None => None,
        Some(used_ms) => Some(KeyUse {
            used_ms,
            service: row.try_get("used_service").map_err(read)?,
            region: row.try_get("used_region").map_err(read)?,
        }),
    };
    Ok(AccessKey {
        key_id: row.try_get("key_id").map_err(read)?,
        user_id: row.try_get("user_id").map_err(read)?,
        active: row.try_get("active").map_err(read)?,
        created_ms: row.try_get("created_ms").map_err(read)?,
        last_use,
    })
}
