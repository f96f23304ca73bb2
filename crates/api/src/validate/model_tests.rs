//! Every operation against its own model: tables, types and validation agree.

use serde_json::{Map, Value, json};

use super::validate;
use crate::generated::{cloudtrail, cloudtrail_data};
use crate::operations::operations;
use crate::shape::{Kind, Shape};

/// Which members a sample has.
#[derive(Clone, Copy, PartialEq)]
enum Members {
    Required,
    All,
}

#[test]
fn every_operation_takes_what_its_model_asks_for_and_misses_what_is_required() {
    for operation in operations() {
        let request = sample(operation.input, Members::Required);
        let valid = validate(operation, &request);
        assert_eq!(valid, Ok(()), "{}: {request}", operation.name);
        for member in operation
            .input
            .members()
            .iter()
            .filter(|member| member.required)
        {
            let mut lacking = request.clone();
            lacking
                .as_object_mut()
                .expect("an object")
                .remove(member.name);
            let error = validate(operation, &lacking).expect_err(operation.name);
            assert_eq!(error.code.name(), "ValidationException");
        }
    }
}

#[test]
fn a_valid_request_has_its_type_with_every_member() {
    for operation in operations() {
        let request = sample(operation.input, Members::All);
        assert_eq!(
            validate(operation, &request),
            Ok(()),
            "{}: {request}",
            operation.name
        );
    }
    let trips = cloudtrail::contracts::ROUND_TRIPS.iter();
    let trips = trips.chain(&cloudtrail_data::contracts::ROUND_TRIPS);
    let mut seen = 0;
    for (shape, round_trip) in trips {
        for members in [Members::Required, Members::All] {
            let value = sample(shape, members);
            let back = round_trip(value.clone());
            assert_eq!(
                back.map_err(|error| error.to_string()),
                Ok(value),
                "{}",
                shape.name
            );
        }
        seen += 1;
    }
    assert_eq!(
        seen, 122,
        "an input and an output for each of 61 operations"
    );
}

/// Values of every JSON type in place of every member of every request: an error or valid, and never a failure of ours.
#[test]
fn no_value_in_any_member_is_a_failure_of_ours() {
    let values = [
        json!(true),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!("\u{0}\u{10ffff}"),
        json!("x".repeat(20_000)),
        json!([]),
        json!([null]),
        json!([[[]]]),
        json!({}),
        json!({"": {"": null}}),
    ];
    for operation in operations() {
        let request = sample(operation.input, Members::All);
        for member in operation.input.members() {
            for value in &values {
                let mut changed = request.clone();
                changed[member.name] = value.clone();
                if let Err(error) = validate(operation, &changed) {
                    assert!(error.code.is_callers_fault(), "{error}");
                    assert!(error.message.len() < 16 * 1024);
                    let known = operation.errors.contains(&error.code)
                        || ["ValidationException", "SerializationException"]
                            .contains(&error.code.name());
                    assert!(known, "{} cannot answer {error}", operation.name);
                }
            }
        }
    }
}

/// A value that keeps the constraints of a shape: lists of one, and a text that fits.
fn sample(shape: &'static Shape, members: Members) -> Value {
    match &shape.kind {
        Kind::Structure(fields) => fields
            .iter()
            .filter(|member| member.required || members == Members::All)
            .map(|member| (member.name.to_owned(), sample(member.shape, members)))
            .collect::<Map<_, _>>()
            .into(),
        Kind::List { element, .. } => json!([sample(element, members)]),
        Kind::Map { key, value, .. } => {
            let key = sample(key, members);
            json!({ key.as_str().expect("a text"): sample(value, members) })
        }
        Kind::String(string) => {
            let candidates = [
                "arn:aws:cloudtrail",
                "123456789012",
                "abc",
                "s3://bucket/a",
                "11111111-2222-3333-4444-555555555555",
                "12:00",
                "cloudtrail.amazonaws.com",
            ];
            let fits = |text: &&str| {
                let length = i64::try_from(text.len()).expect("short");
                string.length.min.is_none_or(|min| length >= min)
                    && string.length.max.is_none_or(|max| length <= max)
                    && string
                        .pattern
                        .as_ref()
                        .is_none_or(|pattern| pattern.matches(text))
            };
            let first = string.values.first().copied();
            let text = first.or_else(|| candidates.iter().find(|text| fits(text)).copied());
            json!(text.unwrap_or_else(|| panic!("no sample for {}", shape.name)))
        }
        Kind::Integer(bounds) | Kind::Long(bounds) => json!(bounds.min.unwrap_or(1)),
        Kind::Float | Kind::Double | Kind::Timestamp => json!(1.5),
        Kind::Boolean => json!(true),
        Kind::Blob => json!("AAAA"),
    }
}
