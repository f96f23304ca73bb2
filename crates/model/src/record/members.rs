//! The members of a record that Cairn reads, with their types and limits.
//!
//! The content of `requestParameters`, `responseElements`, `additionalEventData`, `serviceEventDetails` and of
//! members that are not named here belongs to the producer: any JSON value is kept as it came.

use std::borrow::Cow;

use crate::json::{Kind, Member, Value};
use crate::{AccountId, EventClass, EventTime, Region};

use super::error::RecordError;
use super::insight;
use super::version::EventVersion;

/// Names of services, actions and types; the longest that AWS has are well below.
const NAME_BYTES_MAX: usize = 256;
/// `eventID`: a GUID has 36 bytes, other producers' identifiers fit too.
const EVENT_ID_BYTES_MAX: usize = 128;
/// Texts of producers that identify something and go into the routing header; no ARN is longer.
const IDENTIFIER_BYTES_MAX: usize = 2048;

pub(super) struct RecordMembers<'d, 'a> {
    pub(super) version: EventVersion,
    event_time: Option<Cow<'a, str>>,
    pub(super) event_source: Option<Cow<'a, str>>,
    pub(super) event_name: Option<Cow<'a, str>>,
    aws_region: Option<Cow<'a, str>>,
    pub(super) event_id: Option<Cow<'a, str>>,
    pub(super) event_type: Option<Cow<'a, str>>,
    pub(super) event_category: Option<Cow<'a, str>>,
    pub(super) management_event: Option<bool>,
    pub(super) read_only: Option<bool>,
    pub(super) recipient_account_id: Option<Cow<'a, str>>,
    error_code: Option<Cow<'a, str>>,
    pub(super) vpc_endpoint_id: Option<Cow<'a, str>>,
    session_credential_from_console: Option<Cow<'a, str>>,
    pub(super) user_identity: Option<Value<'d, 'a>>,
    pub(super) resources: Option<Value<'d, 'a>>,
    pub(super) request_parameters: Option<Value<'d, 'a>>,
    pub(super) response_elements: Option<Value<'d, 'a>>,
    insight: insight::InsightMembers<'d, 'a>,
    /// Where the object's last value ends, which is where missing members are appended.
    pub(super) last_value_end: usize,
}

/// What an event is about: of most events the call itself, of Insights events the call that was unusual.
pub(super) struct Subject<'a> {
    pub(super) event_source: Cow<'a, str>,
    pub(super) event_name: Cow<'a, str>,
    pub(super) error_code: Option<Cow<'a, str>>,
}

impl<'d, 'a> RecordMembers<'d, 'a> {
    pub(super) fn read(root: Value<'d, 'a>) -> Result<Self, RecordError> {
        let mut members = Self {
            version: event_version(root)?,
            event_time: None,
            event_source: None,
            event_name: None,
            aws_region: None,
            event_id: None,
            event_type: None,
            event_category: None,
            management_event: None,
            read_only: None,
            recipient_account_id: None,
            error_code: None,
            vpc_endpoint_id: None,
            session_credential_from_console: None,
            user_identity: None,
            resources: None,
            request_parameters: None,
            response_elements: None,
            insight: insight::InsightMembers::default(),
            last_value_end: root.span().start + 1,
        };
        for member in root.members() {
            members.note(&member)?;
            members.last_value_end = member.value.span().end;
        }
        Ok(members)
    }

