//! A digest that another program made and signed with the test key. It stays as it is.

use cairn_integrity::{Digest, SIZE_LIMITS, inflate, sha256_hex, signing_string, verify};
use serde_json::Value;

use crate::stand::key_pair;

const DIGEST: &[u8] = include_bytes!("../fixtures/digest-v1.json.gz");
const FACTS: &str = include_str!("../fixtures/digest-v1.facts.json");

// Proves: REC-257, REC-258, REC-259, REC-261
#[test]
fn the_frozen_digest_is_still_read_and_its_signature_still_holds() {
    let facts: Value = serde_json::from_str(FACTS).expect("the fixture is JSON");
    let fact = |name: &str| facts[name].as_str().expect("a text");
    let text = inflate(DIGEST, SIZE_LIMITS).expect("the fixture is gzip");
    assert_eq!(sha256_hex(&text), fact("sha256"));
    let digest = Digest::parse(&text).expect("the fixture is a digest");
    assert_eq!(
        digest.to_json(),
        text,
        "the same values still make the same bytes"
    );
    assert_eq!(digest.public_key_fingerprint, key_pair().fingerprint());
    let previous = digest
        .previous
        .as_ref()
        .map(|previous| previous.signature.as_str());
    let to_sign = signing_string(
        digest.end,
        &digest.bucket,
        &digest.object,
        &sha256_hex(&text),
        previous,
    );
    assert_eq!(to_sign, fact("signing_string"));
    assert_eq!(key_pair().sign(&to_sign), fact("signature"));
    assert!(verify(
        &key_pair().public_key_der(),
        &to_sign,
        fact("signature")
    ));
}
