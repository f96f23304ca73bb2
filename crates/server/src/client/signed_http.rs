//! One signed request and its answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_access::sigv4::{self, Credentials, RequestParts, ServiceRules, SigningRequest};
use cairn_platform::Clock;

use super::profile::ClientProfile;

/// How long one request may take, answer included.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// Sends signed requests to one endpoint.
#[derive(Debug)]
pub(crate) struct SignedHttp {
    http: reqwest::Client,
    profile: ClientProfile,
    host: String,
    clock: Arc<dyn Clock>,
}

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request_id: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// True for answers after which the same request may be sent again with hope of success.
    pub(crate) fn is_retryable(&self) -> bool {
        let throttled = || {
            let text = String::from_utf8_lossy(&self.body);
            ["Throttling", "RequestTimeout", "RequestTimeTooSkewed"]
                .iter()
                .any(|code| text.contains(code))
        };
        matches!(self.status, 408 | 429 | 500 | 502 | 503 | 504)
            || (self.status == 400 && throttled())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("{endpoint} is not an http or https address")]
    Endpoint { endpoint: String },
    #[error("cannot set up the HTTP client: {reason}")]
    Client { reason: reqwest::Error },
    #[error("the request cannot be signed: {reason}")]
    Unsignable { reason: String },
    #[error("{file} holds no certificates that can be read")]
    CaBundle { file: PathBuf },
    #[error("no answer from {endpoint}: {}", chain(reason))]
    NoAnswer {
        endpoint: String,
        reason: reqwest::Error,
    },
}

/// An error with its causes: the HTTP library's own text does not say why a request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The certificates of a PEM file, beside those that the system trusts.
fn certificates(file: &Path) -> Result<Vec<reqwest::Certificate>, CallError> {
    let unreadable = || CallError::CaBundle { file: file.into() };
    let pem = std::fs::read(file).map_err(|_| unreadable())?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| unreadable())?;
    if found.is_empty() {
        Err(unreadable())
    } else {
        Ok(found)
    }
}

impl SignedHttp {
    /// A client for the profile's endpoint.
    pub(crate) fn new(profile: ClientProfile, clock: Arc<dyn Clock>) -> Result<Self, CallError> {
        let malformed = || CallError::Endpoint {
            endpoint: profile.endpoint.clone(),
        };
        let url: reqwest::Url = profile.endpoint.parse().map_err(|_| malformed())?;
        let host = match (url.scheme(), url.host_str(), url.port()) {
            ("http" | "https", Some(host), Some(port)) => format!("{host}:{port}"),
            ("http" | "https", Some(host), None) => host.to_owned(),
            _ => return Err(malformed()),
        };
        let mut builder = reqwest::Client::builder();
        if let Some(file) = &profile.ca_bundle {
            for certificate in certificates(file)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let http = builder
            .timeout(REQUEST_TIMEOUT)
            // A signed request goes where its sender said and nowhere else (R22).
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|reason| CallError::Client { reason })?;
        Ok(Self {
            http,
            profile,
            host,
            clock,
        })
    }

    /// Asks whether anybody is there to connect to, whatever the answer is.
    pub(crate) async fn reach(&self) -> Result<(), CallError> {
        let endpoint = &self.profile.endpoint;
        match self.http.get(format!("{endpoint}/healthz")).send().await {
            Err(reason) if reason.is_connect() => Err(CallError::NoAnswer {
                endpoint: endpoint.clone(),
                reason,
            }),
            _ => Ok(()),
        }
    }

    /// Posts JSON to `path`, signed for `service`.
    pub(crate) async fn post_json(
        &self,
        service: &str,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, CallError> {
        self.post(service, path, ("application/json", None), body)
            .await
    }

    /// Calls an operation of a service that speaks AWS JSON 1.1.
    pub(crate) async fn call(
        &self,
        service: &str,
        target: &str,
        body: Bytes,
    ) -> Result<Answer, CallError> {
        let form = ("application/x-amz-json-1.1", Some(target));
        self.post(service, "/", form, body).await
    }

    /// Posts a form to `/`, signed for `service`.
    pub(crate) async fn post_form(&self, service: &str, body: Bytes) -> Result<Answer, CallError> {
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        self.post(service, "/", (content_type, None), body).await
    }

    async fn post(
        &self,
        service: &str,
        path: &str,
        (content_type, target): (&str, Option<&str>),
        body: Bytes,
    ) -> Result<Answer, CallError> {
        let mut headers = vec![
            ("host".to_owned(), self.host.clone()),
            ("content-type".to_owned(), content_type.to_owned()),
        ];
        headers.extend(target.map(|target| ("x-amz-target".to_owned(), target.to_owned())));
        let signed = sigv4::sign(
            &SigningRequest {
                request: RequestParts {
                    method: "POST",
                    path,
                    query: "",
                    headers: &headers,
                    now_ms: self.clock.now_ms(),
                },
                payload_hash: &sigv4::sha256_hex(&body),
                region: &self.profile.region,
                service,
                rules: ServiceRules::STANDARD,
            },
            &Credentials {
                access_key_id: &self.profile.access_key_id,
                secret: &self.profile.secret,
                security_token: self.profile.session_token.as_deref(),
            },
        )
        .map_err(|reason| CallError::Unsignable {
            reason: reason.to_string(),
        })?;
        let mut request = self
            .http
            .post(format!("{}{path}", self.profile.endpoint))
            .header("content-type", content_type)
            .body(body);
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let no_answer = |reason| CallError::NoAnswer {
            endpoint: self.profile.endpoint.clone(),
            reason,
        };
        let response = request.send().await.map_err(no_answer)?;
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let status = response.status().as_u16();
        let request_id = header("x-amzn-requestid").unwrap_or_default();
        let retry_after = header("retry-after")
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs);
        let body = response.bytes().await.map_err(no_answer)?;
        Ok(Answer {
            status,
            request_id,
            retry_after,
            body,
        })
    }
}
