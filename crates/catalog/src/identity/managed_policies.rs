//! Customer managed policies and their versions. AWS's own managed policies are part of the program,
//! so they have no rows; attachments name both by ARN.

use cairn_model::AccountId;
use cairn_platform::UnixMillis;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::CatalogError;
use crate::identity::identities::{COLUMNS as IDENTITY_COLUMNS, Identity, folded, identity_of};
use crate::identity::quotas::{
    POLICIES_MAX, POLICY_VERSIONS_MAX, SIZE_MANAGED_POLICY_MAX, counted_size,
};
use crate::identity::tags::Tag;
use crate::identity::view::{Edit, View};

/// A customer managed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedPolicy {
    /// Its unique ID, `ANPA…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its ARN, which never changes.
    pub arn: String,
    /// For people.
    pub description: Option<String>,
    /// When it was made.
    pub created_ms: UnixMillis,
    /// When it last got another default version.
    pub updated_ms: UnixMillis,
    /// The version in force.
    pub default_version: u32,
}

/// A customer managed policy to make.
#[derive(Clone, Debug)]
pub struct NewManagedPolicy {
    /// Its unique ID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// For people.
    pub description: Option<String>,
    /// Its first version.
    pub document: String,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// One version of a managed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its number, from 1; numbers are not used again.
    pub version: u32,
    /// The document.
    pub document: String,
    /// When it was made.
    pub created_ms: UnixMillis,
}

const COLUMNS: &str = "SELECT id, name, path, arn, description, created_ms, updated_ms, \
     default_version FROM managed_policies";

/// `arn:aws:iam::ACCOUNT:policy/PATH/NAME`.
fn arn_of(account: AccountId, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:policy{path}{name}")
}

impl View<'_> {
    /// The policy with that ARN, if the account has it.
    pub async fn find_managed_policy(
        &mut self,
        arn: &str,
    ) -> Result<Option<ManagedPolicy>, CatalogError> {
        let query = format!("{COLUMNS} WHERE account = ? AND arn = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .bind(arn)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading a managed policy"))?;
        row.as_ref().map(policy_of).transpose()
    }

    /// The policy with that ARN, or IAM's words for its absence.
    pub async fn managed_policy(&mut self, arn: &str) -> Result<ManagedPolicy, CatalogError> {
        self.find_managed_policy(arn)
            .await?
            .ok_or_else(|| CatalogError::NoSuchEntity(format!("Policy {arn} was not found.")))
    }

    /// The policies whose path begins with `path_prefix`, by name.
    pub async fn managed_policies(
        &mut self,
        path_prefix: &str,
    ) -> Result<Vec<ManagedPolicy>, CatalogError> {
        let query = format!(
            "{COLUMNS} WHERE account = ? AND substr(path, 1, length(?2)) = ?2 ORDER BY name_folded"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .bind(path_prefix)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("listing managed policies"))?;
        rows.iter().map(policy_of).collect()
    }

    /// The versions of a policy, newest first.
    pub async fn policy_versions(
        &mut self,
        policy_id: &str,
    ) -> Result<Vec<PolicyVersion>, CatalogError> {
        let rows = sqlx::query(
            "SELECT version, document, created_ms FROM policy_versions \
             WHERE account = ? AND policy_id = ? ORDER BY version DESC",
        )
        .bind(self.account.to_string())
        .bind(policy_id)
        .fetch_all(&mut *self.connection)
        .await
        .map_err(CatalogError::while_("reading policy versions"))?;
        rows.iter().map(version_of).collect()
    }

    /// One version of a policy, or IAM's words for its absence.
    pub async fn policy_version(
        &mut self,
        policy: &ManagedPolicy,
        version: u32,
    ) -> Result<PolicyVersion, CatalogError> {
        let versions = self.policy_versions(&policy.id).await?;
        versions
            .into_iter()
            .find(|held| held.version == version)
            .ok_or_else(|| {
                let arn = &policy.arn;
                let message =
                    format!("Policy {arn} version v{version} does not exist or is not attachable.");
                CatalogError::NoSuchEntity(message)
            })
    }

    /// The identities that a policy is attached to, by kind and name.
    pub async fn attached_to(&mut self, policy_arn: &str) -> Result<Vec<Identity>, CatalogError> {
        let query = format!(
            "{IDENTITY_COLUMNS} JOIN attachments a ON a.account = i.account AND a.identity_id = i.id \
             WHERE a.account = ? AND a.policy_arn = ? ORDER BY i.kind, i.name_folded"
        );
        self.holders(query, policy_arn).await
    }

    /// The identities that a policy bounds, by kind and name.
    pub async fn bounded_by(&mut self, policy_arn: &str) -> Result<Vec<Identity>, CatalogError> {
        let query = format!(
            "{IDENTITY_COLUMNS} WHERE i.account = ? AND i.boundary_arn = ? \
             ORDER BY i.kind, i.name_folded"
        );
        self.holders(query, policy_arn).await
    }

    async fn holders(&mut self, query: String, arn: &str) -> Result<Vec<Identity>, CatalogError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.account.to_string())
            .bind(arn)
            .fetch_all(&mut *self.connection)
            .await
            .map_err(CatalogError::while_("reading a policy's holders"))?;
        rows.iter().map(identity_of).collect()
    }
}

