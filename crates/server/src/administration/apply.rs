//! Making planned changes, all inside one transaction: the file is applied whole or not at all.

use cairn_access::policy::managed_by_arn;
use cairn_catalog::identity::{
    Edit, IdPrefix, Identity, IdentityKind, ManagedPolicy, NewAccount, NewIdentity,
    NewManagedPolicy, POLICY_VERSIONS_MAX, RoleFacts, Tag, new_unique_id,
};
use cairn_catalog::{CatalogError, WriteTransaction};
use cairn_platform::Entropy;

use super::document::{IdentityEntry, PolicyEntry};
use super::plan::{Change, PlannedChange};
use crate::query_protocol::{QueryError, QueryErrorCode};

const SESSION_SECONDS: u32 = 3_600;

/// Makes one change.
pub(super) async fn apply(
    transaction: &mut WriteTransaction,
    planned: &PlannedChange,
    entropy: &dyn Entropy,
) -> Result<(), QueryError> {
    if let Change::CreateAccount { name } = &planned.change {
        let new = NewAccount {
            account: planned.account,
            name: name.clone(),
        };
        return transaction
            .create_account(new)
            .await
            .map_err(QueryError::from_catalog);
    }
    let mut edit = transaction.identities(planned.account);
    let done = match &planned.change {
        Change::CreatePolicy(policy) => create_policy(&mut edit, policy, entropy).await,
        Change::ReplacePolicy(policy) => return replace_policy(&mut edit, policy).await,
        Change::CreateIdentity(kind, entry) => {
            create_identity(&mut edit, *kind, entry, entropy).await
        }
        Change::UpdateIdentity(kind, entry) => {
            return update_identity(&mut edit, *kind, entry).await;
        }
        Change::Attach { arn, .. } | Change::SetBoundary(_, _, Some(arn)) => {
            check_policy(&mut edit, arn).await?;
            make(&mut edit, &planned.change).await
        }
        change => make(&mut edit, change).await,
    };
    done.map_err(|error| {
        let mut error = QueryError::from_catalog(error);
        error.message = format!("{planned}: {}", error.message);
        error
    })
}

async fn make(edit: &mut Edit<'_>, change: &Change) -> Result<(), CatalogError> {
    match change {
        Change::SetAlias { alias } => edit.set_alias(alias).await,
        Change::TagPolicy { name, path, tags } => {
            let policy = own_policy(edit, path, name).await?;
            let held = edit.tags(&policy.id).await?;
            let keys: Vec<String> = held.into_iter().map(|tag| tag.key).collect();
            edit.delete_tags(&policy.id, &keys).await?;
            edit.put_tags(&policy.id, &tag_list(tags)).await
        }
        Change::SetBoundary(kind, name, arn) => {
            let held = edit.identity(*kind, name).await?;
            edit.set_boundary(&held.id, arn.as_deref()).await
        }
        Change::PutInline {
            kind,
            of,
            name,
            document,
        } => {
            let held = edit.identity(*kind, of).await?;
            edit.put_inline_policy(&held, name, document).await
        }
        Change::DeleteInline { kind, of, name } => {
            let held = edit.identity(*kind, of).await?;
            edit.delete_inline_policy(&held, name).await
        }
        Change::Attach { kind, to, arn } => {
            let held = edit.identity(*kind, to).await?;
            edit.attach_policy(&held, arn).await
        }
        Change::Detach { kind, from, arn } => {
            let held = edit.identity(*kind, from).await?;
            edit.detach_policy(&held, arn).await
        }
        Change::AddMember { group, user } => {
            let (group, user) = member(edit, group, user).await?;
            edit.add_member(&group, &user).await
        }
        Change::RemoveMember { group, user } => {
            let (group, user) = member(edit, group, user).await?;
            edit.remove_member(&group, &user).await
        }
        Change::Tag {
            kind,
            of,
            key,
            value,
        } => {
            let held = edit.identity(*kind, of).await?;
            let tag = Tag {
                key: key.clone(),
                value: value.clone(),
            };
            edit.put_tags(&held.id, &[tag]).await
        }
        Change::Untag { kind, of, key } => {
            let held = edit.identity(*kind, of).await?;
            edit.delete_tags(&held.id, std::slice::from_ref(key)).await
        }
        Change::CreateAccount { .. }
        | Change::CreatePolicy(_)
        | Change::ReplacePolicy(_)
        | Change::CreateIdentity(..)
        | Change::UpdateIdentity(..) => Ok(()),
    }
}

async fn member(
    edit: &mut Edit<'_>,
    group: &str,
    user: &str,
) -> Result<(Identity, Identity), CatalogError> {
    let group = edit.identity(IdentityKind::Group, group).await?;
    Ok((group, edit.identity(IdentityKind::User, user).await?))
}

