//! Keys and aliases as values, and from their rows.

use cairn_model::{AccountId, Region};
use cairn_platform::UnixMillis;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::CatalogError;

/// A key, but for its material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// Its ID, a UUID.
    pub id: String,
    /// When it was made.
    pub created_ms: UnixMillis,
    /// What its owner says of it.
    pub description: String,
    /// The key policy, as it was put.
    pub policy: String,
    /// Whether it may be used.
    pub is_enabled: bool,
    /// The material that encrypts.
    pub version: u32,
    /// Set while the key waits for its deletion.
    pub deletion: Option<KeyDeletion>,
    /// Set while new material is made at intervals.
    pub rotation: Option<KeyRotation>,
}

/// When a key is to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDeletion {
    /// From when on.
    pub due_ms: UnixMillis,
    /// How long it waits from the call on.
    pub window_days: u32,
}

/// When a key gets new material.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRotation {
    /// How often.
    pub period_days: u32,
    /// From when the days count.
    pub from_ms: UnixMillis,
}

/// What is told of a key's material.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaterialFacts {
    /// Its number, from 1.
    pub version: u32,
    /// When it was made.
    pub created_ms: UnixMillis,
    /// Whether a call asked for it, rather than the calendar.
    pub is_on_demand: bool,
}

/// A name for a key, which may change hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// With `alias/` before it.
    pub name: String,
    /// The key.
    pub key_id: String,
    /// When it was made.
    pub created_ms: UnixMillis,
    /// When it last was given to a key.
    pub updated_ms: UnixMillis,
}

impl KmsKey {
    /// `arn:aws:kms:REGION:ACCOUNT:key/ID`.
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:kms:{}:{}:key/{}",
            self.region, self.account, self.id
        )
    }

    /// The context that a version of the key's material is sealed for.
    pub fn material_context(&self, version: u32) -> String {
        format!("kms-material:{}:{version}", self.arn())
    }
}

impl KeyRotation {
    /// When the next material is due.
    pub fn due_ms(&self) -> UnixMillis {
        const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
        self.from_ms
            .saturating_add(i64::from(self.period_days).saturating_mul(DAY_MS))
    }
}

/// The columns that `key_of` reads.
pub(super) const KEY_COLUMNS: &str = "account, region, key_id, created_ms, description, policy, is_enabled, version, \
                                      deletion_ms, deletion_days, rotation_days, rotation_from_ms";

pub(super) fn key_of(row: &SqliteRow) -> Result<KmsKey, CatalogError> {
    let read = CatalogError::while_;
    let during = "reading a key";
    let (account, region): (String, String) = (
        row.try_get("account").map_err(read(during))?,
        row.try_get("region").map_err(read(during))?,
    );
    let id: String = row.try_get("key_id").map_err(read(during))?;
    let deletion_ms: Option<i64> = row.try_get("deletion_ms").map_err(read(during))?;
    let deletion_days: Option<u32> = row.try_get("deletion_days").map_err(read(during))?;
    let rotation_days: Option<u32> = row.try_get("rotation_days").map_err(read(during))?;
    let rotation_from_ms: Option<i64> = row.try_get("rotation_from_ms").map_err(read(during))?;
    let (Ok(account), Ok(region)) = (account.parse(), region.parse()) else {
        return Err(CatalogError::Unreadable {
            what: "key",
            value: id,
        });
    };
    Ok(KmsKey {
        account,
        region,
        id,
        created_ms: row.try_get("created_ms").map_err(read(during))?,
        description: row.try_get("description").map_err(read(during))?,
        policy: row.try_get("policy").map_err(read(during))?,
        is_enabled: row.try_get("is_enabled").map_err(read(during))?,
        version: row.try_get("version").map_err(read(during))?,
        deletion: deletion_ms
            .zip(deletion_days)
            .map(|(due_ms, window_days)| KeyDeletion {
                due_ms,
                window_days,
            }),
        rotation: rotation_days
            .zip(rotation_from_ms)
            .map(|(period_days, from_ms)| KeyRotation {
                period_days,
                from_ms,
            }),
    })
}

pub(super) fn alias_of(row: &SqliteRow) -> Result<Alias, CatalogError> {
    let during = "reading an alias";
    Ok(Alias {
        name: row.try_get("name").map_err(CatalogError::while_(during))?,
        key_id: row
            .try_get("key_id")
            .map_err(CatalogError::while_(during))?,
        created_ms: row
            .try_get("created_ms")
            .map_err(CatalogError::while_(during))?,
        updated_ms: row
            .try_get("updated_ms")
            .map_err(CatalogError::while_(during))?,
    })
}

pub(super) fn material_of(row: &SqliteRow) -> Result<MaterialFacts, CatalogError> {
    let during = "reading what is known of a key's material";
    Ok(MaterialFacts {
        version: row
            .try_get("version")
            .map_err(CatalogError::while_(during))?,
        created_ms: row
            .try_get("created_ms")
            .map_err(CatalogError::while_(during))?,
        is_on_demand: row
            .try_get("is_on_demand")
            .map_err(CatalogError::while_(during))?,
    })
}
