//! Who is calling. The one layer before routing (R20): a request that does not pass here reaches no
//! handler, and is no event but a log line and a count.

use std::sync::Arc;

use cairn_access::sigv4::{
    AuthenticationError, AuthenticationErrorKind, PayloadRule, RequestParts, ServiceRules,
    SignedRequest, parse,
};
use cairn_access::{Principal, SecretKey, User, UserSession};
use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::CatalogError;
use cairn_catalog::identity::{Account, CredentialRecord, KeyUse};
use cairn_model::{AccountId, Region};

use crate::config::RegionRules;
use crate::pipeline::Call;
use crate::query_protocol::{Caller, QueryService, World};
#[cfg(feature = "sabotage")]
use crate::sabotage;
use crate::sts;

/// The services of the listener, by the name in the credential scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CalledService {
    CloudTrail,
    CloudTrailData,
    Kms,
    Query(QueryService),
}

impl CalledService {
    fn from_scope(name: &str) -> Option<Self> {
        match name {
            "cloudtrail" => Some(Self::CloudTrail),
            "cloudtrail-data" => Some(Self::CloudTrailData),
            "kms" => Some(Self::Kms),
            "iam" => Some(Self::Query(QueryService::Iam)),
            "sts" => Some(Self::Query(QueryService::Sts)),
            "cairn" => Some(Self::Query(QueryService::Cairn)),
            _ => None,
        }
    }
}

/// A signature that is well formed and in time, with the key that it must have been made with.
#[derive(Debug)]
pub(crate) struct Claim {
    signed: SignedRequest,
    pub(crate) service: CalledService,
    pub(crate) region: Region,
    caller: Caller,
    secret: SecretKey,
}

/// An authenticated request to the S3 endpoint.
#[derive(Debug)]
pub(crate) struct S3Request {
    pub(crate) caller: Caller,
    /// The Region of the credential scope.
    pub(crate) region: Region,
    /// What the body must be like.
    pub(crate) payload: PayloadRule,
}

/// Why a request was not authenticated.
#[derive(Debug)]
pub(crate) enum NotAuthenticated {
    /// The caller's doing.
    Refused(AuthenticationError),
    /// The catalog could not say.
    Failed(CatalogError),
}

/// Verifies signatures.
#[derive(Debug)]
pub(crate) struct Authenticator {
    world: Arc<World>,
    regions: RegionRules,
}

impl Authenticator {
    pub(crate) fn new(world: Arc<World>, regions: RegionRules) -> Self {
        Self { world, regions }
    }

    /// Everything that can be checked before the body is there. Callers must not believe the claim
    /// until `verify` has seen the body.
    pub(crate) async fn claim(&self, call: &Call) -> Result<Claim, NotAuthenticated> {
        let refused = NotAuthenticated::Refused;
        let signed = parse(&call.parts(), &ServiceRules::STANDARD).map_err(refused)?;
        let scope = signed.scope();
        let service = CalledService::from_scope(&scope.service)
            .ok_or(refused(AuthenticationError::ScopeService))?;
        let region: Region = scope
            .region
            .parse()
            .map_err(|_| refused(AuthenticationError::ScopeRegion))?;
        let (caller, secret) = self.credentials(&signed, call.received_ms).await?;
        let is_for_others = match service {
            CalledService::Query(QueryService::Iam) => caller.is_token_holder(),
            _ => false,
        };
        // Services deliver to buckets. They have no business with the API, whose calls belong to accounts.
        if is_for_others || caller.service_name().is_some() {
            return Err(refused(AuthenticationError::InvalidSessionToken));
        }
        if !self.regions.is_enabled(caller.account, &region) {
            return Err(refused(AuthenticationError::ScopeRegion));
        }
        Ok(Claim {
            signed,
            service,
            region,
            caller,
            secret,
        })
    }

