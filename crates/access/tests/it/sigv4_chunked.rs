//! Bodies that are signed chunk by chunk: AWS's published examples, any splits, and what must be
//! refused.

use cairn_access::SecretKey;
use cairn_access::sigv4::{
    ChunkedForm, PayloadError, PayloadRule, RequestParts, ServiceRules, Trailer, parse,
};
use proptest::prelude::*;

use crate::chunked_client::{Upload, rule_of};
use crate::client::{Wire, pair};

/// What came through, and what the end said.
type Read = Result<(Vec<u8>, Vec<Trailer>), PayloadError>;

/// Reads a body that arrives in pieces of these lengths, then the rest.
fn read(rule: &PayloadRule, body: &[u8], pieces: &[usize]) -> Read {
    let mut reader = rule.reader()?;
    let mut data = Vec::new();
    let mut rest = body;
    let mut lengths = pieces.iter().copied();
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (mut piece, later) = rest.split_at(length);
        rest = later;
        while !piece.is_empty() {
            let taken = reader.take(piece)?;
            assert!(taken.consumed > 0, "every step moves on");
            data.extend_from_slice(&piece[taken.data]);
            piece = &piece[taken.consumed..];
        }
    }
    Ok((data, reader.finish()?))
}

fn check(upload: &Upload, expected: Result<(), PayloadError>) {
    let (rule, body) = upload.rule();
    let found = read(&rule, &body, &[]);
    assert_eq!(found.clone().map(|_| ()), expected);
    if let Ok((data, trailers)) = found {
        assert_eq!(data, upload.data());
        assert_eq!(trailers, upload.trailers);
    }
}

