//! Small named values, such as sealed keys for tokens.

use std::sync::atomic::Ordering;

use crate::error::CatalogError;
use crate::open::Catalog;
use crate::transaction::WriteTransaction;

impl Catalog {
    /// The value of a setting. Secrets are sealed by whoever stores them.
    pub async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        sqlx::query_scalar("SELECT value FROM settings WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.readers)
            .await
            .map_err(CatalogError::while_("reading a setting"))
    }

    pub(crate) async fn load_identity_version(&self) -> Result<(), CatalogError> {
        let stored = self.setting("identity.version").await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&stored).into_owned();
        let version = text.parse().map_err(|_| CatalogError::Unreadable {
            what: "version",
            value: text,
        })?;
        self.identity_version.store(version, Ordering::Release);
        Ok(())
    }
}

impl WriteTransaction {
    /// The value of a setting, as this transaction sees it.
    pub async fn setting(&mut self, name: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        sqlx::query_scalar("SELECT value FROM settings WHERE name = ?")
            .bind(name)
            .fetch_optional(self.connection())
            .await
            .map_err(CatalogError::while_("reading a setting"))
    }

    /// Stores a setting, in place of the value that it had.
    pub async fn put_setting(&mut self, name: &str, value: &[u8]) -> Result<(), CatalogError> {
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES (?1, ?2) \
             ON CONFLICT (name) DO UPDATE SET value = ?2",
        )
        .bind(name)
        .bind(value)
        .execute(self.connection())
        .await
        .map(drop)
        .map_err(CatalogError::while_("storing a setting"))
    }
}
