//! The operations table: one row for every operation of both APIs. Routing, validation, authorization, the recording
//! of our own calls and the page `docs/api.md` read it, so that each fact about an operation is said once.

mod recording;
mod routing;
mod rules;
pub(crate) mod table;

pub use crate::generated::operation_id::OperationId;
pub use recording::{EventClass, Recording, ResourceType};
pub use routing::{
    TARGET_PREFIX_LONG, TARGET_PREFIX_SHORT, UnknownOperation, find, route, route_rest,
};
pub use rules::{Dependency, ResourceRule, When};

use crate::error::{ErrorCode, Protocol};
use crate::shape::Shape;

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// For matching on every operation that there is.
    pub id: OperationId,
    /// AWS's name.
    pub name: &'static str,
    /// The API that it belongs to.
    pub service: Service,
    /// The path that it is called on.
    pub path: &'static str,
    /// The IAM action that a caller needs.
    pub iam_action: &'static str,
    /// Whether it changes nothing: `readOnly` of its event (SEC-017), and whether answers are recorded.
    pub read_only: bool,
    /// The resource that the action is checked on.
    pub resource: ResourceRule,
    /// Further actions that the caller needs (SEC-119, SEC-135).
    pub dependencies: &'static [Dependency],
    /// How its event looks.
    pub recording: Recording,
    /// The errors that its model lists.
    pub errors: &'static [ErrorCode],
    /// Whether a repeated request has no further effect.
    pub idempotent: bool,
    /// Whether it is built; otherwise it answers `UnsupportedOperationException`.
    pub built: bool,
    /// The largest body, in bytes.
    pub request_bytes_max: usize,
    /// What a request holds.
    pub input: &'static Shape,
    /// What an answer holds.
    pub output: &'static Shape,
}

impl Operation {
    /// Whether it changes configuration, so that its event and its effect must be committed together. What the data
    /// plane takes in is no configuration.
    pub fn is_change(&self) -> bool {
        !self.read_only && self.recording.class == EventClass::Management
    }
}

/// One of the two APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// The control plane, `cloudtrail`.
    CloudTrail,
    /// The data plane, `cloudtrail-data`.
    CloudTrailData,
}

impl Service {
    /// The service name in a credential scope, and the prefix of IAM actions.
    pub const fn signing_name(self) -> &'static str {
        match self {
            Self::CloudTrail => "cloudtrail",
            Self::CloudTrailData => "cloudtrail-data",
        }
    }

    /// `eventSource` of its events.
    pub const fn event_source(self) -> &'static str {
        match self {
            Self::CloudTrail => "cloudtrail.amazonaws.com",
            Self::CloudTrailData => "cloudtrail-data.amazonaws.com",
        }
    }

    /// The protocol that it speaks.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::CloudTrail => Protocol::AwsJson,
            Self::CloudTrailData => Protocol::RestJson,
        }
    }
}

/// What the model says of an operation; a row of the table adds the rest.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) id: OperationId,
    pub(crate) name: &'static str,
    pub(crate) service: Service,
    pub(crate) path: &'static str,
    pub(crate) idempotent: bool,
    pub(crate) input: &'static Shape,
    pub(crate) output: &'static Shape,
    pub(crate) errors: &'static [ErrorCode],
}

/// A shape, and JSON of that shape into its typed form and back.
#[cfg(test)]
pub(crate) type RoundTrip = (
    &'static Shape,
    fn(serde_json::Value) -> serde_json::Result<serde_json::Value>,
);

/// Every operation, by service and name.
pub fn operations() -> &'static [&'static Operation] {
    &crate::generated::operation_id::ROWS
}

#[cfg(test)]
mod tests;
