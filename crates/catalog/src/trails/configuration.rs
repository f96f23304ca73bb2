//! Trails by name, and their versions.

use cairn_model::{AccountId, ControlRecord, Region, Trail, TrailId};
use sqlx::{Row, SqliteConnection};

use crate::error::CatalogError;
use crate::trails::delivery::CurrentTrails;
use crate::trails::stored;
use crate::transaction::{ReadTransaction, WriteTransaction};

/// Reads trails.
#[derive(Debug)]
pub struct TrailView<'t> {
    pub(crate) connection: &'t mut SqliteConnection,
}

/// A transaction in which trails can be read.
pub trait ReadTrails: Send {
    /// The trails.
    fn trails(&mut self) -> TrailView<'_>;
}

impl ReadTrails for ReadTransaction {
    fn trails(&mut self) -> TrailView<'_> {
        TrailView {
            connection: self.connection(),
        }
    }
}

impl ReadTrails for WriteTransaction {
    fn trails(&mut self) -> TrailView<'_> {
        TrailView {
            connection: self.connection(),
        }
    }
}

/// The current version of trails; a condition follows.
const CURRENT: &str = "SELECT v.document, t.trail_id, t.version FROM trails t \
                       JOIN trail_versions v ON v.trail_id = t.trail_id AND v.version = t.version";

