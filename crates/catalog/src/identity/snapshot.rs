//! What a request's credentials lead to: whose key it is, and everything that decides what its holder
//! may do, read at one consistent point.

use cairn_model::AccountId;
use cairn_platform::UnixMillis;
use sqlx::Row;

use crate::error::CatalogError;
use crate::identity::accounts::Account;
use crate::identity::identities::Identity;
use crate::identity::tags::Tag;
use crate::identity::view::View;
use crate::transaction::ReadTransaction;

/// A long-term access key, ready for verifying a signature.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialRecord {
    /// The key's ID.
    pub key_id: String,
    /// The account that it belongs to.
    pub account: Account,
    /// Its user; none for the account's root user.
    pub user: Option<Identity>,
    /// Its secret, sealed with the master key under `secret_context`.
    pub secret_sealed: Vec<u8>,
    /// Whether it may sign.
    pub active: bool,
    /// When it was made.
    pub created_ms: UnixMillis,
}

impl CredentialRecord {
    /// The context under which a key's secret is sealed.
    pub fn secret_context(account: AccountId, key_id: &str) -> String {
        format!("access-key:{account}:{key_id}")
    }
}

impl std::fmt::Debug for CredentialRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialRecord")
            .field("key_id", &self.key_id)
            .field("account", &self.account.account)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

/// Everything that decides what a user or role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySnapshot {
    /// The account that it belongs to.
    pub account: Account,
    /// The user or role.
    pub identity: Identity,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its policies and, for a user, those of its groups.
    pub policies: Vec<SnapshotPolicy>,
    /// Its permissions boundary.
    pub boundary: Option<SnapshotPolicy>,
}

/// A policy of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotPolicy {
    /// A document that the catalog holds: inline, or a customer managed policy's default version.
    Document {
        /// The policy's name or ARN.
        name: String,
        /// The document.
        document: String,
    },
    /// One of AWS's own managed policies, by ARN.
    AwsManaged {
        /// Its ARN.
        arn: String,
    },
}

impl ReadTransaction {
    /// The key with that ID, in whatever account.
    pub(crate) async fn credential(
        &mut self,
        key_id: &str,
    ) -> Result<Option<CredentialRecord>, CatalogError> {
        let during = "resolving an access key";
        let row = sqlx::query(
            "SELECT account, user_id, secret_sealed, active, created_ms FROM access_keys \
             WHERE key_id = ?",
        )
        .bind(key_id)
        .fetch_optional(self.connection())
        .await
        .map_err(CatalogError::while_(during))?;
        let Some(row) = row else { return Ok(None) };
        let number: String = row.try_get(0).map_err(CatalogError::while_(during))?;
        let account: AccountId = number.parse().map_err(|_| CatalogError::Unreadable {
            what: "account",
            value: number,
        })?;
        let user_id: Option<String> = row.try_get(1).map_err(CatalogError::while_(during))?;
        let mut view = self.identities(account);
        let Some(facts) = view.account_facts().await? else {
            return Ok(None);
        };
        let user = match user_id {
            None => None,
            Some(id) => match view.identity_by_id(&id).await? {
                Some(user) => Some(user),
                // A key whose user is gone is nobody's, never root's.
                None => return Ok(None),
            },
        };
        Ok(Some(CredentialRecord {
            key_id: key_id.to_owned(),
            account: facts,
            user,
            secret_sealed: row.try_get(2).map_err(CatalogError::while_(during))?,
            active: row.try_get(3).map_err(CatalogError::while_(during))?,
            created_ms: row.try_get(4).map_err(CatalogError::while_(during))?,
        }))
    }
}

impl View<'_> {
    /// Everything that decides what a user or role may do; none if there is no such identity.
    pub async fn snapshot(
        &mut self,
        identity_id: &str,
    ) -> Result<Option<IdentitySnapshot>, CatalogError> {
        let Some(identity) = self.identity_by_id(identity_id).await? else {
            return Ok(None);
        };
        let Some(account) = self.account_facts().await? else {
            return Ok(None);
        };
        let mut policies = self.policies_held_by(identity_id).await?;
        for group in self.groups_of(identity_id).await? {
            policies.extend(self.policies_held_by(&group.id).await?);
        }
        let boundary = match &identity.boundary_arn {
            None => None,
            Some(arn) => Some(self.document_of(arn.clone()).await?),
        };
        let tags = self.tags(identity_id).await?;
        Ok(Some(IdentitySnapshot {
            account,
            identity,
            tags,
            policies,
            boundary,
        }))
    }

    async fn policies_held_by(&mut self, id: &str) -> Result<Vec<SnapshotPolicy>, CatalogError> {
        let inline = self.inline_policies(id).await?;
        let mut policies: Vec<_> = inline
            .into_iter()
            .map(|(name, document)| SnapshotPolicy::Document { name, document })
            .collect();
        for arn in self.attached_policies(id).await? {
            policies.push(self.document_of(arn).await?);
        }
        Ok(policies)
    }

    /// The default version of a customer managed policy. An ARN that is not in the account is taken
    /// for one of AWS's, whose absence the reader must treat as a policy that allows nothing.
    async fn document_of(&mut self, arn: String) -> Result<SnapshotPolicy, CatalogError> {
        let Some(policy) = self.find_managed_policy(&arn).await? else {
            return Ok(SnapshotPolicy::AwsManaged { arn });
        };
        let version = self.policy_version(&policy, policy.default_version).await?;
        Ok(SnapshotPolicy::Document {
            name: arn,
            document: version.document,
        })
    }
}
