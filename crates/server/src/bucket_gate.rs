//! The embedded S3 endpoint behind our own authentication, policies, rates and records (R18, R20). The
//! lake's tables hold every account's events, so the bucket belongs to the operator's account:
//! principals of other accounts are refused whatever their policies say. Who reads the audit trail is
//! audit evidence itself: every authenticated request is an event before its answer leaves.

mod access_line;
mod evidence;
mod handler;
mod log_delivery;
mod object_keys;
mod selection;

pub(crate) use handler::BucketHandler;
pub(crate) use selection::{LakeAlone, SelectsData};

use std::sync::Arc;

use async_trait::async_trait;
use cairn_access::policy::{ContextKeys, PolicyKind, bucket_policy};
use cairn_access::sigv4::AuthenticationErrorKind;
use cairn_bucket::{
    Access, Admission, BucketFacts, Caller as BucketCaller, Demand, Denied, Gatekeeper, KeyUse,
    LogDelivery, NewObjectKey, Outcome, PlainKey, RequestHead, WrappedObjectKey,
};
use cairn_eventlog::AppendError;
use cairn_model::Region;

use crate::authenticate::{self, NotAuthenticated};
use crate::authorize::{Grants, Question, ResourcePolicy};
use crate::metrics::CallLabels;
use crate::pipeline::{Call, Server, recording};
use crate::query_protocol::Caller;

/// The service, as metrics and credential scopes name it.
const SERVICE: &str = "s3";

/// The bucket of the lake's objects.
pub(crate) const LAKE_BUCKET: &str = "cairn-lake";

/// What the owner's root may do whatever a bucket's policy says, so that nobody is locked out for ever.
const POLICY_ACTIONS: [&str; 3] = [
    "s3:GetBucketPolicy",
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
];

/// Authenticates, authorizes and records requests to the S3 endpoint.
#[derive(Debug)]
pub(crate) struct BucketGate {
    pub(crate) server: Arc<Server>,
    /// The bucket of the lake's objects.
    pub(crate) lake_bucket: &'static str,
}

/// A request as it came in, before anyone believes who sent it.
#[derive(Debug)]
struct Arrival {
    call: Call,
    /// What S3 sends as `x-amz-id-2`.
    extended_id: String,
}

/// An authenticated request.
#[derive(Debug)]
struct Visitor {
    arrival: Arc<Arrival>,
    caller: Caller,
    /// The Region of the credential scope.
    region: Region,
    grants: Grants,
}

#[async_trait]
impl Gatekeeper for BucketGate {
    async fn authenticate(&self, head: RequestHead<'_>) -> Result<Admission, Denied> {
        // The handler attaches it to every request; a request from elsewhere is nobody's.
        let arrival: &Arc<Arrival> = head.extensions.get().ok_or_else(access_denied)?;
        let call = &arrival.call;
        let verified = self.server.authenticator.verify_s3(&call.parts()).await;
        let request = verified.map_err(|error| self.not_authenticated(call, &error))?;
        let (caller, region) = (request.caller, request.region);
        self.server.believe(call);
        if !self.server.bucket_rate.admit(rate_key(&caller)) {
            self.server.metrics.not_admitted("rate");
            self.answered(call, "unknown", "SlowDown");
            return Err(Denied {
                code: "SlowDown",
                message: "Please reduce your request rate.".into(),
            });
        }
        let grants = self
            .server
            .authorizer
            .grants(call, &caller, region.as_str())
            .await;
        let grants = grants
            .map_err(|error| self.not_authenticated(call, &NotAuthenticated::Failed(error)))?;
        Ok(Admission {
            account: caller.principal.account(),
            region: region.clone(),
            payload: request.payload,
            caller: BucketCaller::new(Visitor {
                arrival: Arc::clone(arrival),
                caller,
                region,
                grants,
            }),
        })
    }

    async fn authorize(&self, caller: &BucketCaller, demand: Demand<'_>) -> Result<(), Denied> {
        let visitor: &Visitor = caller.facts().ok_or_else(access_denied)?;
        let owner = demand.bucket.map(|bucket| bucket.owner);
        let question = Question {
            action: demand.action,
            resource: demand.resource_arn,
            // What belongs to nobody yet is the caller's to make.
            resource_account: owner.unwrap_or(visitor.caller.account),
            resource_policy: demand
                .bucket
                .and_then(|bucket| visitor.policy_of(bucket, &demand)),
            keys: &condition_keys(&visitor.arrival.call, &demand),
            resource_agrees: false,
        };
        visitor.grants.decide(&question).map_err(|message| Denied {
            code: "AccessDenied",
            message,
        })
    }

