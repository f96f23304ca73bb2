//! Insight selectors on the wire and as values, and what a trail must log for them.

use cairn_api::cloudtrail::enums::{InsightType, SourceEventCategory};
use cairn_api::cloudtrail::structures as wire;
use cairn_api::{ApiError, ErrorCode};
use cairn_model::InsightSelector;
use cairn_model::selectors::{AdvancedEventSelector, EventSelectors, ReadWriteType};

/// Reads what is given and holds it to what the trail logs (TRL-129).
pub(super) fn read(
    given: Vec<wire::InsightSelector>,
    logged: &EventSelectors,
) -> Result<Vec<InsightSelector>, ApiError> {
    let mut selectors: Vec<InsightSelector> = Vec::with_capacity(given.len());
    for selector in given {
        let Some(insight_type) = selector.insight_type else {
            return Err(refused(
                "An insight selector needs an InsightType.".to_owned(),
            ));
        };
        let name = insight_type.as_str();
        if selectors.iter().any(|one| one.insight_type == name) {
            return Err(refused(format!("{name} stands more than once.")));
        }
        let categories = selector.event_categories.unwrap_or_default();
        require_logged(insight_type, &categories, logged)?;
        let categories = categories
            .iter()
            .map(|category| category.as_str().to_owned());
        selectors.push(InsightSelector {
            insight_type: name.to_owned(),
            event_categories: categories.collect(),
        });
    }
    Ok(selectors)
}

/// As they were given.
pub(super) fn shown(selectors: Vec<InsightSelector>) -> Vec<wire::InsightSelector> {
    let shown = selectors.into_iter().map(|selector| {
        let types = InsightType::ALL.into_iter();
        let categories = selector.event_categories.iter().filter_map(|name| {
            let mut all = SourceEventCategory::ALL.into_iter();
            all.find(|category| category.as_str() == name)
        });
        let categories: Vec<SourceEventCategory> = categories.collect();
        wire::InsightSelector {
            event_categories: Some(categories).filter(|categories| !categories.is_empty()),
            insight_type: types
                .into_iter()
                .find(|one| one.as_str() == selector.insight_type),
        }
    });
    shown.collect()
}

fn require_logged(
    insight_type: InsightType,
    categories: &[SourceEventCategory],
    logged: &EventSelectors,
) -> Result<(), ApiError> {
    // Without categories, Insights is computed from management events.
    let of_management =
        categories.is_empty() || categories.contains(&SourceEventCategory::Management);
    let (needed, is_logged) = match insight_type {
        InsightType::ApiCallRateInsight => {
            ("write management events", logs_management(logged, true))
        }
        InsightType::ApiErrorRateInsight => ("management events", logs_management(logged, false)),
    };
    if of_management && !is_logged {
        return Err(refused(format!(
            "The trail must log {needed} for {}.",
            insight_type.as_str()
        )));
    }
    if categories.contains(&SourceEventCategory::Data) && !logs_data(logged) {
        return Err(refused(format!(
            "The trail must log data events for {} on data events.",
            insight_type.as_str()
        )));
    }
    Ok(())
}

/// Whether some selector takes management events; `writes`: such that change something.
fn logs_management(selectors: &EventSelectors, writes: bool) -> bool {
    match selectors {
        EventSelectors::Basic(list) => list.iter().any(|selector| {
            selector.include_management_events
                && !(writes && selector.read_write_type == ReadWriteType::ReadOnly)
        }),
        EventSelectors::Advanced(list) => list.iter().any(|selector| {
            has(selector, "eventCategory", "Management")
                && !(writes && has(selector, "readOnly", "true"))
        }),
    }
}

fn logs_data(selectors: &EventSelectors) -> bool {
    match selectors {
        EventSelectors::Basic(list) => list
            .iter()
            .flat_map(|selector| &selector.data_resources)
            .any(|resource| !resource.values.is_empty()),
        EventSelectors::Advanced(list) => list
            .iter()
            .any(|selector| has(selector, "eventCategory", "Data")),
    }
}

fn has(selector: &AdvancedEventSelector, field: &str, value: &str) -> bool {
    let mut fields = selector.field_selectors.iter();
    fields.any(|one| one.field == field && one.equals.iter().any(|text| text == value))
}

fn refused(message: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidInsightSelectorsException, message)
}

/// The trail that a call names; the other thing that it could name, an event data store, is refused.
pub(super) fn trail_named(
    trail: Option<String>,
    has_store: bool,
    operation: &str,
) -> Result<String, ApiError> {
    let combination = |message| {
        Err(ApiError::new(
            ErrorCode::InvalidParameterCombinationException,
            message,
        ))
    };
    match (trail, has_store) {
        (Some(trail), false) => Ok(trail),
        (Some(_), true) => {
            combination("You can specify either TrailName or EventDataStore, but not both.")
        }
        (None, false) => combination("You must specify either TrailName or EventDataStore."),
        (None, true) => Err(ApiError::not_built(&format!(
            "{operation} of event data stores"
        ))),
    }
}