    /// Compares the signature with the body's hash, in constant time.
    pub(crate) fn verify(
        &self,
        claim: Claim,
        body_sha256_hex: &str,
    ) -> Result<Caller, NotAuthenticated> {
        let verified = claim
            .signed
            .verify(&claim.secret, Some(body_sha256_hex))
            .map_err(NotAuthenticated::Refused);
        #[cfg(feature = "sabotage")]
        let verified = verified.or_else(|error| {
            let prefix = claim
                .signed
                .verify_by_prefix(&claim.secret, Some(body_sha256_hex));
            if prefix && sabotage::compares_prefix_only() {
                Ok(())
            } else {
                Err(error)
            }
        });
        verified?;
        self.note_use(&claim.signed, &claim.caller);
        Ok(claim.caller)
    }

    /// Verifies a request of S3's but for its body, which is checked while it is read.
    pub(crate) async fn verify_s3(
        &self,
        parts: &RequestParts<'_>,
    ) -> Result<S3Request, NotAuthenticated> {
        let refused = NotAuthenticated::Refused;
        let signed = parse(parts, &ServiceRules::S3).map_err(refused)?;
        if signed.scope().service != "s3" {
            return Err(refused(AuthenticationError::ScopeService));
        }
        let region: Region = signed
            .scope()
            .region
            .parse()
            .map_err(|_| refused(AuthenticationError::ScopeRegion))?;
        let (caller, secret) = self.credentials(&signed, parts.now_ms).await?;
        // A service comes in the endpoint's Region, whichever its account has enabled.
        let is_service = caller.service_name().is_some();
        if !is_service && !self.regions.is_enabled(caller.account, &region) {
            return Err(refused(AuthenticationError::ScopeRegion));
        }
        signed.verify(&secret, None).map_err(refused)?;
        self.note_use(&signed, &caller);
        Ok(S3Request {
            payload: signed.payload_rule(&secret),
            caller,
            region,
        })
    }

    /// For GetAccessKeyLastUsed, which tells of long-term keys.
    fn note_use(&self, signed: &SignedRequest, caller: &Caller) {
        if caller.session.is_some() {
            return;
        }
        let scope = signed.scope();
        let last_use = KeyUse {
            used_ms: self.world.clock.now_ms(),
            service: scope.service.clone(),
            region: scope.region.clone(),
        };
        self.world
            .catalog
            .note_key_use(&caller.access_key_id, last_use);
    }

    async fn credentials(
        &self,
        signed: &SignedRequest,
        now_ms: i64,
    ) -> Result<(Caller, SecretKey), NotAuthenticated> {
        match signed.security_token() {
            None => self.of_access_key(signed).await,
            Some(token) => self.of_session(signed, token, now_ms).await,
        }
    }

    async fn of_access_key(
        &self,
        signed: &SignedRequest,
    ) -> Result<(Caller, SecretKey), NotAuthenticated> {
        let key_id = signed.access_key_id();
        let record = self
            .world
            .catalog
            .resolve_access_key(key_id)
            .await
            .map_err(NotAuthenticated::Failed)?
            .filter(|record| record.active && record.account.enabled);
        let Some(record) = record else {
            // The same work as for a known key (A5).
            return Err(NotAuthenticated::Refused(
                signed.refuse_unknown_key(Some("")),
            ));
        };
        let account = record.account.account;
        let context = CredentialRecord::secret_context(account, key_id);
        let opened = self.world.master_key.open(&context, &record.secret_sealed);
        let secret = opened
            .ok()
            .and_then(|plain| String::from_utf8(plain.to_vec()).ok());
        let Some(secret) = secret else {
            tracing::error!(
                key.id = key_id,
                "the secret of an access key cannot be opened"
            );
            return Err(NotAuthenticated::Refused(
                AuthenticationError::UnknownAccessKey,
            ));
        };
        let principal = match &record.user {
            None => Principal::Root { account },
            Some(user) => Principal::User(User {
                account,
                name: user.name.clone(),
                path: user.path.clone(),
                id: user.id.clone(),
            }),
        };
        let caller = Caller {
            principal,
            account,
            account_alias: record.account.alias.clone(),
            access_key_id: key_id.to_owned(),
            session: None,
        };
        Ok((caller, SecretKey::new(secret)))
    }

