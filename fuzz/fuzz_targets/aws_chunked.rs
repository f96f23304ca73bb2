//! Bodies in chunks: no input is read as more than it declares, and without the key no signed one passes.
#![no_main]

use cairn_access::SecretKey;
use cairn_access::sigv4::{ChunkedForm, PayloadRule, RequestParts, ServiceRules, Trailer, parse};
use libfuzzer_sys::fuzz_target;

/// 2015-08-30T12:36:00Z.
const NOW_MS: i64 = 1_440_938_160_000;

// The input is one byte for the form, one for the lengths of the pieces, one for the declared length, then
// the body.
fuzz_target!(|input: &[u8]| {
    let [form, step, declared, body @ ..] = input else {
        return;
    };
    let form = match form % 3 {
        0 => ChunkedForm::Signed,
        1 => ChunkedForm::SignedTrailer,
        _ => ChunkedForm::UnsignedTrailer,
    };
    let rule = rule_of(form, *declared);
    let whole = read(&rule, body, body.len().max(1));
    let pieces = read(&rule, body, usize::from(*step).max(1));
    assert_eq!(whole, pieces, "pieces do not matter");
    if let Some((length, trailers)) = whole {
        assert_eq!(form, ChunkedForm::UnsignedTrailer, "nobody has signed it");
        assert_eq!(length, usize::from(*declared));
        assert_eq!(trailers.len(), 1);
    }
});

fn rule_of(form: ChunkedForm, declared: u8) -> PayloadRule {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let names = "host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length";
    let trailing = form != ChunkedForm::Signed;
    let names = format!("{names}{}", if trailing { ";x-amz-trailer" } else { "" });
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/s3/aws4_request, \
         SignedHeaders={names}, Signature={}",
        "0".repeat(64)
    );
    let mut headers = vec![
        pair("host", "localhost"),
        pair("x-amz-date", "20150830T123600Z"),
        pair("x-amz-content-sha256", form.as_str()),
        pair("x-amz-decoded-content-length", &declared.to_string()),
        pair("authorization", &authorization),
    ];
    if trailing {
        headers.push(pair("x-amz-trailer", "x-amz-checksum-crc32"));
    }
    let request = RequestParts {
        method: "PUT",
        path: "/b/k",
        query: "",
        headers: &headers,
        now_ms: NOW_MS,
    };
    let signed = parse(&request, &ServiceRules::S3).expect("well formed");
    signed.payload_rule(&SecretKey::new("a secret that no input knows".to_owned()))
}

fn read(rule: &PayloadRule, body: &[u8], step: usize) -> Option<(usize, Vec<Trailer>)> {
    let mut reader = rule.reader().expect("the announcement is right");
    let mut length = 0;
    for mut piece in body.chunks(step) {
        while !piece.is_empty() {
            let taken = reader.take(piece).ok()?;
            assert!(taken.consumed > 0, "every step moves on");
            length += taken.data.len();
            assert!(length <= 255, "no more than is declared");
            piece = &piece[taken.consumed..];
        }
    }
    Some((length, reader.finish().ok()?))
}
