//! Advanced event selectors: conditions on fields of events of one category (register 06, section 7).
//!
//! `resources.type` is not compared with a list of types: events bring the ones that exist.

use std::collections::HashSet;

use crate::EventClass;

use super::condition::{Condition, Values};
use super::rule::{ResourceRule, Rule, TextField};
use super::{SelectorError, VALUES_MAX};

const EVENT_CATEGORY: &str = "eventCategory";
const READ_ONLY: &str = "readOnly";
const RESOURCE_TYPE: &str = "resources.type";
const RESOURCE_ARN: &str = "resources.ARN";
const EVENT_SOURCE: &str = "eventSource";

/// An advanced event selector (SEL-065).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdvancedEventSelector {
    /// What its owner calls it (SEL-073).
    pub name: Option<String>,
    /// Conditions that must all hold (SEL-111).
    pub field_selectors: Vec<FieldSelector>,
}

/// Conditions on one field (SEL-066, SEL-067).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// The field's name, such as `resources.ARN`.
    pub field: String,
    /// Wanted texts.
    pub equals: Vec<String>,
    /// Beginnings of wanted texts.
    pub starts_with: Vec<String>,
    /// Ends of wanted texts.
    pub ends_with: Vec<String>,
    /// Excluded texts.
    pub not_equals: Vec<String>,
    /// Beginnings of excluded texts.
    pub not_starts_with: Vec<String>,
    /// Ends of excluded texts.
    pub not_ends_with: Vec<String>,
}

/// A field as the table of fields knows it.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    operators: Operators,
    /// The only values that it takes, if they are known.
    values: &'static [&'static str],
    categories: &'static [Category],
    kind: FieldKind,
}

/// What becomes of a field's conditions.
#[derive(Clone, Copy, Debug)]
enum FieldKind {
    Category,
    ReadOnly,
    ResourceType,
    ResourceArn,
    Text(TextField),
}

/// Operators that a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operators {
    All,
    /// `Equals` with one value.
    OneEquals,
    EqualsOrNotEquals,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Category {
    Management,
    Data,
    NetworkActivity,
}

const EVERY_CATEGORY: &[Category] = &[
    Category::Management,
    Category::Data,
    Category::NetworkActivity,
];
const MANAGEMENT_AND_DATA: &[Category] = &[Category::Management, Category::Data];

/// SEL-068, and which of them each category has: SEL-080 to SEL-107.
const FIELDS: [Field; 11] = [
    Field {
        name: EVENT_CATEGORY,
        operators: Operators::OneEquals,
        values: &["Management", "Data", "NetworkActivity"],
        categories: EVERY_CATEGORY,
        kind: FieldKind::Category,
    },
    Field {
        name: READ_ONLY,
        operators: Operators::OneEquals,
        values: &["true", "false"],
        categories: MANAGEMENT_AND_DATA,
        kind: FieldKind::ReadOnly,
    },
    Field {
        name: RESOURCE_TYPE,
        operators: Operators::OneEquals,
        values: &[],
        categories: &[Category::Data],
        kind: FieldKind::ResourceType,
    },
    Field {
        name: RESOURCE_ARN,
        operators: Operators::All,
        values: &[],
        categories: &[Category::Data],
        kind: FieldKind::ResourceArn,
    },
    any_text("eventName", EVERY_CATEGORY, TextField::EventName),
    any_text(EVENT_SOURCE, EVERY_CATEGORY, TextField::EventSource),
    any_text("eventType", MANAGEMENT_AND_DATA, TextField::EventType),
    any_text(
        "userIdentity.arn",
        MANAGEMENT_AND_DATA,
        TextField::UserIdentityArn,
    ),
    any_text(
        "vpcEndpointId",
        &[Category::NetworkActivity],
        TextField::VpcEndpointId,
    ),
    Field {
        name: "sessionCredentialFromConsole",
        operators: Operators::EqualsOrNotEquals,
        values: &["true"],
        categories: MANAGEMENT_AND_DATA,
        kind: FieldKind::Text(TextField::SessionCredentialFromConsole),
    },
    Field {
        name: "errorCode",
        operators: Operators::OneEquals,
        values: &["VpceAccessDenied"],
        categories: &[Category::NetworkActivity],
        kind: FieldKind::Text(TextField::ErrorCode),
    },
];

const fn any_text(name: &'static str, categories: &'static [Category], field: TextField) -> Field {
    Field {
        name,
        operators: Operators::All,
        values: &[],
        categories,
        kind: FieldKind::Text(field),
    }
}

impl Category {
    fn name(self) -> &'static str {
        match self {
            Self::Management => "Management",
            Self::Data => "Data",
            Self::NetworkActivity => "NetworkActivity",
        }
    }

    fn class(self) -> EventClass {
        match self {
            Self::Management => EventClass::Management,
            Self::Data => EventClass::Data,
            Self::NetworkActivity => EventClass::NetworkActivity,
        }
    }
}

/// Checks the selectors of a trail and makes rules of them.
pub(super) fn rules(selectors: &[AdvancedEventSelector]) -> Result<Vec<Rule>, SelectorError> {
    if selectors.is_empty() {
        return Err(SelectorError::None);
    }
    let fields = selectors.iter().flat_map(|one| &one.field_selectors);
    let values: usize = fields
        .flat_map(FieldSelector::operators)
        .map(|(_, values)| values.len())
        .sum();
    if values > VALUES_MAX {
        return Err(SelectorError::TooManyValues);
    }
    selectors.iter().map(rule).collect()
}

