//! Users, groups and roles: one kind of row, because IAM treats names, paths, policies, boundaries
//! and tags of the three alike.

use cairn_model::AccountId;
use cairn_platform::UnixMillis;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::CatalogError;
use crate::identity::quotas::{
    GROUPS_MAX, ROLES_MAX, SIZE_TRUST_POLICY_MAX, USERS_MAX, counted_size,
};
use crate::identity::tags::Tag;
use crate::identity::view::{Edit, View};

/// A user, a group or a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityKind {
    /// A user.
    User,
    /// A group of users.
    Group,
    /// A role.
    Role,
}

impl IdentityKind {
    /// As ARNs and messages spell it: `user`, `group`, `role`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
        }
    }

    fn from_stored(text: &str) -> Result<Self, CatalogError> {
        match text {
            "user" => Ok(Self::User),
            "group" => Ok(Self::Group),
            "role" => Ok(Self::Role),
            other => Err(CatalogError::Unreadable {
                what: "identity kind",
                value: other.to_owned(),
            }),
        }
    }

    fn capitalized(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Role => "Role",
        }
    }

    fn quota(self) -> (&'static str, usize) {
        match self {
            Self::User => ("UsersPerAccount", USERS_MAX),
            Self::Group => ("GroupsPerAccount", GROUPS_MAX),
            Self::Role => ("RolesPerAccount", ROLES_MAX),
        }
    }
}

/// A user, group or role as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account that it belongs to.
    pub account: AccountId,
    /// Its unique ID, such as `AIDA…`; never given again after deletion.
    pub id: String,
    /// What it is.
    pub kind: IdentityKind,
    /// Its name.
    pub name: String,
    /// Its path, which begins and ends with a slash.
    pub path: String,
    /// When it was made.
    pub created_ms: UnixMillis,
    /// The managed policy that bounds its permissions.
    pub boundary_arn: Option<String>,
    /// What only a role has.
    pub role: Option<RoleFacts>,
}

/// What only a role has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFacts {
    /// Who may assume it.
    pub trust_policy: String,
    /// For people.
    pub description: Option<String>,
    /// The longest session that may be asked for.
    pub max_session_seconds: u32,
}

/// A user, group or role to make.
#[derive(Clone, Debug)]
pub struct NewIdentity {
    /// Its unique ID.
    pub id: String,
    /// What it is.
    pub kind: IdentityKind,
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// The managed policy that bounds its permissions.
    pub boundary_arn: Option<String>,
    /// What only a role has.
    pub role: Option<RoleFacts>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Identity {
    /// `arn:aws:iam::ACCOUNT:user/PATH/NAME`.
    pub fn arn(&self) -> String {
        let Self {
            account,
            kind,
            path,
            name,
            ..
        } = self;
        format!("arn:aws:iam::{account}:{}{path}{name}", kind.as_str())
    }
}

pub(crate) const COLUMNS: &str = "SELECT i.account, i.id, i.kind, i.name, i.path, i.created_ms, \
     i.boundary_arn, i.trust_policy, i.description, i.max_session_seconds FROM identities i";

impl View<'_> {
    /// The identity of that name, which must be spelled as it was made.
    pub async fn find_identity(
        &mut self,
        kind: IdentityKind,
        name: &str,
    ) -> Result<Option<Identity>, CatalogError> {
        let query = format!("{COLUMNS} WHERE i.account = ? AND i.kind = ? AND i.name_folded = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .bind(kind.as_str())
            .bind(folded(name))
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading an identity"))?;
        let found = row.as_ref().map(identity_of).transpose()?;
        Ok(found.filter(|identity| identity.name == name))
    }

    /// The identity of that name, or IAM's words for its absence.
    pub async fn identity(
        &mut self,
        kind: IdentityKind,
        name: &str,
    ) -> Result<Identity, CatalogError> {
        self.find_identity(kind, name).await?.ok_or_else(|| {
            let kind = kind.as_str();
            CatalogError::NoSuchEntity(format!("The {kind} with name {name} cannot be found."))
        })
    }

    /// The identity with that unique ID.
    pub async fn identity_by_id(&mut self, id: &str) -> Result<Option<Identity>, CatalogError> {
        let query = format!("{COLUMNS} WHERE i.account = ? AND i.id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .bind(id)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading an identity"))?;
        row.as_ref().map(identity_of).transpose()
    }

