//! Bodies as the endpoint reads them, from clients that are right, wrong, slow or gone.

use cairn_access::SecretKey;
use cairn_access::sigv4::{
    Credentials, RequestParts, ServiceRules, SigningRequest, parse, sha256_hex, sign,
};
use futures::StreamExt as _;
use futures::stream;
use http_body_util::StreamBody;

use super::*;

const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
/// "hello, world" in chunks, with its trailer.
const CHUNKS: &[&str] = &[
    "5\r\nhello\r",
    "\n7\r\n, world\r\n0\r\nx-amz-check",
    "sum-crc32:AAAAAA==\r\n\r\n",
];

type Pieces = Vec<Result<&'static str, StdError>>;

fn pieces(texts: &[&'static str]) -> Pieces {
    texts.iter().copied().map(Ok).collect()
}

fn body(pieces: Pieces) -> Body {
    let frames = pieces
        .into_iter()
        .map(|piece| piece.map(|text| Frame::data(Bytes::from_static(text.as_bytes()))));
    Body::http_body_unsync(StreamBody::new(stream::iter(frames)))
}

fn head(headers: &[(&str, &str)]) -> Parts {
    let mut builder = http::Request::builder().uri("/b/k");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a request").into_parts().0
}

/// The rule of a request with this payload hash, signed as it must be.
fn rule(payload_hash: &str, headers: &[(&str, &str)]) -> PayloadRule {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| pair(name, value))
        .collect();
    headers.push(pair("host", "localhost"));
    let signing = SigningRequest {
        request: RequestParts {
            method: "PUT",
            path: "/b/k",
            query: "",
            headers: &headers,
            now_ms: 1_440_938_160_000,
        },
        payload_hash,
        region: "us-east-1",
        service: "s3",
        rules: ServiceRules::S3,
    };
    let secret = SecretKey::new("a secret".to_owned());
    let credentials = Credentials {
        access_key_id: "AKIDEXAMPLE",
        secret: &secret,
        security_token: None,
    };
    let added = sign(&signing, &credentials).expect("signs");
    let headers = [headers.as_slice(), &added].concat();
    let request = RequestParts {
        headers: &headers,
        ..signing.request
    };
    let signed = parse(&request, &ServiceRules::S3).expect("well formed");
    signed.payload_rule(&secret)
}

fn chunked(length: &str) -> PayloadRule {
    rule(
        UNSIGNED_TRAILER,
        &[
            ("x-amz-decoded-content-length", length),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ],
    )
}

/// What a reader gets before the end or the error, and which it was.
async fn read(mut body: Body) -> (String, Result<(), PayloadFailure>) {
    let mut data = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => data.extend_from_slice(&piece),
            Err(error) => {
                assert!(body.next().await.is_none(), "an error is the end");
                let failure = error.downcast_ref::<PayloadFailure>();
                let failure = *failure.expect("failures have one type");
                return (String::from_utf8_lossy(&data).into_owned(), Err(failure));
            }
        }
    }
    (String::from_utf8_lossy(&data).into_owned(), Ok(()))
}

async fn check(rule: &PayloadRule, pieces: Pieces, expected: (&str, Result<(), PayloadFailure>)) {
    let (checked, report) = checked(&mut head(&[]), body(pieces), rule).expect("begins");
    let (data, end) = read(checked).await;
    assert_eq!((data.as_str(), end), expected);
    assert_eq!(report.failure(), end.err());
}