impl Edit<'_> {
    /// Makes a policy with its first version.
    pub async fn create_managed_policy(
        &mut self,
        new: NewManagedPolicy,
    ) -> Result<ManagedPolicy, CatalogError> {
        refuse_large(&new.document)?;
        let existing = self.managed_policies("/").await?;
        if existing
            .iter()
            .any(|held| folded(&held.name) == folded(&new.name))
        {
            let name = &new.name;
            return Err(CatalogError::EntityAlreadyExists(format!(
                "A policy called {name} already exists. Duplicate names are not allowed."
            )));
        }
        if existing.len() >= POLICIES_MAX {
            let (quota, limit) = ("PoliciesPerAccount", POLICIES_MAX);
            return Err(CatalogError::LimitExceeded { quota, limit });
        }
        let policy = ManagedPolicy {
            arn: arn_of(self.account, &new.path, &new.name),
            id: new.id,
            name: new.name,
            path: new.path,
            description: new.description,
            created_ms: self.now_ms,
            updated_ms: self.now_ms,
            default_version: 1,
        };
        self.insert_policy(&policy).await?;
        self.insert_version(&policy.id, 1, &new.document).await?;
        self.put_tags(&policy.id, &new.tags).await?;
        Ok(policy)
    }

    async fn insert_policy(&mut self, policy: &ManagedPolicy) -> Result<(), CatalogError> {
        self.mark_changed();
        sqlx::query(
            "INSERT INTO managed_policies (account, id, name, name_folded, path, arn, description, \
             created_ms, updated_ms, default_version, last_version) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1)",
        )
        .bind(self.account.to_string())
        .bind(&policy.id)
        .bind(&policy.name)
        .bind(folded(&policy.name))
        .bind(&policy.path)
        .bind(&policy.arn)
        .bind(&policy.description)
        .bind(policy.created_ms)
        .bind(policy.updated_ms)
        .execute(&mut *self.connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("making a managed policy"))
    }

    async fn insert_version(
        &mut self,
        policy_id: &str,
        version: u32,
        document: &str,
    ) -> Result<(), CatalogError> {
        self.mark_changed();
        sqlx::query(
            "INSERT INTO policy_versions (account, policy_id, version, document, created_ms) \
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(self.account.to_string())
        .bind(policy_id)
        .bind(i64::from(version))
        .bind(document)
        .bind(self.now_ms)
        .execute(&mut *self.connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("making a policy version"))
    }

    /// Adds a version; a policy has at most five.
    pub async fn create_policy_version(
        &mut self,
        policy: &ManagedPolicy,
        document: &str,
    ) -> Result<PolicyVersion, CatalogError> {
        refuse_large(document)?;
        if self.policy_versions(&policy.id).await?.len() >= POLICY_VERSIONS_MAX {
            let (quota, limit) = ("VersionsPerPolicy", POLICY_VERSIONS_MAX);
            return Err(CatalogError::LimitExceeded { quota, limit });
        }
        let last: i64 = sqlx::query_scalar(
            "UPDATE managed_policies SET last_version = last_version + 1 \
             WHERE account = ? AND id = ? RETURNING last_version",
        )
        .bind(self.account.to_string())
        .bind(&policy.id)
        .fetch_one(&mut *self.connection)
        .await
        .map_err(CatalogError::while_("numbering a policy version"))?;
        let version = number(last)?;
        self.insert_version(&policy.id, version, document).await?;
        Ok(PolicyVersion {
            version,
            document: document.to_owned(),
            created_ms: self.now_ms,
        })
    }

    /// Puts a version in force.
    pub async fn set_default_version(
        &mut self,
        policy: &ManagedPolicy,
        version: u32,
    ) -> Result<(), CatalogError> {
        self.policy_version(policy, version).await?;
        self.mark_changed();
        sqlx::query(
            "UPDATE managed_policies SET default_version = ?, updated_ms = ? \
             WHERE account = ? AND id = ?",
        )
        .bind(i64::from(version))
        .bind(self.now_ms)
        .bind(self.account.to_string())
        .bind(&policy.id)
        .execute(&mut *self.connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("setting a default version"))
    }

    /// Deletes a version that is not in force.
    pub async fn delete_policy_version(
        &mut self,
        policy: &ManagedPolicy,
        version: u32,
    ) -> Result<(), CatalogError> {
        if version == policy.default_version {
            return Err(CatalogError::DeleteConflict(
                "Cannot delete the default version of a policy.".to_owned(),
            ));
        }
        self.policy_version(policy, version).await?;
        self.mark_changed();
        sqlx::query(
            "DELETE FROM policy_versions WHERE account = ? AND policy_id = ? AND version = ?",
        )
        .bind(self.account.to_string())
        .bind(&policy.id)
        .bind(i64::from(version))
        .execute(&mut *self.connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("deleting a policy version"))
    }

    /// Deletes a policy that nothing holds and that has only its default version.
    pub async fn delete_managed_policy(
        &mut self,
        policy: &ManagedPolicy,
    ) -> Result<(), CatalogError> {
        let held = !self.attached_to(&policy.arn).await?.is_empty()
            || !self.bounded_by(&policy.arn).await?.is_empty();
        if held {
            return Err(CatalogError::DeleteConflict(
                "Cannot delete a policy attached to entities.".to_owned(),
            ));
        }
        if self.policy_versions(&policy.id).await?.len() > 1 {
            return Err(CatalogError::DeleteConflict(
                "This policy has more than one version. Before you delete a policy, you must \
                 delete the policy's versions. The default version is deleted with the policy."
                    .to_owned(),
            ));
        }
        self.mark_changed();
        self.delete_all_tags(&policy.id).await?;
        for statement in [
            "DELETE FROM policy_versions WHERE account = ? AND policy_id = ?",
            "DELETE FROM managed_policies WHERE account = ? AND id = ?",
        ] {
            sqlx::query(statement)
                .bind(self.account.to_string())
                .bind(&policy.id)
                .execute(&mut *self.connection)
                .await
                .map_err(CatalogError::while_("deleting a managed policy"))?;
        }
        Ok(())
    }
}

