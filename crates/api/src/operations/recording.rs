//! How the event of a call looks, as data: what is recorded of request and answer, and what is hidden.

/// How the event of a call looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The class of the event.
    pub class: EventClass,
    /// Members of request or answer, as paths of names joined by dots, whose values are replaced before they are
    /// recorded, and that no message repeats.
    pub sensitive: &'static [&'static str],
    /// The type under which `resources` lists the resource that the call was authorized on. Management events of
    /// CloudTrail's own operations list none, in AWS's log files neither.
    pub resource_type: Option<ResourceType>,
}

/// The class of the event of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventClass {
    /// The control plane.
    Management,
    /// The data plane.
    Data,
}

/// A type of CloudTrail resource, as `resources` spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceType {
    /// A channel.
    Channel,
    /// A dashboard.
    Dashboard,
    /// An event data store.
    EventDataStore,
    /// A trail.
    Trail,
}

impl ResourceType {
    /// AWS's name of the type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "AWS::CloudTrail::Channel",
            Self::Dashboard => "AWS::CloudTrail::Dashboard",
            Self::EventDataStore => "AWS::CloudTrail::EventDataStore",
            Self::Trail => "AWS::CloudTrail::Trail",
        }
    }

    /// The first part of the resource in an ARN.
    pub const fn arn_prefix(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Dashboard => "dashboard",
            Self::EventDataStore => "eventdatastore",
            Self::Trail => "trail",
        }
    }
}
