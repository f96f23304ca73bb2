//! `requestParameters` and `responseElements` of calls in JSON protocols: the modelled members, named
//! in lower camel case, secrets replaced (SEC-022, SEC-029).

use cairn_api::shape::{Kind, Shape};
use chrono::DateTime;
use serde_json::{Map, Value};

use crate::query_protocol::lower_camel;
use crate::recorded_time::TimeForm;

/// SEC-022: what stands in the place of secret material.
const REMOVED: &str = "<sensitiveDataRemoved>";

/// The members of a request or an answer as they are recorded; null when there are none (REC-023).
pub(crate) fn recorded_members(shape: &Shape, input: &Value, sensitive: &[&str]) -> Value {
    let recorded = convert(shape, input, &mut Vec::new(), sensitive);
    match recorded {
        Value::Object(members) if members.is_empty() => Value::Null,
        recorded => recorded,
    }
}

fn convert(shape: &Shape, value: &Value, path: &mut Vec<String>, sensitive: &[&str]) -> Value {
    let is_sensitive = shape.sensitive || sensitive.contains(&path.join(".").as_str());
    if is_sensitive && !value.is_null() {
        return REMOVED.into();
    }
    match (&shape.kind, value) {
        (Kind::Structure(members), Value::Object(given)) => {
            let mut recorded = Map::new();
            // Members that the model does not know are ignored, so they took no part in the call.
            for (name, value) in given {
                let Some(member) = members.iter().find(|member| member.name == name) else {
                    continue;
                };
                if value.is_null() {
                    continue;
                }
                path.push(name.clone());
                let converted = convert(member.shape, value, path, sensitive);
                path.pop();
                recorded.insert(lower_camel(name), converted);
            }
            Value::Object(recorded)
        }
        (Kind::List { element, .. }, Value::Array(items)) => items
            .iter()
            .map(|item| convert(element, item, path, sensitive))
            .collect(),
        (Kind::Map { value: inner, .. }, Value::Object(entries)) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.clone(), convert(inner, value, path, sensitive)));
            Value::Object(entries.collect())
        }
        (Kind::Timestamp, Value::Number(seconds)) => seconds
            .as_f64()
            .and_then(written_time)
            .map_or_else(|| value.clone(), Value::String),
        _ => value.clone(),
    }
}

fn written_time(seconds: f64) -> Option<String> {
    let time = cairn_api::Timestamp::from_seconds(seconds)?;
    let time = DateTime::from_timestamp_micros(time.as_micros())?;
    Some(TimeForm::Others.write(time))
}

#[cfg(test)]
mod tests {
    use cairn_api::{Service, find};
    use serde_json::json;

    use super::*;

    // Proves: SEC-029, REC-023
    #[test]
    fn parameters_are_named_in_lower_camel_case() {
        let operation = find(Service::CloudTrail, "LookupEvents").expect("it is in the table");
        let check = |input: Value, expected: Value| {
            assert_eq!(recorded_members(operation.input, &input, &[]), expected);
        };
        check(json!({}), Value::Null);
        check(
            json!({
                "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "A"}],
                "MaxResults": 5,
                "StartTime": 1_689_801_909.5,
                "Unknown": true,
                "NextToken": null,
            }),
            json!({
                "lookupAttributes": [{"attributeKey": "EventName", "attributeValue": "A"}],
                "maxResults": 5,
                "startTime": "Jul 19, 2023, 9:25:09 PM",
            }),
        );
    }

    // Proves: SEC-022
    #[test]
    fn sensitive_members_are_replaced() {
        let operation = find(Service::CloudTrail, "LookupEvents").expect("it is in the table");
        let input = json!({"NextToken": "canary", "MaxResults": 1});
        assert_eq!(
            recorded_members(operation.input, &input, &["NextToken"]),
            json!({"nextToken": REMOVED, "maxResults": 1}),
        );
    }
}
