//! The declarative form of identities: what a file says, as TOML or JSON. Access keys are not part of
//! it: secrets do not belong into files that are kept and compared.

use std::collections::BTreeMap;

use cairn_access::policy::{PolicyDocument, PolicyKind};
use cairn_catalog::identity::IdentityKind;
use cairn_model::AccountId;
use serde::{Deserialize, Serialize};

use crate::query_protocol::{Pattern, QueryError, QueryErrorCode, check_text};

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityDocument {
    #[serde(default, rename = "account", skip_serializing_if = "Vec::is_empty")]
    pub(crate) accounts: Vec<AccountEntry>,
}

/// An account and whom it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountEntry {
    pub(super) id: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) alias: Option<String>,
    #[serde(default, rename = "policy", skip_serializing_if = "Vec::is_empty")]
    pub(super) policies: Vec<PolicyEntry>,
    #[serde(default, rename = "group", skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<IdentityEntry>,
    #[serde(default, rename = "role", skip_serializing_if = "Vec::is_empty")]
    pub(super) roles: Vec<IdentityEntry>,
    #[serde(default, rename = "user", skip_serializing_if = "Vec::is_empty")]
    pub(super) users: Vec<IdentityEntry>,
}

/// A customer managed policy, by its version in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyEntry {
    pub(super) name: String,
    #[serde(default = "root", skip_serializing_if = "is_root")]
    pub(super) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) document: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tags: BTreeMap<String, String>,
}

/// A user, group or role. What a file says of one is all of it: a policy that is not listed is taken
/// away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityEntry {
    pub(super) name: String,
    #[serde(default = "root", skip_serializing_if = "is_root")]
    pub(super) path: String,
    /// Roles only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    /// Roles only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_session_seconds: Option<u32>,
    /// Roles only, where it is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trust_policy: Option<String>,
    /// Users and roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) boundary: Option<String>,
    /// Users only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<String>,
    /// ARNs of managed policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) policies: Vec<String>,
    /// Inline policies by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) inline: BTreeMap<String, String>,
    /// Users and roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tags: BTreeMap<String, String>,
}

fn root() -> String {
    "/".to_owned()
}

fn is_root(path: &str) -> bool {
    path == "/"
}

impl IdentityDocument {
    /// Reads and checks a document in JSON, in which the command line sends every file.
    pub(crate) fn parse(json: &str) -> Result<Self, QueryError> {
        let document: Self = serde_json::from_str(json).map_err(|error| {
            QueryError::new(
                QueryErrorCode::InvalidInput,
                format!("The document is wrong: {error}"),
            )
        })?;
        for account in &document.accounts {
            account.check()?;
        }
        Ok(document)
    }
}

impl AccountEntry {
    /// The identities of a kind.
    pub(super) fn of_kind(&self, kind: IdentityKind) -> &[IdentityEntry] {
        match kind {
            IdentityKind::User => &self.users,
            IdentityKind::Group => &self.groups,
            IdentityKind::Role => &self.roles,
        }
    }

    fn check(&self) -> Result<(), QueryError> {
        if let Some(name) = &self.name {
            check_text(name, "account.name", (1, 128), Pattern::Any)?;
        }
        if let Some(alias) = &self.alias {
            check_text(alias, "account.alias", (3, 63), Pattern::Alias)?;
        }
        for policy in &self.policies {
            check_text(&policy.name, "policy.name", (1, 128), Pattern::Name)?;
            check_text(&policy.path, "policy.path", (1, 512), Pattern::Path)?;
            check_tags(&policy.tags)?;
            check_policy(&policy.document, PolicyKind::Identity, &policy.name)?;
        }
        for kind in [IdentityKind::User, IdentityKind::Group, IdentityKind::Role] {
            for entry in self.of_kind(kind) {
                entry.check(kind)?;
            }
        }
        Ok(())
    }
}

impl IdentityEntry {
    fn check(&self, kind: IdentityKind) -> Result<(), QueryError> {
        let longest = if kind == IdentityKind::Group { 128 } else { 64 };
        let place = kind.as_str();
        check_text(
            &self.name,
            &format!("{place}.name"),
            (1, longest),
            Pattern::Name,
        )?;
        check_text(
            &self.path,
            &format!("{place}.path"),
            (1, 512),
            Pattern::Path,
        )?;
        check_tags(&self.tags)?;
        for (name, document) in &self.inline {
            check_text(name, &format!("{place}.inline"), (1, 128), Pattern::Name)?;
            check_policy(document, PolicyKind::Identity, name)?;
        }
        let role = kind == IdentityKind::Role;
        let misplaced = [
            (
                "groups",
                !self.groups.is_empty() && kind != IdentityKind::User,
            ),
            ("trust_policy", self.trust_policy.is_some() && !role),
            ("description", self.description.is_some() && !role),
            (
                "max_session_seconds",
                self.max_session_seconds.is_some() && !role,
            ),
            (
                "boundary",
                self.boundary.is_some() && kind == IdentityKind::Group,
            ),
            ("tags", !self.tags.is_empty() && kind == IdentityKind::Group),
        ];
        if let Some((member, _)) = misplaced.iter().find(|(_, wrong)| *wrong) {
            return Err(self.wrong(kind, &format!("a {place} has no {member}")));
        }
        match &self.trust_policy {
            Some(document) => check_policy(document, PolicyKind::Trust, &self.name)?,
            None if role => return Err(self.wrong(kind, "a role needs a trust_policy")),
            None => {}
        }
        if self
            .max_session_seconds
            .is_some_and(|seconds| !(3_600..=43_200).contains(&seconds))
        {
            return Err(self.wrong(kind, "max_session_seconds is 3600 to 43200"));
        }
        Ok(())
    }

    fn wrong(&self, kind: IdentityKind, reason: &str) -> QueryError {
        let message = format!("{} {}: {reason}", kind.as_str(), self.name);
        QueryError::new(QueryErrorCode::InvalidInput, message)
    }
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), QueryError> {
    for (key, value) in tags {
        check_text(key, "tags.key", (1, 128), Pattern::Any)?;
        check_text(value, "tags.value", (0, 256), Pattern::Any)?;
    }
    Ok(())
}

fn check_policy(document: &str, kind: PolicyKind, name: &str) -> Result<(), QueryError> {
    PolicyDocument::parse(document, kind)
        .map(drop)
        .map_err(|error| {
            QueryError::new(
                QueryErrorCode::MalformedPolicyDocument,
                format!("{name}: {error}"),
            )
        })
}
