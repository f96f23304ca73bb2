//! Unit tests of the JSON reader: the list of hostile inputs, and every kind of value. Property tests are in tests/it.

use super::{DEPTH_MAX, Document, JsonProblem, Kind, push_quoted};

fn problem(text: impl AsRef<[u8]>) -> JsonProblem {
    let text = text.as_ref();
    Document::parse(text)
        .expect_err(&String::from_utf8_lossy(text))
        .problem
}

fn accepted(text: &str) {
    Document::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
}

// Proves: H3
#[test]
fn what_is_not_json_is_refused_by_name() {
    for (text, expected) in [
        ("", JsonProblem::EndsEarly),
        ("  ", JsonProblem::EndsEarly),
        ("{", JsonProblem::EndsEarly),
        ("[1,", JsonProblem::EndsEarly),
        ("{\"a\"", JsonProblem::EndsEarly),
        ("{\"a\":", JsonProblem::EndsEarly),
        ("\"abc", JsonProblem::EndsEarly),
        ("\"abc\\", JsonProblem::EndsEarly),
        ("tru", JsonProblem::EndsEarly),
        ("-", JsonProblem::EndsEarly),
        ("trux", JsonProblem::Unexpected),
        ("{a:1}", JsonProblem::Unexpected),
        ("{\"a\" 1}", JsonProblem::Unexpected),
        ("{\"a\":1,}", JsonProblem::Unexpected),
        ("[1,]", JsonProblem::Unexpected),
        ("[1 2]", JsonProblem::Unexpected),
        ("[1}", JsonProblem::Unexpected),
        ("{\"a\":1]", JsonProblem::Unexpected),
        ("'a'", JsonProblem::Unexpected),
        ("NaN", JsonProblem::Unexpected),
        ("\u{0}", JsonProblem::Unexpected),
        ("/* */ 1", JsonProblem::Unexpected),
        ("1 2", JsonProblem::Trailing),
        ("{}x", JsonProblem::Trailing),
        ("{}\u{0}", JsonProblem::Trailing),
        ("\u{feff}{}", JsonProblem::ByteOrderMark),
        ("\"a\nb\"", JsonProblem::ControlCharacter),
        ("\"a\u{0}b\"", JsonProblem::ControlCharacter),
        (
            "\"long enough for a whole word\u{1f}\"",
            JsonProblem::ControlCharacter,
        ),
        ("\"\\x\"", JsonProblem::Escape),
        ("\"\\u12\"", JsonProblem::Escape),
        ("\"\\u12g4\"", JsonProblem::Escape),
        ("\"\\ud800\"", JsonProblem::LoneSurrogate),
        ("\"\\udc00\"", JsonProblem::LoneSurrogate),
        ("\"\\ud800\\u0041\"", JsonProblem::LoneSurrogate),
        ("\"\\ud800\\ud800\"", JsonProblem::LoneSurrogate),
        ("01", JsonProblem::Number),
        ("-01", JsonProblem::Number),
        ("1.e3", JsonProblem::Number),
        ("1ex", JsonProblem::Number),
        ("-x", JsonProblem::Number),
        ("+1", JsonProblem::Unexpected),
        (".5", JsonProblem::Unexpected),
    ] {
        assert_eq!(problem(text), expected, "{text:?}");
    }
    assert_eq!(problem(b"\"\xff\""), JsonProblem::NotUtf8);
    assert_eq!(
        problem(b"\"\xed\xa0\x80\""),
        JsonProblem::NotUtf8,
        "a surrogate in UTF-8"
    );
    assert_eq!(
        problem(b"\"\xc0\x80\""),
        JsonProblem::NotUtf8,
        "an overlong NUL"
    );
}

// Proves: H3
#[test]
fn the_error_names_the_place() {
    let error = Document::parse(b"{\"a\": [1, 2, x]}").expect_err("x is no value");
    assert_eq!(error.to_string(), "unexpected character at byte 13");
}

