//! The routing header: what readers need of an event without parsing its JSON again.

use std::borrow::Cow;

use crate::{AccountId, EventTime, Region};

mod encoding;

/// The category of an event, decided once, at the door (REC-041).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventClass {
    /// Control-plane operations and non-API account activity.
    Management = 1,
    /// Operations on or inside a resource.
    Data = 2,
    /// Calls through a VPC endpoint, for its owner.
    NetworkActivity = 3,
    /// Start and end of unusual activity.
    Insight = 4,
}

/// One resource of an event, as lookups and selectors name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceReference<'a> {
    /// `AWS::S3::Bucket` and the like; absent when it cannot be told (OVR-087).
    pub resource_type: Option<Cow<'a, str>>,
    /// ARN, beginning of ARNs, or name; empty if the record states a type alone, which selectors by type
    /// must see and lookups pass over.
    pub name: Cow<'a, str>,
    /// True if the entry stands in the record's own `resources`; false if it was derived from
    /// request or response for lookups only, so selectors must not see it.
    pub in_record: bool,
}

/// Every field of an event that a selector, a lookup or the router can name.
///
/// Borrowed when decoded from the log, so that reading a header allocates next to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingHeader<'a> {
    /// Category of the event.
    pub class: EventClass,
    /// `recipientAccountId`: the account whose history the event belongs to.
    pub account: AccountId,
    /// `awsRegion`.
    pub region: Region,
    /// `eventTime`.
    pub event_time: EventTime,
    /// `eventID`, the record's own or the one it was completed with.
    pub event_id: Cow<'a, str>,
    /// `eventName`; of an Insights event, the name of the API that it is about.
    pub event_name: Cow<'a, str>,
    /// `eventSource`; of an Insights event, the source of the API that it is about.
    pub event_source: Cow<'a, str>,
    /// `eventType`; empty if the record has none, as those of versions before 1.02 (REC-029).
    pub event_type: Cow<'a, str>,
    /// `readOnly`, if the record has it.
    pub read_only: Option<bool>,
    /// `errorCode`.
    pub error_code: Option<Cow<'a, str>>,
    /// `vpcEndpointId`.
    pub vpc_endpoint_id: Option<Cow<'a, str>>,
    /// `sessionCredentialFromConsole` is `"true"`.
    pub session_credential_from_console: bool,
    /// `userIdentity.arn`.
    pub user_identity_arn: Option<Cow<'a, str>>,
    /// The name that LookupEvents shows and finds as `Username`.
    pub user_name: Option<Cow<'a, str>>,
    /// `userIdentity.accessKeyId`, unless empty.
    pub access_key_id: Option<Cow<'a, str>>,
    /// Resources in the record's order, then those derived for lookups.
    pub resources: Vec<ResourceReference<'a>>,
}

impl<'a> RoutingHeader<'a> {
    /// The resources that lookups show and find: those with a name.
    pub fn named_resources(&self) -> impl Iterator<Item = &ResourceReference<'a>> {
        self.resources
            .iter()
            .filter(|resource| !resource.name.is_empty())
    }
}

impl RoutingHeader<'_> {
    /// The same header, owning its texts.
    pub fn into_owned(self) -> RoutingHeader<'static> {
        RoutingHeader {
            class: self.class,
            account: self.account,
            region: self.region,
            event_time: self.event_time,
            event_id: owned(self.event_id),
            event_name: owned(self.event_name),
            event_source: owned(self.event_source),
            event_type: owned(self.event_type),
            read_only: self.read_only,
            error_code: self.error_code.map(owned),
            vpc_endpoint_id: self.vpc_endpoint_id.map(owned),
            session_credential_from_console: self.session_credential_from_console,
            user_identity_arn: self.user_identity_arn.map(owned),
            user_name: self.user_name.map(owned),
            access_key_id: self.access_key_id.map(owned),
            resources: self
                .resources
                .into_iter()
                .map(ResourceReference::into_owned)
                .collect(),
        }
    }
}

impl ResourceReference<'_> {
    /// The same reference, owning its texts.
    pub fn into_owned(self) -> ResourceReference<'static> {
        ResourceReference {
            resource_type: self.resource_type.map(owned),
            name: owned(self.name),
            in_record: self.in_record,
        }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// Bytes that are not a routing header of a version this build reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The first byte names a version this build does not know.
    #[error("routing header version {0} is not known to this build")]
    Version(u8),
    /// The bytes end early, go on too long or hold an invalid value.
    #[error("routing header is malformed at byte {0}")]
    Malformed(usize),
}