    fn check_policy(&self, bucket: &str, policy: &str) -> Result<(), Denied> {
        let refused = bucket_policy(bucket, policy).err();
        refused.map_or(Ok(()), |error| {
            Err(Denied {
                code: "MalformedPolicy",
                message: error.to_string(),
            })
        })
    }

    fn check_key_name(
        &self,
        caller: &BucketCaller,
        key_id: &str,
        bucket: &BucketFacts,
    ) -> Result<(), Denied> {
        let visitor: &Visitor = caller.facts().ok_or_else(access_denied)?;
        object_keys::key_for(visitor, key_id, bucket).map(drop)
    }

    async fn new_object_key(
        &self,
        caller: &BucketCaller,
        key_id: &str,
        used: KeyUse<'_>,
    ) -> Result<NewObjectKey, Denied> {
        let visitor: &Visitor = caller.facts().ok_or_else(access_denied)?;
        self.generate(visitor, key_id, used).await
    }

    async fn open_object_key(
        &self,
        caller: &BucketCaller,
        wrapped: WrappedObjectKey<'_>,
        used: KeyUse<'_>,
    ) -> Result<PlainKey, Denied> {
        let visitor: &Visitor = caller.facts().ok_or_else(access_denied)?;
        self.open(visitor, wrapped, used).await
    }

    fn lets_logs_in(&self, delivery: &LogDelivery<'_>) -> bool {
        log_delivery::lets_in(delivery, self.server.clock.now_ms())
    }

    async fn witness(
        &self,
        caller: &BucketCaller,
        access: Option<&Access>,
        bucket: Option<&BucketFacts>,
        outcome: &Outcome,
    ) -> Result<(), Denied> {
        let visitor: &Visitor = caller.facts().ok_or_else(access_denied)?;
        let call = &visitor.arrival.call;
        if let Some(defect) = &outcome.defect {
            self.server.metrics.panics.inc();
            tracing::error!(defect, "an s3 request failed");
        }
        let error = outcome.error.as_ref();
        let code = error.map_or("ok", |(code, _)| known_code(code));
        let Some(access) = access else {
            // It resembles no operation, so there is no name to record it by.
            self.answered(call, "unknown", code);
            return Ok(());
        };
        let happened = evidence::Visit {
            visitor,
            access,
            bucket,
            outcome,
        };
        let recorded = match self.events(&happened) {
            Ok(events) if events.is_empty() => Ok(()),
            Ok(events) => recording::append(&self.server, events).await,
            // It cannot happen for records of our own; if it does, the request is refused.
            Err(_) => Err(AppendError::Closed),
        };
        match recorded {
            Ok(()) => {
                self.answered(call, access.operation.name, code);
                Ok(())
            }
            Err(error) => {
                self.server.not_recorded(&error);
                let denied = not_recorded(&error);
                self.answered(call, access.operation.name, denied.code);
                Err(denied)
            }
        }
    }
}

impl Visitor {
    /// The policy that decides beside the caller's own. Where a policy locked everyone out, the root of
    /// the owner's account can still change it.
    fn policy_of<'a>(
        &self,
        bucket: &'a BucketFacts,
        demand: &Demand<'_>,
    ) -> Option<ResourcePolicy<'a>> {
        let principal = &self.caller.principal;
        let is_owner = principal.is_root() && principal.account() == Some(bucket.owner);
        if is_owner && POLICY_ACTIONS.contains(&demand.action) {
            return None;
        }
        let document = bucket.policy.as_deref()?;
        Some(ResourcePolicy {
            kind: PolicyKind::Resource,
            document,
        })
    }
}

/// Whose rate a request counts towards. A service has one for each resource that it acts for, so that
/// busy trails do not slow the others down.
fn rate_key(caller: &Caller) -> String {
    let source = caller
        .session
        .as_ref()
        .and_then(|facts| facts.source.as_ref());
    source.map_or_else(|| caller.principal.stable_id(), |source| source.arn.clone())
}

impl BucketGate {
    fn answered(&self, call: &Call, operation: &'static str, code: &'static str) {
        let labels = CallLabels {
            service: SERVICE,
            operation,
        };
        let took = self.server.clock.monotonic().saturating_sub(call.began);
        self.server.metrics.answered(&labels, code, took);
    }

