//! `userIdentity` of our own records, for each kind of caller, member by member as CloudTrail writes
//! it (REC-087 to REC-123).

use cairn_access::{Principal, RoleSession, User, UserSession};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

/// The caller of a recorded call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordedCaller<'a> {
    pub(crate) principal: &'a Principal,
    /// The key that signed (REC-097).
    pub(crate) access_key_id: &'a str,
    /// Alias of the root user's account, which stands as its name (REC-091).
    pub(crate) account_alias: Option<&'a str>,
    /// The service that calls in the caller's name (REC-105, SEC-376).
    pub(crate) invoked_by: Option<&'a str>,
}

impl RecordedCaller<'_> {
    /// The whole object.
    pub(crate) fn user_identity(&self) -> Value {
        self.with_invoker(self.own_identity())
    }

    fn with_invoker(&self, mut identity: Value) -> Value {
        if let Some(service) = self.invoked_by {
            identity["invokedBy"] = service.into();
        }
        identity
    }

    fn own_identity(&self) -> Value {
        match self.principal {
            Principal::Root { .. } => {
                let mut identity = self.base();
                if let Some(alias) = self.account_alias {
                    identity.insert("userName".into(), alias.into());
                }
                Value::Object(identity)
            }
            Principal::User(user) => Value::Object(self.of_user(user)),
            Principal::UserSession(session) => Value::Object(self.of_user_session(session)),
            Principal::RoleSession(session) => Value::Object(self.of_role_session(session)),
            // REC-105: a service acting for itself has no credentials to show.
            Principal::Service { name } => json!({"type": "AWSService", "invokedBy": name}),
        }
    }

    /// What the account of a resource learns of a caller from another account (REC-065, REC-122).
    pub(crate) fn foreign_identity(&self) -> Value {
        match self.principal.account() {
            Some(account) => self.with_invoker(json!({
                "type": "AWSAccount",
                "principalId": self.principal.principal_id(),
                "accountId": account.as_str(),
            })),
            None => self.user_identity(),
        }
    }

    /// REC-109: type, principalId, arn, accountId, accessKeyId, in this order.
    fn base(&self) -> Map<String, Value> {
        let account = self.principal.account().map(|account| account.to_string());
        let mut identity = Map::new();
        identity.insert("type".into(), self.principal.identity_type().into());
        identity.insert("principalId".into(), self.principal.principal_id().into());
        identity.insert("arn".into(), self.principal.arn().into());
        identity.insert("accountId".into(), account.into());
        identity.insert("accessKeyId".into(), self.access_key_id.into());
        identity
    }

    fn of_user(&self, user: &User) -> Map<String, Value> {
        let mut identity = self.base();
        identity.insert("userName".into(), user.name.clone().into());
        identity
    }

    // SEC-013: from version 1.09 on, empty sessionIssuer and webIdFederationData are left out.
    fn of_user_session(&self, session: &UserSession) -> Map<String, Value> {
        let mut identity = self.of_user(&session.user);
        let context = json!({"attributes": attributes(session.issued_ms, session.mfa)});
        identity.insert("sessionContext".into(), context);
        identity
    }

    // REC-110, REC-120
    fn of_role_session(&self, session: &RoleSession) -> Map<String, Value> {
        let mut context = json!({
            "sessionIssuer": {
                "type": "Role",
                "principalId": session.role_id,
                "arn": session.role_arn(),
                "accountId": session.account.as_str(),
                "userName": session.role_name,
            },
            "attributes": attributes(session.issued_ms, session.mfa),
        });
        if let Some(source_identity) = &session.source_identity {
            context["sourceIdentity"] = source_identity.clone().into();
        }
        let mut identity = self.base();
        identity.insert("sessionContext".into(), context);
        identity
    }
}

// SEC-014, SEC-015: whole seconds in UTC; the flag is a text.
fn attributes(issued_ms: i64, mfa: bool) -> Value {
    let issued = DateTime::from_timestamp_millis(issued_ms).unwrap_or_default();
    json!({
        "creationDate": issued.to_rfc3339_opts(SecondsFormat::Secs, true),
        "mfaAuthenticated": mfa.to_string(),
    })
}
