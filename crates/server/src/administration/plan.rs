//! From what is and what is wanted to the list of changes: a pure comparison. Applying it to what it
//! leads to gives an empty list.

use std::collections::BTreeMap;
use std::fmt;

use cairn_catalog::identity::IdentityKind;
use cairn_model::AccountId;

use super::document::{AccountEntry, IdentityEntry, PolicyEntry};

/// One change, in one account.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    CreateAccount {
        name: String,
    },
    SetAlias {
        alias: String,
    },
    CreatePolicy(PolicyEntry),
    ReplacePolicy(PolicyEntry),
    TagPolicy {
        name: String,
        path: String,
        tags: BTreeMap<String, String>,
    },
    CreateIdentity(IdentityKind, IdentityEntry),
    UpdateIdentity(IdentityKind, IdentityEntry),
    SetBoundary(IdentityKind, String, Option<String>),
    PutInline {
        kind: IdentityKind,
        of: String,
        name: String,
        document: String,
    },
    DeleteInline {
        kind: IdentityKind,
        of: String,
        name: String,
    },
    Attach {
        kind: IdentityKind,
        to: String,
        arn: String,
    },
    Detach {
        kind: IdentityKind,
        from: String,
        arn: String,
    },
    AddMember {
        group: String,
        user: String,
    },
    RemoveMember {
        group: String,
        user: String,
    },
    Tag {
        kind: IdentityKind,
        of: String,
        key: String,
        value: String,
    },
    Untag {
        kind: IdentityKind,
        of: String,
        key: String,
    },
}

/// A change with its account.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlannedChange {
    pub(super) account: AccountId,
    pub(super) change: Change,
}

/// The changes that lead from `current` to `wanted`, in an order in which each can be made. What
/// `wanted` does not name stays as it is.
pub(super) fn plan(current: Option<&AccountEntry>, wanted: &AccountEntry) -> Vec<PlannedChange> {
    let mut changes = Vec::new();
    if current.is_none() {
        let name = wanted.name.clone().unwrap_or_else(|| wanted.id.to_string());
        changes.push(Change::CreateAccount { name });
    }
    if let Some(alias) = &wanted.alias
        && current.is_none_or(|current| current.alias.as_ref() != Some(alias))
    {
        changes.push(Change::SetAlias {
            alias: alias.clone(),
        });
    }
    for policy in &wanted.policies {
        let held = current.and_then(|c| c.policies.iter().find(|held| held.name == policy.name));
        plan_policy(held, policy, &mut changes);
    }
    let kinds = [IdentityKind::Group, IdentityKind::Role, IdentityKind::User];
    for kind in kinds {
        for entry in wanted.of_kind(kind) {
            let held = current.and_then(|current| {
                current
                    .of_kind(kind)
                    .iter()
                    .find(|held| held.name == entry.name)
            });
            plan_identity(kind, held, entry, &mut changes);
        }
    }
    let account = wanted.id;
    changes
        .into_iter()
        .map(|change| PlannedChange { account, change })
        .collect()
}

fn plan_policy(held: Option<&PolicyEntry>, wanted: &PolicyEntry, changes: &mut Vec<Change>) {
    let Some(held) = held else {
        changes.push(Change::CreatePolicy(wanted.clone()));
        return;
    };
    let fixed = (&held.path, &held.description) == (&wanted.path, &wanted.description);
    if held.document != wanted.document || !fixed {
        changes.push(Change::ReplacePolicy(wanted.clone()));
    }
    if held.tags != wanted.tags {
        let (name, path) = (wanted.name.clone(), wanted.path.clone());
        changes.push(Change::TagPolicy {
            name,
            path,
            tags: wanted.tags.clone(),
        });
    }
}

fn plan_identity(
    kind: IdentityKind,
    held: Option<&IdentityEntry>,
    wanted: &IdentityEntry,
    changes: &mut Vec<Change>,
) {
    let nothing = IdentityEntry {
        name: wanted.name.clone(),
        path: wanted.path.clone(),
        description: None,
        max_session_seconds: None,
        trust_policy: None,
        boundary: None,
        groups: Vec::new(),
        policies: Vec::new(),
        inline: BTreeMap::new(),
        tags: BTreeMap::new(),
    };
    match held {
        None => changes.push(Change::CreateIdentity(kind, wanted.clone())),
        Some(held) if own_facts(held) != own_facts(wanted) => {
            changes.push(Change::UpdateIdentity(kind, wanted.clone()));
        }
        Some(_) => {}
    }
    let held = held.unwrap_or(&nothing);
    plan_own_policies(kind, held, wanted, changes);
    plan_links(kind, held, wanted, changes);
}