#[tokio::test]
async fn what_follows_sees_a_plain_body_and_its_trailers() {
    let mut parts = head(&[
        ("content-length", "82"),
        ("content-encoding", "gzip,aws-chunked"),
        ("x-amz-content-sha256", UNSIGNED_TRAILER),
        ("x-amz-decoded-content-length", "12"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-meta-a", "b"),
    ]);
    let (body, report) = checked(&mut parts, body(pieces(CHUNKS)), &chunked("12")).expect("begins");
    assert_eq!(report.announced(), ["x-amz-checksum-crc32"]);
    assert_eq!(report.trailer("x-amz-checksum-crc32"), None);
    assert_eq!(body.size_hint().exact(), Some(12));
    assert_eq!(read(body).await, ("hello, world".to_owned(), Ok(())));
    assert_eq!(report.trailer("x-amz-checksum-crc32"), Some("AAAAAA=="));
    assert_eq!(report.received_bytes(), 12);
    let mut left: Vec<(&str, &str)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
        .collect();
    left.sort_unstable();
    assert_eq!(
        left,
        [
            ("content-encoding", "gzip"),
            ("content-length", "12"),
            ("x-amz-meta-a", "b"),
        ]
    );
    assert!(parts.extensions.get::<Arc<PayloadReport>>().is_some());
}

// Proves: A2
#[tokio::test]
async fn the_last_piece_of_a_wrong_body_never_leaves() {
    let refused = |error| Err(PayloadFailure::Refused(error));
    let signed = rule(&sha256_hex(b"abc"), &[]);
    check(&signed, pieces(&["a", "b", "c"]), ("abc", Ok(()))).await;
    let mismatch = refused(PayloadError::HashMismatch);
    check(&signed, pieces(&["a", "b", "d"]), ("ab", mismatch)).await;
    check(&signed, pieces(&["abcd"]), ("", mismatch)).await;
    check(&signed, pieces(&["", ""]), ("", mismatch)).await;
    let cut = pieces(&CHUNKS[..2]);
    check(
        &chunked("12"),
        cut,
        ("hello", refused(PayloadError::WrongLength)),
    )
    .await;
    let long = refused(PayloadError::WrongLength);
    check(&chunked("11"), pieces(CHUNKS), ("", long)).await;
    let more = [CHUNKS, &["more"]].concat();
    check(
        &chunked("12"),
        pieces(&more),
        ("hello", refused(PayloadError::Malformed)),
    )
    .await;
}

#[tokio::test]
async fn a_client_that_is_slow_or_gone_ends_the_body() {
    let unsigned = PayloadRule::unsigned();
    let late: StdError = Box::new(BodyTimedOut);
    let slow = vec![Ok("a"), Ok("b"), Err(late)];
    check(&unsigned, slow, ("a", Err(PayloadFailure::TimedOut))).await;
    let gone = vec![Ok("a"), Err(StdError::from("reset"))];
    check(&unsigned, gone, ("", Err(PayloadFailure::Interrupted))).await;
}

#[test]
fn empty_bodies_are_judged_at_once() {
    let empty = rule(&sha256_hex(b""), &[]);
    let (body, _) = checked(&mut head(&[]), Body::empty(), &empty).expect("is right");
    assert!(body.is_end_stream());
    let other = rule(&sha256_hex(b"a"), &[]);
    let refused = checked(&mut head(&[]), Body::empty(), &other).err();
    assert_eq!(
        refused,
        Some(PayloadFailure::Refused(PayloadError::HashMismatch))
    );
    let refused = checked(&mut head(&[]), Body::empty(), &chunked("0")).err();
    assert_eq!(
        refused,
        Some(PayloadFailure::Refused(PayloadError::WrongLength))
    );
}

#[test]
fn bodies_are_bounded_and_need_a_length() {
    let longest = BODY_BYTES_MAX.to_string();
    assert!(checked(&mut head(&[]), body(Vec::new()), &chunked(&longest)).is_ok());
    let longer = (BODY_BYTES_MAX + 1).to_string();
    let refused = checked(&mut head(&[]), body(Vec::new()), &chunked(&longer)).err();
    assert_eq!(refused, Some(PayloadFailure::TooLarge));
    let unknown = rule(
        UNSIGNED_TRAILER,
        &[("x-amz-trailer", "x-amz-checksum-crc32")],
    );
    let refused = checked(&mut head(&[]), body(Vec::new()), &unknown).err();
    assert_eq!(
        refused,
        Some(PayloadFailure::Refused(PayloadError::LengthMissing))
    );
}

#[test]
fn failures_are_s3s_errors() {
    let check = |failure: PayloadFailure, code: &str, status: u16| {
        let error = failure.to_s3_error();
        let found = error.status_code().map(|status| status.as_u16());
        assert_eq!((error.code().as_str(), found), (code, Some(status)));
        assert!(error.message().is_some_and(|message| !message.is_empty()));
    };
    let refused = PayloadFailure::Refused;
    check(
        refused(PayloadError::LengthMissing),
        "MissingContentLength",
        411,
    );
    check(refused(PayloadError::Malformed), "InvalidRequest", 400);
    check(
        refused(PayloadError::ChunkTooSmall),
        "InvalidChunkSizeError",
        403,
    );
    check(refused(PayloadError::WrongLength), "IncompleteBody", 400);
    check(
        refused(PayloadError::SignatureDoesNotMatch),
        "SignatureDoesNotMatch",
        403,
    );
    check(
        refused(PayloadError::HashMismatch),
        "XAmzContentSHA256Mismatch",
        400,
    );
    check(
        refused(PayloadError::MalformedTrailer),
        "MalformedTrailerError",
        400,
    );
    check(PayloadFailure::TooLarge, "EntityTooLarge", 400);
    check(PayloadFailure::TimedOut, "RequestTimeout", 400);
    check(PayloadFailure::Interrupted, "IncompleteBody", 400);
}