fn refuse_large(document: &str) -> Result<(), CatalogError> {
    if counted_size(document) > SIZE_MANAGED_POLICY_MAX {
        let (quota, limit) = ("PolicySize", SIZE_MANAGED_POLICY_MAX);
        return Err(CatalogError::LimitExceeded { quota, limit });
    }
    Ok(())
}

fn number(stored: i64) -> Result<u32, CatalogError> {
    u32::try_from(stored).map_err(|_| CatalogError::Unreadable {
        what: "policy version",
        value: stored.to_string(),
    })
}

fn policy_of(row: &SqliteRow) -> Result<ManagedPolicy, CatalogError> {
    let read = |error| CatalogError::while_("reading a managed policy")(error);
    Ok(ManagedPolicy {
        id: row.try_get("id").map_err(read)?,
        name: row.try_get("name").map_err(read)?,
        path: row.try_get("path").map_err(read)?,
        arn: row.try_get("arn").map_err(read)?,
        description: row.try_get("description").map_err(read)?,
        created_ms: row.try_get("created_ms").map_err(read)?,
        updated_ms: row.try_get("updated_ms").map_err(read)?,
        default_version: number(row.try_get("default_version").map_err(read)?)?,
    })
}

fn version_of(row: &SqliteRow) -> Result<PolicyVersion, CatalogError> {
    let read = |error| CatalogError::while_("reading a policy version")(error);
    Ok(PolicyVersion {
        version: number(row.try_get("version").map_err(read)?)?,
        document: row.try_get("document").map_err(read)?,
        created_ms: row.try_get("created_ms").map_err(read)?,
    })
}
