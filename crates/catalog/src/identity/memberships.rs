//! Which users are in which groups.

use crate::error::CatalogError;
use crate::identity::identities::{COLUMNS, Identity, identity_of};
use crate::identity::quotas::GROUPS_PER_USER_MAX;
use crate::identity::view::{Edit, View};

impl View<'_> {
    /// The groups that a user is in, by name.
    pub async fn groups_of(&mut self, user_id: &str) -> Result<Vec<Identity>, CatalogError> {
        let query = format!(
            "{COLUMNS} JOIN memberships m ON m.account = i.account AND m.group_id = i.id \
             WHERE i.account = ? AND m.user_id = ? ORDER BY i.name_folded"
        );
        self.members_by(query, user_id).await
    }

    /// The users in a group, by name.
    pub async fn members_of(&mut self, group_id: &str) -> Result<Vec<Identity>, CatalogError> {
        let query = format!(
            "{COLUMNS} JOIN memberships m ON m.account = i.account AND m.user_id = i.id \
             WHERE i.account = ? AND m.group_id = ? ORDER BY i.name_folded"
        );
        self.members_by(query, group_id).await
    }

    async fn members_by(&mut self, query: String, id: &str) -> Result<Vec<Identity>, CatalogError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .bind(id)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading memberships"))?;
        rows.iter().map(identity_of).collect()
    }
}

impl Edit<'_> {
    /// Puts a user into a group; again is no error.
    pub async fn add_member(
        &mut self,
        group: &Identity,
        user: &Identity,
    ) -> Result<(), CatalogError> {
        let groups = self.groups_of(&user.id).await?;
        if groups.iter().any(|held| held.id == group.id) {
            return Ok(());
        }
        if groups.len() >= GROUPS_PER_USER_MAX {
            let (quota, limit) = ("GroupsPerUser", GROUPS_PER_USER_MAX);
            return Err(CatalogError::LimitExceeded { quota, limit });
        }
        self.mark_changed();
        sqlx::query("INSERT INTO memberships (account, group_id, user_id) VALUES (?, ?, ?)")
            .bind(self.account.to_string())
            .bind(&group.id)
            .bind(&user.id)
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(CatalogError::while_("adding a member"))
    }

    /// Takes a user out of a group; one who is not in it is no error.
    pub async fn remove_member(
        &mut self,
        group: &Identity,
        user: &Identity,
    ) -> Result<(), CatalogError> {
        self.mark_changed();
        sqlx::query("DELETE FROM memberships WHERE account = ? AND group_id = ? AND user_id = ?")
            .bind(self.account.to_string())
            .bind(&group.id)
            .bind(&user.id)
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(CatalogError::while_("removing a member"))
    }
}