fn tag_list(tags: &std::collections::BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
}

async fn own_policy(
    edit: &mut Edit<'_>,
    path: &str,
    name: &str,
) -> Result<ManagedPolicy, CatalogError> {
    let arn = format!("arn:aws:iam::{}:policy{path}{name}", edit.account());
    edit.managed_policy(&arn).await
}

/// Service policies are not for attaching, and AWS's policies are known here, not in the catalog.
async fn check_policy(edit: &mut Edit<'_>, arn: &str) -> Result<(), QueryError> {
    let known = if let Some(policy) = managed_by_arn(arn) {
        policy.attachable
    } else {
        let found = edit.find_managed_policy(arn).await;
        found.map_err(QueryError::from_catalog)?.is_some()
    };
    if known {
        return Ok(());
    }
    let message = format!("Policy {arn} does not exist or is not attachable.");
    Err(QueryError::new(QueryErrorCode::NoSuchEntity, message))
}

async fn create_policy(
    edit: &mut Edit<'_>,
    policy: &PolicyEntry,
    entropy: &dyn Entropy,
) -> Result<(), CatalogError> {
    let new = NewManagedPolicy {
        id: new_unique_id(IdPrefix::ManagedPolicy, entropy),
        name: policy.name.clone(),
        path: policy.path.clone(),
        description: policy.description.clone(),
        document: policy.document.clone(),
        tags: tag_list(&policy.tags),
    };
    edit.create_managed_policy(new).await.map(drop)
}

/// A new version in force; the oldest goes if there are five.
async fn replace_policy(edit: &mut Edit<'_>, wanted: &PolicyEntry) -> Result<(), QueryError> {
    let name = &wanted.name;
    let policies = edit
        .managed_policies("/")
        .await
        .map_err(QueryError::from_catalog)?;
    let held = policies.into_iter().find(|held| held.name == *name);
    let held =
        held.filter(|held| (&held.path, &held.description) == (&wanted.path, &wanted.description));
    let Some(held) = held else {
        let message = format!("policy {name}: path and description of a policy cannot change");
        return Err(QueryError::new(QueryErrorCode::InvalidInput, message));
    };
    let versions = edit
        .policy_versions(&held.id)
        .await
        .map_err(QueryError::from_catalog)?;
    if versions.len() >= POLICY_VERSIONS_MAX {
        let oldest = versions
            .iter()
            .rev()
            .find(|v| v.version != held.default_version);
        if let Some(oldest) = oldest {
            edit.delete_policy_version(&held, oldest.version)
                .await
                .map_err(QueryError::from_catalog)?;
        }
    }
    let version = edit
        .create_policy_version(&held, &wanted.document)
        .await
        .map_err(QueryError::from_catalog)?;
    edit.set_default_version(&held, version.version)
        .await
        .map_err(QueryError::from_catalog)
}

async fn create_identity(
    edit: &mut Edit<'_>,
    kind: IdentityKind,
    entry: &IdentityEntry,
    entropy: &dyn Entropy,
) -> Result<(), CatalogError> {
    let prefix = match kind {
        IdentityKind::User => IdPrefix::User,
        IdentityKind::Group => IdPrefix::Group,
        IdentityKind::Role => IdPrefix::Role,
    };
    let new = NewIdentity {
        id: new_unique_id(prefix, entropy),
        kind,
        name: entry.name.clone(),
        path: entry.path.clone(),
        boundary_arn: None,
        role: role_facts(entry),
        tags: Vec::new(),
    };
    edit.create_identity(new).await.map(drop)
}

async fn update_identity(
    edit: &mut Edit<'_>,
    kind: IdentityKind,
    entry: &IdentityEntry,
) -> Result<(), QueryError> {
    let held = edit
        .identity(kind, &entry.name)
        .await
        .map_err(QueryError::from_catalog)?;
    if held.path != entry.path {
        if kind == IdentityKind::Role {
            let message = format!("role {}: the path of a role cannot change", entry.name);
            return Err(QueryError::new(QueryErrorCode::InvalidInput, message));
        }
        edit.rename_identity(&held, &entry.name, &entry.path)
            .await
            .map_err(QueryError::from_catalog)?;
    }
    match role_facts(entry) {
        Some(facts) => edit
            .update_role(&held.id, &facts)
            .await
            .map_err(QueryError::from_catalog),
        None => Ok(()),
    }
}

fn role_facts(entry: &IdentityEntry) -> Option<RoleFacts> {
    entry.trust_policy.clone().map(|trust_policy| RoleFacts {
        trust_policy,
        description: entry.description.clone(),
        max_session_seconds: entry.max_session_seconds.unwrap_or(SESSION_SECONDS),
    })
}