    fn note(&mut self, member: &Member<'d, 'a>) -> Result<(), RecordError> {
        let value = member.value;
        match &*member.name() {
            "eventTime" => self.event_time = Some(name("eventTime", value, NAME_BYTES_MAX)?),
            "eventSource" => self.event_source = Some(name("eventSource", value, NAME_BYTES_MAX)?),
            "eventName" => self.event_name = Some(name("eventName", value, NAME_BYTES_MAX)?),
            "awsRegion" => self.aws_region = Some(name("awsRegion", value, NAME_BYTES_MAX)?),
            "eventID" => self.event_id = Some(name("eventID", value, EVENT_ID_BYTES_MAX)?),
            "eventType" => self.event_type = Some(name("eventType", value, NAME_BYTES_MAX)?),
            "eventCategory" => {
                self.event_category = Some(name("eventCategory", value, NAME_BYTES_MAX)?);
            }
            "recipientAccountId" => {
                self.recipient_account_id =
                    Some(name("recipientAccountId", value, NAME_BYTES_MAX)?);
            }
            "managementEvent" => {
                self.management_event = Some(
                    value
                        .as_bool()
                        .ok_or_else(|| not_a_boolean("managementEvent"))?,
                );
            }
            "readOnly" => self.read_only = optional_boolean("readOnly", value)?,
            "errorCode" => self.error_code = optional_text("errorCode", value)?,
            "vpcEndpointId" => {
                self.vpc_endpoint_id = optional_identifier("vpcEndpointId", value)?;
            }
            "sessionCredentialFromConsole" => {
                self.session_credential_from_console =
                    optional_text("sessionCredentialFromConsole", value)?;
            }
            "userIdentity" => self.user_identity = Some(user_identity(value)?),
            "resources" => self.resources = resources(value)?,
            "requestParameters" => self.request_parameters = Some(value),
            "responseElements" => self.response_elements = Some(value),
            "insightDetails" => self.insight.details = Some(object("insightDetails", value)?),
            other => {
                if let Some(text_member) = TEXT_MEMBERS.iter().find(|name| **name == other) {
                    optional_text(text_member, value)?;
                } else {
                    self.insight.note_flat(other, value)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn event_time(&self) -> Result<EventTime, RecordError> {
        let text = required("eventTime", self.event_time.as_ref())?;
        text.parse().map_err(|_| RecordError::InvalidValue {
            member: "eventTime",
            expected: "a time such as 2023-07-10T11:45:00Z, years 1970 to 9999",
        })
    }

    pub(super) fn region(&self) -> Result<Region, RecordError> {
        let text = required("awsRegion", self.aws_region.as_ref())?;
        text.parse().map_err(|_| RecordError::InvalidValue {
            member: "awsRegion",
            expected: "the name of a Region: 3 to 32 lower-case letters, digits and hyphens",
        })
    }

    pub(super) fn recipient_account_id(&self) -> Result<Option<AccountId>, RecordError> {
        let account = self
            .recipient_account_id
            .as_ref()
            .map(|text| text.parse())
            .transpose();
        account.map_err(|_| RecordError::InvalidValue {
            member: "recipientAccountId",
            expected: "an account: twelve digits",
        })
    }

    /// The string `"true"` and nothing else counts (REC-045).
    pub(super) fn session_credential_from_console(&self) -> bool {
        self.session_credential_from_console.as_deref() == Some("true")
    }

    /// Whether events of this version and type carry `managementEvent` (REC-032).
    pub(super) fn wants_management_event(&self) -> bool {
        let carries = matches!(
            self.event_type.as_deref(),
            Some("AwsApiCall" | "AwsConsoleAction" | "AwsConsoleSignIn" | "AwsServiceEvent")
        );
        carries && self.version >= EventVersion::WITH_MANAGEMENT_EVENT
    }

    /// What the event is about; checks that the members that its class requires are there.
    pub(super) fn subject(&self, class: EventClass) -> Result<Subject<'a>, RecordError> {
        if class == EventClass::Insight {
            return self.insight.subject();
        }
        if self.user_identity.is_none() {
            return Err(RecordError::Missing {
                member: "userIdentity",
            });
        }
        Ok(Subject {
            event_source: required("eventSource", self.event_source.as_ref())?.clone(),
            event_name: required("eventName", self.event_name.as_ref())?.clone(),
            error_code: self.error_code.clone(),
        })
    }
}

/// Members whose content Cairn does not use at the door, but whose readers rely on a text.
const TEXT_MEMBERS: [&str; 7] = [
    "sourceIPAddress",
    "userAgent",
    "errorMessage",
    "requestID",
    "apiVersion",
    "sharedEventID",
    "vpcEndpointAccountId",
];

fn event_version(root: Value<'_, '_>) -> Result<EventVersion, RecordError> {
    const MEMBER: &str = "eventVersion";
    let value = root
        .get(MEMBER)
        .ok_or(RecordError::Missing { member: MEMBER })?;
    let expected = "a version whose major part is 1, such as 1.11";
    let invalid = RecordError::InvalidValue {
        member: MEMBER,
        expected,
    };
    let version: EventVersion = name(MEMBER, value, NAME_BYTES_MAX)?
        .parse()
        .map_err(|_| invalid.clone())?;
    if version.is_readable() {
        Ok(version)
    } else {
        Err(invalid)
    }
}

fn required<'m, 'a>(
    member: &'static str,
    text: Option<&'m Cow<'a, str>>,
) -> Result<&'m Cow<'a, str>, RecordError> {
    text.ok_or(RecordError::Missing { member })
}

/// A text that identifies something: not null, not empty, not long.
pub(super) fn name<'a>(
    member: &'static str,
    value: Value<'_, 'a>,
    limit: usize,
) -> Result<Cow<'a, str>, RecordError> {
    let text = value.as_str().ok_or(RecordError::WrongType {
        member,
        expected: "a string",
    })?;
    if text.is_empty() {
        return Err(RecordError::InvalidValue {
            member,
            expected: "a string that is not empty",
        });
    }
    if text.len() > limit {
        return Err(RecordError::TooLong { member, limit });
    }
    Ok(text)
}

/// The text of a member that may be null, which means the same as absent.
pub(super) fn optional_text<'a>(
    member: &'static str,
    value: Value<'_, 'a>,
) -> Result<Option<Cow<'a, str>>, RecordError> {
    match value.kind() {
        Kind::Null => Ok(None),
        Kind::String => Ok(value.as_str()),
        _ => Err(RecordError::WrongType {
            member,
            expected: "a string",
        }),
    }
}

