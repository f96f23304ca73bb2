//! Measures whether the time of a refusal tells anything (TESTING A5): a signature with all digits right
//! but the last against one whose first digit is wrong, and an unknown key against a known one with a
//! wrong signature. A third pair is the control: a comparison that stops at the first difference, which
//! the measurement must find. Where a process happens to lay its memory makes a steady difference of some tens of
//! nanoseconds either way, so the samples are spread over fresh processes and t is taken over their
//! differences; below 4.5 there is no significant one. Run it with
//! `cargo run --release -p cairn-access --example signature_timing [SAMPLES]`.
#![expect(clippy::print_stdout, reason = "a measuring tool prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures this machine's own time"
)]

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use cairn_access::SecretKey;
use cairn_access::sigv4::{
    Credentials, RequestParts, ServiceRules, SignedRequest, SigningRequest, parse, sha256_hex, sign,
};

const NOW_MS: i64 = 1_795_230_000_000;
const SAMPLES_DEFAULT: usize = 100_000;
const PROCESSES: usize = 40;
const T_MAX: f64 = 4.5;

/// The argument by which the program asks copies of itself for one measurement.
const ONE_PROCESS: &str = "one-process";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(ONE_PROCESS) {
        let samples = arguments.next().and_then(|text| text.parse().ok());
        let order = arguments.next().and_then(|text| text.parse().ok());
        let [digit, key, control] = measure(
            samples.expect("the parent passes a number"),
            order.expect("the parent passes an order"),
        );
        println!("{digit} {key} {control}");
        return;
    }
    let samples = first
        .and_then(|text| text.parse().ok())
        .unwrap_or(SAMPLES_DEFAULT);
    let runs: Vec<[f64; 3]> = (0..PROCESSES)
        .map(|run| measure_apart(samples / PROCESSES, run % 2 == 0))
        .collect();
    println!("{samples} samples a side in {PROCESSES} processes, limit {T_MAX}");
    let mut as_expected = true;
    for (index, (name, expected)) in PAIRS.iter().enumerate() {
        let moments = Moments::of(&runs.iter().map(|run| run[index]).collect::<Vec<_>>());
        let t = moments.mean / moments.mean_variance.sqrt();
        println!("{name}: {:.1} ns apart, t = {t:.2}", moments.mean);
        as_expected &= (t.abs() >= T_MAX) == *expected;
    }
    if !as_expected {
        std::process::exit(1);
    }
}

/// The pairs, and whether a difference is expected.
const PAIRS: [(&str, bool); 3] = [
    ("63 digits right / first digit wrong", false),
    ("known key / unknown key", false),
    ("control: a comparison that stops early", true),
];

/// One measurement in a process of its own.
fn measure_apart(samples: usize, first_wrong_first: bool) -> [f64; 3] {
    let program = std::env::current_exe().expect("the program knows where it lies");
    let output = Command::new(program)
        .args([
            ONE_PROCESS,
            &samples.to_string(),
            &first_wrong_first.to_string(),
        ])
        .output()
        .expect("the program can start itself");
    let text = String::from_utf8(output.stdout).expect("it prints text");
    let mut numbers = text
        .split_whitespace()
        .map(|number| number.parse().expect("a number"));
    std::array::from_fn(|_| numbers.next().expect("it prints three numbers"))
}

/// The differences of the pairs, in nanoseconds. Which request is made first decides where it lies in
/// memory, so the caller has half of the processes do it the other way round.
fn measure(samples: usize, first_wrong_first: bool) -> [f64; 3] {
    let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
    let body = sha256_hex(b"{}");
    let right = signature(&secret, &body);
    let places = if first_wrong_first { [0, 63] } else { [63, 0] };
    let mut requests = places.map(|place| with_digit_wrong(&right, place));
    if first_wrong_first {
        requests.reverse();
    }
    let [last_wrong, first_wrong] = requests;
    let refused =
        |request: &SignedRequest| black_box(request.verify(&secret, Some(&body))).is_err();
    let digit = difference(samples, || refused(&last_wrong), || refused(&first_wrong));
    let unknown = || black_box(Err::<(), _>(first_wrong.refuse_unknown_key(Some(&body)))).is_err();
    let key = difference(samples, || refused(&first_wrong), unknown);
    let stops_early = |wrong: usize| {
        let found = (0..64).find(|index| black_box(*index) == wrong);
        refused(&first_wrong) && found.is_some()
    };
    let control = difference(samples, || stops_early(63), || stops_early(0));
    [digit, key, control]
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

/// The request with one digit of its signature changed.
fn with_digit_wrong(right: &[(String, String)], place: usize) -> SignedRequest {
    let mut headers = right.to_vec();
    let authorization = headers.last_mut().expect("the signer adds headers");
    let place = authorization.1.len() - 64 + place;
    let wrong = if authorization.1[place..].starts_with('0') {
        "1"
    } else {
        "0"
    };
    authorization.1.replace_range(place..=place, wrong);
    parse(&parts(&headers), &ServiceRules::STANDARD).expect("the request is well formed")
}

/// How much longer the left way to be refused takes. The order of the calls is shuffled, so that drift
/// of the machine falls on both. The slowest twentieth of each is interruptions and is left out.
fn difference(samples: usize, left: impl Fn() -> bool, right: impl Fn() -> bool) -> f64 {
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
    left.mean - right.mean
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
