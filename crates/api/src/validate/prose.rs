//! Rules that the API reference and the manual state in prose and the models' constraints do not: one lookup
//! attribute at most, its weighted length, time ranges, trail names. The request has the right types by now.

use serde_json::Value;

use super::refusals;
use crate::error::{ApiError, ErrorCode};
use crate::operations::Operation;
use crate::timestamp::Timestamp;

/// OVR-077: the limit on a lookup attribute's value, in the weighted count below.
const ATTRIBUTE_VALUE_WEIGHT_MAX: usize = 2000;

/// The characters that count twice towards the limit, as the API reference lists them for `LookupAttribute`.
const DOUBLE_WEIGHT: [char; 4] = ['_', ' ', ',', '\n'];

/// OVR-250: the only keys in a lookup of Insights events.
const INSIGHT_KEYS: [&str; 3] = ["EventId", "EventName", "EventSource"];

pub(super) fn check(operation: &Operation, request: &Value) -> Result<(), ApiError> {
    time_range(operation, request, "StartTime", "EndTime")?;
    time_range(operation, request, "StartEventTime", "EndEventTime")?;
    match operation.name {
        "LookupEvents" => lookup_attributes(request),
        "CreateTrail" | "UpdateTrail" | "DeleteTrail" | "GetTrail" | "GetTrailStatus"
        | "StartLogging" | "StopLogging" => trail(request, "Name"),
        "GetEventConfiguration"
        | "GetEventSelectors"
        | "GetInsightSelectors"
        | "ListInsightsMetricData"
        | "PutEventConfiguration"
        | "PutEventSelectors"
        | "PutInsightSelectors" => trail(request, "TrailName"),
        _ => Ok(()),
    }
}

/// OVR-081 and its like: a range that ends before it begins is refused; equal ends are one instant.
fn time_range(
    operation: &Operation,
    request: &Value,
    start: &str,
    end: &str,
) -> Result<(), ApiError> {
    let time = |member: &str| {
        request
            .get(member)
            .and_then(Value::as_f64)
            .and_then(Timestamp::from_seconds)
    };
    match (time(start), time(end)) {
        (Some(first), Some(last)) if first > last => {
            let code = refusals::refusal(operation, "StartTime", false);
            Err(ApiError::new(
                code,
                "The specified time range is not valid: the start time is after the end time.",
            ))
        }
        _ => Ok(()),
    }
}

fn lookup_attributes(request: &Value) -> Result<(), ApiError> {
    let refused = |message: String| {
        Err(ApiError::new(
            ErrorCode::InvalidLookupAttributesException,
            message,
        ))
    };
    let Some(attributes) = request.get("LookupAttributes").and_then(Value::as_array) else {
        return Ok(());
    };
    // OVR-075
    if attributes.len() > 1 {
        return refused("You can specify only one lookup attribute.".to_owned());
    }
    let insights = request.get("EventCategory").is_some_and(Value::is_string);
    for attribute in attributes {
        let text = |member: &str| {
            attribute
                .get(member)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let key = text("AttributeKey");
        if insights && !INSIGHT_KEYS.contains(&key) {
            return refused(format!(
                "The lookup attribute {key} is not valid for Insights events."
            ));
        }
        let value = text("AttributeValue");
        let doubled = value.chars().filter(|c| DOUBLE_WEIGHT.contains(c)).count();
        if value.chars().count() + doubled > ATTRIBUTE_VALUE_WEIGHT_MAX {
            return refused(format!(
                "The value of the lookup attribute exceeds {ATTRIBUTE_VALUE_WEIGHT_MAX} characters; \
                 underscores, spaces, commas and line ends count twice."
            ));
        }
    }
    Ok(())
}

/// A trail is named by name or ARN; an ARN's form is the handlers' to check, with the account it belongs to.
fn trail(request: &Value, member: &str) -> Result<(), ApiError> {
    match request.get(member).and_then(Value::as_str) {
        Some(name) if !name.starts_with("arn:") => super::trail_name(name),
        _ => Ok(()),
    }
}
