//! The embedded S3 endpoint behind our own authentication and policies (R20). The lake's tables hold
//! every account's events, so the bucket belongs to the operator's account: principals of other
//! accounts are refused whatever their policies say.

use std::sync::Arc;

use async_trait::async_trait;
use cairn_access::policy::ContextKeys;
use cairn_access::sigv4::{AuthenticationErrorKind, RequestParts};
use cairn_bucket::{Caller as BucketCaller, Denied, Gatekeeper, ReadOnlyEndpoint, RequestHead};
use cairn_model::AccountId;
use cairn_platform::Clock;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::authenticate::{Authenticator, NotAuthenticated};
use crate::authorize::{Authorizer, Grants, Question};
use crate::http::{Answer, ConnectionFacts, Handler, ResponseBody, check_head, header_values};
use crate::pipeline::Call;

/// Authenticates and authorizes requests to the S3 endpoint.
#[derive(Debug)]
pub(crate) struct BucketGate {
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) owner: AccountId,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Gatekeeper for BucketGate {
    async fn authenticate(&self, head: RequestHead<'_>) -> Result<BucketCaller, Denied> {
        let headers = header_values(head.headers);
        let parts = RequestParts {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &headers,
            now_ms: self.clock.now_ms(),
        };
        let (caller, region) = self
            .authenticator
            .verify_bodyless(&parts)
            .await
            .map_err(|error| denied(&error))?;
        let call = Call::of_bucket(&parts);
        let grants = self
            .authorizer
            .grants(&call, &caller, region.as_str())
            .await;
        let grants = grants.map_err(|error| denied(&NotAuthenticated::Failed(error)))?;
        Ok(BucketCaller::new(grants))
    }

    async fn authorize(
        &self,
        caller: &BucketCaller,
        action: &'static str,
        resource_arn: &str,
    ) -> Result<(), Denied> {
        let grants: &Grants = caller.facts().ok_or(Denied {
            code: "AccessDenied",
            message: "Access Denied".into(),
        })?;
        let question = Question {
            action,
            resource: resource_arn,
            resource_account: self.owner,
            trust_policy: None,
            keys: &ContextKeys::new(),
            resource_agrees: false,
        };
        grants.decide(&question).map_err(|message| Denied {
            code: "AccessDenied",
            message,
        })
    }
}

fn denied(error: &NotAuthenticated) -> Denied {
    let error = match error {
        NotAuthenticated::Refused(error) => error,
        NotAuthenticated::Failed(error) => {
            tracing::error!(error = %error, "an s3 request could not be authenticated");
            let message = "We encountered an internal error. Please try again.";
            return Denied {
                code: "InternalError",
                message: message.into(),
            };
        }
    };
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

/// The S3 endpoint as the listener sees it.
#[derive(Debug)]
pub(crate) struct BucketHandler(pub(crate) ReadOnlyEndpoint);

#[async_trait]
impl Handler for BucketHandler {
    async fn handle(
        &self,
        _connection: &ConnectionFacts,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let (mut head, _) = request.into_parts();
        let is_http1 = head.version < http::Version::HTTP_2;
        let refused = |status, line| Answer::text(status, line).and_close();
        if check_head(&head).is_err() {
            let answer = refused(
                StatusCode::BAD_REQUEST,
                "the request's head is not acceptable\n",
            );
            return answer.into_plain_response(is_http1);
        }
        if let (Some(authority), false) = (
            head.uri.authority().cloned(),
            head.headers.contains_key(http::header::HOST),
        ) && let Ok(host) = authority.as_str().parse()
        {
            head.headers.insert(http::header::HOST, host);
        }
        // The bucket is read-only, so no request needs its body.
        let request = Request::from_parts(head, cairn_bucket::Body::empty());
        match self.0.call(request).await {
            Ok(response) => response.map(|body| body.map_err(Into::into).boxed_unsync()),
            Err(error) => {
                tracing::warn!(?error, "an s3 answer could not be made");
                let answer = refused(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n");
                answer.into_plain_response(is_http1)
            }
        }
    }
}
