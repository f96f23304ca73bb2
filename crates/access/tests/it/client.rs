//! A client that signs requests with our own signer, which AWS's vectors prove, and lets a test change
//! anything afterwards.

use cairn_access::SecretKey;
use cairn_access::sigv4::{
    AuthenticationError, Credentials, EMPTY_SHA256, RequestParts, ServiceRules, SignedRequest,
    SigningRequest, parse, presign, sha256_hex, sign,
};

pub(crate) const NOW_MS: i64 = 1_440_938_160_000; // 2015-08-30T12:36:00Z
pub(crate) const KEY: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A request on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) now_ms: i64,
    pub(crate) rules: ServiceRules,
    pub(crate) service: &'static str,
}

impl Wire {
    /// An unsigned call of LookupEvents.
    pub(crate) fn lookup_events() -> Self {
        let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        Self {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: vec![
                pair("host", "127.0.0.1:4510"),
                pair("content-type", "application/x-amz-json-1.1"),
                pair("x-amz-target", target),
                pair("user-agent", "aws-cli/2.38.5"),
            ],
            body: br#"{"MaxResults":5}"#.to_vec(),
            now_ms: NOW_MS,
            rules: ServiceRules::STANDARD,
            service: "cloudtrail",
        }
    }

    /// An unsigned GET of an object.
    pub(crate) fn get_object(path: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: String::new(),
            headers: vec![pair("host", "127.0.0.1:4511")],
            body: Vec::new(),
            now_ms: NOW_MS,
            rules: ServiceRules::S3,
            service: "s3",
        }
    }

    pub(crate) fn signed(self) -> Self {
        self.signed_with(None)
    }

    pub(crate) fn signed_with(mut self, token: Option<&str>) -> Self {
        let hash = self.body_hash();
        let added = sign(&self.signing(&hash), &credentials(&secret(), token)).expect("signs");
        self.headers.extend(added);
        self
    }

    /// Signs as the clients do whose bodies are signed chunk by chunk, or not at all.
    pub(crate) fn signed_streaming(mut self, form: &str) -> Self {
        let added = sign(&self.signing(form), &credentials(&secret(), None)).expect("signs");
        self.headers.extend(added);
        self
    }

    pub(crate) fn presigned(mut self, expires_seconds: u32, token: Option<&str>) -> Self {
        let hash = self.body_hash();
        let secret = secret();
        self.query = presign(
            &self.signing(&hash),
            &credentials(&secret, token),
            expires_seconds,
        )
        .expect("signs");
        self
    }

    pub(crate) fn parts(&self) -> RequestParts<'_> {
        RequestParts {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            now_ms: self.now_ms,
        }
    }

    pub(crate) fn parse(&self) -> Result<SignedRequest, AuthenticationError> {
        parse(&self.parts(), &self.rules)
    }

    /// What a server does: parse, look up the secret, verify.
    pub(crate) fn authenticate(&self) -> Result<SignedRequest, AuthenticationError> {
        let signed = self.parse()?;
        if signed.access_key_id() != KEY {
            return Err(signed.refuse_unknown_key(Some(&self.body_hash())));
        }
        signed.verify(&secret(), Some(&self.body_hash()))?;
        Ok(signed)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(sent, _)| sent == name);
        &found.expect("the header is there").1
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(sent, _)| sent != name);
        self.add(name, value)
    }

    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.headers.push(pair(name, value));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(sent, _)| sent != name);
        self
    }

    /// Changes the `Authorization` header.
    pub(crate) fn authorization(self, change: impl FnOnce(&str) -> String) -> Self {
        let changed = change(self.header("authorization"));
        self.set("authorization", &changed)
    }

    /// Signs with `x-amz-date` at another time than the server's.
    pub(crate) fn signed_at(mut self, signed_ms: i64) -> Self {
        let now_ms = std::mem::replace(&mut self.now_ms, signed_ms);
        let mut signed = self.signed();
        signed.now_ms = now_ms;
        signed
    }

    fn body_hash(&self) -> String {
        if self.body.is_empty() {
            EMPTY_SHA256.to_owned()
        } else {
            sha256_hex(&self.body)
        }
    }

    fn signing<'a>(&'a self, payload_hash: &'a str) -> SigningRequest<'a> {
        let request = self.parts();
        let (service, rules) = (self.service, self.rules);
        SigningRequest {
            request,
            payload_hash,
            region: "us-east-1",
            service,
            rules,
        }
    }
}

pub(crate) fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

pub(crate) fn secret() -> SecretKey {
    SecretKey::new(SECRET.to_owned())
}

fn credentials<'a>(secret: &'a SecretKey, security_token: Option<&'a str>) -> Credentials<'a> {
    Credentials {
        access_key_id: KEY,
        secret,
        security_token,
    }
}
