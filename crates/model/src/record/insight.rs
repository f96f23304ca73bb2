//! The two layouts of Insights events: nested under `insightDetails` for trails (REC-066 to REC-070), and flat for
//! event data stores (REC-081, REC-084).

use std::borrow::Cow;

use crate::json::{Document, Value};

use super::error::RecordError;
use super::members::{Subject, name, object, optional_text};

const NAME_BYTES_MAX: usize = 256;

/// What an Insights event says about itself, in either layout.
#[derive(Default)]
pub(super) struct InsightMembers<'d, 'a> {
    pub(super) details: Option<Value<'d, 'a>>,
    flat: Finding<'d, 'a>,
}

#[derive(Default)]
struct Finding<'d, 'a> {
    state: Option<Value<'d, 'a>>,
    event_source: Option<Value<'d, 'a>>,
    event_name: Option<Value<'d, 'a>>,
    error_code: Option<Value<'d, 'a>>,
    insight_type: Option<Value<'d, 'a>>,
    context: Option<Value<'d, 'a>>,
}

/// The members' names in one layout, in the order of [`Finding`].
struct Layout {
    state: &'static str,
    event_source: &'static str,
    event_name: &'static str,
    error_code: &'static str,
    insight_type: &'static str,
    context: &'static str,
}

const FLAT: Layout = Layout {
    state: "insightState",
    event_source: "insightEventSource",
    event_name: "insightEventName",
    error_code: "insightErrorCode",
    insight_type: "insightType",
    context: "insightContext",
};

const NESTED: Layout = Layout {
    state: "insightDetails.state",
    event_source: "insightDetails.eventSource",
    event_name: "insightDetails.eventName",
    error_code: "insightDetails.errorCode",
    insight_type: "insightDetails.insightType",
    context: "insightDetails.insightContext",
};

impl<'d, 'a> InsightMembers<'d, 'a> {
    /// Keeps a top-level member if it belongs to the flat layout.
    pub(super) fn note_flat(
        &mut self,
        member: &str,
        value: Value<'d, 'a>,
    ) -> Result<(), RecordError> {
        let flat = &mut self.flat;
        let (place, name) = match member {
            "insightState" => (&mut flat.state, FLAT.state),
            "insightEventSource" => (&mut flat.event_source, FLAT.event_source),
            "insightEventName" => (&mut flat.event_name, FLAT.event_name),
            "insightErrorCode" => (&mut flat.error_code, FLAT.error_code),
            "insightType" => (&mut flat.insight_type, FLAT.insight_type),
            "insightContext" => {
                flat.context = Some(object(FLAT.context, value)?);
                return Ok(());
            }
            _ => return Ok(()),
        };
        optional_text(name, value)?;
        *place = Some(value);
        Ok(())
    }

    /// The call that was unusual; checks what no Insights event lacks.
    pub(super) fn subject(&self) -> Result<Subject<'a>, RecordError> {
        match (self.details, self.flat.event_name) {
            (None, Some(_)) => self.flat.subject(&FLAT),
            (None, None) => Err(RecordError::Missing {
                member: "insightDetails",
            }),
            (Some(details), _) => Finding {
                state: details.get("state"),
                event_source: details.get("eventSource"),
                event_name: details.get("eventName"),
                error_code: details.get("errorCode"),
                insight_type: details.get("insightType"),
                context: details.get("insightContext"),
            }
            .subject(&NESTED),
        }
    }
}

impl<'a> Finding<'_, 'a> {
    fn subject(&self, layout: &Layout) -> Result<Subject<'a>, RecordError> {
        let state = required(layout.state, self.state)?;
        if !matches!(&*state, "Start" | "End") {
            let expected = "Start or End";
            return Err(RecordError::InvalidValue {
                member: layout.state,
                expected,
            });
        }
        required(layout.insight_type, self.insight_type)?;
        match self.context {
            Some(context) => object(layout.context, context)?,
            None => {
                return Err(RecordError::Missing {
                    member: layout.context,
                });
            }
        };
        let error_code = match self.error_code {
            Some(value) => optional_text(layout.error_code, value)?,
            None => None,
        };
        Ok(Subject {
            event_source: required(layout.event_source, self.event_source)?,
            event_name: required(layout.event_name, self.event_name)?,
            error_code,
        })
    }
}

/// Whether an Insights event has the layout of event data stores. Such events belong to the store that its source
/// store names; no lookup shows them (OVR-248).
pub fn is_insight_of_store(json: &[u8]) -> bool {
    Document::parse(json).is_ok_and(|document| document.root().get("insightDetails").is_none())
}

/// The type of an Insights event in the layout of trails, such as `ApiCallRateInsight` (REC-068); none for one in the
/// layout of event data stores.
pub fn insight_type_of_trail(json: &[u8]) -> Option<String> {
    let document = Document::parse(json).ok()?;
    let details = document.root().get("insightDetails")?;
    Some(details.get("insightType")?.as_str()?.into_owned())
}

fn required<'a>(
    member: &'static str,
    value: Option<Value<'_, 'a>>,
) -> Result<Cow<'a, str>, RecordError> {
    name(
        member,
        value.ok_or(RecordError::Missing { member })?,
        NAME_BYTES_MAX,
    )
}
