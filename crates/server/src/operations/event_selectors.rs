//! Event selectors on the wire and as values: the same names, values and order both ways (SEL-073).

use cairn_api::cloudtrail::{enums, structures as wire};
use cairn_model::selectors::{
    AdvancedEventSelector, DataResource, EventSelector, EventSelectors, FieldSelector,
    ReadWriteType,
};

/// Both kinds as an answer lists them; the one that is not in force is not there (TRL-088).
pub(super) type WireSelectors = (
    Option<Vec<wire::EventSelector>>,
    Option<Vec<wire::AdvancedEventSelector>>,
);

pub(super) fn shown(selectors: EventSelectors) -> WireSelectors {
    match selectors {
        EventSelectors::Basic(list) => (Some(list.into_iter().map(shown_basic).collect()), None),
        EventSelectors::Advanced(list) => {
            (None, Some(list.into_iter().map(shown_advanced).collect()))
        }
    }
}

/// A member that is not given has its default (TRL-122).
pub(super) fn basic(selector: wire::EventSelector) -> EventSelector {
    let resources = selector.data_resources.unwrap_or_default();
    EventSelector {
        read_write_type: match selector.read_write_type {
            None | Some(enums::ReadWriteType::All) => ReadWriteType::All,
            Some(enums::ReadWriteType::ReadOnly) => ReadWriteType::ReadOnly,
            Some(enums::ReadWriteType::WriteOnly) => ReadWriteType::WriteOnly,
        },
        include_management_events: selector.include_management_events.unwrap_or(true),
        data_resources: resources
            .into_iter()
            .map(|resource| DataResource {
                resource_type: resource.r#type.unwrap_or_default(),
                values: resource.values.unwrap_or_default(),
            })
            .collect(),
        exclude_management_event_sources: selector
            .exclude_management_event_sources
            .unwrap_or_default(),
    }
}

pub(super) fn advanced(selector: wire::AdvancedEventSelector) -> AdvancedEventSelector {
    let fields = selector.field_selectors.into_iter();
    AdvancedEventSelector {
        name: selector.name,
        field_selectors: fields
            .map(|field| FieldSelector {
                field: field.field,
                equals: field.equals.unwrap_or_default(),
                starts_with: field.starts_with.unwrap_or_default(),
                ends_with: field.ends_with.unwrap_or_default(),
                not_equals: field.not_equals.unwrap_or_default(),
                not_starts_with: field.not_starts_with.unwrap_or_default(),
                not_ends_with: field.not_ends_with.unwrap_or_default(),
            })
            .collect(),
    }
}

fn shown_basic(selector: EventSelector) -> wire::EventSelector {
    let resources = selector.data_resources.into_iter();
    let resources = resources.map(|resource| wire::DataResource {
        r#type: Some(resource.resource_type),
        values: Some(resource.values),
    });
    wire::EventSelector {
        data_resources: Some(resources.collect()),
        exclude_management_event_sources: Some(selector.exclude_management_event_sources),
        include_management_events: Some(selector.include_management_events),
        read_write_type: Some(match selector.read_write_type {
            ReadWriteType::All => enums::ReadWriteType::All,
            ReadWriteType::ReadOnly => enums::ReadWriteType::ReadOnly,
            ReadWriteType::WriteOnly => enums::ReadWriteType::WriteOnly,
        }),
    }
}

fn shown_advanced(selector: AdvancedEventSelector) -> wire::AdvancedEventSelector {
    // The model has no empty lists of values.
    let given = |values: Vec<String>| Some(values).filter(|values| !values.is_empty());
    let fields = selector.field_selectors.into_iter();
    wire::AdvancedEventSelector {
        name: selector.name,
        field_selectors: fields
            .map(|field| wire::AdvancedFieldSelector {
                field: field.field,
                equals: given(field.equals),
                starts_with: given(field.starts_with),
                ends_with: given(field.ends_with),
                not_equals: given(field.not_equals),
                not_starts_with: given(field.not_starts_with),
                not_ends_with: given(field.not_ends_with),
            })
            .collect(),
    }
}
