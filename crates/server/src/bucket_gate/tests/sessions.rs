//! Sessions of services: where they are let in and where not.

use std::sync::Arc;

use cairn_access::sigv4::{
    Credentials, RequestParts, ServiceRules, SigningRequest, sha256_hex, sign,
};
use cairn_bucket::{Admission, Denied, Gatekeeper, RequestHead};
use http::{Extensions, HeaderMap, Method, Uri};

use super::{Arrival, Fixture, TRAIL, call};
use crate::pipeline::Call;
use crate::sts::ServiceCredentials;

impl Fixture {
    /// A call that a service has signed.
    fn signed(&self, credentials: &ServiceCredentials, service: &str) -> Call {
        let now_ms = self.now_ms();
        let mut call = call("PUT", "/logs/x", &[("host", "127.0.0.1:4511")]);
        call.received_ms = now_ms;
        call.headers.retain(|(name, _)| name != "authorization");
        let rules = match service {
            "s3" => ServiceRules::S3,
            _ => ServiceRules::STANDARD,
        };
        let signing = SigningRequest {
            request: RequestParts {
                now_ms,
                ..call.parts()
            },
            payload_hash: &sha256_hex(b"data"),
            region: "us-east-1",
            service,
            rules,
        };
        let credentials = Credentials {
            access_key_id: &credentials.access_key_id,
            secret: &credentials.secret,
            security_token: Some(&credentials.session_token),
        };
        let added = sign(&signing, &credentials).expect("signs");
        call.headers.extend(added);
        call
    }

    async fn admit(&self, call: Call) -> Result<Admission, Denied> {
        let mut extensions = Extensions::new();
        extensions.insert(Arc::new(Arrival {
            call,
            extended_id: String::new(),
        }));
        let head = RequestHead {
            method: &Method::PUT,
            uri: &Uri::from_static("/logs/x"),
            headers: &HeaderMap::new(),
            extensions: &extensions,
        };
        self.gate.authenticate(head).await
    }
}

// Proves: SEC-204, R20
#[tokio::test]
async fn a_service_signs_in_to_the_s3_endpoint_without_an_account() {
    let aws = Fixture::new().await;
    let credentials = aws.service(TRAIL, 60_000);
    let admission = aws.admit(aws.signed(&credentials, "s3")).await;
    let admission = admission.expect("is let in");
    assert_eq!(admission.account, None);
    assert_eq!(admission.region.as_str(), "us-east-1");
    let mut reader = admission.payload.reader().expect("a rule");
    assert!(reader.take(b"other").is_ok());
    assert!(reader.finish().is_err(), "the body is not what was signed");
    assert!(format!("{credentials:?}").contains("ASIA"));
    assert!(!format!("{credentials:?}").contains(credentials.secret.expose()));
}

// Proves: A2, R20
#[tokio::test]
async fn a_service_is_refused_everywhere_else_and_when_its_time_is_over() {
    let aws = Fixture::new().await;
    let credentials = aws.service(TRAIL, 60_000);
    for service in [
        "cloudtrail",
        "cloudtrail-data",
        "sts",
        "iam",
        "kms",
        "cairn",
    ] {
        let call = aws.signed(&credentials, service);
        let claim = aws.server().authenticator.claim(&call).await;
        let error = format!("{:?}", claim.expect_err("is refused"));
        assert_eq!(error, "Refused(InvalidSessionToken)", "{service}");
    }
    let over = aws.service(TRAIL, 0);
    let refused = aws.admit(aws.signed(&over, "s3")).await;
    assert_eq!(refused.expect_err("is over").code, "ExpiredToken");
    let mut forged = aws.service(TRAIL, 60_000);
    forged.session_token = aws.service(TRAIL, 60_000).session_token;
    let refused = aws.admit(aws.signed(&forged, "s3")).await;
    assert_eq!(refused.expect_err("another's token").code, "InvalidToken");
    let mut forged = aws.service(TRAIL, 60_000);
    let end = forged.session_token.len() - 20;
    let other = if forged.session_token.as_bytes()[end] == b'A' {
        "B"
    } else {
        "A"
    };
    forged.session_token.replace_range(end..=end, other);
    let refused = aws.admit(aws.signed(&forged, "s3")).await;
    assert_eq!(refused.expect_err("a forged token").code, "InvalidToken");
}