impl TrailView<'_> {
    /// The trails of an account, by home Region and name.
    pub async fn of_account(&mut self, account: AccountId) -> Result<Vec<Trail>, CatalogError> {
        let query = format!("{CURRENT} WHERE t.account = ? ORDER BY t.home_region, t.name");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(account.to_string())
            .fetch_all(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading trails"))?;
        rows.iter().map(current_of).collect()
    }

    /// Every trail of every account. One that cannot be read keeps no other from being known.
    pub async fn all_readable(&mut self) -> Result<CurrentTrails, CatalogError> {
        let during = "reading trails";
        let query = format!("{CURRENT} ORDER BY t.account, t.home_region, t.name");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .fetch_all(&mut *self.connection)
            .await
            .map_err(CatalogError::while_(during))?;
        let mut known = CurrentTrails::default();
        for row in &rows {
            match current_of(row) {
                Ok(trail) => known.trails.push(trail),
                Err(CatalogError::Unreadable { .. }) => {
                    let id = row.try_get(1).map_err(CatalogError::while_(during))?;
                    known.unreadable.push(TrailId(id));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(known)
    }

    /// The trails that are there in a Region: those made in it and those that cover every Region (TRL-025). These
    /// are the ones that count towards its quota (TRL-018).
    pub async fn in_region(
        &mut self,
        account: AccountId,
        region: &Region,
    ) -> Result<Vec<Trail>, CatalogError> {
        let mut trails = self.of_account(account).await?;
        trails.retain(|trail| trail.covers(region));
        Ok(trails)
    }

    /// The trail that was made under this name in this Region. An ARN names a trail by the same three parts.
    pub async fn find(
        &mut self,
        account: AccountId,
        home_region: &Region,
        name: &str,
    ) -> Result<Option<Trail>, CatalogError> {
        let query = format!("{CURRENT} WHERE t.account = ? AND t.home_region = ? AND t.name = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(account.to_string())
            .bind(home_region.as_str())
            .bind(name)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading a trail"))?;
        row.as_ref().map(current_of).transpose()
    }

    /// The trail of this ID as it is configured now.
    pub(crate) async fn current(&mut self, id: &TrailId) -> Result<Option<Trail>, CatalogError> {
        let query = format!("{CURRENT} WHERE t.trail_id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(&id.0)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading a trail"))?;
        row.as_ref().map(current_of).transpose()
    }

    /// A version of a trail; `None` is the trail's end. A version that was never written, or that no reader of the log
    /// can need any more, is an error.
    pub async fn version(
        &mut self,
        id: &TrailId,
        version: u64,
    ) -> Result<Option<Trail>, CatalogError> {
        let during = "reading a version of a trail";
        let row =
            sqlx::query("SELECT document FROM trail_versions WHERE trail_id = ? AND version = ?")
                .bind(&id.0)
                .bind(stored_version(version)?)
                .fetch_optional(&mut *self.connection)
                .await
                .map_err(CatalogError::while_(during))?;
        let Some(row) = row else {
            let message = format!("There is no version {version} of trail {}.", id.0);
            return Err(CatalogError::NoSuchEntity(message));
        };
        let document: Option<String> = row.try_get(0).map_err(CatalogError::while_(during))?;
        document
            .map(|document| stored::read(&document, id.clone(), version))
            .transpose()
    }
}

impl WriteTransaction {
    /// A new trail (version 1), or the next version of one. Another version than the next is refused, so a change
    /// that was made of what is no longer true cannot be written; account, home Region and name never change.
    pub async fn put_trail(&mut self, trail: &Trail) -> Result<(), CatalogError> {
        if trail.version == 1 {
            self.insert_trail(trail).await?;
        } else {
            self.advance_trail(trail).await?;
        }
        let document = stored::write(trail);
        self.insert_version(&trail.id, trail.version, Some(document))
            .await
    }

    /// Ends a trail. `trail` must be its current version; the end is the next one. Its tags go with it.
    pub async fn delete_trail(&mut self, trail: &Trail) -> Result<(), CatalogError> {
        let deleted = sqlx::query("DELETE FROM trails WHERE trail_id = ? AND version = ?")
            .bind(&trail.id.0)
            .bind(stored_version(trail.version)?)
            .execute(self.connection())
            .await
            .map_err(CatalogError::while_("deleting a trail"))?;
        if deleted.rows_affected() != 1 {
            return Err(out_of_turn(trail));
        }
        self.delete_all_resource_tags(trail.account, &trail.arn())
            .await?;
        self.insert_version(&trail.id, trail.version.saturating_add(1), None)
            .await
    }

    async fn insert_trail(&mut self, trail: &Trail) -> Result<(), CatalogError> {
        let inserted = sqlx::query(
            "INSERT INTO trails (account, home_region, name, trail_id, version) \
             VALUES (?, ?, ?, ?, 1) ON CONFLICT (account, home_region, name) DO NOTHING",
        )
        .bind(trail.account.to_string())
        .bind(trail.home_region.as_str())
        .bind(&trail.name)
        .bind(&trail.id.0)
        .execute(self.connection())
        .await
        .map_err(CatalogError::while_("making a trail"))?;
        if inserted.rows_affected() != 1 {
            let message = format!("There is a trail {} already.", trail.arn());
            return Err(CatalogError::EntityAlreadyExists(message));
        }
        Ok(())
    }

    async fn advance_trail(&mut self, trail: &Trail) -> Result<(), CatalogError> {
        let version = stored_version(trail.version)?;
        let updated = sqlx::query(
            "UPDATE trails SET version = ?1 WHERE trail_id = ?2 AND version = ?1 - 1 \
             AND account = ?3 AND home_region = ?4 AND name = ?5",
        )
        .bind(version)
        .bind(&trail.id.0)
        .bind(trail.account.to_string())
        .bind(trail.home_region.as_str())
        .bind(&trail.name)
        .execute(self.connection())
        .await
        .map_err(CatalogError::while_("changing a trail"))?;
        if updated.rows_affected() != 1 {
            return Err(out_of_turn(trail));
        }
        Ok(())
    }

    /// The only place that writes versions: none is written without its control record.
    async fn insert_version(
        &mut self,
        id: &TrailId,
        version: u64,
        document: Option<String>,
    ) -> Result<(), CatalogError> {
        sqlx::query("INSERT INTO trail_versions (trail_id, version, document) VALUES (?, ?, ?)")
            .bind(&id.0)
            .bind(stored_version(version)?)
            .bind(document)
            .execute(self.connection())
            .await
            .map_err(CatalogError::while_("writing a version of a trail"))?;
        let id = id.clone();
        self.controls.push(ControlRecord::Trail { id, version });
        Ok(())
    }
}

fn current_of(row: &sqlx::sqlite::SqliteRow) -> Result<Trail, CatalogError> {
    let during = "reading trails";
    let id: String = row.try_get(1).map_err(CatalogError::while_(during))?;
    let document: Option<String> = row.try_get(0).map_err(CatalogError::while_(during))?;
    let version: i64 = row.try_get(2).map_err(CatalogError::while_(during))?;
    let (Some(document), Ok(version)) = (document, u64::try_from(version)) else {
        return Err(CatalogError::Unreadable {
            what: "trail",
            value: id,
        });
    };
    stored::read(&document, TrailId(id), version)
}

fn stored_version(version: u64) -> Result<i64, CatalogError> {
    i64::try_from(version).map_err(|_| CatalogError::Unreadable {
        what: "version of a trail",
        value: version.to_string(),
    })
}

fn out_of_turn(trail: &Trail) -> CatalogError {
    CatalogError::ChangedMeanwhile {
        what: trail.arn(),
        version: trail.version,
    }
}