    /// Every identity of that kind whose path begins with `path_prefix`, by name.
    pub async fn identities_of_kind(
        &mut self,
        kind: IdentityKind,
        path_prefix: &str,
    ) -> Result<Vec<Identity>, CatalogError> {
        let query = format!(
            "{COLUMNS} WHERE i.account = ? AND i.kind = ? AND substr(i.path, 1, length(?3)) = ?3 \
             ORDER BY i.name_folded"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .bind(kind.as_str())
            .bind(path_prefix)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("listing identities"))?;
        rows.iter().map(identity_of).collect()
    }

    /// How many identities of that kind there are.
    pub async fn count_identities(&mut self, kind: IdentityKind) -> Result<usize, CatalogError> {
        let query = "SELECT count(*) FROM identities WHERE account = ? AND kind = ?";
        let count: i64 = sqlx::query_scalar(query)
            .bind(self.account.to_string())
            .bind(kind.as_str())
            .fetch_one(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("counting identities"))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    async fn refuse_taken(&mut self, kind: IdentityKind, name: &str) -> Result<(), CatalogError> {
        let query =
            "SELECT name FROM identities WHERE account = ? AND kind = ? AND name_folded = ?";
        let taken: Option<String> = sqlx::query_scalar(query)
            .bind(self.account.to_string())
            .bind(kind.as_str())
            .bind(folded(name))
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("looking for a name"))?;
        if taken.is_some() {
            let kind = kind.capitalized();
            let message = format!("{kind} with name {name} already exists.");
            return Err(CatalogError::EntityAlreadyExists(message));
        }
        Ok(())
    }
}