// Proves: H3
#[test]
fn two_members_of_one_name_are_refused_at_every_level_and_through_escapes() {
    assert_eq!(problem(r#"{"a":1,"a":2}"#), JsonProblem::DuplicateMember);
    assert_eq!(
        problem(r#"{"a":1,"\u0061":2}"#),
        JsonProblem::DuplicateMember
    );
    assert_eq!(
        problem(r#"{"x":{"eventName":1,"b":2,"eventName":3}}"#),
        JsonProblem::DuplicateMember
    );
    assert_eq!(problem(r#"[{"":1,"":2}]"#), JsonProblem::DuplicateMember);
    assert_eq!(
        problem(r#"{"\ud83d\ude00":1,"😀":2}"#),
        JsonProblem::DuplicateMember,
        "one name in UTF-16 escapes, one in UTF-8"
    );
    accepted(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}"#);
    accepted(r#"{"eventNameA":1,"eventNameB":2,"AeventName":3}"#);
    let error = Document::parse(br#"{"a":1,"b":2,"a":3}"#).expect_err("duplicate");
    assert_eq!(error.offset, 13, "the second one is named");
}

// Proves: H3
#[test]
fn duplicates_are_found_in_objects_of_any_size() {
    for count in [2_usize, 31, 32, 33, 34, 500] {
        for twin in 0..count.min(40) {
            let mut names: Vec<String> = (0..count).map(|i| format!("\"member{i}\":{i}")).collect();
            let distinct = format!("{{{}}}", names.join(","));
            accepted(&distinct);
            names.push(format!("\"member{twin}\":0"));
            let twice = format!("{{{}}}", names.join(","));
            assert_eq!(
                problem(&twice),
                JsonProblem::DuplicateMember,
                "{count} {twin}"
            );
        }
    }
}

// Proves: H3
#[test]
fn nesting_ends_at_the_limit_whatever_the_depth() {
    let arrays = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| "{\"a\":".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1);
    accepted(&arrays(DEPTH_MAX));
    accepted(&objects(DEPTH_MAX));
    assert_eq!(problem(arrays(DEPTH_MAX + 1)), JsonProblem::TooDeep);
    assert_eq!(problem(objects(DEPTH_MAX + 1)), JsonProblem::TooDeep);
    assert_eq!(problem(arrays(100_000)), JsonProblem::TooDeep);
    assert_eq!(problem("[".repeat(100_000)), JsonProblem::TooDeep);
}

// Proves: H3
#[test]
fn numbers_of_any_length_are_kept_as_text() {
    let long = "9".repeat(400);
    for number in [
        "0",
        "-0",
        "1e400",
        "-1.5E-400",
        "0.0000882145",
        "1E+2",
        long.as_str(),
    ] {
        let text = format!("[{number}]");
        let document = Document::parse(text.as_bytes()).expect("a number");
        let value = document.root().elements().next().expect("one element");
        assert_eq!((value.kind(), value.raw()), (Kind::Number, number));
    }
    let document = Document::parse(b"[42, 1e400, 4.5, 99999999999999999999]").expect("numbers");
    let integers: Vec<_> = document
        .root()
        .elements()
        .map(|value| value.as_i64())
        .collect();
    assert_eq!(integers, [Some(42), None, None, None]);
    let doubles: Vec<_> = document
        .root()
        .elements()
        .map(|value| value.as_f64())
        .collect();
    assert_eq!(doubles, [Some(42.0), None, Some(4.5), Some(1e20)]);
}

#[test]
fn strings_are_unescaped_and_otherwise_borrowed() {
    let text =
        r#"["plain", "\"\\\/\b\f\n\r\t", "\u00e9\u0000", "\ud83d\ude00 and \u20ac", "ä€😀 raw"]"#;
    let document = Document::parse(text.as_bytes()).expect("strings");
    let strings: Vec<_> = document
        .root()
        .elements()
        .map(|value| value.as_str().expect("s"))
        .collect();
    assert_eq!(
        strings,
        [
            "plain",
            "\"\\/\u{8}\u{c}\n\r\t",
            "é\u{0}",
            "😀 and €",
            "ä€😀 raw"
        ]
    );
    assert!(matches!(strings[0], std::borrow::Cow::Borrowed(_)));
    assert!(matches!(strings[4], std::borrow::Cow::Borrowed(_)));
}

#[test]
fn members_and_elements_are_found_in_the_order_of_the_text() {
    let text = r#" { "b" : [1, {"x": null}, []], "a": {"c": true, "d": {}}, "e": "f" } "#;
    let document = Document::parse(text.as_bytes()).expect("an object");
    let root = document.root();
    let names: Vec<_> = root
        .members()
        .map(|member| member.name().into_owned())
        .collect();
    assert_eq!(names, ["b", "a", "e"]);
    assert_eq!(
        root.path(&["a", "c"]).and_then(|value| value.as_bool()),
        Some(true)
    );
    assert_eq!(root.get("b").expect("b").elements().count(), 3);
    assert_eq!(root.get("b").expect("b").raw(), r#"[1, {"x": null}, []]"#);
    assert_eq!(root.path(&["a", "d"]).expect("d").members().count(), 0);
    assert!(
        root.get("c").is_none(),
        "members of inner objects are not the outer one's"
    );
    assert_eq!(
        root.get("e").expect("e").elements().count(),
        0,
        "a string has no elements"
    );
    assert_eq!(&text[root.span()], text.trim());
}

#[test]
fn every_position_of_a_special_byte_in_a_word_is_found() {
    for length in 0..40 {
        let plain = "ä".repeat(length / 2) + &"x".repeat(length % 2 + length / 3);
        let quoted = format!("\"{plain}\"");
        let document = Document::parse(quoted.as_bytes()).expect("a string");
        assert_eq!(document.root().as_str().as_deref(), Some(plain.as_str()));
        for control in 0..0x20_u8 {
            let text = format!("\"{plain}{}{plain}\"", char::from(control));
            assert_eq!(problem(text), JsonProblem::ControlCharacter);
        }
        let escaped = format!("\"{plain}\\\"{plain}\"");
        let document = Document::parse(escaped.as_bytes()).expect("a string");
        assert_eq!(
            document.root().as_str(),
            Some(format!("{plain}\"{plain}").into())
        );
    }
}

// Proves: H3
#[test]
fn a_million_members_take_linear_time() {
    let mut text = String::from("{");
    for i in 0..1_000_000 {
        use std::fmt::Write;
        write!(text, "\"{i}\":0,").expect("writing to a string");
    }
    text.push_str("\"end\":0}");
    accepted(&text);
    text.truncate(text.len() - 1);
    text.push_str(",\"0\":1}");
    assert_eq!(problem(&text), JsonProblem::DuplicateMember);
}

#[test]
fn what_is_quoted_reads_back() {
    let original: String = (0..0x250)
        .filter_map(char::from_u32)
        .chain(['€', '😀'])
        .collect();
    let mut quoted = String::new();
    push_quoted(&mut quoted, &original);
    let document = Document::parse(quoted.as_bytes()).expect("a string");
    assert_eq!(document.root().as_str().as_deref(), Some(original.as_str()));
}
