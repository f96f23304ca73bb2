//! Conditions: operator, key, values. All tests of a statement must hold; within one, any value will
//! do (SEC-111). What an absent key means depends on the operator (TESTING 2.4): a positive test fails,
//! a negated one and `…IfExists` pass, `ForAllValues` passes and `ForAnyValue` fails.

use std::cmp::Ordering;

use super::arn_pattern::ArnPattern;
use super::document::Effect;
use super::json::Json;
use super::template::{Marks, Template, fold_case, matches};
use super::value::{Match, Network, Number, parse_binary, parse_bool, parse_date};
use super::{ContextKeys, PolicyError};

/// One test of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    key: String,
    comparison: Comparison,
    quantifier: Quantifier,
    if_exists: bool,
    negated: bool,
    values: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    Single,
    AnyValue,
    AllValues,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Text,
    TextIgnoringCase,
    TextLike,
    Number(Order),
    Date(Order),
    Bool,
    Binary,
    Address,
    Arn,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(Template),
    Arn(ArnPattern),
    Number(Number),
    Date(i64),
    Bool(bool),
    Binary(Vec<u8>),
    Address(Network),
}

/// Every operator: its name in lower case, what it compares, and whether it is a negation.
const OPERATORS: [(&str, Comparison, bool); 26] = [
    ("stringequals", Comparison::Text, false),
    ("stringnotequals", Comparison::Text, true),
    (
        "stringequalsignorecase",
        Comparison::TextIgnoringCase,
        false,
    ),
    (
        "stringnotequalsignorecase",
        Comparison::TextIgnoringCase,
        true,
    ),
    ("stringlike", Comparison::TextLike, false),
    ("stringnotlike", Comparison::TextLike, true),
    ("numericequals", Comparison::Number(Order::Equal), false),
    ("numericnotequals", Comparison::Number(Order::Equal), true),
    ("numericlessthan", Comparison::Number(Order::Less), false),
    (
        "numericlessthanequals",
        Comparison::Number(Order::LessOrEqual),
        false,
    ),
    (
        "numericgreaterthan",
        Comparison::Number(Order::Greater),
        false,
    ),
    (
        "numericgreaterthanequals",
        Comparison::Number(Order::GreaterOrEqual),
        false,
    ),
    ("dateequals", Comparison::Date(Order::Equal), false),
    ("datenotequals", Comparison::Date(Order::Equal), true),
    ("datelessthan", Comparison::Date(Order::Less), false),
    (
        "datelessthanequals",
        Comparison::Date(Order::LessOrEqual),
        false,
    ),
    ("dategreaterthan", Comparison::Date(Order::Greater), false),
    (
        "dategreaterthanequals",
        Comparison::Date(Order::GreaterOrEqual),
        false,
    ),
    ("bool", Comparison::Bool, false),
    ("binaryequals", Comparison::Binary, false),
    ("ipaddress", Comparison::Address, false),
    ("notipaddress", Comparison::Address, true),
    ("arnequals", Comparison::Arn, false),
    ("arnlike", Comparison::Arn, false),
    ("arnnotequals", Comparison::Arn, true),
    ("arnnotlike", Comparison::Arn, true),
];

/// Reads the whole `Condition` element.
pub(super) fn parse_conditions(json: Json, variables: bool) -> Result<Vec<Condition>, PolicyError> {
    let mut conditions = Vec::new();
    for (operator, tests) in json.into_object("Condition")? {
        for (key, values) in tests.into_object(&operator)? {
            let values = values.into_scalars(&key)?;
            conditions.push(Condition::parse(&operator, &key, &values, variables)?);
        }
    }
    Ok(conditions)
}