/// The same for a text that identifies something: it is not long.
fn optional_identifier<'a>(
    member: &'static str,
    value: Value<'_, 'a>,
) -> Result<Option<Cow<'a, str>>, RecordError> {
    let text = optional_text(member, value)?;
    let limit = IDENTIFIER_BYTES_MAX;
    if text.as_ref().is_some_and(|text| text.len() > limit) {
        return Err(RecordError::TooLong { member, limit });
    }
    Ok(text)
}

fn optional_boolean(
    member: &'static str,
    value: Value<'_, '_>,
) -> Result<Option<bool>, RecordError> {
    if value.is_null() {
        return Ok(None);
    }
    value
        .as_bool()
        .map(Some)
        .ok_or_else(|| not_a_boolean(member))
}

fn not_a_boolean(member: &'static str) -> RecordError {
    RecordError::WrongType {
        member,
        expected: "true or false",
    }
}

pub(super) fn object<'d, 'a>(
    member: &'static str,
    value: Value<'d, 'a>,
) -> Result<Value<'d, 'a>, RecordError> {
    if value.kind() == Kind::Object {
        Ok(value)
    } else {
        Err(RecordError::WrongType {
            member,
            expected: "an object",
        })
    }
}

/// `type` may be missing (REC-126), as may everything else in it.
fn user_identity<'d, 'a>(value: Value<'d, 'a>) -> Result<Value<'d, 'a>, RecordError> {
    let identity = object("userIdentity", value)?;
    for member in identity.members() {
        let name = match &*member.name() {
            "type" => "userIdentity.type",
            "principalId" => "userIdentity.principalId",
            "arn" => "userIdentity.arn",
            "accountId" => "userIdentity.accountId",
            "accessKeyId" => "userIdentity.accessKeyId",
            "userName" => "userIdentity.userName",
            "invokedBy" => "userIdentity.invokedBy",
            _ => continue,
        };
        optional_identifier(name, member.value)?;
    }
    Ok(identity)
}

fn resources<'d, 'a>(value: Value<'d, 'a>) -> Result<Option<Value<'d, 'a>>, RecordError> {
    if value.is_null() {
        return Ok(None);
    }
    if value.kind() != Kind::Array {
        let expected = "an array of objects";
        return Err(RecordError::WrongType {
            member: "resources",
            expected,
        });
    }
    for resource in value.elements() {
        for member in object("resources[]", resource)?.members() {
            let name = match &*member.name() {
                "ARN" => "resources[].ARN",
                "ARNPrefix" => "resources[].ARNPrefix",
                "type" => "resources[].type",
                "accountId" => "resources[].accountId",
                _ => continue,
            };
            optional_text(name, member.value)?;
        }
    }
    Ok(Some(value))
}
