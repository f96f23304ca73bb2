//! Who is calling: what a key or a session resolves to, and the names that policies and records know
//! it by. Where principals are stored, and what their policies are, is the catalog's business.

use cairn_model::AccountId;
use serde::{Deserialize, Serialize};

/// A caller. (SEC-093)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Principal {
    /// The account's root user.
    Root {
        /// The account.
        account: AccountId,
    },
    /// An IAM user with long-term credentials.
    User(User),
    /// A session of a role.
    RoleSession(RoleSession),
    /// An IAM user with credentials of `GetSessionToken`.
    UserSession(UserSession),
    /// An AWS service acting for itself.
    Service {
        /// Its principal name, such as `cloudtrail.amazonaws.com`.
        name: String,
    },
}

/// An IAM user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user's account.
    pub account: AccountId,
    /// The name, unique in the account.
    pub name: String,
    /// The path, `/` or `/…/`.
    pub path: String,
    /// The stable ID, `AIDA…`.
    pub id: String,
}

impl User {
    /// `arn:aws:iam::ACCOUNT:user/PATH/NAME`.
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:iam::{}:user{}{}",
            self.account, self.path, self.name
        )
    }
}

/// A session of a role, as `AssumeRole` makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleSession {
    /// The role's account.
    pub account: AccountId,
    /// The role's name.
    pub role_name: String,
    /// The role's path, `/` or `/…/`.
    pub role_path: String,
    /// The role's stable ID, `AROA…`.
    pub role_id: String,
    /// `RoleSessionName`.
    pub session_name: String,
    /// `SourceIdentity`, which stays through role chains.
    pub source_identity: Option<String>,
    /// When the credentials were issued, in milliseconds since the epoch.
    pub issued_ms: i64,
    /// Whether the session was opened with multi-factor authentication.
    pub mfa: bool,
}

impl RoleSession {
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
    pub fn role_arn(&self) -> String {
        format!(
            "arn:aws:iam::{}:role{}{}",
            self.account, self.role_path, self.role_name
        )
    }

    /// `arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`: the role's path is not part of it.
    pub fn arn(&self) -> String {
        let (account, role, session) = (self.account, &self.role_name, &self.session_name);
        format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")
    }
}

/// A user with temporary credentials. They never say more than the user's own policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSession {
    /// The user.
    pub user: User,
    /// When the credentials were issued, in milliseconds since the epoch.
    pub issued_ms: i64,
    /// Whether the session was opened with multi-factor authentication.
    pub mfa: bool,
}

impl Principal {
    /// The caller's ARN as `GetCallerIdentity`, records and error messages show it. A service has
    /// none: its name stands in.
    pub fn arn(&self) -> String {
        match self {
            Self::Root { account } => format!("arn:aws:iam::{account}:root"),
            Self::User(user) | Self::UserSession(UserSession { user, .. }) => user.arn(),
            Self::RoleSession(session) => session.arn(),
            Self::Service { name } => name.clone(),
        }
    }

    /// The ARN that `aws:PrincipalArn` holds: for a session the role's, with its path.
    pub fn policy_arn(&self) -> String {
        match self {
            Self::RoleSession(session) => session.role_arn(),
            _ => self.arn(),
        }
    }

    /// The account, unless the caller is a service.
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Root { account } => Some(*account),
            Self::User(user) | Self::UserSession(UserSession { user, .. }) => Some(user.account),
            Self::RoleSession(session) => Some(session.account),
            Self::Service { .. } => None,
        }
    }

    /// `principalId` of records and `UserId` of `GetCallerIdentity`; also the key `aws:userid`.
    pub fn principal_id(&self) -> String {
        match self {
            Self::Root { account } => account.to_string(),
            Self::User(user) | Self::UserSession(UserSession { user, .. }) => user.id.clone(),
            Self::RoleSession(session) => format!("{}:{}", session.role_id, session.session_name),
            Self::Service { name } => name.clone(),
        }
    }

    /// The ID that stays the same whatever a session calls itself: for a session of a role the role's.
    pub fn stable_id(&self) -> String {
        match self {
            Self::RoleSession(session) => session.role_id.clone(),
            _ => self.principal_id(),
        }
    }

    /// `userIdentity.type` of records.
    pub fn identity_type(&self) -> &'static str {
        match self {
            Self::Root { .. } => "Root",
            Self::User(_) | Self::UserSession(_) => "IAMUser",
            Self::RoleSession(_) => "AssumedRole",
            Self::Service { .. } => "AWSService",
        }
    }

    /// The user's name, for users and their sessions.
    pub fn user_name(&self) -> Option<&str> {
        match self {
            Self::User(user) | Self::UserSession(UserSession { user, .. }) => Some(&user.name),
            Self::Root { .. } | Self::RoleSession(_) | Self::Service { .. } => None,
        }
    }

    /// Whether this is the root user. (SEC-095)
    pub fn is_root(&self) -> bool {
        matches!(self, Self::Root { .. })
    }
}
