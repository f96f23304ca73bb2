//! How a version of a trail is stored: JSON with a number of its form ([format](docs/formats/trail-configuration.md)).
//! Which trail and which version it is stands in the row. Private to the catalog, so that neither the wire nor the
//! model binds it.

use cairn_model::selectors::{
    AdvancedEventSelector, DataResource, EventSelector, EventSelectors, FieldSelector,
    ReadWriteType,
};
use cairn_model::{
    AccountId, InsightSelector, LogGroup, Logging, Region, SnsTopic, Trail, TrailId, TrailSettings,
};
use serde::{Deserialize, Serialize};

use crate::error::CatalogError;

/// The form that is written.
const FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTrail {
    form: u32,
    account: AccountId,
    home_region: Region,
    name: String,
    created_ms: i64,
    bucket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sns_topic: Option<StoredTopic>,
    includes_global_service_events: bool,
    is_multi_region: bool,
    is_organization: bool,
    validates_log_files: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kms_key_arn: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_group: Option<StoredLogGroup>,
    event_selectors: StoredSelectors,
    insight_selectors: Vec<StoredInsightSelector>,
    is_logging: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTopic {
    given: String,
    arn: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredLogGroup {
    arn: String,
    role_arn: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredInsightSelector {
    insight_type: String,
    event_categories: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredSelectors {
    Basic(Vec<StoredBasic>),
    Advanced(Vec<StoredAdvanced>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredBasic {
    read_write_type: StoredReadWriteType,
    include_management_events: bool,
    data_resources: Vec<StoredDataResource>,
    exclude_management_event_sources: Vec<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum StoredReadWriteType {
    All,
    ReadOnly,
    WriteOnly,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredDataResource {
    resource_type: String,
    values: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredAdvanced {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    field_selectors: Vec<StoredField>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredField {
    field: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    equals: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    starts_with: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ends_with: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_equals: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_starts_with: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    not_ends_with: Vec<String>,
}

/// The document of a trail.
pub(super) fn write(trail: &Trail) -> String {
    serde_json::to_string(&StoredTrail::of(trail)).expect("texts, numbers and lists are JSON")
}

/// Reads what `write` wrote.
pub(super) fn read(document: &str, id: TrailId, version: u64) -> Result<Trail, CatalogError> {
    let stored = serde_json::from_str::<StoredTrail>(document).ok();
    match stored.filter(|stored| stored.form == FORM) {
        Some(stored) => Ok(stored.into_trail(id, version)),
        None => Err(CatalogError::Unreadable {
            what: "trail",
            value: format!("{} version {version}", id.0),
        }),
    }
}

impl StoredTrail {
    fn of(trail: &Trail) -> Self {
        let settings = trail.settings.clone();
        let insights = settings.insight_selectors.into_iter();
        Self {
            form: FORM,
            account: trail.account,
            home_region: trail.home_region.clone(),
            name: trail.name.clone(),
            created_ms: trail.created_ms,
            bucket: settings.bucket,
            key_prefix: settings.key_prefix,
            sns_topic: settings.sns_topic.map(|topic| StoredTopic {
                given: topic.given,
                arn: topic.arn,
            }),
            includes_global_service_events: settings.includes_global_service_events,
            is_multi_region: settings.is_multi_region,
            is_organization: settings.is_organization,
            validates_log_files: settings.validates_log_files,
            kms_key_arn: settings.kms_key_arn,
            log_group: settings.log_group.map(|group| StoredLogGroup {
                arn: group.arn,
                role_arn: group.role_arn,
            }),
            event_selectors: StoredSelectors::of(settings.event_selectors),
            insight_selectors: insights
                .map(|selector| StoredInsightSelector {
                    insight_type: selector.insight_type,
                    event_categories: selector.event_categories,
                })
                .collect(),
            is_logging: trail.logging.is_on,
            started_ms: trail.logging.started_ms,
            stopped_ms: trail.logging.stopped_ms,
        }
    }

    fn into_trail(self, id: TrailId, version: u64) -> Trail {
        let insights = self.insight_selectors.into_iter();
        Trail {
            account: self.account,
            home_region: self.home_region,
            name: self.name,
            id,
            version,
            created_ms: self.created_ms,
            settings: TrailSettings {
                bucket: self.bucket,
                key_prefix: self.key_prefix,
                sns_topic: self.sns_topic.map(|topic| SnsTopic {
                    given: topic.given,
                    arn: topic.arn,
                }),
                includes_global_service_events: self.includes_global_service_events,
                is_multi_region: self.is_multi_region,
                is_organization: self.is_organization,
                validates_log_files: self.validates_log_files,
                kms_key_arn: self.kms_key_arn,
                log_group: self.log_group.map(|group| LogGroup {
                    arn: group.arn,
                    role_arn: group.role_arn,
                }),
                event_selectors: self.event_selectors.into_selectors(),
                insight_selectors: insights
                    .map(|selector| InsightSelector {
                        insight_type: selector.insight_type,
                        event_categories: selector.event_categories,
                    })
                    .collect(),
            },
            logging: Logging {
                is_on: self.is_logging,
                started_ms: self.started_ms,
                stopped_ms: self.stopped_ms,
            },
        }
    }
}

impl StoredSelectors {
    fn of(selectors: EventSelectors) -> Self {
        match selectors {
            EventSelectors::Basic(list) => {
                Self::Basic(list.into_iter().map(StoredBasic::of).collect())
            }
            EventSelectors::Advanced(list) => {
                Self::Advanced(list.into_iter().map(StoredAdvanced::of).collect())
            }
        }
    }

    fn into_selectors(self) -> EventSelectors {
        match self {
            Self::Basic(list) => {
                let list = list.into_iter().map(StoredBasic::into_selector);
                EventSelectors::Basic(list.collect())
            }
            Self::Advanced(list) => {
                let list = list.into_iter().map(StoredAdvanced::into_selector);
                EventSelectors::Advanced(list.collect())
            }
        }
    }
}

impl StoredBasic {
    fn of(selector: EventSelector) -> Self {
        let resources = selector.data_resources.into_iter();
        Self {
            read_write_type: match selector.read_write_type {
                ReadWriteType::All => StoredReadWriteType::All,
                ReadWriteType::ReadOnly => StoredReadWriteType::ReadOnly,
                ReadWriteType::WriteOnly => StoredReadWriteType::WriteOnly,
            },
            include_management_events: selector.include_management_events,
            data_resources: resources
                .map(|resource| StoredDataResource {
                    resource_type: resource.resource_type,
                    values: resource.values,
                })
                .collect(),
            exclude_management_event_sources: selector.exclude_management_event_sources,
        }
    }

    fn into_selector(self) -> EventSelector {
        let resources = self.data_resources.into_iter();
        EventSelector {
            read_write_type: match self.read_write_type {
                StoredReadWriteType::All => ReadWriteType::All,
                StoredReadWriteType::ReadOnly => ReadWriteType::ReadOnly,
                StoredReadWriteType::WriteOnly => ReadWriteType::WriteOnly,
            },
            include_management_events: self.include_management_events,
            data_resources: resources
                .map(|resource| DataResource {
                    resource_type: resource.resource_type,
                    values: resource.values,
                })
                .collect(),
            exclude_management_event_sources: self.exclude_management_event_sources,
        }
    }
}

impl StoredAdvanced {
    fn of(selector: AdvancedEventSelector) -> Self {
        let fields = selector.field_selectors.into_iter();
        Self {
            name: selector.name,
            field_selectors: fields
                .map(|field| StoredField {
                    field: field.field,
                    equals: field.equals,
                    starts_with: field.starts_with,
                    ends_with: field.ends_with,
                    not_equals: field.not_equals,
                    not_starts_with: field.not_starts_with,
                    not_ends_with: field.not_ends_with,
                })
                .collect(),
        }
    }

    fn into_selector(self) -> AdvancedEventSelector {
        let fields = self.field_selectors.into_iter();
        AdvancedEventSelector {
            name: self.name,
            field_selectors: fields
                .map(|field| FieldSelector {
                    field: field.field,
                    equals: field.equals,
                    starts_with: field.starts_with,
                    ends_with: field.ends_with,
                    not_equals: field.not_equals,
                    not_starts_with: field.not_starts_with,
                    not_ends_with: field.not_ends_with,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
