//! Tests of the read-only endpoint, through HTTP requests.
//!
//! - `reading`: objects, ranges, conditions, refusals.
//! - `witness`: what the gatekeeper is told of every request.
//! - `listing`: pages, prefixes, delimiters, compared with a plain model.

mod listing;
mod reading;
mod witness;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cairn_bucket::{
    Access, Caller, Denied, Gatekeeper, Outcome, ReadOnlyEndpoint, RequestHead, StoredObjects,
};
use http_body_util::BodyExt as _;

/// Admits whoever sends `x-test-caller`, and lets `reader` do everything, others nothing. Takes no note
/// of a caller named `unrecordable`, and panics when it is asked about `breaker`.
#[derive(Debug, Default)]
struct HeaderGatekeeper {
    witnessed: Mutex<Vec<(Option<Access>, Outcome)>>,
}

#[async_trait]
impl Gatekeeper for HeaderGatekeeper {
    async fn authenticate(&self, head: RequestHead<'_>) -> Result<Caller, Denied> {
        match head
            .headers
            .get("x-test-caller")
            .and_then(|name| name.to_str().ok())
        {
            Some(name) => Ok(Caller::new(name.to_owned())),
            None => Err(Denied {
                code: "AccessDenied",
                message: "not signed".to_owned(),
            }),
        }
    }

    async fn authorize(
        &self,
        caller: &Caller,
        action: &'static str,
        resource_arn: &str,
    ) -> Result<(), Denied> {
        match caller.facts::<String>().map(String::as_str) {
            Some("reader" | "unrecordable") => Ok(()),
            Some("breaker") => panic!("what a defect would do"),
            _ => Err(Denied {
                code: "AccessDenied",
                message: format!("{action} {resource_arn}"),
            }),
        }
    }

    async fn witness(
        &self,
        caller: &Caller,
        access: Option<&Access>,
        outcome: &Outcome,
    ) -> Result<(), Denied> {
        if caller.facts::<String>().map(String::as_str) == Some("unrecordable") {
            return Err(Denied {
                code: "ServiceUnavailable",
                message: "no room".to_owned(),
            });
        }
        let note = (access.cloned(), outcome.clone());
        self.witnessed.lock().expect("unpoisoned").push(note);
        Ok(())
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    gatekeeper: Arc<HeaderGatekeeper>,
    endpoint: ReadOnlyEndpoint,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("S3 answers in UTF-8")
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().expect("ASCII")
    }

    fn between(&self, start: &str, end: &str) -> Vec<String> {
        let text = self.text();
        text.split(start)
            .skip(1)
            .map(|rest| rest.split(end).next().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Fixture {
    fn with(objects: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lake = folder.path().join("lake");
        std::fs::create_dir(&lake).expect("a fresh folder");
        for (key, bytes) in objects {
            let path = lake.join(key);
            std::fs::create_dir_all(path.parent().expect("below the lake")).expect("folders");
            std::fs::write(path, bytes).expect("a file");
        }
        let stored = Arc::new(StoredObjects::open(&lake).expect("the folder exists"));
        let gatekeeper = Arc::new(HeaderGatekeeper::default());
        let asked = Arc::clone(&gatekeeper) as Arc<dyn Gatekeeper>;
        let endpoint = ReadOnlyEndpoint::new("cairn-lake", "eu-west-1", stored, asked);
        Self {
            folder,
            gatekeeper,
            endpoint,
        }
    }

    async fn send(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = http::Request::builder().method(method).uri(uri);
        request = request.header("host", "127.0.0.1:4511");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(s3s::Body::empty())
            .expect("a well-formed request");
        let response = self.endpoint.call(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map(|collected| collected.to_bytes().to_vec());
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.unwrap_or_default(),
        }
    }

    async fn get(&self, uri: &str) -> Answer {
        self.send("GET", uri, &[("x-test-caller", "reader")]).await
    }
}
