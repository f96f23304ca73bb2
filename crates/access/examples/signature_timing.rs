//! Measures whether the time of a refusal tells anything (TESTING A5): a signature whose first digit is
//! right against one whose first digit is wrong, and an unknown key against a known one with a wrong
//! signature. Prints Welch's t for each pair; below 4.5 there is no significant difference. Run it with
//! `cargo run --release -p cairn-access --example signature_timing [SAMPLES]`.
#![expect(clippy::print_stdout, reason = "a measuring tool prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures this machine's own time"
)]

use std::hint::black_box;
use std::time::Instant;

use cairn_access::SecretKey;
use cairn_access::sigv4::{
    Credentials, RequestParts, ServiceRules, SignedRequest, SigningRequest, parse, sha256_hex, sign,
};

const NOW_MS: i64 = 1_795_230_000_000;
const SAMPLES_DEFAULT: usize = 100_000;
const T_MAX: f64 = 4.5;

fn main() {
    let samples = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(SAMPLES_DEFAULT);
    let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
    let body = sha256_hex(b"{}");
    let right = signature(&secret, &body);
    // All digits but the first are wrong, so only the first can make a difference.
    let first_right = with_signature(&right, |first| first);
    let first_wrong = with_signature(&right, |first| if first == '0' { '1' } else { '0' });

    let digit = welch_t(
        samples,
        || black_box(first_right.verify(&secret, Some(&body))).is_err(),
        || black_box(first_wrong.verify(&secret, Some(&body))).is_err(),
    );
    let key = welch_t(
        samples,
        || black_box(first_wrong.verify(&secret, Some(&body))).is_err(),
        || {
            black_box(first_wrong.refuse_unknown_key(Some(&body)));
            true
        },
    );
    println!("{samples} samples each, limit {T_MAX}");
    println!("first digit right / wrong: t = {digit:.2}");
    println!("known key / unknown key:   t = {key:.2}");
    if digit.abs() >= T_MAX || key.abs() >= T_MAX {
        std::process::exit(1);
    }
}

fn headers() -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        pair("host", "127.0.0.1:4510"),
        pair("content-type", "application/x-amz-json-1.1"),
    ]
}

fn parts(headers: &[(String, String)]) -> RequestParts<'_> {
    RequestParts {
        method: "POST",
        path: "/",
        query: "",
        headers,
        now_ms: NOW_MS,
    }
}

/// The headers of a rightly signed request.
fn signature(secret: &SecretKey, body: &str) -> Vec<(String, String)> {
    let mut headers = headers();
    let signing = SigningRequest {
        request: parts(&headers),
        payload_hash: body,
        region: "us-east-1",
        service: "cloudtrail",
        rules: ServiceRules::STANDARD,
    };
    let credentials = Credentials {
        access_key_id: "AKIDEXAMPLE",
        secret,
        security_token: None,
    };
    let added = sign(&signing, &credentials).expect("the request can be signed");
    headers.extend(added);
    headers
}

fn with_signature(right: &[(String, String)], first: impl Fn(char) -> char) -> SignedRequest {
    let mut headers = right.to_vec();
    let authorization = headers.last_mut().expect("the signer adds headers");
    let start = authorization.1.len() - 64;
    let flipped: String = authorization.1[start..]
        .chars()
        .enumerate()
        .map(|(index, digit)| match (index, digit) {
            (0, digit) => first(digit),
            (_, '0') => '1',
            _ => '0',
        })
        .collect();
    authorization.1.replace_range(start.., &flipped);
    parse(&parts(&headers), &ServiceRules::STANDARD).expect("the request is well formed")
}

/// Welch's t of two ways to be refused, called in an order that a fixed generator shuffles, so that
/// drift of the machine falls on both. The slowest twentieth of each is interruptions and is left out.
fn welch_t(samples: usize, left: impl Fn() -> bool, right: impl Fn() -> bool) -> f64 {
    let mut times = [Vec::with_capacity(samples), Vec::with_capacity(samples)];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for warm_up in 0..samples.min(1_000) {
        assert!(
            if warm_up % 2 == 0 { left() } else { right() },
            "both are refused"
        );
    }
    while times.iter().any(|list| list.len() < samples) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let side = usize::from(state & 1 == 1);
        let start = Instant::now();
        let refused = if side == 0 { left() } else { right() };
        let elapsed = start.elapsed();
        assert!(refused, "both are refused");
        if times[side].len() < samples {
            times[side].push(elapsed.as_secs_f64() * 1e9);
        }
    }
    let [left, right] = times.map(|mut list| {
        list.sort_by(f64::total_cmp);
        list.truncate(list.len() - list.len() / 20);
        Moments::of(&list)
    });
    (left.mean - right.mean) / (left.mean_variance + right.mean_variance).sqrt()
}

struct Moments {
    mean: f64,
    /// The variance of the mean.
    mean_variance: f64,
}

impl Moments {
    fn of(list: &[f64]) -> Self {
        let count = list.iter().map(|_| 1.0).sum::<f64>();
        let mean = list.iter().sum::<f64>() / count;
        let squares = list.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Self {
            mean,
            mean_variance: squares / (count - 1.0) / count,
        }
    }
}
