//! The `Principal` and `NotPrincipal` elements of resource and trust policies, and how much a match
//! is worth. (SEC-105, SEC-106, SEC-188)

use cairn_model::AccountId;

use super::PolicyError;
use super::json::Json;
use crate::Principal;

/// How a resource policy names the caller; the greater, the further it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grant {
    /// By its account: the account's own policies must allow the call as well.
    Delegated,
    /// By the role behind the session: boundary and session policies still limit it. (SEC-107)
    Role,
    /// By user, session, service, or everyone: nothing but an explicit deny limits it. (SEC-110)
    Direct,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrincipalClause {
    pub(super) negated: bool,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Anyone,
    Account(AccountId),
    Arn(String),
    UniqueId(String),
    Service(String),
    /// An identity provider or a canonical user: well formed, but no caller here is one.
    Foreign,
}

impl PrincipalClause {
    pub(super) fn parse(json: Json, negated: bool) -> Result<Self, PolicyError> {
        let mut entries = Vec::new();
        match json {
            Json::Text(text) if text == "*" => entries.push(Entry::Anyone),
            Json::Text(found) => return Err(PolicyError::Principal { found }),
            other => {
                for (kind, names) in other.into_object("Principal")? {
                    for name in names.into_texts("Principal")? {
                        entries.push(Entry::parse(&kind, name)?);
                    }
                }
            }
        }
        if entries.is_empty() {
            return Err(PolicyError::MissingElement { name: "Principal" });
        }
        Ok(Self { negated, entries })
    }

    /// How far the clause reaches for this caller; `None` when it does not.
    pub(super) fn grant(&self, principal: &Principal) -> Option<Grant> {
        let grant = self
            .entries
            .iter()
            .filter_map(|entry| entry.grant(principal))
            .max();
        match (self.negated, grant) {
            (false, grant) => grant,
            (true, None) => Some(Grant::Direct),
            (true, Some(_)) => None,
        }
    }
}

impl Entry {
    fn parse(kind: &str, name: String) -> Result<Self, PolicyError> {
        match kind {
            "AWS" => Self::parse_aws(name),
            "Service" => {
                let domain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
                if name.contains('.') && name.bytes().all(domain) {
                    Ok(Self::Service(name))
                } else {
                    Err(PolicyError::Principal { found: name })
                }
            }
            "Federated" | "CanonicalUser" => Ok(Self::Foreign),
            _ => Err(PolicyError::Principal {
                found: kind.to_owned(),
            }),
        }
    }

    fn parse_aws(name: String) -> Result<Self, PolicyError> {
        if name == "*" {
            return Ok(Self::Anyone);
        }
        if let Ok(account) = name.parse() {
            return Ok(Self::Account(account));
        }
        let unique = ["AIDA", "AROA"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if unique && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self::UniqueId(name));
        }
        let parts: Vec<&str> = name.splitn(6, ':').collect();
        let invalid = || PolicyError::Principal {
            found: name.clone(),
        };
        let ["arn", _, service, "", account, entity] = parts[..] else {
            return Err(invalid());
        };
        let account: AccountId = account.parse().map_err(|_| invalid())?;
        let kinds: &[&str] = match service {
            "iam" if entity == "root" => return Ok(Self::Account(account)),
            "iam" => &["user/", "role/"],
            "sts" => &["assumed-role/", "federated-user/"],
            _ => return Err(invalid()),
        };
        let named = kinds
            .iter()
            .any(|kind| entity.len() > kind.len() && entity.starts_with(kind));
        // IAM takes no wildcards inside a principal: conditions on aws:PrincipalArn are for that.
        if named && !entity.contains(['*', '?']) {
            Ok(Self::Arn(name))
        } else {
            Err(invalid())
        }
    }

    fn grant(&self, principal: &Principal) -> Option<Grant> {
        let when = |matched: bool, grant| matched.then_some(grant);
        match (self, principal) {
            (Self::Anyone, _) => Some(Grant::Direct),
            (Self::Account(account), _) => {
                when(principal.account() == Some(*account), Grant::Delegated)
            }
            (Self::Arn(arn), Principal::RoleSession(session)) => {
                if *arn == session.arn() {
                    return Some(Grant::Direct);
                }
                when(*arn == session.role_arn(), Grant::Role)
            }
            (Self::Arn(arn), _) => when(*arn == principal.arn(), Grant::Direct),
            (Self::UniqueId(id), Principal::RoleSession(session)) => {
                when(*id == session.role_id, Grant::Role)
            }
            (Self::UniqueId(id), _) => when(*id == principal.principal_id(), Grant::Direct),
            (Self::Service(name), Principal::Service { name: caller }) => {
                when(name == caller, Grant::Direct)
            }
            (Self::Service(_) | Self::Foreign, _) => None,
        }
    }
}
