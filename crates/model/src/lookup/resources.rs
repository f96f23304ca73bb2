//! The resources of an event: those it lists itself, then those that its request and response name.

use std::borrow::Cow;

use crate::ResourceReference;
use crate::json::{Kind, Value};

use super::resource_rules::{BY_EC2_IDENTIFIER, Rule, ec2_type, rules_for};

/// At most this many resources are derived from one event; the record's own are never cut.
const DERIVED_RESOURCES_MAX: usize = 100;

/// Longer texts are no names; the longest ARN has as many bytes.
const DERIVED_NAME_BYTES_MAX: usize = 2048;

/// What the resources of an event are taken from.
pub(crate) struct ResourceSources<'s, 'd, 'a> {
    pub(crate) event_source: &'s str,
    pub(crate) event_name: &'s str,
    pub(crate) resources: Option<Value<'d, 'a>>,
    pub(crate) request_parameters: Option<Value<'d, 'a>>,
    pub(crate) response_elements: Option<Value<'d, 'a>>,
}

/// The event's resources; entries without type, ARN and ARN prefix say nothing and are passed over.
pub(crate) fn resources(sources: &ResourceSources<'_, '_, '_>) -> Vec<ResourceReference<'static>> {
    let mut found = Vec::new();
    for resource in sources.resources.iter().flat_map(Value::elements) {
        found.extend(in_record(resource));
    }
    let rules = rules_for(sources.event_source);
    if !rules.is_empty() {
        let mut derived = Derived {
            event_name: sources.event_name,
            found: Vec::new(),
        };
        for part in [sources.request_parameters, sources.response_elements]
            .into_iter()
            .flatten()
        {
            derived.search(part, rules);
        }
        add_new(&mut found, derived.found);
    }
    found
}

fn in_record(resource: Value<'_, '_>) -> Option<ResourceReference<'static>> {
    let (mut name, mut prefix, mut resource_type) = (None, None, None);
    for member in resource.members() {
        let place = match &*member.name() {
            "ARN" => &mut name,
            "ARNPrefix" => &mut prefix,
            "type" => &mut resource_type,
            _ => continue,
        };
        *place = member.value.as_str().filter(|text| !text.is_empty());
    }
    let name = name.or(prefix);
    if name.is_none() && resource_type.is_none() {
        return None;
    }
    Some(ResourceReference {
        resource_type: resource_type.map(|text| Cow::Owned(text.into_owned())),
        name: Cow::Owned(name.unwrap_or_default().into_owned()),
        in_record: true,
    })
}

/// Adds the derived resources that are not there yet; they are few, so time is linear in what the record lists.
fn add_new(found: &mut Vec<ResourceReference<'static>>, derived: Vec<(&'static str, String)>) {
    for (resource_type, name) in derived {
        let is_listed = found.iter().any(|resource| {
            resource.name == name && resource.resource_type.as_deref() == Some(resource_type)
        });
        if !is_listed {
            found.push(ResourceReference {
                resource_type: Some(Cow::Borrowed(resource_type)),
                name: Cow::Owned(name),
                in_record: false,
            });
        }
    }
}

/// What follows the first name of a path, if that is `name`.
fn after_first<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    match path.strip_prefix(name)? {
        "" => Some(""),
        rest => rest.strip_prefix('.'),
    }
}

struct Derived<'e> {
    event_name: &'e str,
    found: Vec<(&'static str, String)>,
}

impl Derived<'_> {
    fn search(&mut self, part: Value<'_, '_>, rules: &'static [Rule]) {
        for member in part.members() {
            let name = member.name();
            for rule in rules {
                let Some(rest) = after_first(rule.path, &name) else {
                    continue;
                };
                if self.event_name.contains(rule.when) {
                    self.follow(member.value, rest, rule.resource_type);
                }
            }
        }
    }

    /// Follows the rest of a path; arrays on the way stand for each of their elements.
    fn follow(&mut self, value: Value<'_, '_>, path: &str, resource_type: &'static str) {
        if self.found.len() == DERIVED_RESOURCES_MAX {
            return;
        }
        match value.kind() {
            // Nesting is bounded by the JSON reader, paths by the table.
            Kind::Array => {
                for element in value.elements() {
                    self.follow(element, path, resource_type);
                }
            }
            Kind::Object if !path.is_empty() => {
                let (first, rest) = path.split_once('.').unwrap_or((path, ""));
                if let Some(value) = value.get(first) {
                    self.follow(value, rest, resource_type);
                }
            }
            Kind::String if path.is_empty() => {
                let name = value.as_str().unwrap_or_default();
                let known = if resource_type == BY_EC2_IDENTIFIER {
                    ec2_type(&name)
                } else {
                    Some(resource_type)
                };
                let is_name = !name.is_empty()
                    && name.len() <= DERIVED_NAME_BYTES_MAX
                    && name != "HIDDEN_DUE_TO_SECURITY_REASONS";
                if let (Some(known), true) = (known, is_name) {
                    self.found.push((known, name.into_owned()));
                }
            }
            _ => {}
        }
    }
}
