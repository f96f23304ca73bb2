//! What must hold for this crate's parsers of foreign bytes, whatever the bytes. The fuzz targets call
//! these functions, and the tests replay their corpora and small changes of them. Not part of the
//! shipped program.

use std::io::Cursor;

use cairn_lake::LookupCursor;
use cairn_model::json::{Document, Kind};
use cairn_platform::{MasterKey, SeededEntropy};
use serde_json::Value;

use crate::administration::document::IdentityDocument;
use crate::cli::identity::AnswerElement;
use crate::cli::ingest::{EventIds, EventReader, Input};
use crate::config::{Config, Layers};
use crate::doors::gzip;
use crate::operations::page_token::{Fingerprint, PageTokens};
use crate::query_protocol::{QueryRequest, QueryService};
use crate::sts;

/// The Query protocol's forms. The first byte chooses the service. A form is refused with an error of
/// the caller that can be written, or read into parameters that can be recorded.
pub fn query_form(input: &[u8]) {
    let Some((choice, form)) = input.split_first() else {
        return;
    };
    let services = [QueryService::Iam, QueryService::Sts, QueryService::Cairn];
    let service = services[usize::from(*choice) % services.len()];
    match QueryRequest::parse(service, form) {
        Ok(request) => {
            let named = QueryRequest::operation_named_in(service, form);
            assert_eq!(named.map(|row| row.name), Some(request.operation.name));
            let recorded = request.operation.request_parameters(&request.input);
            assert!(recorded.is_object() || recorded.is_null(), "{recorded}");
        }
        Err(error) => {
            assert!((400..500).contains(&error.http_status()), "{error:?}");
            let xml = error.xml(service, "id");
            assert!(xml.len() < 64 << 10, "an answer of {} bytes", xml.len());
        }
    }
}

/// Compressed bodies: nothing grows beyond its limit, and what is read was a whole text.
pub fn gzip_body(input: &[u8]) {
    const BYTES_MAX: usize = 1 << 16;
    if let Ok(text) = gzip::decompress(input, BYTES_MAX, 20) {
        assert!(text.len() <= BYTES_MAX);
        // A shorter input is another text or none.
        let shorter = gzip::decompress(&input[..input.len() - 1], BYTES_MAX, 20);
        assert!(shorter != Ok(text), "the last byte was not looked at");
    }
}

/// Files of `cairn ingest`: every event of theirs is given once, none is empty, and one that is a JSON
/// object without an ID gets the same one each time.
pub fn ingest_file(input: &[u8]) {
    let file = Input::File {
        path: "a file".into(),
        bytes: 0,
        modified_ms: 0,
    };
    let ids = EventIds::of(&file, "a run");
    let Ok(mut reader) = EventReader::new(Box::new(Cursor::new(input.to_vec()))) else {
        return;
    };
    while let Ok(batch) = reader.next_batch(3, 1 << 10) {
        if batch.is_empty() {
            break;
        }
        assert!(batch.len() <= 3);
        for event in batch.into_iter().flatten() {
            assert!(!event.is_empty());
            let object =
                Document::parse(&event).is_ok_and(|read| read.root().kind() == Kind::Object);
            let completed = ids.complete(event.clone(), 7);
            assert_eq!(completed, ids.complete(event, 7));
            let whole = Document::parse(&completed).ok();
            let has_id = whole.is_some_and(|read| read.root().get("eventID").is_some());
            assert_eq!(object, has_id, "{}", String::from_utf8_lossy(&completed));
        }
    }
}

/// XML answers to `cairn identity`: a tree in which every element is found, or a refusal.
pub fn answer_xml(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(root) = AnswerElement::parse(text) {
        let found = root.all("member").len() + root.text("Arn").len() + root.own_text().len();
        assert!(found <= text.len());
    }
}

/// Session tokens: nothing but our own seal opens, and what is under the seal is checked as well.
pub fn session_token(input: &[u8]) {
    let (key, entropy) = key();
    let text = String::from_utf8_lossy(input);
    assert!(sts::open_token(&key, &text).is_err(), "a forged token");
    let sealed = key.seal(sts::session::CONTEXT, input, &entropy);
    if let Ok(facts) = sts::open_token(&key, &base64(&sealed)) {
        assert!(serde_json::from_slice::<Value>(input).is_ok());
        // A token is not shown, but its facts go into records.
        assert!(!format!("{facts:?}").is_empty());
    }
}

/// NextTokens: nothing but our own seal opens, only for its request, and only with a cursor inside.
pub fn page_token(input: &[u8]) {
    let (key, entropy) = key();
    let tokens = PageTokens {
        key: key.clone(),
        context: "fuzzing",
        lifetime_ms: 1_000,
    };
    let request = Fingerprint::of(&["a request"]);
    let text = String::from_utf8_lossy(input);
    let opened: Option<LookupCursor> = tokens.open(&text, &request, 0);
    assert_eq!(opened, None, "a forged token");
    let sealed = url_base64(&key.seal("fuzzing", input, &entropy));
    let opened: Option<LookupCursor> = tokens.open(&sealed, &request, 0);
    assert_eq!(opened, None, "a seal without a request");
    let Ok(value) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    let sealed = tokens.seal(&value, &request, 0, &entropy);
    let opened: Option<LookupCursor> = tokens.open(&sealed, &request, 0);
    if let Some(cursor) = opened {
        let again = tokens.seal(&cursor, &request, 0, &entropy);
        assert_eq!(tokens.open(&again, &request, 0), Some(cursor));
    }
}

/// Ciphertexts of KMS keys: none, or one with a single form, and only the key's own material opens what it made.
pub fn key_ciphertext(input: &[u8]) {
    let (material, entropy) = key();
    crate::kms::fuzz(input, &material, &entropy);
}

/// Identity files, as JSON or TOML: what is read is written and read again as the same.
pub fn identity_document(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let of_toml = toml::from_str::<Value>(text).map(|value| value.to_string());
    for json in std::iter::once(text.to_owned()).chain(of_toml) {
        match IdentityDocument::parse(&json) {
            Ok(document) => {
                let again = serde_json::to_string(&document).expect("it came from JSON");
                let again = IdentityDocument::parse(&again).expect("it was accepted");
                assert!(again == document, "{json}");
            }
            Err(error) => assert!((400..500).contains(&error.http_status()), "{error:?}"),
        }
    }
}

/// Configuration files: an error names its key, and what is read can be printed without secrets.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut layers = Layers::default();
    let resolved = layers
        .apply_file("a file", text)
        .and_then(|()| Config::resolve(&layers));
    match resolved {
        Ok(config) => {
            let printed = layers.print();
            let token = config.http.metrics_token;
            let secret = token.as_ref().map_or("", |token| token.expose());
            let is_canary = secret.starts_with("canary-token");
            assert!(!is_canary || !printed.contains(secret), "{printed}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn key() -> (MasterKey, SeededEntropy) {
    let entropy = SeededEntropy::new(1);
    (MasterKey::generate(&entropy), entropy)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn url_base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests;
