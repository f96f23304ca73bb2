//! Requests to the S3 endpoint: named as an operation or not, and no key leads out of its folder.
#![no_main]

use cairn_bucket::{Access, ObjectKey};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use libfuzzer_sys::fuzz_target;

// The input is a method, a target and headers as `name:value`, in lines.
fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let method = lines.next().unwrap_or_default().parse::<Method>();
    let uri = lines.next().unwrap_or_default().parse::<Uri>();
    let (Ok(method), Ok(uri)) = (method, uri) else { return };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.take(100).filter_map(|line| line.split_once(':')) {
        let (name, value) = (name.parse::<HeaderName>(), value.trim().parse::<HeaderValue>());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    let Some(access) = Access::of(&method, &uri, &headers) else { return };
    assert!(!access.operation.name.is_empty());
    assert!(access.bucket.as_deref().is_none_or(|bucket| !bucket.contains('/')));
    assert!(access.key.is_none() || access.bucket.is_some());
    assert!(access.operation.read_only || !matches!(method.as_str(), "GET" | "HEAD"));
    if let Some(key) = access.key.and_then(|key| ObjectKey::parse(&key).ok()) {
        let parts = key.as_str().split('/');
        assert!(parts.clone().all(|part| !matches!(part, "" | "." | "..")));
    }
});
