//! Accounts.

use cairn_model::AccountId;
use cairn_platform::UnixMillis;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::CatalogError;
use crate::identity::view::{Edit, View};
use crate::open::Catalog;
use crate::transaction::{ReadTransaction, WriteTransaction};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub account: AccountId,
    /// Its name, for people.
    pub name: String,
    /// Its alias, unique among all accounts.
    pub alias: Option<String>,
    /// A disabled account's credentials are refused, and so are events for it.
    pub enabled: bool,
    /// When it was made.
    pub created_ms: UnixMillis,
}

/// An account to make.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its number.
    pub account: AccountId,
    /// Its name, for people.
    pub name: String,
}

const COLUMNS: &str = "SELECT account, name, alias, enabled, created_ms FROM accounts";

impl Catalog {
    /// Every account, by number.
    pub async fn accounts(&self) -> Result<Vec<Account>, CatalogError> {
        self.read().await?.accounts().await
    }
}

impl ReadTransaction {
    /// Every account, by number.
    pub async fn accounts(&mut self) -> Result<Vec<Account>, CatalogError> {
        let query = format!("{COLUMNS} ORDER BY account");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_all(self.connection())
            .await
            .map_err(CatalogError::while_("listing accounts"))?;
        rows.iter().map(account_of).collect()
    }
}

impl WriteTransaction {
    /// Makes an account.
    pub async fn create_account(&mut self, new: NewAccount) -> Result<(), CatalogError> {
        let taken = EntityWords {
            account: new.account,
        };
        if self
            .identities(new.account)
            .account_facts()
            .await?
            .is_some()
        {
            return Err(CatalogError::EntityAlreadyExists(taken.exists()));
        }
        let now_ms = self.now_ms;
        self.identities_changed = true;
        sqlx::query("INSERT INTO accounts (account, name, enabled, created_ms) VALUES (?, ?, 1, ?)")
            .bind(new.account.to_string())
            .bind(new.name)
            .bind(now_ms)
            .execute(self.connection())
            .await
            .map(drop)
            .map_err(CatalogError::while_("making an account"))
    }
}

struct EntityWords {
    account: AccountId,
}

impl EntityWords {
    fn exists(&self) -> String {
        format!("Account {} already exists.", self.account)
    }

    fn missing(&self) -> String {
        format!("Account {} does not exist.", self.account)
    }
}

impl View<'_> {
    /// The account itself, if there is one.
    pub async fn account_facts(&mut self) -> Result<Option<Account>, CatalogError> {
        let query = format!("{COLUMNS} WHERE account = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading an account"))?;
        row.as_ref().map(account_of).transpose()
    }
}

impl Edit<'_> {
    /// Lets the account's credentials and events in, or keeps them out.
    pub async fn set_account_enabled(&mut self, enabled: bool) -> Result<(), CatalogError> {
        self.mark_changed();
        let account = self.account;
        let done = sqlx::query("UPDATE accounts SET enabled = ? WHERE account = ?")
            .bind(enabled)
            .bind(account.to_string())
            .execute(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("changing an account"))?;
        if done.rows_affected() == 0 {
            return Err(CatalogError::NoSuchEntity(
                EntityWords { account }.missing(),
            ));
        }
        Ok(())
    }

    /// Gives the account an alias in place of the one that it had; an account has one at most.
    pub async fn set_alias(&mut self, alias: &str) -> Result<(), CatalogError> {
        self.mark_changed();
        let during = "setting an account alias";
        let holder: Option<String> =
            sqlx::query_scalar("SELECT account FROM accounts WHERE alias = ?")
                .bind(alias)
                .fetch_optional(&mut *self.connection)
                .await
                .map_err(CatalogError::while_(during))?;
        if holder.is_some() {
            return Err(CatalogError::EntityAlreadyExists(format!(
                "The account alias {alias} already exists."
            )));
        }
        sqlx::query("UPDATE accounts SET alias = ? WHERE account = ?")
            .bind(alias)
            .bind(self.account.to_string())
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(CatalogError::while_(during))
    }

    /// Takes the alias from the account.
    pub async fn delete_alias(&mut self, alias: &str) -> Result<(), CatalogError> {
        self.mark_changed();
        let done = sqlx::query("UPDATE accounts SET alias = NULL WHERE account = ? AND alias = ?")
            .bind(self.account.to_string())
            .bind(alias)
            .execute(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("deleting an account alias"))?;
        if done.rows_affected() == 0 {
            return Err(CatalogError::NoSuchEntity(format!(
                "The account alias with name {alias} cannot be found."
            )));
        }
        Ok(())
    }
}

fn account_of(row: &SqliteRow) -> Result<Account, CatalogError> {
    let read = |error| CatalogError::while_("reading an account")(error);
    let number: String = row.try_get("account").map_err(read)?;
    let account = number.parse().map_err(|_| CatalogError::Unreadable {
        what: "account",
        value: number,
    })?;
    Ok(Account {
        account,
        name: row.try_get("name").map_err(read)?,
        alias: row.try_get("alias").map_err(read)?,
        enabled: row.try_get("enabled").map_err(read)?,
        created_ms: row.try_get("created_ms").map_err(read)?,
    })
}
