//! Changing keys, inside the transaction of the call that does so.

use cairn_model::{AccountId, Region};

use super::stored::{Alias, KmsKey, MaterialFacts};
use crate::error::CatalogError;
use crate::transaction::WriteTransaction;

impl WriteTransaction {
    /// A new key. Its first material has to follow in the same transaction.
    pub async fn insert_kms_key(&mut self, key: &KmsKey) -> Result<(), CatalogError> {
        let inserted = sqlx::query(
            "INSERT INTO kms_keys (account, region, key_id, created_ms, description, policy, is_enabled, version) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(key.account.to_string())
        .bind(key.region.as_str())
        .bind(&key.id)
        .bind(key.created_ms)
        .bind(&key.description)
        .bind(&key.policy)
        .bind(key.is_enabled)
        .bind(key.version)
        .execute(self.connection())
        .await
        .map_err(CatalogError::while_("making a key"))?;
        if inserted.rows_affected() != 1 {
            let message = format!("There is a key {} already.", key.arn());
            return Err(CatalogError::EntityAlreadyExists(message));
        }
        Ok(())
    }

    /// Writes what of a key can change. Material has an entry of its own.
    pub async fn put_kms_key(&mut self, key: &KmsKey) -> Result<(), CatalogError> {
        let updated = sqlx::query(
            "UPDATE kms_keys SET description = ?, policy = ?, is_enabled = ?, version = ?, deletion_ms = ?, \
             deletion_days = ?, rotation_days = ?, rotation_from_ms = ? \
             WHERE account = ? AND region = ? AND key_id = ?",
        )
        .bind(&key.description)
        .bind(&key.policy)
        .bind(key.is_enabled)
        .bind(key.version)
        .bind(key.deletion.map(|deletion| deletion.due_ms))
        .bind(key.deletion.map(|deletion| deletion.window_days))
        .bind(key.rotation.map(|rotation| rotation.period_days))
        .bind(key.rotation.map(|rotation| rotation.from_ms))
        .bind(key.account.to_string())
        .bind(key.region.as_str())
        .bind(&key.id)
        .execute(self.connection())
        .await
        .map_err(CatalogError::while_("changing a key"))?;
        if updated.rows_affected() != 1 {
            return Err(no_such_key(key));
        }
        Ok(())
    }

    /// Adds material to a key; `sealed` must be sealed for `KmsKey::material_context`.
    pub async fn add_kms_material(
        &mut self,
        key: &KmsKey,
        facts: MaterialFacts,
        sealed: &[u8],
    ) -> Result<(), CatalogError> {
        sqlx::query("INSERT INTO kms_materials VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(key.account.to_string())
            .bind(key.region.as_str())
            .bind(&key.id)
            .bind(facts.version)
            .bind(facts.created_ms)
            .bind(facts.is_on_demand)
            .bind(sealed)
            .execute(self.connection())
            .await
            .map(drop)
            .map_err(CatalogError::while_("writing a key's material"))
    }

    /// Deletes a key with its material, aliases and tags. What the database file held of it is overwritten.
    pub async fn delete_kms_key(&mut self, key: &KmsKey) -> Result<(), CatalogError> {
        let during = "deleting a key";
        // The connection is the only one that writes; for other rows nothing is lost without it.
        sqlx::query("PRAGMA secure_delete = ON")
            .execute(self.connection())
            .await
            .map_err(CatalogError::while_(during))?;
        let deleted =
            sqlx::query("DELETE FROM kms_keys WHERE account = ? AND region = ? AND key_id = ?")
                .bind(key.account.to_string())
                .bind(key.region.as_str())
                .bind(&key.id)
                .execute(self.connection())
                .await
                .map_err(CatalogError::while_(during));
        sqlx::query("PRAGMA secure_delete = OFF")
            .execute(self.connection())
            .await
            .map_err(CatalogError::while_(during))?;
        if deleted?.rows_affected() != 1 {
            return Err(no_such_key(key));
        }
        self.delete_all_resource_tags(key.account, &key.arn()).await
    }

    /// A new alias.
    pub async fn insert_kms_alias(
        &mut self,
        (account, region): (AccountId, &Region),
        alias: &Alias,
    ) -> Result<(), CatalogError> {
        let inserted = sqlx::query(
            "INSERT INTO kms_aliases VALUES (?, ?, ?, ?, ?, ?) \
             ON CONFLICT (account, region, name) DO NOTHING",
        )
        .bind(account.to_string())
        .bind(region.as_str())
        .bind(&alias.name)
        .bind(&alias.key_id)
        .bind(alias.created_ms)
        .bind(alias.updated_ms)
        .execute(self.connection())
        .await
        .map_err(CatalogError::while_("making an alias"))?;
        if inserted.rows_affected() != 1 {
            let message = format!("There is an alias {} already.", alias.name);
            return Err(CatalogError::EntityAlreadyExists(message));
        }
        Ok(())
    }

    /// Gives an alias to another key of its place.
    pub async fn move_kms_alias(&mut self, name: &str, key: &KmsKey) -> Result<(), CatalogError> {
        let now_ms = self.now_ms;
        let moved = sqlx::query(
            "UPDATE kms_aliases SET key_id = ?, updated_ms = ? \
             WHERE account = ? AND region = ? AND name = ?",
        )
        .bind(&key.id)
        .bind(now_ms)
        .bind(key.account.to_string())
        .bind(key.region.as_str())
        .bind(name)
        .execute(self.connection())
        .await
        .map_err(CatalogError::while_("changing an alias"))?;
        if moved.rows_affected() != 1 {
            let message = format!("There is no alias {name}.");
            return Err(CatalogError::NoSuchEntity(message));
        }
        Ok(())
    }

    /// Takes an alias away; the key stays.
    pub async fn delete_kms_alias(
        &mut self,
        (account, region): (AccountId, &Region),
        name: &str,
    ) -> Result<(), CatalogError> {
        sqlx::query("DELETE FROM kms_aliases WHERE account = ? AND region = ? AND name = ?")
            .bind(account.to_string())
            .bind(region.as_str())
            .bind(name)
            .execute(self.connection())
            .await
            .map(drop)
            .map_err(CatalogError::while_("deleting an alias"))
    }
}

fn no_such_key(key: &KmsKey) -> CatalogError {
    CatalogError::NoSuchEntity(format!("There is no key {}.", key.arn()))
}
