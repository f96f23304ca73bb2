//! Signing, for our own clients and for tests that must speak as a client does.

use super::canonical::{UNSIGNED_PAYLOAD, canonical_head, canonical_request, encode_query_value};
use super::signature::{ALGORITHM, Scope, SigningKey, string_to_sign};
use super::time::AmzTime;
use super::{AuthenticationError, RequestParts, ServiceRules};
use crate::SecretKey;

/// Headers that intermediaries add or change, so that no client signs them.
const NEVER_SIGNED: [&str; 7] = [
    "authorization",
    "connection",
    "content-length",
    "expect",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
];

/// Who signs.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The access key.
    pub access_key_id: &'a str,
    /// Its secret.
    pub secret: &'a SecretKey,
    /// The session token of temporary credentials.
    pub security_token: Option<&'a str>,
}

/// What is signed, for which Region and service.
#[derive(Clone, Copy, Debug)]
pub struct SigningRequest<'a> {
    /// The request; its `now_ms` becomes the time of signing. Headers must hold `host`.
    pub request: RequestParts<'a>,
    /// The hash of the body, or [`UNSIGNED_PAYLOAD`] where the service allows it.
    pub payload_hash: &'a str,
    /// The Region of the scope.
    pub region: &'a str,
    /// The service's signing name.
    pub service: &'a str,
    /// The rules by which the service will check.
    pub rules: ServiceRules,
}

/// The headers to add to a request: `x-amz-date`, `x-amz-security-token` and `x-amz-content-sha256`
/// where they belong, and `authorization`.
pub fn sign(
    signing: &SigningRequest<'_>,
    credentials: &Credentials<'_>,
) -> Result<Vec<(String, String)>, AuthenticationError> {
    let signed_at = AmzTime::from_millis(signing.request.now_ms)?;
    let mut added = vec![("x-amz-date".to_owned(), signed_at.to_string())];
    if let Some(token) = credentials.security_token {
        added.push(("x-amz-security-token".to_owned(), token.to_owned()));
    }
    if signing.rules.body_checked_later {
        added.push((
            "x-amz-content-sha256".to_owned(),
            signing.payload_hash.to_owned(),
        ));
    }
    let headers = [signing.request.headers, &added].concat();
    let names = signed_names(&headers);
    let request = RequestParts {
        headers: &headers,
        ..signing.request
    };
    let scope = signing.scope(signed_at);
    let signature = signing.signature(
        &request,
        &names,
        credentials,
        signing.payload_hash,
        signed_at,
    )?;
    added.push((
        "authorization".to_owned(),
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            credentials.access_key_id,
            names.join(";"),
        ),
    ));
    Ok(added)
}

/// The query of a presigned request that is good for `expires_seconds`.
pub fn presign(
    signing: &SigningRequest<'_>,
    credentials: &Credentials<'_>,
    expires_seconds: u32,
) -> Result<String, AuthenticationError> {
    let signed_at = AmzTime::from_millis(signing.request.now_ms)?;
    let names = signed_names(signing.request.headers);
    let credential = format!("{}/{}", credentials.access_key_id, signing.scope(signed_at));
    let mut query = signing.request.query.to_owned();
    let mut push = |name: &str, value: &str| {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        query.push_str(&encode_query_value(value));
    };
    push("X-Amz-Algorithm", ALGORITHM);
    push("X-Amz-Credential", &credential);
    push("X-Amz-Date", &signed_at.to_string());
    push("X-Amz-Expires", &expires_seconds.to_string());
    push("X-Amz-SignedHeaders", &names.join(";"));
    if let Some(token) = credentials.security_token {
        push("X-Amz-Security-Token", token);
    }
    let payload_hash = if signing.rules.unsigned_payload_allowed {
        UNSIGNED_PAYLOAD
    } else {
        signing.payload_hash
    };
    let request = RequestParts {
        query: &query,
        ..signing.request
    };
    let signature = signing.signature(&request, &names, credentials, payload_hash, signed_at)?;
    Ok(format!("{query}&X-Amz-Signature={signature}"))
}

impl SigningRequest<'_> {
    fn scope(&self, signed_at: AmzTime) -> Scope {
        Scope {
            date: signed_at.date(),
            region: self.region.to_owned(),
            service: self.service.to_owned(),
        }
    }

    fn signature(
        &self,
        request: &RequestParts<'_>,
        names: &[&str],
        credentials: &Credentials<'_>,
        payload_hash: &str,
        signed_at: AmzTime,
    ) -> Result<String, AuthenticationError> {
        let scope = self.scope(signed_at);
        let head = canonical_head(request, names, self.rules.path)?;
        let text = string_to_sign(signed_at, &scope, &canonical_request(&head, payload_hash));
        Ok(SigningKey::derive(credentials.secret, &scope).signature(&text))
    }
}

fn signed_names(headers: &[(String, String)]) -> Vec<&str> {
    let mut names: Vec<&str> = headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !NEVER_SIGNED.contains(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
