//! Secrets never show: not in `Debug`, not in errors.

use cairn_access::sigv4::{Scope, SigningKey};

use crate::client::{SECRET, Wire, secret};

// Proves: R23
#[test]
fn secrets_and_derived_keys_print_nothing_of_themselves() {
    let scope = Scope {
        date: "20150830".into(),
        region: "r".into(),
        service: "s".into(),
    };
    let key = SigningKey::derive(&secret(), &scope);
    assert_eq!(
        format!("{:?} {key:?}", secret()),
        "SecretKey(redacted) SigningKey(redacted)"
    );
    assert_eq!(secret().expose(), SECRET);
}

// Proves: R23
#[test]
fn a_refusal_never_tells_the_signature_that_was_expected() {
    let right = Wire::lookup_events().signed();
    let signature = right
        .header("authorization")
        .split("Signature=")
        .nth(1)
        .unwrap()
        .to_owned();
    let wrong = right.authorization(|header| header.replace(&signature, &"0".repeat(64)));
    let error = wrong.authenticate().expect_err("refused");
    assert!(!format!("{error} {error:?}").contains(&signature[..8]));
}
