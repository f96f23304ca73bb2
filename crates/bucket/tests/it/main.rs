//! Tests of the endpoint, through HTTP requests.
//!
//! - `reading`: objects, ranges, conditions, refusals.
//! - `witness`: what the gatekeeper is told of every request.
//! - `encryption`: objects under KMS keys, of which the test keeps a few.
//! - `listing`: pages, prefixes, delimiters, compared with a plain model.
//! - `crashes`: what a crash leaves, damage, restarts.
//! - `logging`: access logs, their settings and deliveries.
//! - `model`: puts, deletions, listings and versions compared with a plain model.
//! - `objects`: putting, copying, deleting objects; keys; checksums; conditions.
//! - `settings`: buckets and what can be set of them.
//! - `uploads`: uploads in parts.

mod crashes;
mod encryption;
mod listing;
mod logging;
mod model;
mod objects;
mod reading;
mod settings;
mod uploads;
mod witness;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cairn_access::sigv4::PayloadRule;
use cairn_bucket::{
    Access, Admission, BODY_BYTES_MAX, BucketEndpoint, BucketFacts, Buckets, BucketsConfig, Caller,
    Demand, Denied, Gatekeeper, KeyUse, LakeBucket, LogDelivery, NewObjectKey, Outcome, PlainKey,
    RequestHead, StoredObjects, WrappedObjectKey,
};
use cairn_model::AccountId;
use cairn_platform::{Clock, Entropy, ManualClock, MasterKey, SystemEntropy};
use http_body_util::BodyExt as _;

/// Admits whoever sends `x-test-caller`, and lets `reader` do everything, `keyless` everything without KMS
/// keys, others nothing. Takes no note
/// of a caller named `unrecordable`, and panics when it is asked about `breaker`.
#[derive(Debug, Default)]
struct HeaderGatekeeper {
    witnessed: Mutex<Vec<(Option<Access>, Outcome)>>,
    demands: Mutex<Vec<String>>,
    keys: encryption::Keys,
}

#[async_trait]
impl Gatekeeper for HeaderGatekeeper {
    async fn authenticate(&self, head: RequestHead<'_>) -> Result<Admission, Denied> {
        let text = |name: &str| head.headers.get(name)?.to_str().ok();
        let Some(name) = text("x-test-caller") else {
            return Err(Denied {
                code: "AccessDenied",
                message: "not signed".to_owned(),
            });
        };
        Ok(Admission {
            caller: Caller::new(name.to_owned()),
            account: Some(account(text("x-test-account").unwrap_or(ACCOUNT))),
            region: "eu-west-1".parse().expect("a Region"),
            payload: PayloadRule::unsigned(),
        })
    }

    async fn authorize(&self, caller: &Caller, demand: Demand<'_>) -> Result<(), Denied> {
        let demanded = format!("{} {}", demand.action, demand.resource_arn);
        let keys = demand
            .keys
            .iter()
            .map(|(name, value)| format!(" {name}={value}"));
        let demanded = keys.fold(demanded, |all, key| all + &key);
        self.demands.lock().expect("unpoisoned").push(demanded);
        match caller.facts::<String>().map(String::as_str) {
            Some("reader" | "keyless" | "unrecordable") => Ok(()),
            // Everything but listing.
            Some("getter") if demand.action != "s3:ListBucket" => Ok(()),
            Some("breaker") => panic!("what a defect would do"),
            _ => Err(Denied {
                code: "AccessDenied",
                message: format!("{} {}", demand.action, demand.resource_arn),
            }),
        }
    }

    fn check_policy(&self, bucket: &str, policy: &str) -> Result<(), Denied> {
        if policy.contains(&format!("arn:aws:s3:::{bucket}")) {
            return Ok(());
        }
        Err(Denied {
            code: "MalformedPolicy",
            message: "Policy has invalid resource".to_owned(),
        })
    }

    fn check_key_name(
        &self,
        _caller: &Caller,
        key_id: &str,
        _bucket: &BucketFacts,
    ) -> Result<(), Denied> {
        encryption::check_key_name(key_id)
    }

    async fn new_object_key(
        &self,
        caller: &Caller,
        key_id: &str,
        used: KeyUse<'_>,
    ) -> Result<NewObjectKey, Denied> {
        self.keys.generate(caller, key_id, used)
    }

    async fn open_object_key(
        &self,
        caller: &Caller,
        wrapped: WrappedObjectKey<'_>,
        used: KeyUse<'_>,
    ) -> Result<PlainKey, Denied> {
        assert_eq!(wrapped.key_arn, encryption::ARN);
        self.keys.open(caller, wrapped.bytes, used)
    }

    fn lets_logs_in(&self, delivery: &LogDelivery<'_>) -> bool {
        let policy = delivery.target.policy.as_deref().unwrap_or_default();
        policy.contains("logging.s3.amazonaws.com")
    }

