//! Basic event selectors: all management events of a kind, and data events of three resource types
//! (register 06, section 6; register 05, section 3.3).

use crate::EventClass;

use super::condition::{Condition, Values};
use super::rule::{ResourceRule, Rule, TextField};
use super::{BASIC_SELECTORS_MAX, DATA_RESOURCES_MAX, SelectorError};

const S3_OBJECT: &str = "AWS::S3::Object";
const LAMBDA_FUNCTION: &str = "AWS::Lambda::Function";
const DYNAMODB_TABLE: &str = "AWS::DynamoDB::Table";
/// Sources of management events that may be left out (SEL-059).
const EXCLUDABLE_SOURCES: [&str; 2] = ["kms.amazonaws.com", "rdsdata.amazonaws.com"];

/// A basic event selector (SEL-053).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSelector {
    /// Reads, writes or both, of management and data events alike (SEL-062).
    pub read_write_type: ReadWriteType,
    /// True to collect management events.
    pub include_management_events: bool,
    /// Resources whose data events are collected.
    pub data_resources: Vec<DataResource>,
    /// Sources whose management events are left out.
    pub exclude_management_event_sources: Vec<String>,
}

/// Resources of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataResource {
    /// `AWS::S3::Object`, `AWS::Lambda::Function` or `AWS::DynamoDB::Table`.
    pub resource_type: String,
    /// ARNs; of S3 objects, beginnings of ARNs.
    pub values: Vec<String>,
}

/// Which events of a selector are collected (SEL-014, SEL-015).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadWriteType {
    /// Reads and writes.
    #[default]
    All,
    /// What changes nothing.
    ReadOnly,
    /// What changes something, or might.
    WriteOnly,
}

impl Default for EventSelector {
    fn default() -> Self {
        Self {
            read_write_type: ReadWriteType::All,
            include_management_events: true,
            data_resources: Vec::new(),
            exclude_management_event_sources: Vec::new(),
        }
    }
}

/// Checks the selectors of a trail and makes rules of them.
pub(super) fn rules(selectors: &[EventSelector]) -> Result<Vec<Rule>, SelectorError> {
    if selectors.is_empty() {
        return Err(SelectorError::None);
    }
    if selectors.len() > BASIC_SELECTORS_MAX {
        return Err(SelectorError::TooManySelectors);
    }
    let resources = selectors.iter().flat_map(|one| &one.data_resources);
    let values: usize = resources.map(|resource| resource.values.len()).sum();
    if values > DATA_RESOURCES_MAX {
        return Err(SelectorError::TooManyDataResources);
    }
    let mut rules = Vec::new();
    for selector in selectors {
        if !selector.include_management_events && selector.data_resources.is_empty() {
            return Err(SelectorError::SelectsNothing);
        }
        rules.extend(management_rule(selector)?);
        for resource in &selector.data_resources {
            rules.extend(data_rule(selector.read_only(), resource)?);
        }
    }
    Ok(rules)
}

impl EventSelector {
    fn read_only(&self) -> Option<bool> {
        match self.read_write_type {
            ReadWriteType::All => None,
            ReadWriteType::ReadOnly => Some(true),
            ReadWriteType::WriteOnly => Some(false),
        }
    }
}

fn management_rule(selector: &EventSelector) -> Result<Option<Rule>, SelectorError> {
    let excluded = &selector.exclude_management_event_sources;
    let unknown = |source: &&String| !EXCLUDABLE_SOURCES.contains(&source.as_str());
    if let Some(source) = excluded.iter().find(unknown) {
        return Err(SelectorError::ExcludedSource(source.clone()));
    }
    if !selector.include_management_events {
        return Ok(None);
    }
    let whole = Values {
        whole: excluded,
        ..Values::default()
    };
    let condition = Condition::new(Values::default(), whole);
    Ok(Some(Rule {
        class: EventClass::Management,
        read_only: selector.read_only(),
        resource: None,
        fields: vec![(TextField::EventSource, condition)],
    }))
}

/// `None` for a resource without values, which names nothing. AWS takes such a selector, as a real record of
/// PutEventSelectors shows, though its trail then collects nothing.
fn data_rule(
    read_only: Option<bool>,
    resource: &DataResource,
) -> Result<Option<Rule>, SelectorError> {
    let (service, first_part) = match resource.resource_type.as_str() {
        S3_OBJECT => ("s3", ""),
        LAMBDA_FUNCTION => ("lambda", "function:"),
        DYNAMODB_TABLE => ("dynamodb", "table/"),
        other => return Err(SelectorError::ResourceType(other.to_owned())),
    };
    let (mut whole, mut beginnings) = (Vec::new(), Vec::new());
    for value in &resource.values {
        let named = Named::read(value, service)
            .ok_or_else(|| SelectorError::ResourceValue(value.clone()))?;
        match named {
            Named::Everything => beginnings.push(value.clone()),
            Named::One(name) if service == "s3" && is_prefix_of_objects(name) => {
                beginnings.push(value.clone());
            }
            Named::One(name) if service != "s3" && is_one_of(name, first_part) => {
                if service == "lambda" {
                    // Its versions and aliases are the function as well.
                    beginnings.push(format!("{value}:"));
                }
                whole.push(value.clone());
            }
            Named::One(_) => return Err(SelectorError::ResourceValue(value.clone())),
        }
    }
    if resource.values.is_empty() {
        return Ok(None);
    }
    let wanted = Values {
        whole: &whole,
        beginnings: &beginnings,
        ends: &[],
    };
    Ok(Some(Rule {
        class: EventClass::Data,
        read_only,
        resource: Some(ResourceRule {
            resource_type: resource.resource_type.clone(),
            arn: Condition::new(wanted, Values::default()),
        }),
        fields: Vec::new(),
    }))
}

/// What an ARN of a service names.
enum Named<'value> {
    /// All resources (TRL-118, TRL-119): the ARN ends with the service.
    Everything,
    /// What stands behind Region and account.
    One(&'value str),
}

impl<'value> Named<'value> {
    fn read(value: &'value str, service: &str) -> Option<Self> {
        let mut parts = value.splitn(6, ':');
        let is_of_service = parts.next() == Some("arn")
            && parts.next().is_some_and(|partition| !partition.is_empty())
            && parts.next() == Some(service);
        if !is_of_service {
            return None;
        }
        match (parts.next(), parts.nth(1)) {
            (None, _) => Some(Self::Everything),
            (Some(_), name) => name.map(Self::One),
        }
    }
}

/// Nothing, which is every bucket (TRL-117), or a bucket with a prefix. AWS refuses a bucket without a
/// slash, and wildcards.
fn is_prefix_of_objects(name: &str) -> bool {
    let is_of_buckets = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_bucket = |name: &str| !name.is_empty() && name.chars().all(is_of_buckets);
    name.is_empty()
        || name
            .split_once('/')
            .is_some_and(|(bucket, _)| is_bucket(bucket))
}

fn is_one_of(name: &str, first_part: &str) -> bool {
    name.strip_prefix(first_part)
        .is_some_and(|rest| !rest.is_empty() && !rest.contains('*'))
}
