//! Signatures: any request is refused with a reason or well formed, and without the secret none passes.
#![no_main]

use cairn_access::SecretKey;
use cairn_access::sigv4::{RequestParts, ServiceRules, parse, sha256_hex};
use libfuzzer_sys::fuzz_target;

/// 2015-08-30T12:36:00Z, the time of the seeds.
const NOW_MS: i64 = 1_440_938_160_000;

// The input is a request in lines: method, path, query, then headers as `name:value`.
fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (method, path, query) = (next(), next(), next());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let request = RequestParts {
        method,
        path,
        query,
        headers: &headers,
        now_ms: NOW_MS,
    };
    for rules in [ServiceRules::STANDARD, ServiceRules::S3] {
        match parse(&request, &rules) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(signed) => {
                let secret = SecretKey::new("a secret that no input knows".to_owned());
                assert!(signed.verify(&secret, Some(&sha256_hex(b""))).is_err());
                assert!(signed.signed_headers().iter().any(|name| name == "host"));
            }
        }
    }
});