impl Condition {
    fn parse(
        operator: &str,
        key: &str,
        values: &[String],
        variables: bool,
    ) -> Result<Self, PolicyError> {
        let unknown = || PolicyError::Operator {
            found: operator.to_owned(),
        };
        if !key.contains(':') {
            return Err(PolicyError::Vendor);
        }
        let lower = operator.to_ascii_lowercase();
        let (quantifier, name) = match lower.split_once(':') {
            None => (Quantifier::Single, lower.as_str()),
            Some(("foranyvalue", name)) => (Quantifier::AnyValue, name),
            Some(("forallvalues", name)) => (Quantifier::AllValues, name),
            Some(_) => return Err(unknown()),
        };
        let (comparison, if_exists, negated) = if name == "null" {
            (Comparison::Null, false, false)
        } else {
            let base = name.strip_suffix("ifexists");
            let (_, comparison, negated) = *OPERATORS
                .iter()
                .find(|(known, ..)| *known == base.unwrap_or(name))
                .ok_or_else(unknown)?;
            (comparison, base.is_some(), negated)
        };
        let values = values
            .iter()
            .map(|text| {
                Value::parse(comparison, text, variables)?.ok_or_else(|| {
                    PolicyError::ConditionValue {
                        found: text.clone(),
                        operator: operator.to_owned(),
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        let key = key.to_lowercase();
        Ok(Self {
            key,
            comparison,
            quantifier,
            if_exists,
            negated,
            values,
        })
    }

    /// Whether the test holds. The effect matters only for variables without a value: they never
    /// widen what an Allow says nor narrow what a Deny says.
    pub(super) fn holds(&self, keys: &ContextKeys, effect: Effect) -> bool {
        let present = keys.get(&self.key);
        if self.comparison == Comparison::Null {
            return self.values.contains(&Value::Bool(present.is_empty()));
        }
        if present.is_empty() {
            return match self.quantifier {
                Quantifier::Single => self.negated || self.if_exists,
                Quantifier::AnyValue => self.if_exists,
                Quantifier::AllValues => true,
            };
        }
        let passes = |value: &String| self.passes(value, keys, effect);
        match (self.quantifier, self.negated) {
            // Without a quantifier, "not equal" over several values means that none is equal.
            (Quantifier::AllValues, _) | (Quantifier::Single, true) => present.iter().all(passes),
            (Quantifier::AnyValue, _) | (Quantifier::Single, false) => present.iter().any(passes),
        }
    }

    fn passes(&self, present: &str, keys: &ContextKeys, effect: Effect) -> bool {
        let found = Match::any(
            self.values
                .iter()
                .map(|value| value.matches(self.comparison, present, keys)),
        );
        match found {
            Match::Yes => !self.negated,
            Match::No => self.negated,
            Match::Unresolved => self.negated && effect == Effect::Deny,
        }
    }
}

impl Value {
    /// Reads a policy's value; `None` when the operator could never match it. Variables exist for
    /// texts and ARNs only, as in IAM.
    fn parse(
        comparison: Comparison,
        text: &str,
        variables: bool,
    ) -> Result<Option<Self>, PolicyError> {
        let template = |wildcards| {
            Template::parse(
                text,
                Marks {
                    wildcards,
                    variables,
                },
            )
        };
        Ok(match comparison {
            Comparison::Text | Comparison::TextIgnoringCase => Some(Self::Text(template(false)?)),
            Comparison::TextLike => Some(Self::Text(template(true)?)),
            Comparison::Arn => match ArnPattern::parse(text, variables)? {
                Some(pattern) => Some(Self::Arn(pattern)),
                // A whole ARN out of one variable, such as `${aws:SourceArn}`.
                None if variables && text.starts_with("${") => Some(Self::Text(template(true)?)),
                None => None,
            },
            Comparison::Number(_) => Number::parse(text).map(Self::Number),
            Comparison::Date(_) => parse_date(text).map(Self::Date),
            Comparison::Bool | Comparison::Null => parse_bool(text).map(Self::Bool),
            Comparison::Binary => parse_binary(text).map(Self::Binary),
            Comparison::Address => Network::parse(text).map(Self::Address),
        })
    }

    fn matches(&self, comparison: Comparison, present: &str, keys: &ContextKeys) -> Match {
        match self {
            Self::Text(template) => {
                let Some(units) = template.resolve(keys) else {
                    return Match::Unresolved;
                };
                Match::of(match comparison {
                    Comparison::TextIgnoringCase => {
                        let folded: Vec<_> = units.iter().map(|unit| unit.fold_case()).collect();
                        let present: String = present.chars().map(fold_case).collect();
                        matches(&folded, &present)
                    }
                    _ => matches(&units, present),
                })
            }
            Self::Arn(pattern) => {
                if present.starts_with("arn:") {
                    pattern.matches(present, keys)
                } else {
                    Match::No
                }
            }
            Self::Number(value) => Match::of(
                Number::parse(present)
                    .and_then(|present| present.compare(*value))
                    .is_some_and(|ordering| comparison.holds(ordering)),
            ),
            Self::Date(value) => Match::of(
                parse_date(present).is_some_and(|present| comparison.holds(present.cmp(value))),
            ),
            Self::Bool(value) => Match::of(parse_bool(present) == Some(*value)),
            Self::Binary(value) => Match::of(parse_binary(present).as_ref() == Some(value)),
            Self::Address(network) => Match::of(
                present
                    .parse()
                    .is_ok_and(|address| network.contains(address)),
            ),
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Number(order) | Self::Date(order) => order.holds(ordering),
            _ => ordering.is_eq(),
        }
    }
}