impl Edit<'_> {
    /// Makes a user, group or role.
    pub async fn create_identity(&mut self, new: NewIdentity) -> Result<Identity, CatalogError> {
        self.refuse_taken(new.kind, &new.name).await?;
        let (quota, limit) = new.kind.quota();
        if self.count_identities(new.kind).await? >= limit {
            return Err(CatalogError::LimitExceeded { quota, limit });
        }
        if let Some(role) = &new.role {
            refuse_large_trust_policy(&role.trust_policy)?;
        }
        let identity = Identity {
            account: self.account,
            id: new.id,
            kind: new.kind,
            name: new.name,
            path: new.path,
            created_ms: self.now_ms,
            boundary_arn: new.boundary_arn,
            role: new.role,
        };
        self.insert(&identity).await?;
        self.put_tags(&identity.id, &new.tags).await?;
        Ok(identity)
    }

    async fn insert(&mut self, identity: &Identity) -> Result<(), CatalogError> {
        self.mark_changed();
        let role = identity.role.as_ref();
        sqlx::query(
            "INSERT INTO identities (account, id, kind, name, name_folded, path, created_ms, \
             boundary_arn, trust_policy, description, max_session_seconds) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(identity.account.to_string())
        .bind(&identity.id)
        .bind(identity.kind.as_str())
        .bind(&identity.name)
        .bind(folded(&identity.name))
        .bind(&identity.path)
        .bind(identity.created_ms)
        .bind(&identity.boundary_arn)
        .bind(role.map(|role| &role.trust_policy))
        .bind(role.and_then(|role| role.description.as_ref()))
        .bind(role.map(|role| i64::from(role.max_session_seconds)))
        .execute(&mut *self.connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("making an identity"))
    }

    /// Gives a user or group another name or path. Its ARN follows; its ID stays.
    pub async fn rename_identity(
        &mut self,
        identity: &Identity,
        name: &str,
        path: &str,
    ) -> Result<(), CatalogError> {
        if folded(name) != folded(&identity.name) {
            self.refuse_taken(identity.kind, name).await?;
        }
        self.mark_changed();
        sqlx::query(
            "UPDATE identities SET name = ?, name_folded = ?, path = ? WHERE account = ? AND id = ?",
        )
        .bind(name)
        .bind(folded(name))
        .bind(path)
        .bind(self.account.to_string())
        .bind(&identity.id)
        .execute(&mut *self.connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("renaming an identity"))
    }

    /// Changes what only a role has.
    pub async fn update_role(&mut self, id: &str, role: &RoleFacts) -> Result<(), CatalogError> {
        refuse_large_trust_policy(&role.trust_policy)?;
        self.mark_changed();
        sqlx::query(
            "UPDATE identities SET trust_policy = ?, description = ?, max_session_seconds = ? \
             WHERE account = ? AND id = ?",
        )
        .bind(&role.trust_policy)
        .bind(&role.description)
        .bind(i64::from(role.max_session_seconds))
        .bind(self.account.to_string())
        .bind(id)
        .execute(&mut *self.connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("changing a role"))
    }

    /// Sets or removes the permissions boundary.
    pub async fn set_boundary(
        &mut self,
        id: &str,
        policy_arn: Option<&str>,
    ) -> Result<(), CatalogError> {
        self.mark_changed();
        sqlx::query("UPDATE identities SET boundary_arn = ? WHERE account = ? AND id = ?")
            .bind(policy_arn)
            .bind(self.account.to_string())
            .bind(id)
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(CatalogError::while_("setting a permissions boundary"))
    }

    /// Deletes an identity that has no keys, memberships or policies left.
    pub async fn delete_identity(&mut self, identity: &Identity) -> Result<(), CatalogError> {
        let parts = [
            (
                "SELECT 1 FROM access_keys WHERE account = ? AND user_id = ?",
                "delete access keys",
            ),
            (
                "SELECT 1 FROM memberships WHERE account = ? AND user_id = ?",
                "remove user from all groups",
            ),
            (
                "SELECT 1 FROM memberships WHERE account = ? AND group_id = ?",
                "remove users from group",
            ),
            (
                "SELECT 1 FROM attachments WHERE account = ? AND identity_id = ?",
                "detach all policies",
            ),
            (
                "SELECT 1 FROM inline_policies WHERE account = ? AND identity_id = ?",
                "delete policies",
            ),
        ];
        for (query, remedy) in parts {
            let left: Option<i64> = sqlx::query_scalar(query)
                .bind(self.account.to_string())
                .bind(&identity.id)
                .fetch_optional(&mut *self.connection)
                .await
                .map_err(CatalogError::while_("looking for an identity's parts"))?;
            if left.is_some() {
                let message = format!("Cannot delete entity, must {remedy} first.");
                return Err(CatalogError::DeleteConflict(message));
            }
        }
        self.mark_changed();
        self.delete_all_tags(&identity.id).await?;
        sqlx::query("DELETE FROM identities WHERE account = ? AND id = ?")
            .bind(self.account.to_string())
            .bind(&identity.id)
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(CatalogError::while_("deleting an identity"))
    }
}

/// Names that differ in case only are the same name.
pub(crate) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn refuse_large_trust_policy(document: &str) -> Result<(), CatalogError> {
    if counted_size(document) > SIZE_TRUST_POLICY_MAX {
        let (quota, limit) = ("ACLSizePerRole", SIZE_TRUST_POLICY_MAX);
        return Err(CatalogError::LimitExceeded { quota, limit });
    }
    Ok(())
}

pub(crate) fn identity_of(row: &SqliteRow) -> Result<Identity, CatalogError> {
    let read = |error| CatalogError::while_("reading an identity")(error);
    let account: String = row.try_get("account").map_err(read)?;
    let kind: String = row.try_get("kind").map_err(read)?;
    let trust_policy: Option<String> = row.try_get("trust_policy").map_err(read)?;
    let seconds: Option<i64> = row.try_get("max_session_seconds").map_err(read)?;
    let description = row.try_get("description").map_err(read)?;
    let role = trust_policy.map(|trust_policy| RoleFacts {
        trust_policy,
        description,
        max_session_seconds: seconds.and_then(|s| u32::try_from(s).ok()).unwrap_or(3600),
    });
    Ok(Identity {
        account: account.parse().map_err(|_| CatalogError::Unreadable {
            what: "account",
            value: account,
        })?,
        id: row.try_get("id").map_err(read)?,
        kind: IdentityKind::from_stored(&kind)?,
        name: row.try_get("name").map_err(read)?,
        path: row.try_get("path").map_err(read)?,
        created_ms: row.try_get("created_ms").map_err(read)?,
        boundary_arn: row.try_get("boundary_arn").map_err(read)?,
        role,
    })
}
