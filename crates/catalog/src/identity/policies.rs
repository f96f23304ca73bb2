//! What an identity is permitted by: inline policies and attached managed policies.

use sqlx::Row;

use crate::error::CatalogError;
use crate::identity::identities::{Identity, IdentityKind, folded};
use crate::identity::quotas::{
    ATTACHED_POLICIES_MAX, SIZE_GROUP_POLICIES_MAX, SIZE_ROLE_POLICIES_MAX, SIZE_USER_POLICIES_MAX,
    counted_size,
};
use crate::identity::view::{Edit, View};

/// What the ARNs of AWS's own managed policies begin with.
const AWS_MANAGED: &str = "arn:aws:iam::aws:policy/";

impl View<'_> {
    /// The inline policies of an identity, name and document, by name.
    pub async fn inline_policies(
        &mut self,
        identity_id: &str,
    ) -> Result<Vec<(String, String)>, CatalogError> {
        let during = "reading inline policies";
        let rows = sqlx::query(
            "SELECT name, document FROM inline_policies WHERE account = ? AND identity_id = ? \
             ORDER BY name_folded",
        )
        .bind(self.account.to_string())
        .bind(identity_id)
        .fetch_all(&mut *self.connection)
        .await
        .map_err(CatalogError::while_(during))?;
        rows.iter()
            .map(|row| {
                let name = row.try_get(0).map_err(CatalogError::while_(during))?;
                Ok((name, row.try_get(1).map_err(CatalogError::while_(during))?))
            })
            .collect()
    }

    /// One inline policy's document, or IAM's words for its absence.
    pub async fn inline_policy(
        &mut self,
        identity: &Identity,
        name: &str,
    ) -> Result<String, CatalogError> {
        let found = self.inline_policies(&identity.id).await?;
        let held = found.into_iter().find(|(held, _)| held == name);
        held.map(|(_, document)| document).ok_or_else(|| {
            let kind = identity.kind.as_str();
            let message = format!("The {kind} policy with name {name} cannot be found.");
            CatalogError::NoSuchEntity(message)
        })
    }

    /// The ARNs of the managed policies attached to an identity.
    pub async fn attached_policies(
        &mut self,
        identity_id: &str,
    ) -> Result<Vec<String>, CatalogError> {
        sqlx::query_scalar(
            "SELECT policy_arn FROM attachments WHERE account = ? AND identity_id = ? \
             ORDER BY policy_arn",
        )
        .bind(self.account.to_string())
        .bind(identity_id)
        .fetch_all(&mut *self.connection)
        .await
        .map_err(CatalogError::while_("reading attached policies"))
    }
}

impl Edit<'_> {
    /// Stores an inline policy, in place of one with the same name.
    pub async fn put_inline_policy(
        &mut self,
        identity: &Identity,
        name: &str,
        document: &str,
    ) -> Result<(), CatalogError> {
        self.mark_changed();
        sqlx::query(
            "INSERT INTO inline_policies (account, identity_id, name, name_folded, document) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account, identity_id, name_folded) \
             DO UPDATE SET name = ?3, document = ?5",
        )
        .bind(self.account.to_string())
        .bind(&identity.id)
        .bind(name)
        .bind(folded(name))
        .bind(document)
        .execute(&mut *self.connection)
        .await
        .map_err(CatalogError::while_("storing an inline policy"))?;
        let policies = self.inline_policies(&identity.id).await?;
        let size: usize = policies
            .iter()
            .map(|(_, document)| counted_size(document))
            .sum();
        let (quota, limit) = match identity.kind {
            IdentityKind::User => ("UserPolicySize", SIZE_USER_POLICIES_MAX),
            IdentityKind::Group => ("GroupPolicySize", SIZE_GROUP_POLICIES_MAX),
            IdentityKind::Role => ("RolePolicySize", SIZE_ROLE_POLICIES_MAX),
        };
        if size > limit {
            return Err(CatalogError::LimitExceeded { quota, limit });
        }
        Ok(())
    }

    /// Deletes an inline policy.
    pub async fn delete_inline_policy(
        &mut self,
        identity: &Identity,
        name: &str,
    ) -> Result<(), CatalogError> {
        self.inline_policy(identity, name).await?;
        self.mark_changed();
        sqlx::query(
            "DELETE FROM inline_policies WHERE account = ? AND identity_id = ? AND name_folded = ?",
        )
        .bind(self.account.to_string())
        .bind(&identity.id)
        .bind(folded(name))
        .execute(&mut *self.connection)
        .await
        .map(drop)
        .map_err(CatalogError::while_("deleting an inline policy"))
    }

    /// Attaches a managed policy; again is no error. Callers must know that an ARN of AWS's own exists.
    pub async fn attach_policy(
        &mut self,
        identity: &Identity,
        policy_arn: &str,
    ) -> Result<(), CatalogError> {
        if !policy_arn.starts_with(AWS_MANAGED)
            && self.find_managed_policy(policy_arn).await?.is_none()
        {
            return Err(CatalogError::NoSuchEntity(format!(
                "Policy {policy_arn} does not exist or is not attachable."
            )));
        }
        let attached = self.attached_policies(&identity.id).await?;
        if attached.iter().any(|held| held == policy_arn) {
            return Ok(());
        }
        if attached.len() >= ATTACHED_POLICIES_MAX {
            let quota = match identity.kind {
                IdentityKind::User => "PoliciesPerUser",
                IdentityKind::Group => "PoliciesPerGroup",
                IdentityKind::Role => "PoliciesPerRole",
            };
            return Err(CatalogError::LimitExceeded {
                quota,
                limit: ATTACHED_POLICIES_MAX,
            });
        }
        self.mark_changed();
        sqlx::query("INSERT INTO attachments (account, identity_id, policy_arn) VALUES (?, ?, ?)")
            .bind(self.account.to_string())
            .bind(&identity.id)
            .bind(policy_arn)
            .execute(&mut *self.connection)
            .await
            .map(drop)
            .map_err(CatalogError::while_("attaching a policy"))
    }

    /// Detaches a managed policy.
    pub async fn detach_policy(
        &mut self,
        identity: &Identity,
        policy_arn: &str,
    ) -> Result<(), CatalogError> {
        self.mark_changed();
        let done = sqlx::query(
            "DELETE FROM attachments WHERE account = ? AND identity_id = ? AND policy_arn = ?",
        )
        .bind(self.account.to_string())
        .bind(&identity.id)
        .bind(policy_arn)
        .execute(&mut *self.connection)
        .await
        .map_err(CatalogError::while_("detaching a policy"))?;
        if done.rows_affected() == 0 {
            let message = format!("Policy {policy_arn} was not found.");
            return Err(CatalogError::NoSuchEntity(message));
        }
        Ok(())
    }
}