fn rule(selector: &AdvancedEventSelector) -> Result<Rule, SelectorError> {
    let mut known = Vec::with_capacity(selector.field_selectors.len());
    let mut names = HashSet::new();
    for given in &selector.field_selectors {
        let field = FIELDS.iter().find(|field| field.name == given.field);
        let field = field.ok_or_else(|| SelectorError::UnknownField(given.field.clone()))?;
        if !names.insert(field.name) {
            return Err(SelectorError::RepeatedField(field.name));
        }
        given.check(field)?;
        known.push((field, given));
    }
    let category = category_of(&known)?;
    let needed = match category {
        Category::Management => None,
        Category::Data => Some(RESOURCE_TYPE),
        Category::NetworkActivity => Some(EVENT_SOURCE),
    };
    if let Some(name) = needed.filter(|name| !names.contains(name)) {
        return Err(SelectorError::MissingField(name));
    }
    let mut rule = Rule {
        class: category.class(),
        read_only: None,
        resource: None,
        fields: Vec::new(),
    };
    let mut arn = None;
    for (field, given) in known {
        if !field.categories.contains(&category) {
            let (field, category) = (field.name, category.name());
            return Err(SelectorError::FieldOfOtherCategory { field, category });
        }
        match field.kind {
            FieldKind::Category => {}
            FieldKind::ReadOnly => rule.read_only = Some(given.equals == ["true"]),
            FieldKind::ResourceType => {
                let resource_type = given.equals.concat();
                let arn = Condition::default();
                rule.resource = Some(ResourceRule { resource_type, arn });
            }
            FieldKind::ResourceArn => arn = Some(given.condition()),
            FieldKind::Text(field) => {
                let is_source =
                    category == Category::NetworkActivity && given.field == EVENT_SOURCE;
                if is_source && !given.is_one_equals() {
                    return Err(SelectorError::MissingField(EVENT_SOURCE));
                }
                rule.fields.push((field, given.condition()));
            }
        }
    }
    if let (Some(resource), Some(arn)) = (&mut rule.resource, arn) {
        resource.arn = arn;
    }
    Ok(rule)
}

fn category_of(known: &[(&Field, &FieldSelector)]) -> Result<Category, SelectorError> {
    let given = known.iter().find(|(field, _)| field.name == EVENT_CATEGORY);
    let (_, given) = given.ok_or(SelectorError::MissingField(EVENT_CATEGORY))?;
    let named = |category: &&Category| given.equals == [category.name()];
    let category = EVERY_CATEGORY.iter().find(named);
    category
        .copied()
        .ok_or(SelectorError::MissingField(EVENT_CATEGORY))
}

impl FieldSelector {
    fn operators(&self) -> [(&'static str, &[String]); 6] {
        [
            ("Equals", &self.equals),
            ("StartsWith", &self.starts_with),
            ("EndsWith", &self.ends_with),
            ("NotEquals", &self.not_equals),
            ("NotStartsWith", &self.not_starts_with),
            ("NotEndsWith", &self.not_ends_with),
        ]
    }

    fn condition(&self) -> Condition {
        let wanted = Values {
            whole: &self.equals,
            beginnings: &self.starts_with,
            ends: &self.ends_with,
        };
        let excluded = Values {
            whole: &self.not_equals,
            beginnings: &self.not_starts_with,
            ends: &self.not_ends_with,
        };
        Condition::new(wanted, excluded)
    }

    fn is_one_equals(&self) -> bool {
        let operators = self.operators();
        self.equals.len() == 1 && operators[1..].iter().all(|(_, values)| values.is_empty())
    }

    /// Compares the conditions with what the field takes.
    fn check(&self, field: &Field) -> Result<(), SelectorError> {
        let operators = self.operators();
        let used = || operators.iter().filter(|(_, values)| !values.is_empty());
        if used().next().is_none() {
            return Err(SelectorError::NoCondition(field.name));
        }
        for (operator, values) in used() {
            let is_taken = match field.operators {
                Operators::All => true,
                Operators::OneEquals => *operator == "Equals",
                Operators::EqualsOrNotEquals => matches!(*operator, "Equals" | "NotEquals"),
            };
            if !is_taken {
                let (field, operator) = (field.name, *operator);
                return Err(SelectorError::Operator { field, operator });
            }
            let is_known =
                |value: &&String| field.values.is_empty() || field.values.contains(&value.as_str());
            if let Some(value) = values.iter().find(|value| !is_known(value)) {
                let (field, value) = (field.name, value.clone());
                return Err(SelectorError::Value { field, value });
            }
        }
        if field.operators == Operators::OneEquals && self.equals.len() > 1 {
            return Err(SelectorError::MissingField(field.name));
        }
        self.refuse_repetitions(field.name)
    }

    /// TRL-108: a value may stand once, and not among the wanted and the excluded ones of the same kind.
    fn refuse_repetitions(&self, field: &'static str) -> Result<(), SelectorError> {
        let kinds = [
            (&self.equals, &self.not_equals),
            (&self.starts_with, &self.not_starts_with),
            (&self.ends_with, &self.not_ends_with),
        ];
        for (wanted, excluded) in kinds {
            let mut seen = HashSet::new();
            let mut both = wanted.iter().chain(excluded);
            if let Some(value) = both.find(|value| !seen.insert(value.as_str())) {
                let value = value.clone();
                return Err(SelectorError::RepeatedValue { field, value });
            }
        }
        Ok(())
    }
}
