//! A client that signs as AWS's SDKs do.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use cairn_access::SecretKey;
use cairn_access::sigv4::{self, RequestParts, ServiceRules, SigningRequest, sha256_hex, sign};
use cairn_platform::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};

use crate::app::read;

/// The prefix by which botocore names operations.
const TARGET_PREFIX: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.";

/// An access key.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Its ID.
    pub access_key_id: String,
    /// Its secret.
    pub secret: String,
    /// The session token of temporary credentials.
    pub token: Option<String>,
}

impl Credentials {
    /// Long-term credentials.
    pub fn new(access_key_id: &str, secret: &str) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret: secret.into(),
            token: None,
        }
    }

    /// The first profile of a file of the AWS CLI.
    pub(crate) fn of_file(path: &Path) -> Self {
        let text = read(path);
        let value = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.split_once('=').filter(|(n, _)| n.trim() == name));
            line.unwrap_or_else(|| panic!("{name} is missing"))
                .1
                .trim()
                .to_owned()
        };
        Self {
            access_key_id: value("aws_access_key_id"),
            secret: value("aws_secret_access_key"),
            token: None,
        }
    }
}

/// Sends signed requests to one server.
#[derive(Clone, Debug)]
pub struct SignedClient {
    http: reqwest::Client,
    address: SocketAddr,
    scheme: &'static str,
    /// Who signs.
    pub credentials: Credentials,
    /// The Region of the scope.
    pub region: String,
    clock: Option<ManualClock>,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(sent, _)| sent == name)
            .map(|(_, value)| value.as_str())
    }

    /// The error's name, wherever the protocol puts it.
    pub fn error(&self) -> String {
        self.header("x-amzn-errortype")
            .unwrap_or_default()
            .to_owned()
    }
}

/// A request to sign and send.
#[derive(Clone, Debug)]
struct Outgoing<'a> {
    service: &'a str,
    method: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
    /// What the request says of its body in place of the hash.
    payload: Option<&'a str>,
}

impl SignedClient {
    pub(crate) fn new(
        address: SocketAddr,
        credentials: Credentials,
        clock: Option<ManualClock>,
    ) -> Self {
        // The client asks the process for its cryptography; a second installation changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // A clock that a test moves closes idle connections while the client thinks them fresh.
        let idle_max = if clock.is_some() { 0 } else { usize::MAX };
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(idle_max)
            .build()
            .expect("a client can be made");
        Self {
            http,
            address,
            scheme: "http",
            credentials,
            region: "us-east-1".into(),
            clock,
        }
    }

    /// The same client in another Region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// The same client over TLS, trusting one certificate.
    #[must_use]
    pub fn over_tls(mut self, certificate_pem: &[u8]) -> Self {
        let root = reqwest::Certificate::from_pem(certificate_pem).expect("a PEM certificate");
        let builder = reqwest::Client::builder()
            .no_proxy()
            .add_root_certificate(root);
        self.http = builder.build().expect("a client can be made");
        self.scheme = "https";
        self
    }

    /// An operation of CloudTrail.
    pub async fn cloudtrail(&self, operation: &str, input: &Value) -> Answer {
        let target = format!("{TARGET_PREFIX}{operation}");
        self.cloudtrail_raw(
            &target,
            "application/x-amz-json-1.1",
            input.to_string().as_bytes(),
        )
        .await
    }

    /// A request to CloudTrail as it may come from a client that is broken.
    pub async fn cloudtrail_raw(&self, target: &str, content_type: &str, body: &[u8]) -> Answer {
        let headers = vec![("x-amz-target", target), ("content-type", content_type)];
        self.send(Outgoing {
            service: "cloudtrail",
            method: "POST",
            path: "/",
            headers,
            body,
            payload: None,
        })
        .await
    }

    /// LookupEvents with one attribute, the largest page.
    pub async fn lookup(&self, (key, value): (&str, &str)) -> Answer {
        let attributes = json!([{"AttributeKey": key, "AttributeValue": value}]);
        let input = json!({"LookupAttributes": attributes, "MaxResults": 50});
        self.cloudtrail("LookupEvents", &input).await
    }

