//! From a producer's bytes to a canonical record: one strict reading that checks the members that Cairn relies on,
//! decides the event's class, fills the routing header and completes what is missing.
//!
//! Unknown members survive (REC-007) because the bytes survive: nothing is ever re-serialized. What the size limits
//! of destinations shorten is not decided here, see [`crate::destination`].

use std::borrow::Cow;

use bytes::Bytes;

use crate::json::{Document, Kind, push_quoted};
use crate::{AccountId, EventClass, EventTime, RoutingHeader, lookup};

mod class;
mod error;
mod insight;
mod members;
mod version;

pub use error::RecordError;
pub use insight::{insight_type_of_trail, is_insight_of_store};
pub use version::EventVersion;

use members::RecordMembers;

/// The largest canonical event; what destinations hold may be less (REC-054, REC-058).
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// What the routing header holds of `errorCode`, as much as destinations do (REC-055); the record keeps all.
const HEADER_ERROR_CODE_BYTES_MAX: usize = 1024;

/// What completes an event that lacks members.
pub struct Completion<'a> {
    /// Stands for `recipientAccountId` where the event has none.
    pub account: AccountId,
    /// Makes an `eventID`, a GUID; called only for events that have none.
    pub new_event_id: &'a mut dyn FnMut() -> String,
}

impl std::fmt::Debug for Completion<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Completion")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// An event as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalEvent {
    /// What selectors, lookups and the router name.
    pub header: RoutingHeader<'static>,
    /// The producer's bytes, without white space around them, if the event was complete; otherwise the same bytes
    /// with the missing members appended at the object's end.
    pub json: Bytes,
}

/// Checks and completes one event, given as one JSON object.
///
/// A member is missing if the rules of the event's own version ask for it (REC-028, REC-032, REC-035, REC-041):
/// `eventID` and `recipientAccountId` always, `eventCategory` from 1.07 on, `managementEvent` from 1.06 on for the
/// event types that carry it. Missing ones are appended in that order.
pub fn canonicalize(
    source: &Bytes,
    completion: &mut Completion<'_>,
) -> Result<CanonicalEvent, RecordError> {
    if source.len() > EVENT_BYTES_MAX {
        return Err(RecordError::TooLarge {
            bytes: source.len(),
        });
    }
    let document = Document::parse(source).map_err(RecordError::Json)?;
    let root = document.root();
    if root.kind() != Kind::Object {
        return Err(RecordError::NotAnObject);
    }
    let members = RecordMembers::read(root)?;
    let class = class::decide(&members)?;
    let (json, event_id) = complete(source, root.span(), &members, class, completion)?;
    let header = header(&members, class, event_id, completion.account)?;
    Ok(CanonicalEvent { header, json })
}

fn header(
    members: &RecordMembers<'_, '_>,
    class: EventClass,
    event_id: String,
    account: AccountId,
) -> Result<RoutingHeader<'static>, RecordError> {
    let owned =
        |text: &Option<Cow<'_, str>>| text.as_deref().map(|text| Cow::Owned(text.to_owned()));
    let event_time: EventTime = members.event_time()?;
    let region = members.region()?;
    let subject = members.subject(class)?;
    let identity = lookup::Identity::read(members.user_identity);
    let resources = lookup::resources(&lookup::ResourceSources {
        event_source: &subject.event_source,
        event_name: &subject.event_name,
        resources: members.resources,
        request_parameters: members.request_parameters,
        response_elements: members.response_elements,
    });
    Ok(RoutingHeader {
        class,
        account: members.recipient_account_id()?.unwrap_or(account),
        region,
        event_time,
        event_id: Cow::Owned(event_id),
        event_name: Cow::Owned(subject.event_name.into_owned()),
        event_source: Cow::Owned(subject.event_source.into_owned()),
        event_type: owned(&members.event_type).unwrap_or_default(),
        read_only: members.read_only,
        error_code: subject.error_code.map(header_error_code),
        vpc_endpoint_id: owned(&members.vpc_endpoint_id),
        session_credential_from_console: members.session_credential_from_console(),
        user_identity_arn: owned(&identity.arn),
        user_name: owned(&identity.user_name()),
        access_key_id: owned(&identity.access_key_id),
        resources,
    })
}

fn header_error_code(code: Cow<'_, str>) -> Cow<'static, str> {
    let end = code.floor_char_boundary(HEADER_ERROR_CODE_BYTES_MAX);
    let mut code = code.into_owned();
    code.truncate(end);
    Cow::Owned(code)
}

/// The canonical JSON, and the event's ID in it.
fn complete(
    source: &Bytes,
    object: std::ops::Range<usize>,
    members: &RecordMembers<'_, '_>,
    class: EventClass,
    completion: &mut Completion<'_>,
) -> Result<(Bytes, String), RecordError> {
    let mut appended = String::new();
    let event_id = if let Some(event_id) = &members.event_id {
        event_id.clone().into_owned()
    } else {
        let event_id = (completion.new_event_id)();
        append_text(&mut appended, "eventID", &event_id);
        event_id
    };
    if members.recipient_account_id.is_none() {
        append_text(
            &mut appended,
            "recipientAccountId",
            completion.account.as_str(),
        );
    }
    if members.event_category.is_none() && members.version >= EventVersion::WITH_EVENT_CATEGORY {
        append_text(&mut appended, "eventCategory", class::event_category(class));
    }
    if members.management_event.is_none() && members.wants_management_event() {
        let management = class == EventClass::Management;
        appended.push_str(",\"managementEvent\":");
        appended.push_str(if management { "true" } else { "false" });
    }
    if appended.is_empty() {
        return Ok((source.slice(object), event_id));
    }
    let mut json = Vec::with_capacity(object.len() + appended.len());
    json.extend_from_slice(&source[object.start..members.last_value_end]);
    json.extend_from_slice(appended.as_bytes());
    json.extend_from_slice(&source[members.last_value_end..object.end]);
    if json.len() > EVENT_BYTES_MAX {
        return Err(RecordError::TooLarge { bytes: json.len() });
    }
    Ok((Bytes::from(json), event_id))
}

fn append_text(out: &mut String, name: &str, value: &str) {
    out.push(',');
    push_quoted(out, name);
    out.push(':');
    push_quoted(out, value);
}