    async fn of_session(
        &self,
        signed: &SignedRequest,
        token: &str,
        now_ms: i64,
    ) -> Result<(Caller, SecretKey), NotAuthenticated> {
        let refused = |error| Err(NotAuthenticated::Refused(error));
        let Ok(session) = sts::open_token(&self.world.master_key, token) else {
            return refused(AuthenticationError::InvalidSessionToken);
        };
        if session.access_key_id != signed.access_key_id() {
            return refused(AuthenticationError::InvalidSessionToken);
        }
        if now_ms >= session.expires_ms {
            return refused(AuthenticationError::ExpiredSessionToken);
        }
        let gone = || NotAuthenticated::Refused(AuthenticationError::UnknownAccessKey);
        let source = session.source.as_ref().map(|source| source.account);
        let account = session.principal.account().or(source).ok_or_else(gone)?;
        let (facts, principal) = self
            .holder(&session.principal, account)
            .await?
            .ok_or_else(gone)?;
        let secret = session.secret.clone();
        let caller = Caller {
            principal,
            account,
            account_alias: facts.alias,
            access_key_id: signed.access_key_id().to_owned(),
            session: Some(Arc::new(session)),
        };
        Ok((caller, secret))
    }

    /// The account and the principal of a session as they are now: none if the account is closed, or if
    /// the user or role is gone, whose name may be another's by now. Services go on with what they owe a
    /// closed account: its trails outlive it (TRL-283, TRL-287).
    async fn holder(
        &self,
        principal: &Principal,
        account: AccountId,
    ) -> Result<Option<(Account, Principal)>, NotAuthenticated> {
        let catalog = &self.world.catalog;
        let id = match principal {
            Principal::User(user) | Principal::UserSession(UserSession { user, .. }) => &user.id,
            Principal::RoleSession(session) => &session.role_id,
            Principal::Root { .. } | Principal::Service { .. } => {
                let accounts = catalog.accounts().await.map_err(NotAuthenticated::Failed)?;
                let facts = accounts.into_iter().find(|known| known.account == account);
                let is_service = matches!(principal, Principal::Service { .. });
                let open = facts.filter(|facts| facts.enabled || is_service);
                return Ok(open.map(|facts| (facts, principal.clone())));
            }
        };
        let snapshot = catalog.identity_snapshot(account, id).await;
        let Some(snapshot) = snapshot.map_err(NotAuthenticated::Failed)? else {
            return Ok(None);
        };
        if !snapshot.account.enabled {
            return Ok(None);
        }
        let mut principal = principal.clone();
        if let Principal::User(user) | Principal::UserSession(UserSession { user, .. }) =
            &mut principal
        {
            user.name.clone_from(&snapshot.identity.name);
            user.path.clone_from(&snapshot.identity.path);
        }
        Ok(Some((snapshot.account.clone(), principal)))
    }
}

/// AWS's answer to a request that is not authenticated, and the word under which it is counted.
pub(crate) fn refusal(error: &AuthenticationError) -> (ApiError, &'static str) {
    let (code, reason) = match error.kind() {
        AuthenticationErrorKind::Missing => {
            (ErrorCode::MissingAuthenticationTokenException, "missing")
        }
        AuthenticationErrorKind::Incomplete => {
            (ErrorCode::IncompleteSignatureException, "incomplete")
        }
        AuthenticationErrorKind::InvalidSignature => {
            (ErrorCode::InvalidSignatureException, "signature")
        }
        AuthenticationErrorKind::Skewed => (ErrorCode::InvalidSignatureException, "time"),
        AuthenticationErrorKind::Expired => (ErrorCode::RequestExpired, "expired"),
        AuthenticationErrorKind::UnknownKey => {
            (ErrorCode::UnrecognizedClientException, "unknown-key")
        }
        AuthenticationErrorKind::InvalidToken => (ErrorCode::UnrecognizedClientException, "token"),
        AuthenticationErrorKind::ExpiredToken => {
            (ErrorCode::ExpiredTokenException, "expired-token")
        }
    };
    (ApiError::new(code, error.to_string()), reason)
}