    /// An operation of KMS.
    pub async fn kms(&self, operation: &str, input: &Value) -> Answer {
        let target = format!("TrentService.{operation}");
        let headers = vec![
            ("x-amz-target", target.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
        ];
        self.send(Outgoing {
            service: "kms",
            method: "POST",
            path: "/",
            headers,
            body: input.to_string().as_bytes(),
            payload: None,
        })
        .await
    }

    /// An operation of IAM, STS or Cairn's own administration.
    pub async fn query(&self, service: &str, form: &str) -> Answer {
        let version = match service {
            "iam" => "2010-05-08",
            "sts" => "2011-06-15",
            _ => "2026-11-21",
        };
        let body = format!("{form}&Version={version}");
        let headers = vec![(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )];
        let body = body.as_bytes();
        self.send(Outgoing {
            service,
            method: "POST",
            path: "/",
            headers,
            body,
            payload: None,
        })
        .await
    }

    /// Events through the ingest door.
    pub async fn put_events(&self, body: &[u8]) -> Answer {
        self.put_events_with(body, &[]).await
    }

    /// As `put_events`, with further headers.
    pub async fn put_events_with(&self, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        self.rest("POST", "/events", headers, body).await
    }

    /// A request to CloudTrail Data.
    pub async fn rest(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let headers = headers.to_vec();
        self.send(Outgoing {
            service: "cloudtrail-data",
            method,
            path,
            headers,
            body,
            payload: None,
        })
        .await
    }

    /// A request to the S3 endpoint, for a client that was made for its address.
    pub async fn s3(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.to_vec();
        self.send(Outgoing {
            service: "s3",
            method,
            path,
            headers,
            body: b"",
            payload: None,
        })
        .await
    }

    /// An upload to the S3 endpoint that says `payload` of its body, right or wrong.
    pub async fn s3_upload(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        (payload, body): (&str, &[u8]),
    ) -> Answer {
        let headers = headers.to_vec();
        self.send(Outgoing {
            service: "s3",
            method: "PUT",
            path,
            headers,
            body,
            payload: Some(payload),
        })
        .await
    }

    /// A request without a signature.
    pub async fn unsigned(&self, method: &str, path: &str) -> Answer {
        let method = method.parse().expect("a method");
        let url = format!("{}://{}{path}", self.scheme, self.address);
        read_answer(
            self.http
                .request(method, url)
                .send()
                .await
                .expect("an answer comes"),
        )
        .await
    }

    async fn send(&self, outgoing: Outgoing<'_>) -> Answer {
        let now_ms = match &self.clock {
            Some(clock) => clock.now_ms(),
            None => SystemClock::new().now_ms(),
        };
        let (path, query) = outgoing.path.split_once('?').unwrap_or((outgoing.path, ""));
        let mut headers = vec![("host".to_owned(), self.address.to_string())];
        headers.extend(
            outgoing
                .headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        );
        let hash = sha256_hex(outgoing.body);
        let signing = SigningRequest {
            request: RequestParts {
                method: outgoing.method,
                path,
                query,
                headers: &headers,
                now_ms,
            },
            payload_hash: outgoing.payload.unwrap_or(&hash),
            region: &self.region,
            service: outgoing.service,
            rules: match outgoing.service {
                "s3" => ServiceRules::S3,
                _ => ServiceRules::STANDARD,
            },
        };
        let secret = SecretKey::new(self.credentials.secret.clone());
        let credentials = sigv4::Credentials {
            access_key_id: &self.credentials.access_key_id,
            secret: &secret,
            security_token: self.credentials.token.as_deref(),
        };
        let signed = sign(&signing, &credentials).expect("the time is one that can be written");
        let url = format!("{}://{}{}", self.scheme, self.address, outgoing.path);
        let method = outgoing.method.parse().expect("a method");
        let mut request = self.http.request(method, url).body(outgoing.body.to_vec());
        for (name, value) in headers.iter().chain(&signed) {
            request = request.header(name, value);
        }
        read_answer(request.send().await.expect("an answer comes")).await
    }
}

async fn read_answer(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let body = response.bytes().await.expect("the answer is complete");
    Answer {
        status,
        headers,
        body,
    }
}
