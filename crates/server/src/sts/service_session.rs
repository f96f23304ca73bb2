//! Sessions of Cairn's own services, made inside the process when one of them acts for a customer: the
//! delivery of a trail's files, say. They are sealed and authenticated like every session, but no API
//! gives them out, they hold no permissions of their own, and only the S3 endpoint takes them.

use std::fmt;
use std::sync::Arc;

use cairn_access::{Principal, SecretKey};
use cairn_catalog::identity::{IdPrefix, new_access_key_id, new_secret};
use cairn_model::AccountId;
use cairn_platform::{Entropy, MasterKey};
use serde::{Deserialize, Serialize};

use super::session::{SessionFacts, TokenBody, VERSION, seal};
use crate::query_protocol::Caller;

/// For whom a service acts. What policies see as `aws:SourceArn` and `aws:SourceAccount`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSource {
    /// The resource on whose behalf it acts, such as a trail.
    pub arn: String,
    /// The account that the resource belongs to.
    pub account: AccountId,
}

/// A session of a service to open.
#[derive(Clone, Debug)]
pub struct ServiceSession {
    /// The service's principal name, such as `cloudtrail.amazonaws.com`.
    pub name: String,
    /// For whom it acts.
    pub source: ServiceSource,
    /// When the session ends.
    pub expires_ms: i64,
}

/// The credentials of a service's session.
#[derive(Clone)]
pub struct ServiceCredentials {
    /// The temporary key.
    pub access_key_id: String,
    /// Its secret.
    pub secret: SecretKey,
    /// What has to come with every request, as `x-amz-security-token`.
    pub session_token: String,
}

impl fmt::Debug for ServiceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// A service as the caller of what it asks within this process, where nothing is signed.
pub(crate) fn service_caller(name: &str, source: ServiceSource) -> Caller {
    let principal = Principal::Service {
        name: name.to_owned(),
    };
    let account = source.account;
    let facts = SessionFacts {
        access_key_id: String::new(),
        secret: SecretKey::new(String::new()),
        principal: principal.clone(),
        expires_ms: i64::MAX,
        policy: None,
        policy_arns: Vec::new(),
        tags: Vec::new(),
        transitive_tag_keys: Vec::new(),
        source: Some(source),
    };
    Caller {
        principal,
        account,
        account_alias: None,
        access_key_id: String::new(),
        session: Some(Arc::new(facts)),
    }
}

/// Opens a session of a service. Callers must be that service.
pub fn service_credentials(
    master_key: &MasterKey,
    entropy: &dyn Entropy,
    session: &ServiceSession,
) -> ServiceCredentials {
    let principal = Principal::Service {
        name: session.name.clone(),
    };
    let account = session.source.account;
    let body = TokenBody {
        version: VERSION,
        access_key_id: new_access_key_id(IdPrefix::TemporaryKey, account, entropy),
        secret: new_secret(entropy),
        principal,
        expires_ms: session.expires_ms,
        policy: None,
        policy_arns: Vec::new(),
        tags: Vec::new(),
        transitive_tag_keys: Vec::new(),
        source: Some(session.source.clone()),
    };
    ServiceCredentials {
        access_key_id: body.access_key_id.clone(),
        secret: SecretKey::new(body.secret.clone()),
        session_token: seal(master_key, entropy, &body),
    }
}
