//! Requests to the S3 endpoint: named as an operation or not, no key leads out of its folder, and the whole
//! endpoint answers every one of them, but never as its own fault.
#![no_main]

use std::sync::{Arc, OnceLock};

use cairn_bucket::{
    Access, Body, Caller, Denied, Gatekeeper, ObjectKey, Outcome, ReadOnlyEndpoint, RequestHead,
    StoredObjects,
};
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
    static ENDPOINT: OnceLock<(ReadOnlyEndpoint, Runtime)> = OnceLock::new();
    let (endpoint, runtime) = ENDPOINT.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("s3_head-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("event-history")).expect("a temporary folder");
        std::fs::write(folder.join("event-history/x.json"), b"0123456789").expect("a file");
        let stored = Arc::new(StoredObjects::open(&folder).expect("it was just made"));
        let endpoint =
            ReadOnlyEndpoint::new("cairn-lake", "us-east-1", stored, Arc::new(AnyCaller));
        (
            endpoint,
            Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        )
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

/// Admits everybody to everything.
#[derive(Debug)]
struct AnyCaller;

#[async_trait::async_trait]
impl Gatekeeper for AnyCaller {
    async fn authenticate(&self, _: RequestHead<'_>) -> Result<Caller, Denied> {
        Ok(Caller::new(()))
    }

    async fn authorize(&self, _: &Caller, _: &'static str, _: &str) -> Result<(), Denied> {
        Ok(())
    }

    async fn witness(&self, _: &Caller, _: Option<&Access>, _: &Outcome) -> Result<(), Denied> {
        Ok(())
    }
}
