//! The JSON reader must accept and refuse exactly what a reference does, and read the same values.
//!
//! The reference is serde_json with a visitor that refuses duplicate members. It differs by design in two points,
//! which the test allows for: it refuses numbers beyond the doubles' range, and it ends one level of nesting earlier.

use std::fmt;

use cairn_model::json::{Document, Kind, Value};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Reference;

/// A value as serde_json reads it, but without duplicate members.
struct Strict(Reference);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Reference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Reference, E> {
        Ok(Reference::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Reference, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Reference, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Reference, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Reference, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Reference, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Reference, A::Error> {
        let mut elements = Vec::new();
        while let Some(Strict(element)) = seq.next_element()? {
            elements.push(element);
        }
        Ok(elements.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reference, A::Error> {
        let mut members = serde_json::Map::new();
        while let Some((name, Strict(value))) = map.next_entry::<String, Strict>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(members.into())
    }
}

fn reference_of(value: Value<'_, '_>) -> Reference {
    match value.kind() {
        Kind::Null => Reference::Null,
        Kind::True | Kind::False => value.as_bool().expect("a Boolean").into(),
        Kind::Number => serde_json::from_str(value.raw()).expect("the reference reads it too"),
        Kind::String => value.as_str().expect("a string").into_owned().into(),
        Kind::Array => value
            .elements()
            .map(reference_of)
            .collect::<Vec<_>>()
            .into(),
        Kind::Object => value
            .members()
            .map(|member| (member.name().into_owned(), reference_of(member.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// Both readers on the same bytes.
fn compare(bytes: &[u8]) {
    let shown = String::from_utf8_lossy(bytes);
    match (
        Document::parse(bytes),
        serde_json::from_slice::<Strict>(bytes),
    ) {
        (Ok(document), Ok(Strict(expected))) => {
            assert_eq!(reference_of(document.root()), expected, "{shown}");
        }
        (Ok(_), Err(error)) => {
            let text = error.to_string();
            let allowed = text.contains("number out of range") || text.contains("recursion limit");
            assert!(allowed, "accepted, but the reference says {text}: {shown}");
        }
        (Err(error), Ok(_)) => panic!("refused with {error}, but the reference accepts: {shown}"),
        (Err(_), Err(_)) => {}
    }
}

fn value() -> impl Strategy<Value = Reference> {
    let scalar = prop_oneof![
        Just(Reference::Null),
        any::<bool>().prop_map(Reference::from),
        any::<i64>().prop_map(Reference::from),
        // Eighths are exact, so that the reference reads back what it wrote.
        any::<i32>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
        any::<String>().prop_map(Reference::from),
        "[ -~]{0,40}".prop_map(Reference::from),
    ];
    scalar.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Reference::from),
            prop::collection::vec(("[a-c]{0,2}|\\PC{0,12}", inner), 0..40).prop_map(|members| {
                members
                    .into_iter()
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

/// What is put into a text to break it, or perhaps not.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\"a\":1,"),
        Just("\"\\u0061\":2,"),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("\\u"),
        Just("\\ud800"),
        Just("\\udc00"),
        Just("\\n"),
        Just("0"),
        Just("-"),
        Just("1e400"),
        Just("1.5E+3"),
        Just("."),
        Just("true"),
        Just("nul"),
        Just(" "),
        Just("\n"),
        Just("\u{feff}"),
        Just("é"),
    ];
    prop_oneof![
        piece.prop_map(|text| text.as_bytes().to_vec()),
        any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

proptest! {
    // Proves: H3
    #[test]
    fn values_that_were_written_are_read_back(value in value(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&value)
        } else {
            serde_json::to_string(&value)
        };
        let text = text.expect("a value is written");
        let document = Document::parse(text.as_bytes()).expect("what was written is JSON");
        assert_eq!(reference_of(document.root()), value);
        compare(text.as_bytes());
    }

    // Proves: H3
    #[test]
    fn broken_texts_are_judged_as_the_reference_judges_them(
        value in value(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_usize, fragment()), 1..4),
    ) {
        let mut text = serde_json::to_vec(&value).expect("a value is written");
        for (place, removed, inserted) in edits {
            let start = place.index(text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, inserted);
        }
        compare(&text);
    }

    // Proves: H3
    #[test]
    fn pieces_of_json_in_any_order_are_judged_as_the_reference_judges_them(
        pieces in prop::collection::vec(fragment(), 0..12),
    ) {
        compare(&pieces.concat());
    }
}
