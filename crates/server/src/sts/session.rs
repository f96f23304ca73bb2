//! Session tokens.
//!
//! ```text
//! token = base64( sealed( JSON of `TokenBody`, context "sts session token" ) )
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_access::policy::managed_by_arn;
use cairn_access::{Principal, SecretKey};
use cairn_catalog::CatalogError;
use cairn_catalog::identity::{IdPrefix, ReadIdentities, new_access_key_id, new_secret};
use cairn_model::AccountId;
use cairn_platform::{Entropy, MasterKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::service_session::ServiceSource;
use crate::query_protocol::{Fields, Shape, World};

pub(crate) const CONTEXT: &str = "sts session token";
pub(super) const VERSION: u8 = 1;
/// Longer than any token that is made here; longer ones are refused unread.
const TOKEN_CHARACTERS_MAX: usize = 32_768;

/// What a session token says.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// The temporary key that belongs to the token; the signature must be made with it.
    pub access_key_id: String,
    /// Its secret.
    pub secret: SecretKey,
    /// The session.
    pub principal: Principal,
    /// When it ends.
    pub expires_ms: i64,
    /// The session policy that was passed inline.
    pub policy: Option<String>,
    /// The managed policies that were passed as session policies.
    pub policy_arns: Vec<String>,
    /// Session tags, those inherited through a chain included.
    pub tags: Vec<(String, String)>,
    /// The keys of the tags that go on to the next role of a chain.
    pub transitive_tag_keys: Vec<String>,
    /// For whom a service acts; services alone have it.
    pub source: Option<ServiceSource>,
}

/// Why a text is no session token. Whether it has expired is the caller's to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the security token is not one that this service made")]
pub struct TokenError;

/// The stored form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenBody {
    pub(super) version: u8,
    pub(super) access_key_id: String,
    pub(super) secret: String,
    pub(super) principal: Principal,
    pub(super) expires_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) policy_arns: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) transitive_tag_keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<ServiceSource>,
}

impl Drop for TokenBody {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// A session to open.
#[derive(Debug)]
pub(super) struct NewSession {
    pub(super) principal: Principal,
    pub(super) expires_ms: i64,
    pub(super) policy: Option<String>,
    pub(super) policy_arns: Vec<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) transitive_tag_keys: Vec<String>,
}

/// Makes the credentials of a session, as the `Credentials` member of an answer.
pub(super) fn issue(world: &World, account: AccountId, session: NewSession) -> Shape {
    let entropy = world.entropy.as_ref();
    let expires_ms = session.expires_ms;
    let body = TokenBody {
        version: VERSION,
        access_key_id: new_access_key_id(IdPrefix::TemporaryKey, account, entropy),
        secret: new_secret(entropy),
        principal: session.principal,
        expires_ms,
        policy: session.policy,
        policy_arns: session.policy_arns,
        tags: session.tags,
        transitive_tag_keys: session.transitive_tag_keys,
        source: None,
    };
    let token = seal(&world.master_key, entropy, &body);
    Fields::new()
        .text("AccessKeyId", &body.access_key_id)
        .with("SecretAccessKey", Shape::Secret(body.secret.clone()))
        .text("SessionToken", token)
        .with("Expiration", Shape::Time(expires_ms))
        .shape()
}

/// The token that says what `body` says.
pub(super) fn seal(master_key: &MasterKey, entropy: &dyn Entropy, body: &TokenBody) -> String {
    let plain = Zeroizing::new(
        serde_json::to_vec(body).expect("texts, numbers and lists have a JSON form"),
    );
    STANDARD.encode(master_key.seal(CONTEXT, &plain, entropy))
}

/// Opens a session token. Callers must compare `access_key_id` with the key that signed and
/// `expires_ms` with the time.
pub fn open_token(master_key: &MasterKey, token: &str) -> Result<SessionFacts, TokenError> {
    if token.len() > TOKEN_CHARACTERS_MAX {
        return Err(TokenError);
    }
    let sealed = STANDARD.decode(token).map_err(|_| TokenError)?;
    let plain = master_key.open(CONTEXT, &sealed).map_err(|_| TokenError)?;
    let mut body: TokenBody = serde_json::from_slice(&plain).map_err(|_| TokenError)?;
    let is_service = matches!(body.principal, Principal::Service { .. });
    // A service acts for somebody, and nobody else does so.
    if body.version != VERSION || is_service != body.source.is_some() {
        return Err(TokenError);
    }
    Ok(SessionFacts {
        access_key_id: std::mem::take(&mut body.access_key_id),
        secret: SecretKey::new(std::mem::take(&mut body.secret)),
        principal: body.principal.clone(),
        expires_ms: body.expires_ms,
        policy: body.policy.take(),
        policy_arns: std::mem::take(&mut body.policy_arns),
        tags: std::mem::take(&mut body.tags),
        transitive_tag_keys: std::mem::take(&mut body.transitive_tag_keys),
        source: body.source.take(),
    })
}

impl SessionFacts {
    /// Whether policies limit the session.
    pub(crate) fn is_limited(&self) -> bool {
        self.policy.is_some() || !self.policy_arns.is_empty()
    }
}

/// The session policies as documents, in force now; none if the session was opened without any. A
/// managed policy that is gone allows nothing, so the list may be empty, which allows nothing either.
pub async fn session_policy_documents(
    identities: &mut dyn ReadIdentities,
    session: &SessionFacts,
) -> Result<Option<Vec<String>>, CatalogError> {
    if !session.is_limited() {
        return Ok(None);
    }
    let mut documents: Vec<String> = session.policy.iter().cloned().collect();
    let Some(account) = session.principal.account() else {
        return Ok(Some(documents));
    };
    let mut view = identities.view(account);
    for arn in &session.policy_arns {
        if let Some(policy) = managed_by_arn(arn) {
            documents.push(policy.json.to_owned());
        } else if let Some(policy) = view.find_managed_policy(arn).await? {
            let version = view.policy_version(&policy, policy.default_version).await?;
            documents.push(version.document);
        }
    }
    Ok(Some(documents))
}
