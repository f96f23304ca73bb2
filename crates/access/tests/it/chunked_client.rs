//! A client that uploads in chunks: it signs the request, every chunk and the trailers.

use cairn_access::SecretKey;
use cairn_access::sigv4::{
    AmzTime, ChunkedForm, EMPTY_SHA256, PayloadRule, Scope, SigningKey, sha256_hex,
};

use crate::client::{NOW_MS, SECRET, Wire, secret};

/// An upload to be made.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) form: ChunkedForm,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Vec<(String, String)>,
}

impl Upload {
    pub(crate) fn new(form: ChunkedForm, chunks: &[&[u8]]) -> Self {
        let trailers = match form {
            ChunkedForm::Signed => Vec::new(),
            _ => vec![("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned())],
        };
        Self {
            form,
            chunks: chunks.iter().map(|chunk| chunk.to_vec()).collect(),
            trailers,
        }
    }

    pub(crate) fn data(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The request, and the body on the wire.
    pub(crate) fn request(&self) -> (Wire, Vec<u8>) {
        self.request_of_length(self.data().len())
    }

    /// As [`Self::request`], with another declared length.
    pub(crate) fn request_of_length(&self, length: usize) -> (Wire, Vec<u8>) {
        let names: Vec<&str> = self
            .trailers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let mut wire = Wire::get_object("/bucket/key")
            .add("x-amz-decoded-content-length", &length.to_string());
        "PUT".clone_into(&mut wire.method);
        if !names.is_empty() {
            wire = wire.add("x-amz-trailer", &names.join(","));
        }
        let wire = wire.signed_streaming(self.form.as_str());
        let seed = wire.header("authorization").rsplit('=').next();
        let body = self.body(seed.expect("a signature"));
        (wire, body)
    }

    /// What the server makes of the request.
    pub(crate) fn rule(&self) -> (PayloadRule, Vec<u8>) {
        let (wire, body) = self.request();
        (rule_of(&wire), body)
    }

    /// The body on the wire, whose signatures follow from `seed`.
    pub(crate) fn body(&self, seed: &str) -> Vec<u8> {
        let signs = self.form != ChunkedForm::UnsignedTrailer;
        let mut chain = ClientChain::new(seed);
        let mut body = Vec::new();
        let end: Vec<u8> = Vec::new();
        for chunk in self.chunks.iter().chain([&end]) {
            body.extend_from_slice(format!("{:x}", chunk.len()).as_bytes());
            if signs {
                let signature = chain.chunk(chunk);
                body.extend_from_slice(format!(";chunk-signature={signature}").as_bytes());
            }
            body.extend_from_slice(b"\r\n");
            if !chunk.is_empty() {
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
        }
        let mut signed = String::new();
        for (name, value) in &self.trailers {
            body.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            signed.extend([name, ":", value, "\n"]);
        }
        if self.form == ChunkedForm::SignedTrailer {
            let signature = chain.trailers(&signed);
            body.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body
    }
}

/// The rule of a request that is right.
pub(crate) fn rule_of(wire: &Wire) -> PayloadRule {
    let signed = wire.parse().expect("well formed");
    signed.verify(&secret(), None).expect("signed");
    signed.payload_rule(&secret())
}

struct ClientChain {
    key: SigningKey,
    start: String,
    previous: String,
}

impl ClientChain {
    fn new(seed: &str) -> Self {
        let signed_at = AmzTime::from_millis(NOW_MS).expect("a time");
        let scope = Scope {
            date: signed_at.date(),
            region: "us-east-1".to_owned(),
            service: "s3".to_owned(),
        };
        Self {
            key: SigningKey::derive(&SecretKey::new(SECRET.to_owned()), &scope),
            start: format!("{signed_at}\n{scope}"),
            previous: seed.to_owned(),
        }
    }

    fn chunk(&mut self, chunk: &[u8]) -> String {
        let (start, previous, hash) = (&self.start, &self.previous, sha256_hex(chunk));
        let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{start}\n{previous}\n{EMPTY_SHA256}\n{hash}");
        self.previous = self.key.signature(&text);
        self.previous.clone()
    }

    fn trailers(&mut self, canonical: &str) -> String {
        let (start, previous) = (&self.start, &self.previous);
        let hash = sha256_hex(canonical.as_bytes());
        let text = format!("AWS4-HMAC-SHA256-TRAILER\n{start}\n{previous}\n{hash}");
        self.key.signature(&text)
    }
}