/// What becomes of a body after `change`.
fn changed(upload: &Upload, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Result<(), PayloadError> {
    let (rule, body) = upload.rule();
    read(&rule, &change(body), &[]).map(|_| ())
}

fn replaced(body: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(body.to_vec()).expect("text");
    assert!(text.contains(from), "{from} is in the body");
    text.replacen(from, to, 1).into_bytes()
}

const FORMS: [ChunkedForm; 3] = [
    ChunkedForm::Signed,
    ChunkedForm::SignedTrailer,
    ChunkedForm::UnsignedTrailer,
];

/// The request and the body of the examples in the manual: 65 KiB of `a` in two chunks.
fn published(form: &str, trailer: Option<&str>, signed: &str, signatures: [&str; 4]) -> Read {
    let [seed, first, second, last] = signatures;
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders={signed}, Signature={seed}"
    );
    let mut headers = vec![
        pair("host", "s3.amazonaws.com"),
        pair("x-amz-date", "20130524T000000Z"),
        pair("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        pair("x-amz-content-sha256", form),
        pair("content-encoding", "aws-chunked"),
        pair("x-amz-decoded-content-length", "66560"),
        pair("content-length", "66824"),
        pair("authorization", &authorization),
    ];
    headers.extend(trailer.map(|_| pair("x-amz-trailer", "x-amz-checksum-crc32c")));
    let request = RequestParts {
        method: "PUT",
        path: "/examplebucket/chunkObject.txt",
        query: "",
        headers: &headers,
        now_ms: 1_369_353_600_000,
    };
    let secret = SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
    let signed = parse(&request, &ServiceRules::S3).expect("well formed");
    signed.verify(&secret, None).expect("AWS's signature");
    let body = format!(
        "10000;chunk-signature={first}\r\n{}\r\n400;chunk-signature={second}\r\n{}\r\n\
         0;chunk-signature={last}\r\n{}\r\n",
        "a".repeat(65_536),
        "a".repeat(1024),
        trailer.unwrap_or_default(),
    );
    read(&signed.payload_rule(&secret), body.as_bytes(), &[])
}

#[test]
fn the_published_example_of_a_chunked_upload_is_accepted() {
    let (data, trailers) = published(
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        None,
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;\
         x-amz-decoded-content-length;x-amz-storage-class",
        [
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ],
    )
    .expect("AWS's own signatures");
    assert_eq!((data.len(), trailers), (66_560, Vec::new()));
}

#[test]
fn the_published_example_of_signed_trailers_is_accepted() {
    let (data, trailers) = published(
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        Some(
            "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:\
             d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
        ),
        "content-encoding;host;x-amz-content-sha256;x-amz-date;\
         x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
        [
            "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ],
    )
    .expect("AWS's own signatures");
    assert_eq!(data.len(), 66_560);
    assert_eq!(trailers, [pair("x-amz-checksum-crc32c", "sOO8/Q==")]);
}

#[test]
fn every_form_is_read_empty_bodies_included() {
    for form in FORMS {
        check(&Upload::new(form, &[]), Ok(()));
        check(&Upload::new(form, &[b"small"]), Ok(()));
        check(
            &Upload::new(form, &[&[7; 8192], &[8; 8192], b"end"]),
            Ok(()),
        );
    }
}

// Proves: A2
#[test]
fn a_changed_byte_anywhere_in_a_signed_body_is_refused() {
    for form in [ChunkedForm::Signed, ChunkedForm::SignedTrailer] {
        let upload = Upload::new(form, &[b"first and last"]);
        let length = upload.rule().1.len();
        for at in 0..length {
            let found = changed(&upload, |mut body| {
                body[at] ^= 0x01;
                body
            });
            assert!(found.is_err(), "{form:?}: byte {at} of {length}");
        }
    }
}

// Proves: A2
#[test]
fn chunks_cannot_be_left_out_swapped_or_repeated() {
    let (one, two) = (vec![1; 8192], vec![2; 8192]);
    let line = 4 + ";chunk-signature=".len() + 64 + 2;
    let chunk = line + 8192 + 2;
    for form in [ChunkedForm::Signed, ChunkedForm::SignedTrailer] {
        let upload = Upload::new(form, &[&one, &two]);
        let found = changed(&upload, |body| {
            [&body[chunk..2 * chunk], &body[..chunk], &body[2 * chunk..]].concat()
        });
        assert_eq!(found, Err(PayloadError::SignatureDoesNotMatch));
        let found = changed(&upload, |body| {
            [&body[..chunk], &body[..chunk], &body[2 * chunk..]].concat()
        });
        assert_eq!(found, Err(PayloadError::SignatureDoesNotMatch));
        let found = changed(&upload, |body| {
            [&body[..chunk], &body[2 * chunk..]].concat()
        });
        assert_eq!(found, Err(PayloadError::WrongLength));
    }
}

// Proves: A2
#[test]
fn what_is_left_out_or_added_at_the_end_is_noticed() {
    for form in FORMS {
        let upload = Upload::new(form, &[b"data"]);
        let length = upload.rule().1.len();
        for kept in 0..length {
            let found = changed(&upload, |body| body[..kept].to_vec());
            assert_eq!(found, Err(PayloadError::WrongLength), "{form:?}: {kept}");
        }
        let found = changed(&upload, |body| [&body[..], b"\r\n"].concat());
        assert_eq!(found, Err(PayloadError::Malformed), "{form:?}");
    }
}

#[test]
fn the_declared_length_is_the_length() {
    for form in FORMS {
        let upload = Upload::new(form, &[b"data"]);
        for wrong in [0, 3, 5] {
            let (wire, body) = upload.request_of_length(wrong);
            let found = read(&rule_of(&wire), &body, &[]).map(|_| ());
            assert_eq!(found, Err(PayloadError::WrongLength), "{form:?}: {wrong}");
        }
    }
    let wire = Wire::get_object("/b/k").signed_streaming(ChunkedForm::Signed.as_str());
    let found = rule_of(&wire).reader().map(|_| ());
    assert_eq!(found, Err(PayloadError::LengthMissing));
}

#[test]
fn trailers_are_those_that_were_announced() {
    let crc = "x-amz-checksum-crc32:AAAAAA==\r\n";
    let check = |from: &str, to: &str, expected| {
        let upload = Upload::new(ChunkedForm::UnsignedTrailer, &[b"data"]);
        let found = changed(&upload, |body| replaced(&body, from, to));
        assert_eq!(found, expected, "{from:?} to {to:?}");
    };
    let malformed = Err(PayloadError::MalformedTrailer);
    check(crc, "", malformed);
    check(crc, &crc.repeat(2), malformed);
    check(
        crc,
        &format!("{crc}x-amz-checksum-sha1:AAAA\r\n"),
        malformed,
    );
    check(crc, &format!("{crc}x-amz-meta-a:b\r\n"), malformed);
    check(
        crc,
        &format!("{crc}x-amz-trailer-signature:00\r\n"),
        malformed,
    );
    check("crc32:", "crc32 ", malformed);
    check(
        crc,
        &format!("x-amz-checksum-crc32:{}\r\n", "A".repeat(1024)),
        malformed,
    );
    // Some clients end these lines with a line feed alone, and may write names as they like.
    check(crc, "X-Amz-Checksum-CRC32: AAAAAA==\n", Ok(()));
}

// Proves: A2
#[test]
fn signed_trailers_need_their_signature_at_the_end() {
    let upload = Upload::new(ChunkedForm::SignedTrailer, &[b"data"]);
    let body = String::from_utf8(upload.rule().1).expect("text");
    let at = body.find("x-amz-trailer-signature").expect("it is there");
    let signature = body[at..].trim_end();
    let found = changed(&upload, |body| {
        replaced(&body, &format!("{signature}\r\n"), "")
    });
    assert_eq!(found, Err(PayloadError::MalformedTrailer));
    let crc = "x-amz-checksum-crc32:AAAAAA==";
    let found = changed(&upload, |body| {
        replaced(
            &body,
            &format!("{crc}\r\n{signature}"),
            &format!("{signature}\r\n{crc}"),
        )
    });
    assert_eq!(found, Err(PayloadError::SignatureDoesNotMatch));
    let found = changed(&upload, |body| replaced(&body, "AAAAAA==", "BBBBBB=="));
    assert_eq!(found, Err(PayloadError::SignatureDoesNotMatch));
}

#[test]
fn the_announcement_fits_the_form() {
    let check = |form: ChunkedForm, trailers: &[&str]| {
        let mut upload = Upload::new(form, &[b"data"]);
        upload.trailers = trailers.iter().map(|name| pair(name, "x")).collect();
        let found = upload.rule().0.reader().map(|_| ());
        assert_eq!(found, Err(PayloadError::MalformedTrailer), "{trailers:?}");
    };
    check(ChunkedForm::Signed, &["x-amz-checksum-crc32"]);
    check(ChunkedForm::SignedTrailer, &[]);
    check(ChunkedForm::UnsignedTrailer, &["content-type"]);
    check(
        ChunkedForm::UnsignedTrailer,
        &["x-amz-checksum-a", "x-amz-checksum-a"],
    );
    let many: Vec<String> = (0..9).map(|n| format!("x-amz-checksum-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check(ChunkedForm::UnsignedTrailer, &many);
}

#[test]
fn small_chunks_and_long_lines_are_refused() {
    let (small, large) = (vec![1; 8191], vec![1; 8192]);
    for form in [ChunkedForm::Signed, ChunkedForm::SignedTrailer] {
        let upload = Upload::new(form, &[&small, &large]);
        assert_eq!(
            changed(&upload, |body| body),
            Err(PayloadError::ChunkTooSmall)
        );
    }
    check(
        &Upload::new(ChunkedForm::UnsignedTrailer, &[b"a", b"b"]),
        Ok(()),
    );
    let upload = Upload::new(ChunkedForm::UnsignedTrailer, &[b"data"]);
    for line in [
        "0000000000000000004",
        "4;a=b",
        "-4",
        "+4",
        "",
        " 4",
        "4\r",
        "0x4",
        "g",
    ] {
        let found = changed(&upload, |body| {
            replaced(&body, "4\r\n", &format!("{line}\r\n"))
        });
        assert_eq!(found, Err(PayloadError::Malformed), "{line:?}");
    }
    let found = changed(&upload, |body| replaced(&body, "4\r\n", "4\n"));
    assert_eq!(found, Err(PayloadError::Malformed));
    let endless = vec![b'1'; 1 << 20];
    let found = changed(&upload, |_| endless);
    assert_eq!(found, Err(PayloadError::Malformed));
}

#[test]
fn whole_bodies_are_compared_with_their_hash() {
    let put = Wire {
        method: "PUT".to_owned(),
        body: b"abc".to_vec(),
        ..Wire::get_object("/b/k")
    };
    let rule = rule_of(&put.signed());
    assert_eq!(read(&rule, b"abc", &[1]), Ok((b"abc".to_vec(), Vec::new())));
    assert_eq!(read(&rule, b"abd", &[]), Err(PayloadError::HashMismatch));
    assert_eq!(read(&rule, b"", &[]), Err(PayloadError::HashMismatch));
    let unsigned = PayloadRule::unsigned();
    assert_eq!(
        read(&unsigned, b"any", &[]),
        Ok((b"any".to_vec(), Vec::new()))
    );
    assert_eq!(format!("{rule:?}"), "PayloadRule(SHA-256)");
}

#[test]
fn presigned_requests_and_forms_unknown_cannot_stream() {
    for form in ["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-"] {
        let wire = Wire::get_object("/b/k").signed_streaming(form);
        assert!(wire.parse().is_err(), "{form}");
    }
    let form = ChunkedForm::UnsignedTrailer.as_str();
    let wire = Wire::get_object("/b/k").add("x-amz-content-sha256", form);
    assert!(wire.presigned(60, None).parse().is_err());
}

fn uploads() -> impl Strategy<Value = Upload> {
    let chunk = prop::collection::vec(any::<u8>(), 8192..9000);
    let last = prop::collection::vec(any::<u8>(), 0..50);
    let form = prop::sample::select(FORMS.to_vec());
    (form, prop::collection::vec(chunk, 0..3), last).prop_map(|(form, mut chunks, last)| {
        chunks.extend(Some(last).filter(|last| !last.is_empty()));
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        Upload::new(form, &chunks)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn splits_do_not_matter(
        upload in uploads(),
        pieces in prop::collection::vec(1_usize..6000, 0..40),
    ) {
        let (rule, body) = upload.rule();
        let (data, trailers) = read(&rule, &body, &pieces).expect("a right body");
        prop_assert_eq!(data, upload.data());
        prop_assert_eq!(trailers, upload.trailers);
        let bytes = vec![1; body.len()];
        prop_assert!(read(&rule, &body, &bytes).is_ok());
    }

    #[test]
    fn noise_is_refused_and_never_more_than_was_declared(
        noise in prop::collection::vec(any::<u8>(), 0..600),
        start in prop::sample::select(vec!["", "4\r\n", "4\r\ndata\r\n0\r\n"]),
    ) {
        let (rule, _) = Upload::new(ChunkedForm::UnsignedTrailer, &[b"data"]).rule();
        let body = [start.as_bytes(), &noise].concat();
        let mut reader = rule.reader().expect("a rule");
        let (mut rest, mut data) = (&body[..], 0);
        while !rest.is_empty() {
            let Ok(taken) = reader.take(rest) else { break };
            data += taken.data.len();
            rest = &rest[taken.consumed..];
        }
        prop_assert!(data <= 4);
    }
}
