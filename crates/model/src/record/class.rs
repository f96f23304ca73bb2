//! Which class an event belongs to, decided once, at the door (REC-041, SEL-001).

use crate::EventClass;

use super::error::RecordError;
use super::members::RecordMembers;

/// How records spell the class (SEL-001).
pub(super) fn event_category(class: EventClass) -> &'static str {
    match class {
        EventClass::Management => "Management",
        EventClass::Data => "Data",
        EventClass::NetworkActivity => "NetworkActivity",
        EventClass::Insight => "Insight",
    }
}

/// The class that the event states, or else the one that its other members tell; refused if they contradict.
pub(super) fn decide(members: &RecordMembers<'_, '_>) -> Result<EventClass, RecordError> {
    let by_type = match members.event_type.as_deref() {
        // The manual's text and its samples spell the type differently (REC-029).
        Some("AwsVpceEvent" | "AwsVpceEvents") => Some(EventClass::NetworkActivity),
        Some("AwsCloudTrailInsight") => Some(EventClass::Insight),
        _ => None,
    };
    let (class, decided_by) = match (stated(members)?, by_type, members.management_event) {
        (Some(class), _, _) => (class, "eventCategory"),
        (None, Some(class), _) => (class, "eventType"),
        (None, None, Some(true)) => (EventClass::Management, "managementEvent"),
        (None, None, Some(false)) => (EventClass::Data, "managementEvent"),
        (None, None, None) if is_classic_data_event(members) => (EventClass::Data, "resources"),
        (None, None, None) => (EventClass::Management, "eventType"),
    };
    let special = matches!(class, EventClass::NetworkActivity | EventClass::Insight);
    let type_fits = match by_type {
        Some(by_type) => by_type == class,
        None => !special || members.event_type.is_none(),
    };
    if !type_fits {
        return Err(RecordError::Contradiction {
            first: decided_by,
            second: "eventType",
        });
    }
    let management = class == EventClass::Management;
    if members
        .management_event
        .is_some_and(|stated| stated != management)
    {
        return Err(RecordError::Contradiction {
            first: decided_by,
            second: "managementEvent",
        });
    }
    Ok(class)
}

fn stated(members: &RecordMembers<'_, '_>) -> Result<Option<EventClass>, RecordError> {
    let Some(category) = members.event_category.as_deref() else {
        return Ok(None);
    };
    [
        EventClass::Management,
        EventClass::Data,
        EventClass::NetworkActivity,
        EventClass::Insight,
    ]
    .into_iter()
    .find(|class| event_category(*class) == category)
    .map(Some)
    .ok_or(RecordError::InvalidValue {
        member: "eventCategory",
        expected: "Management, Data, NetworkActivity or Insight",
    })
}

/// The two kinds of data events that are older than `managementEvent` and `eventCategory`: S3's object-level calls
/// and Lambda's invocations. Every later kind states its class.
fn is_classic_data_event(members: &RecordMembers<'_, '_>) -> bool {
    match members.event_source.as_deref() {
        Some("s3.amazonaws.com") => members.resources.is_some_and(|resources| {
            resources.elements().any(|resource| {
                resource
                    .get("type")
                    .and_then(|kind| kind.as_str())
                    .as_deref()
                    == Some("AWS::S3::Object")
            })
        }),
        Some("lambda.amazonaws.com") => members
            .event_name
            .as_deref()
            .is_some_and(|name| name.starts_with("Invoke")),
        _ => false,
    }
}
