//! What an operation is authorized on, as data: which member of the request names which resource.
//! `authorization` turns a rule and a request into ARNs.

/// The resource that an action is checked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceRule {
    /// `*`: operations that create or list, or touch no single resource (SEC-128).
    Any,
    /// A trail, named by name or ARN in this member (SEC-123).
    Trail(&'static str),
    /// An event data store, named by ARN or ID in this member (SEC-124).
    EventDataStore(&'static str),
    /// Event data stores, named in this list.
    EventDataStores(&'static str),
    /// A trail in the first member or an event data store in the second, whichever is given.
    TrailOrEventDataStore(&'static str, &'static str),
    /// The event data store in this member or, without it, the one that the query in `QueryId` reads.
    StoreOfQuery(&'static str),
    /// The event data stores that the SQL statement in this member reads.
    StoresOfStatement(&'static str),
    /// The event data stores that the widgets of the dashboard in this member read.
    StoresOfDashboard(&'static str),
    /// The event data stores that the statements of the widgets in this list read.
    StoresOfWidgets(&'static str),
    /// A channel, named by ARN or ID in this member (SEC-126).
    Channel(&'static str),
    /// A dashboard, named by name or ARN in this member (SEC-125).
    Dashboard(&'static str),
    /// Any resource, named by ARN in this member; a bare name is a trail's.
    Arn(&'static str),
    /// Any resources, named by ARN in this list.
    Arns(&'static str),
    /// The text of this member as it is, such as the ARN of a role. The first name may be followed by a second, for
    /// a member of a member.
    Verbatim(&'static [&'static str]),
}

/// A further action that the caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The IAM action.
    pub action: &'static str,
    /// The resource that it is checked on.
    pub resource: ResourceRule,
    /// When it is needed.
    pub when: When,
}

/// When a further action is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// When the request has this member.
    Given(&'static str),
    /// When the request sets this member to true.
    True(&'static str),
}

impl Dependency {
    pub(crate) const fn given(
        member: &'static str,
        action: &'static str,
        resource: ResourceRule,
    ) -> Self {
        Self {
            action,
            resource,
            when: When::Given(member),
        }
    }
}
