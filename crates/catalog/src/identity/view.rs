//! One account's identities inside a transaction.

use std::ops::{Deref, DerefMut};

use cairn_model::AccountId;
use cairn_platform::UnixMillis;
use sqlx::SqliteConnection;

use crate::transaction::{ReadTransaction, WriteTransaction};

/// Reads one account.
#[derive(Debug)]
pub struct View<'t> {
    pub(crate) connection: &'t mut SqliteConnection,
    pub(crate) account: AccountId,
}

/// Reads and changes one account.
#[derive(Debug)]
pub struct Edit<'t> {
    view: View<'t>,
    pub(crate) now_ms: UnixMillis,
    changed: &'t mut bool,
}

impl View<'_> {
    /// The account.
    pub fn account(&self) -> AccountId {
        self.account
    }
}

impl Edit<'_> {
    /// Makes the commit tell caches that identities changed. Every method that writes calls it.
    pub(crate) fn mark_changed(&mut self) {
        *self.changed = true;
    }
}

impl<'t> Deref for Edit<'t> {
    type Target = View<'t>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl DerefMut for Edit<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.view
    }
}

/// A transaction in which identities can be read.
pub trait ReadIdentities: Send {
    /// The identities of `account`.
    fn view(&mut self, account: AccountId) -> View<'_>;
}

impl ReadIdentities for ReadTransaction {
    fn view(&mut self, account: AccountId) -> View<'_> {
        self.identities(account)
    }
}

impl ReadIdentities for WriteTransaction {
    fn view(&mut self, account: AccountId) -> View<'_> {
        View {
            connection: self.connection(),
            account,
        }
    }
}

impl ReadTransaction {
    /// The identities of `account`.
    pub fn identities(&mut self, account: AccountId) -> View<'_> {
        View {
            connection: self.connection(),
            account,
        }
    }
}

impl WriteTransaction {
    /// The identities of `account`, to be read and changed.
    pub fn identities(&mut self, account: AccountId) -> Edit<'_> {
        Edit {
            view: View {
                connection: &mut self.inner,
                account,
            },
            now_ms: self.now_ms,
            changed: &mut self.identities_changed,
        }
    }
}
