//! What a request says about itself, under the names of condition keys.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::{Principal, RoleSession, UserSession};
use chrono::{DateTime, SecondsFormat};

/// Condition keys with their values. Names fold case, tag names in `aws:ResourceTag/…` included
/// (SEC-282); values do not. A key without values counts as absent.
///
/// [`ContextKeys::of_call`] fills what every call has: `aws:CurrentTime`, `aws:EpochTime`,
/// `aws:SourceIp`, `aws:SecureTransport`, `aws:UserAgent`, `aws:Referer`, `aws:RequestedRegion`,
/// `aws:ViaAWSService`, `aws:PrincipalIsAWSService`, `aws:PrincipalServiceName`, `aws:PrincipalArn`,
/// `aws:PrincipalAccount`, `aws:PrincipalType`, `aws:userid`, `aws:username`, `aws:TokenIssueTime`,
/// `aws:MultiFactorAuthPresent`, `aws:MultiFactorAuthAge`, `aws:SourceIdentity`.
///
/// The caller adds what only it knows: `aws:PrincipalTag/…`, `aws:RequestTag/…`, `aws:TagKeys`,
/// `aws:ResourceTag/…`, `aws:ResourceAccount`, `aws:SourceArn`, `aws:SourceAccount`, `aws:CalledVia`,
/// and the keys of the service itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextKeys(BTreeMap<String, Vec<String>>);

/// What every call has, whoever makes it.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The server's time in milliseconds since the epoch.
    pub now_ms: i64,
    /// The peer's address, by configuration perhaps that before a trusted proxy.
    pub source_ip: Option<IpAddr>,
    /// Whether the call came over TLS.
    pub secure_transport: bool,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// The `Referer` header.
    pub referer: Option<&'a str>,
    /// The Region that the call is for.
    pub requested_region: &'a str,
}

impl ContextKeys {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// The global keys of a call by `principal`.
    pub fn of_call(principal: &Principal, facts: &RequestFacts<'_>) -> Self {
        let mut keys = Self::new();
        keys.set_request(facts);
        keys.set_principal(principal, facts.now_ms);
        keys
    }

    /// Gives a key one value in place of any it had.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_lowercase(), vec![value.into()]);
    }

    /// Gives a key several values in place of any it had.
    pub fn set_all<V: Into<String>>(&mut self, name: &str, values: impl IntoIterator<Item = V>) {
        self.0.insert(
            name.to_lowercase(),
            values.into_iter().map(Into::into).collect(),
        );
    }

    /// Takes over all keys of `other`, in place of any of the same name.
    pub fn merge(&mut self, other: &Self) {
        self.0.extend(
            other
                .0
                .iter()
                .map(|(name, values)| (name.clone(), values.clone())),
        );
    }

    /// Gives one key per tag, `FAMILY/TAG`, for a family such as `aws:ResourceTag`. (SEC-132)
    pub fn set_tags<'t>(
        &mut self,
        family: &str,
        tags: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) {
        for (tag, value) in tags {
            self.set(&format!("{family}/{tag}"), value);
        }
    }

    /// The tags that a request brings: `aws:RequestTag/…` and `aws:TagKeys`. (SEC-132)
    pub fn set_request_tags<'t>(&mut self, tags: impl IntoIterator<Item = (&'t str, &'t str)>) {
        let tags: Vec<(&str, &str)> = tags.into_iter().collect();
        self.set_tags("aws:RequestTag", tags.iter().copied());
        self.set_all("aws:TagKeys", tags.iter().map(|(tag, _)| *tag));
    }

    /// The values of a key, whose name may be in any case; none when the key is absent.
    pub fn get(&self, name: &str) -> &[String] {
        match self.0.get(name) {
            Some(values) => values,
            None => self.0.get(&name.to_lowercase()).map_or(&[], Vec::as_slice),
        }
    }

    fn set_request(&mut self, facts: &RequestFacts<'_>) {
        if let Some(now) = iso_time(facts.now_ms) {
            self.set("aws:CurrentTime", now);
        }
        self.set("aws:EpochTime", facts.now_ms.div_euclid(1000).to_string());
        if let Some(address) = facts.source_ip {
            self.set("aws:SourceIp", address.to_canonical().to_string());
        }
        self.set("aws:SecureTransport", facts.secure_transport.to_string());
        self.set("aws:ViaAWSService", "false");
        self.set("aws:RequestedRegion", facts.requested_region);
        if let Some(agent) = facts.user_agent {
            self.set("aws:UserAgent", agent);
        }
        if let Some(referer) = facts.referer {
            self.set("aws:Referer", referer);
        }
    }

    fn set_principal(&mut self, principal: &Principal, now_ms: i64) {
        let service = matches!(principal, Principal::Service { .. });
        self.set("aws:PrincipalIsAWSService", service.to_string());
        match principal {
            Principal::Service { name } => {
                self.set("aws:PrincipalServiceName", name);
                self.set_all("aws:PrincipalServiceNamesList", [name]);
                return;
            }
            Principal::Root { .. } => self.set("aws:PrincipalType", "Account"),
            Principal::User(user) | Principal::UserSession(UserSession { user, .. }) => {
                self.set("aws:PrincipalType", "User");
                self.set("aws:username", &user.name);
            }
            Principal::RoleSession(_) => self.set("aws:PrincipalType", "AssumedRole"),
        }
        self.set("aws:PrincipalArn", principal.policy_arn());
        if let Some(account) = principal.account() {
            self.set("aws:PrincipalAccount", account.as_str());
        }
        self.set("aws:userid", principal.principal_id());
        if let Principal::RoleSession(RoleSession {
            source_identity: Some(identity),
            ..
        }) = principal
        {
            self.set("aws:SourceIdentity", identity);
        }
        if let Principal::RoleSession(RoleSession { issued_ms, mfa, .. })
        | Principal::UserSession(UserSession { issued_ms, mfa, .. }) = principal
        {
            self.set_session(*issued_ms, *mfa, now_ms);
        }
    }

    /// Keys that only temporary credentials have; long-term keys leave them absent, as AWS does.
    fn set_session(&mut self, issued_ms: i64, mfa: bool, now_ms: i64) {
        if let Some(issued) = iso_time(issued_ms) {
            self.set("aws:TokenIssueTime", issued);
        }
        self.set("aws:MultiFactorAuthPresent", mfa.to_string());
        if mfa {
            let age = now_ms.saturating_sub(issued_ms).max(0) / 1000;
            self.set("aws:MultiFactorAuthAge", age.to_string());
        }
    }
}

fn iso_time(millis: i64) -> Option<String> {
    DateTime::from_timestamp_millis(millis)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
