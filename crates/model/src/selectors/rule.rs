//! Compiled selectors: rules that are compared with routing headers.

use crate::{EventClass, ResourceReference, RoutingHeader};

use super::condition::Condition;

/// The selectors of one trail, ready to be asked for every event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledSelectors {
    rules: Vec<Rule>,
}

/// What one selector wants; all of it must hold (SEL-111).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) class: EventClass,
    /// Reads only or writes only; `None` for both.
    pub(super) read_only: Option<bool>,
    pub(super) resource: Option<ResourceRule>,
    pub(super) fields: Vec<(TextField, Condition)>,
}

/// A resource that the event must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResourceRule {
    pub(super) resource_type: String,
    pub(super) arn: Condition,
}

/// A text of the routing header that selectors can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextField {
    ErrorCode,
    EventName,
    EventSource,
    EventType,
    SessionCredentialFromConsole,
    UserIdentityArn,
    VpcEndpointId,
}

impl CompiledSelectors {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// True if one selector takes the event (SEL-112).
    pub fn take(&self, event: &RoutingHeader<'_>) -> bool {
        self.rules.iter().any(|rule| rule.takes(event))
    }
}

impl Rule {
    fn takes(&self, event: &RoutingHeader<'_>) -> bool {
        // What does not say that it is a read might have changed something (SEL-016).
        let is_read = event.read_only == Some(true);
        self.class == event.class
            && self.read_only.is_none_or(|wanted| wanted == is_read)
            && self
                .fields
                .iter()
                .all(|(field, condition)| condition.holds_for(field.of(event)))
            && self.resource.as_ref().is_none_or(|rule| rule.takes(event))
    }
}

impl ResourceRule {
    /// Of the resources of the type, one must be wanted and none excluded: exclusion always wins (SEL-110).
    fn takes(&self, event: &RoutingHeader<'_>) -> bool {
        let mut is_wanted = false;
        for resource in &event.resources {
            if !self.is_of_type(resource) {
                continue;
            }
            if self.arn.excludes(&resource.name) {
                return false;
            }
            is_wanted |= self.arn.wants(&resource.name);
        }
        is_wanted
    }

    /// What was derived for lookups is not in the record, so no selector sees it.
    fn is_of_type(&self, resource: &ResourceReference<'_>) -> bool {
        resource.in_record && resource.resource_type.as_deref() == Some(&*self.resource_type)
    }
}

impl TextField {
    fn of<'e>(self, event: &'e RoutingHeader<'_>) -> Option<&'e str> {
        match self {
            Self::ErrorCode => event.error_code.as_deref(),
            Self::EventName => Some(&event.event_name),
            Self::EventSource => Some(&event.event_source),
            Self::EventType => Some(&*event.event_type).filter(|text| !text.is_empty()),
            Self::SessionCredentialFromConsole => {
                event.session_credential_from_console.then_some("true")
            }
            Self::UserIdentityArn => event.user_identity_arn.as_deref(),
            Self::VpcEndpointId => event.vpc_endpoint_id.as_deref(),
        }
    }
}