    async fn witness(
        &self,
        caller: &Caller,
        access: Option<&Access>,
        _bucket: Option<&BucketFacts>,
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

/// The account of everyone who names none.
const ACCOUNT: &str = "123456789012";
/// 2026-03-01T12:00:00Z.
const NOW_MS: i64 = 1_772_366_400_000;

fn account(text: &str) -> AccountId {
    text.parse().expect("an account")
}

/// Bounds that tests set lower.
struct Limits {
    body_bytes_max: u64,
    buckets_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: BODY_BYTES_MAX,
            buckets_max: 100,
        }
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    gatekeeper: Arc<HeaderGatekeeper>,
    clock: ManualClock,
    buckets: Arc<Buckets>,
    endpoint: BucketEndpoint,
}

struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Vec<u8>,
    /// True if the body ended in an error.
    is_broken: bool,
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
    async fn with(objects: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let lake = folder.path().join("lake");
        std::fs::create_dir(&lake).expect("a fresh folder");
        for (key, bytes) in objects {
            let path = lake.join(key);
            std::fs::create_dir_all(path.parent().expect("below the lake")).expect("folders");
            std::fs::write(path, bytes).expect("a file");
        }
        Self::in_folder(folder, Limits::default()).await
    }

    /// The endpoint over a folder that may have been used before.
    async fn in_folder(folder: tempfile::TempDir, limits: Limits) -> Self {
        let lake = folder.path().join("lake");
        let stored = Arc::new(StoredObjects::open(&lake).expect("the folder exists"));
        let gatekeeper = Arc::new(HeaderGatekeeper::default());
        let clock = ManualClock::at(NOW_MS);
        let config = BucketsConfig {
            folder: folder.path().join("buckets"),
            body_bytes_max: limits.body_bytes_max,
            buckets_per_account_max: limits.buckets_max,
            ..BucketsConfig::default()
        };
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let key = MasterKey::from_hex(&"5a".repeat(32)).expect("a key");
        let buckets = Buckets::open(config, key, time, entropy).await;
        let buckets = buckets.expect("a store in a fresh folder, or one that was closed");
        let facts = BucketFacts {
            name: "cairn-lake".to_owned(),
            owner: account(ACCOUNT),
            region: "eu-west-1".parse().expect("a Region"),
            policy: None,
        };
        let asked = Arc::clone(&gatekeeper) as Arc<dyn Gatekeeper>;
        let lake = LakeBucket { facts, stored };
        let endpoint = BucketEndpoint::new(Arc::clone(&buckets), lake, asked);
        Self {
            folder,
            gatekeeper,
            clock,
            buckets,
            endpoint,
        }
    }

    /// A store of its own, with one bucket.
    async fn with_bucket() -> Self {
        let fixture = Self::with(&[]).await;
        fixture.done("PUT", "/bucket", &[], b"").await;
        fixture
    }

    /// Ends the store and opens it again.
    async fn restart(self) -> Self {
        self.buckets.close().await;
        let Self {
            folder,
            buckets,
            endpoint,
            ..
        } = self;
        drop((buckets, endpoint));
        Self::in_folder(folder, Limits::default()).await
    }

    /// A request of the owner's with a body.
    async fn ask(&self, method: &str, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = vec![("x-test-caller", "reader")];
        all.extend_from_slice(headers);
        let body = s3s::Body::from(body.to_vec());
        self.send_body(method, uri, &all, body).await
    }

    /// The same, which must go well.
    async fn done(&self, method: &str, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = self.ask(method, uri, headers, body).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert!(
            answer.status < 300,
            "{method} {uri}: {} {text}",
            answer.status
        );
        answer
    }

    /// The same, which must be refused with this status and code.
    async fn refused(
        &self,
        (method, uri): (&str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
        expected: (u16, &str),
    ) -> Answer {
        let answer = self.ask(method, uri, headers, body).await;
        let code = answer
            .between("<Code>", "</Code>")
            .pop()
            .unwrap_or_default();
        assert_eq!((answer.status, code.as_str()), expected, "{method} {uri}");
        answer
    }

    /// Files of bodies on the disk.
    fn body_files(&self) -> Vec<std::path::PathBuf> {
        let objects = self.folder.path().join("buckets/objects");
        let mut files = Vec::new();
        for folder in std::fs::read_dir(objects).expect("the store's folder") {
            let folder = folder.expect("an entry").path();
            let entries = std::fs::read_dir(folder).expect("a folder of bodies");
            files.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        files
    }

    async fn send(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Answer {
        self.send_body(method, uri, headers, s3s::Body::empty())
            .await
    }

    async fn send_body(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: s3s::Body,
    ) -> Answer {
        let mut request = http::Request::builder().method(method).uri(uri);
        request = request.header("host", "127.0.0.1:4511");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a well-formed request");
        let response = self.endpoint.call(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await;
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            is_broken: body.is_err(),
            body: body.map_or_else(|_| Vec::new(), |body| body.to_bytes().to_vec()),
        }
    }

    async fn get(&self, uri: &str) -> Answer {
        self.send("GET", uri, &[("x-test-caller", "reader")]).await
    }
}
