//! The signed text, signatures, and the forms that keys are read and given in.

use cairn_integrity::{SigningKeyPair, signing_string, verify};

use crate::stand::{hour, key_pair};

// Proves: REC-259, REC-260, REC-262, REC-263
#[test]
fn the_signed_text_has_four_lines_and_nothing_after_the_last() {
    assert_eq!(
        signing_string(hour(1), "b", "k/1.json.gz", "00ff", Some("ab")),
        "2026-01-01T01:00:00Z\nb/k/1.json.gz\n00ff\nab"
    );
    assert_eq!(
        signing_string(hour(1), "b", "k", "00ff", None),
        "2026-01-01T01:00:00Z\nb/k\n00ff\nnull"
    );
}

// Proves: REC-227, REC-258
#[test]
fn a_signature_is_of_one_text_and_one_key() {
    let pair = SigningKeyPair::generate().expect("a key pair");
    let signature = pair.sign("text");
    assert_eq!(signature.len(), 512, "2048 bits in hexadecimal");
    assert_eq!(
        signature,
        pair.sign("text"),
        "the same text has the same signature"
    );
    let public = pair.public_key_der();
    assert!(verify(&public, "text", &signature));
    assert!(!verify(&public, "texts", &signature));
    assert!(!verify(&key_pair().public_key_der(), "text", &signature));
    for at in [0, 100, 511] {
        let mut changed = signature.clone();
        let digit = if &signature[at..=at] == "0" { "1" } else { "0" };
        changed.replace_range(at..=at, digit);
        assert!(!verify(&public, "text", &changed), "digit {at}");
    }
    for signature in ["", "0", "zz", &signature[2..], "é"] {
        assert!(!verify(&public, "text", signature), "{signature}");
    }
}

// Proves: REC-252, REC-268
#[test]
fn a_fingerprint_has_32_digits_and_belongs_to_the_key() {
    let fingerprint = key_pair().fingerprint();
    assert_eq!(fingerprint.len(), 32);
    assert!(
        fingerprint
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    );
    let again = key_pair().to_pkcs8().expect("a private key");
    let again = SigningKeyPair::from_pkcs8(&again).expect("the same key");
    assert_eq!(again.fingerprint(), fingerprint);
    assert_eq!(again.sign("text"), key_pair().sign("text"));
    assert_ne!(
        SigningKeyPair::generate()
            .expect("a key pair")
            .fingerprint(),
        fingerprint
    );
}

// Proves: REC-265, REC-269
#[test]
fn a_public_key_is_pkcs_1_and_no_other_wrapping() {
    let pkcs1 = key_pair().public_key_der();
    // AlgorithmIdentifier rsaEncryption, then a BIT STRING around the key.
    let mut spki = vec![0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09];
    spki.extend([
        0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ]);
    spki.extend([0x03, 0x82, 0x01, 0x0f, 0x00]);
    spki.extend(&pkcs1);
    let signature = key_pair().sign("text");
    assert!(verify(&pkcs1, "text", &signature));
    assert!(!verify(&spki, "text", &signature));
    for length in 0..pkcs1.len() {
        assert!(
            !verify(&pkcs1[..length], "text", &signature),
            "cut at {length}"
        );
    }
}

// Proves: R23
#[test]
fn a_private_key_shows_itself_nowhere() {
    assert_eq!(
        format!("{:?}", key_pair()),
        format!("SigningKeyPair({})", key_pair().fingerprint())
    );
    assert!(SigningKeyPair::from_pkcs8(b"no key").is_err());
}
