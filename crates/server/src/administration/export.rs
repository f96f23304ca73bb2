//! From the catalog to the declarative form.

use std::collections::BTreeMap;

use cairn_catalog::CatalogError;
use cairn_catalog::identity::{Account, Identity, IdentityKind, Tag, View};

use super::document::{AccountEntry, IdentityEntry, PolicyEntry};

/// Everything that an account holds, in a stable order.
pub(super) async fn account_entry(
    view: &mut View<'_>,
    account: &Account,
) -> Result<AccountEntry, CatalogError> {
    Ok(AccountEntry {
        id: account.account,
        name: Some(account.name.clone()),
        alias: account.alias.clone(),
        policies: policies(view).await?,
        groups: of_kind(view, IdentityKind::Group).await?,
        roles: of_kind(view, IdentityKind::Role).await?,
        users: of_kind(view, IdentityKind::User).await?,
    })
}

async fn policies(view: &mut View<'_>) -> Result<Vec<PolicyEntry>, CatalogError> {
    let mut entries = Vec::new();
    for policy in view.managed_policies("/").await? {
        let version = view.policy_version(&policy, policy.default_version).await?;
        entries.push(PolicyEntry {
            tags: tag_map(view.tags(&policy.id).await?),
            name: policy.name,
            path: policy.path,
            description: policy.description,
            document: version.document,
        });
    }
    Ok(entries)
}

async fn of_kind(
    view: &mut View<'_>,
    kind: IdentityKind,
) -> Result<Vec<IdentityEntry>, CatalogError> {
    let mut entries = Vec::new();
    for identity in view.identities_of_kind(kind, "/").await? {
        entries.push(entry(view, identity).await?);
    }
    Ok(entries)
}

async fn entry(view: &mut View<'_>, identity: Identity) -> Result<IdentityEntry, CatalogError> {
    let groups = match identity.kind {
        IdentityKind::User => view.groups_of(&identity.id).await?,
        IdentityKind::Group | IdentityKind::Role => Vec::new(),
    };
    let role = identity.role.clone();
    Ok(IdentityEntry {
        description: role.as_ref().and_then(|role| role.description.clone()),
        max_session_seconds: role.as_ref().map(|role| role.max_session_seconds),
        trust_policy: role.map(|role| role.trust_policy),
        boundary: identity.boundary_arn.clone(),
        groups: groups.into_iter().map(|group| group.name).collect(),
        policies: view.attached_policies(&identity.id).await?,
        inline: view
            .inline_policies(&identity.id)
            .await?
            .into_iter()
            .collect(),
        tags: tag_map(view.tags(&identity.id).await?),
        name: identity.name,
        path: identity.path,
    })
}

fn tag_map(tags: Vec<Tag>) -> BTreeMap<String, String> {
    tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
}
