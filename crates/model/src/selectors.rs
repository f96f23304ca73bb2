//! Which events a trail collects. Selectors are values as their owner gave them; compiling checks them and
//! makes the form that is asked for every event, from the routing header alone (SEL-090, TRL-090).
//!
//! Whose events a trail sees, and of which Regions, is not decided here.

mod advanced;
mod basic;
mod condition;
mod rule;

pub use advanced::{AdvancedEventSelector, FieldSelector};
pub use basic::{DataResource, EventSelector, ReadWriteType};
pub use rule::CompiledSelectors;

/// Largest number of basic selectors of a trail (SEL-055).
pub const BASIC_SELECTORS_MAX: usize = 5;
/// Largest number of data resources over all basic selectors of a trail (SEL-056).
pub const DATA_RESOURCES_MAX: usize = 250;
/// Largest number of values over all conditions of all advanced selectors (SEL-072).
pub const VALUES_MAX: usize = 500;

/// What a trail collects: selectors of one kind, never both (SEL-074).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventSelectors {
    /// Basic event selectors.
    Basic(Vec<EventSelector>),
    /// Advanced event selectors.
    Advanced(Vec<AdvancedEventSelector>),
}

impl Default for EventSelectors {
    /// What a new trail collects: all management events (SEL-002, SEL-003).
    fn default() -> Self {
        Self::Basic(vec![EventSelector::default()])
    }
}

impl EventSelectors {
    /// Checks the selectors and makes the form that events are compared with.
    pub fn compile(&self) -> Result<CompiledSelectors, SelectorError> {
        let rules = match self {
            Self::Basic(selectors) => basic::rules(selectors)?,
            Self::Advanced(selectors) => advanced::rules(selectors)?,
        };
        Ok(CompiledSelectors::new(rules))
    }
}

/// Why selectors cannot be used; each is an `InvalidEventSelectorsException` of the operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// There is none.
    #[error("At least one event selector is needed.")]
    None,
    /// Too many basic selectors (SEL-055).
    #[error("A trail can have at most {BASIC_SELECTORS_MAX} event selectors.")]
    TooManySelectors,
    /// Too many data resources in basic selectors (SEL-056).
    #[error("The event selectors of a trail can name at most {DATA_RESOURCES_MAX} data resources.")]
    TooManyDataResources,
    /// Too many values in advanced selectors (SEL-072).
    #[error("The advanced event selectors of a trail can have at most {VALUES_MAX} values.")]
    TooManyValues,
    /// A basic selector that names neither management events nor data resources.
    #[error("An event selector must select management events or data resources.")]
    SelectsNothing,
    /// Not a type that basic selectors know (SEL-057).
    #[error("{0} is not a resource type of basic event selectors.")]
    ResourceType(String),
    /// Not an ARN of the resource type (TRL-117, TRL-118, TRL-119).
    #[error("Value {0} for DataResources.Values is invalid.")]
    ResourceValue(String),
    /// Not a source that basic selectors exclude (SEL-059).
    #[error("{0} cannot be excluded: kms.amazonaws.com and rdsdata.amazonaws.com can.")]
    ExcludedSource(String),
    /// No such field (SEL-068).
    #[error("{0} is not a field of advanced event selectors.")]
    UnknownField(String),
    /// A field that events of this category do not have.
    #[error("{field} cannot be used with eventCategory {category}.")]
    FieldOfOtherCategory {
        /// The field.
        field: &'static str,
        /// The selector's category.
        category: &'static str,
    },
    /// A field that stands twice in one selector (SEL-078).
    #[error("{0} stands more than once in a selector.")]
    RepeatedField(&'static str),
    /// A field that the category needs (SEL-080, SEL-089, SEL-103).
    #[error("A selector needs {0} with one value of Equals.")]
    MissingField(&'static str),
    /// A field without a condition (SEL-065).
    #[error("{0} has no condition.")]
    NoCondition(&'static str),
    /// An operator that the field does not take.
    #[error("{field} does not take {operator}.")]
    Operator {
        /// The field.
        field: &'static str,
        /// The operator.
        operator: &'static str,
    },
    /// A value that the field does not take.
    #[error("{value} is not a value of {field}.")]
    Value {
        /// The field.
        field: &'static str,
        /// The value.
        value: String,
    },
    /// A value that stands twice, or is both wanted and excluded (TRL-108).
    #[error("{field} has {value} more than once.")]
    RepeatedValue {
        /// The field.
        field: &'static str,
        /// The value.
        value: String,
    },
}
