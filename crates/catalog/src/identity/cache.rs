//! What authentication and authorization ask for with every request, kept in memory until identities
//! change, and the last use of keys until it is written down.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use cairn_platform::UnixMillis;

use crate::error::CatalogError;
use crate::identity::snapshot::{CredentialRecord, IdentitySnapshot};
use crate::open::Catalog;

/// Entries of each kind; beyond them the cache starts anew.
const ENTRIES_MAX: usize = 10_000;

/// Resolved keys and policies of one version of the identities.
#[derive(Debug, Default)]
pub struct IdentityCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    credentials: HashMap<String, Arc<CredentialRecord>>,
    snapshots: HashMap<String, Arc<IdentitySnapshot>>,
    uses: HashMap<String, KeyUse>,
}

/// When, where and for what a key last signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// When.
    pub used_ms: UnixMillis,
    /// The service, as in the credential scope.
    pub service: String,
    /// The Region, as in the credential scope.
    pub region: String,
}

impl IdentityCache {
    // Held for a look-up and never across an await.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// The state, emptied of what belongs to another version.
    fn at(&self, version: u64) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let crowded = state.credentials.len().max(state.snapshots.len()) > ENTRIES_MAX;
        if state.version < version || crowded {
            state.version = state.version.max(version);
            state.credentials.clear();
            state.snapshots.clear();
        }
        state
    }
}

impl Catalog {
    /// Grows with every change of any identity.
    pub fn identity_version(&self) -> u64 {
        self.identity_version.load(Ordering::Acquire)
    }

    /// Whose key that is and its sealed secret; none if there is no such key, active or not.
    pub async fn resolve_access_key(
        &self,
        key_id: &str,
    ) -> Result<Option<Arc<CredentialRecord>>, CatalogError> {
        // Read before the rows are: an entry may be newer than its version says, never older.
        let version = self.identity_version();
        if let Some(held) = self.identity_cache.at(version).credentials.get(key_id) {
            return Ok(Some(Arc::clone(held)));
        }
        let Some(record) = self.read().await?.credential(key_id).await? else {
            return Ok(None);
        };
        let record = Arc::new(record);
        let mut state = self.identity_cache.at(version);
        if state.version == version {
            state
                .credentials
                .insert(key_id.to_owned(), Arc::clone(&record));
        }
        Ok(Some(record))
    }

    /// Everything that decides what an identity may do; none if there is no such identity any more.
    pub async fn identity_snapshot(
        &self,
        account: cairn_model::AccountId,
        identity_id: &str,
    ) -> Result<Option<Arc<IdentitySnapshot>>, CatalogError> {
        let version = self.identity_version();
        if let Some(held) = self.identity_cache.at(version).snapshots.get(identity_id)
            && held.identity.account == account
        {
            return Ok(Some(Arc::clone(held)));
        }
        let mut transaction = self.read().await?;
        let read = transaction
            .identities(account)
            .snapshot(identity_id)
            .await?;
        let Some(snapshot) = read else {
            return Ok(None);
        };
        let snapshot = Arc::new(snapshot);
        let mut state = self.identity_cache.at(version);
        if state.version == version {
            state
                .snapshots
                .insert(identity_id.to_owned(), Arc::clone(&snapshot));
        }
        Ok(Some(snapshot))
    }

    /// Notes that a key has signed. Written down by `write_key_uses`.
    pub fn note_key_use(&self, key_id: &str, last_use: KeyUse) {
        let mut state = self.identity_cache.lock();
        if state.uses.len() < ENTRIES_MAX || state.uses.contains_key(key_id) {
            state.uses.insert(key_id.to_owned(), last_use);
        }
    }

    /// The noted use of a key that is not written down yet.
    pub fn noted_key_use(&self, key_id: &str) -> Option<KeyUse> {
        self.identity_cache.lock().uses.get(key_id).cloned()
    }

    /// Writes the noted uses down; whoever runs the background loops calls it now and then. Uses noted
    /// since are lost in a crash: they inform people and decide nothing.
    pub async fn write_key_uses(&self) -> Result<(), CatalogError> {
        let uses = self.identity_cache.lock().uses.clone();
        if uses.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        for (key_id, last_use) in &uses {
            sqlx::query(
                "UPDATE access_keys SET used_ms = ?, used_service = ?, used_region = ? \
                 WHERE key_id = ?",
            )
            .bind(last_use.used_ms)
            .bind(&last_use.service)
            .bind(&last_use.region)
            .bind(key_id)
            .execute(transaction.connection())
            .await
            .map_err(CatalogError::while_("noting the use of a key"))?;
        }
        transaction.commit().await?;
        self.identity_cache
            .lock()
            .uses
            .retain(|key_id, noted| uses.get(key_id) != Some(noted));
        Ok(())
    }
}
