//! Requests to the S3 endpoint: named as an operation or not, no key leads out of its folder, and the whole
//! endpoint answers every one of them, but never as its own fault.
#![no_main]

use std::sync::{Arc, OnceLock};

use cairn_access::sigv4::PayloadRule;
use cairn_bucket::{
    Access, Admission, Body, BucketEndpoint, BucketFacts, Buckets, BucketsConfig, Caller, Demand,
    Denied, Gatekeeper, KeyUse, LakeBucket, LogDelivery, NewObjectKey, ObjectKey, Outcome,
    PlainKey, RequestHead, StoredObjects, WrappedObjectKey,
};
use cairn_platform::{ManualClock, MasterKey, SeededEntropy};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

// The input is a method, a target and headers as `name:value`, in lines.
fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let method = lines.next().unwrap_or_default().parse::<Method>();
    let uri = lines.next().unwrap_or_default().parse::<Uri>();
    let (Ok(method), Ok(uri)) = (method, uri) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.take(100).filter_map(|line| line.split_once(':')) {
        let (name, value) = (
            name.parse::<HeaderName>(),
            value.trim().parse::<HeaderValue>(),
        );
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    call(&method, &uri, &headers);
    let Some(access) = Access::of(&method, &uri, &headers) else {
        return;
    };
    assert!(!access.operation.name.is_empty());
    assert!(
        access
            .bucket
            .as_deref()
            .is_none_or(|bucket| !bucket.contains('/'))
    );
    assert!(access.key.is_none() || access.bucket.is_some());
    assert!(access.operation.read_only || !matches!(method.as_str(), "GET" | "HEAD"));
    if let Some(key) = access.key.and_then(|key| ObjectKey::parse(&key).ok()) {
        let parts = key.as_str().split('/');
        assert!(parts.clone().all(|part| !matches!(part, "" | "." | "..")));
    }
});

fn call(method: &Method, uri: &Uri, headers: &HeaderMap) {
    static ENDPOINT: OnceLock<(BucketEndpoint, Runtime)> = OnceLock::new();
    let (endpoint, runtime) = ENDPOINT.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        (runtime.block_on(endpoint()), runtime)
    });
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri.clone();
    *request.headers_mut() = headers.clone();
    let answer = runtime
        .block_on(endpoint.call(request))
        .expect("the connection stays open");
    let status = answer.status().as_u16();
    assert!(status < 500 || status == 501, "{status} for {method} {uri}");
}

/// An endpoint with one bucket beside the lake's.
async fn endpoint() -> BucketEndpoint {
    let folder = std::env::temp_dir().join(format!("s3_head-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("lake/event-history")).expect("a temporary folder");
    std::fs::write(folder.join("lake/event-history/x.json"), b"0123456789").expect("a file");
    let stored = Arc::new(StoredObjects::open(&folder.join("lake")).expect("it was just made"));
    let config = BucketsConfig {
        folder: folder.join("buckets"),
        ..BucketsConfig::default()
    };
    let key = MasterKey::from_hex(&"5a".repeat(32)).expect("a key");
    let clock = Arc::new(ManualClock::at(0));
    let entropy = Arc::new(SeededEntropy::new(1));
    let buckets = Buckets::open(config, key, clock, entropy).await;
    let facts = BucketFacts {
        name: "cairn-lake".to_owned(),
        owner: account(),
        region: "us-east-1".parse().expect("a Region"),
        policy: None,
    };
    let lake = LakeBucket { facts, stored };
    let buckets = buckets.expect("a fresh folder");
    let endpoint = BucketEndpoint::new(buckets, lake, Arc::new(AnyCaller));
    let mut made = Request::new(Body::empty());
    *made.method_mut() = Method::PUT;
    *made.uri_mut() = Uri::from_static("/bucket");
    let made = endpoint.call(made).await.expect("an answer");
    assert_eq!(made.status().as_u16(), 200);
    endpoint
}

fn account() -> cairn_model::AccountId {
    "123456789012".parse().expect("an account")
}

/// Admits everybody to everything.
#[derive(Debug)]
struct AnyCaller;

#[async_trait::async_trait]
impl Gatekeeper for AnyCaller {
    async fn authenticate(&self, _: RequestHead<'_>) -> Result<Admission, Denied> {
        Ok(Admission {
            caller: Caller::new(()),
            account: Some(account()),
            region: "us-east-1".parse().expect("a Region"),
            payload: PayloadRule::unsigned(),
        })
    }

    async fn authorize(&self, _: &Caller, _: Demand<'_>) -> Result<(), Denied> {
        Ok(())
    }

    fn check_policy(&self, _: &str, _: &str) -> Result<(), Denied> {
        Ok(())
    }

    fn check_key_name(&self, _: &Caller, _: &str, _: &BucketFacts) -> Result<(), Denied> {
        Ok(())
    }

    async fn new_object_key(
        &self,
        _: &Caller,
        key_id: &str,
        _: KeyUse<'_>,
    ) -> Result<NewObjectKey, Denied> {
        Ok(NewObjectKey {
            key_arn: key_id.to_owned(),
            plain: PlainKey::default(),
            wrapped: vec![0; 32],
        })
    }

    async fn open_object_key(
        &self,
        _: &Caller,
        _: WrappedObjectKey<'_>,
        _: KeyUse<'_>,
    ) -> Result<PlainKey, Denied> {
        Ok(PlainKey::default())
    }

    fn lets_logs_in(&self, _: &LogDelivery<'_>) -> bool {
        true
    }

    async fn witness(
        &self,
        _: &Caller,
        _: Option<&Access>,
        _: Option<&BucketFacts>,
        _: &Outcome,
    ) -> Result<(), Denied> {
        Ok(())
    }
}