/// The boundary and inline policies.
fn plan_own_policies(
    kind: IdentityKind,
    held: &IdentityEntry,
    wanted: &IdentityEntry,
    changes: &mut Vec<Change>,
) {
    let of = || wanted.name.clone();
    if held.boundary != wanted.boundary {
        changes.push(Change::SetBoundary(kind, of(), wanted.boundary.clone()));
    }
    for (name, document) in &wanted.inline {
        if held.inline.get(name) != Some(document) {
            let (name, document) = (name.clone(), document.clone());
            changes.push(Change::PutInline {
                kind,
                of: of(),
                name,
                document,
            });
        }
    }
    for name in held
        .inline
        .keys()
        .filter(|name| !wanted.inline.contains_key(*name))
    {
        changes.push(Change::DeleteInline {
            kind,
            of: of(),
            name: name.clone(),
        });
    }
}

/// Attached policies, groups and tags.
fn plan_links(
    kind: IdentityKind,
    held: &IdentityEntry,
    wanted: &IdentityEntry,
    changes: &mut Vec<Change>,
) {
    let of = || wanted.name.clone();
    for arn in missing(&wanted.policies, &held.policies) {
        changes.push(Change::Attach {
            kind,
            to: of(),
            arn,
        });
    }
    for arn in missing(&held.policies, &wanted.policies) {
        changes.push(Change::Detach {
            kind,
            from: of(),
            arn,
        });
    }
    for group in missing(&wanted.groups, &held.groups) {
        changes.push(Change::AddMember { group, user: of() });
    }
    for group in missing(&held.groups, &wanted.groups) {
        changes.push(Change::RemoveMember { group, user: of() });
    }
    for (key, value) in &wanted.tags {
        if held.tags.get(key) != Some(value) {
            let (key, value) = (key.clone(), value.clone());
            changes.push(Change::Tag {
                kind,
                of: of(),
                key,
                value,
            });
        }
    }
    for key in held
        .tags
        .keys()
        .filter(|key| !wanted.tags.contains_key(*key))
    {
        changes.push(Change::Untag {
            kind,
            of: of(),
            key: key.clone(),
        });
    }
}

/// What is written in the identity's own row. A session length that is not said is the default.
fn own_facts(entry: &IdentityEntry) -> (&str, Option<&str>, u32, Option<&str>) {
    let seconds = entry.max_session_seconds.unwrap_or(3_600);
    (
        &entry.path,
        entry.description.as_deref(),
        seconds,
        entry.trust_policy.as_deref(),
    )
}

fn missing(from: &[String], in_: &[String]) -> Vec<String> {
    from.iter()
        .filter(|text| !in_.contains(text))
        .cloned()
        .collect()
}

impl fmt::Display for PlannedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.account)?;
        match &self.change {
            Change::CreateAccount { name } => write!(f, "create account {name}"),
            Change::SetAlias { alias } => write!(f, "set alias {alias}"),
            Change::CreatePolicy(policy) => write!(f, "create policy {}", policy.name),
            Change::ReplacePolicy(policy) => write!(f, "put policy {} in force anew", policy.name),
            Change::TagPolicy { name, .. } => write!(f, "set the tags of policy {name}"),
            Change::CreateIdentity(kind, entry) => {
                write!(f, "create {} {}", kind.as_str(), entry.name)
            }
            Change::UpdateIdentity(kind, entry) => {
                write!(f, "update {} {}", kind.as_str(), entry.name)
            }
            Change::SetBoundary(kind, name, Some(arn)) => {
                write!(f, "bound {} {name} by {arn}", kind.as_str())
            }
            Change::SetBoundary(kind, name, None) => {
                write!(f, "remove the boundary of {} {name}", kind.as_str())
            }
            Change::PutInline { kind, of, name, .. } => {
                write!(f, "put inline policy {name} of {} {of}", kind.as_str())
            }
            Change::DeleteInline { kind, of, name } => {
                write!(f, "delete inline policy {name} of {} {of}", kind.as_str())
            }
            Change::Attach { kind, to, arn } => write!(f, "attach {arn} to {} {to}", kind.as_str()),
            Change::Detach { kind, from, arn } => {
                write!(f, "detach {arn} from {} {from}", kind.as_str())
            }
            Change::AddMember { group, user } => write!(f, "add user {user} to group {group}"),
            Change::RemoveMember { group, user } => {
                write!(f, "remove user {user} from group {group}")
            }
            Change::Tag { kind, of, key, .. } => write!(f, "tag {} {of} with {key}", kind.as_str()),
            Change::Untag { kind, of, key } => {
                write!(f, "remove tag {key} of {} {of}", kind.as_str())
            }
        }
    }
}