    fn not_authenticated(&self, call: &Call, error: &NotAuthenticated) -> Denied {
        let error = match error {
            NotAuthenticated::Refused(error) => error,
            NotAuthenticated::Failed(error) => {
                tracing::error!(
                    error = %error,
                    "an s3 request could not be authenticated"
                );
                return Denied {
                    code: "InternalError",
                    message: "We encountered an internal error. Please try again.".into(),
                };
            }
        };
        let (_, reason) = authenticate::refusal(error);
        self.server.metrics.authentication_failed(reason);
        tracing::info!(
            source.ip = %call.source_ip,
            reason,
            "an s3 request was not authenticated"
        );
        let code = match error.kind() {
            AuthenticationErrorKind::Missing | AuthenticationErrorKind::Expired => "AccessDenied",
            AuthenticationErrorKind::Incomplete => "AuthorizationHeaderMalformed",
            AuthenticationErrorKind::InvalidSignature => "SignatureDoesNotMatch",
            AuthenticationErrorKind::Skewed => "RequestTimeTooSkewed",
            AuthenticationErrorKind::UnknownKey => "InvalidAccessKeyId",
            AuthenticationErrorKind::InvalidToken => "InvalidToken",
            AuthenticationErrorKind::ExpiredToken => "ExpiredToken",
        };
        Denied {
            code,
            message: error.to_string(),
        }
    }
}

fn access_denied() -> Denied {
    Denied {
        code: "AccessDenied",
        message: "Access Denied".into(),
    }
}

/// What a reader learns when the event log did not take the record of the reading.
fn not_recorded(error: &AppendError) -> Denied {
    let code = match error {
        AppendError::RefusedBusy => "SlowDown",
        AppendError::RefusedTooLarge { .. }
        | AppendError::RefusedNoSpace
        | AppendError::Poisoned { .. }
        | AppendError::Closed => "ServiceUnavailable",
    };
    Denied {
        code,
        message: "The request cannot be recorded now. Please try again.".into(),
    }
}

/// The condition keys of S3: those that the endpoint has read from the request, and how it was signed.
fn condition_keys(call: &Call, demand: &Demand<'_>) -> ContextKeys {
    let mut keys = ContextKeys::new();
    for (name, value) in demand.keys {
        keys.set(name, value);
    }
    let in_header = call.header("authorization").is_some();
    let kind = if in_header {
        "REST-HEADER"
    } else {
        "REST-QUERY-STRING"
    };
    keys.set("s3:authType", kind);
    keys.set("s3:signatureversion", "AWS4-HMAC-SHA256");
    keys
}

/// Codes come from the endpoint's own few and from the protocol library; only so many become labels.
fn known_code(code: &str) -> &'static str {
    const CODES: [&str; 44] = [
        "AccessControlListNotSupported",
        "AccessDenied",
        "BadDigest",
        "BucketAlreadyExists",
        "BucketAlreadyOwnedByYou",
        "BucketNotEmpty",
        "CrossLocationLoggingProhibited",
        "EntityTooLarge",
        "EntityTooSmall",
        "IncompleteBody",
        "InternalError",
        "InvalidArgument",
        "InvalidBucketName",
        "InvalidChunkSizeError",
        "InvalidDigest",
        "InvalidPart",
        "InvalidPartOrder",
        "InvalidRange",
        "InvalidRequest",
        "InvalidTargetBucketForLogging",
        "InvalidURI",
        "KMS.DisabledException",
        "KMS.InvalidCiphertextException",
        "KMS.InvalidKeyUsageException",
        "KMS.KMSInvalidStateException",
        "KMS.NotFoundException",
        "KeyTooLongError",
        "MalformedPolicy",
        "MalformedTrailerError",
        "MalformedXML",
        "MethodNotAllowed",
        "MissingContentLength",
        "NoSuchBucket",
        "NoSuchBucketPolicy",
        "NoSuchKey",
        "NoSuchUpload",
        "NoSuchVersion",
        "NotImplemented",
        "PreconditionFailed",
        "RequestTimeout",
        "ServiceUnavailable",
        "SignatureDoesNotMatch",
        "SlowDown",
        "XAmzContentSHA256Mismatch",
    ];
    CODES
        .into_iter()
        .find(|known| *known == code)
        .unwrap_or("Other")
}

#[cfg(test)]
mod tests;
