//! From a form-encoded body to checked parameters.

use std::collections::BTreeMap;

use cairn_access::sigv4::sha256_hex;
use cairn_catalog::identity::Tag;
use serde_json::{Map, Value, json};

use super::answer::lower_camel;
use super::error::{QueryError, QueryErrorCode};
use super::operation::{QueryOperation, QueryService};
use super::parameters::{Parameter, ParameterKind, Pattern, check_number, check_text, complaint};
use crate::http::decoded_pairs;

/// Pairs in one form.
const PAIRS_MAX: usize = 1_000;
/// Members of one list.
const LIST_MAX: usize = 50;
/// Session policies in one call.
const POLICY_ARNS_MAX: usize = 10;

/// A request that is routed and whose parameters are checked.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// The operation.
    pub operation: &'static QueryOperation,
    /// Its parameters.
    pub input: QueryInput,
}

/// The parameters of a request, checked against the operation's table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryInput {
    values: BTreeMap<&'static str, InputValue>,
}

#[derive(Clone, Debug, PartialEq)]
enum InputValue {
    Text(String),
    LargeText(String),
    Number(i64),
    Flag(bool),
    Tags(Vec<Tag>),
    Texts(Vec<String>),
    PolicyArns(Vec<String>),
}

impl QueryRequest {
    /// The operation that a form names, so that a refused form can still be recorded by name.
    pub fn operation_named_in(
        service: QueryService,
        body: &[u8],
    ) -> Option<&'static QueryOperation> {
        let pairs = pairs_of(body).ok()?;
        service.route(pairs.get("Action")?)
    }

    /// Reads, routes and checks a form.
    pub fn parse(service: QueryService, body: &[u8]) -> Result<Self, QueryError> {
        let pairs = pairs_of(body)?;
        let action = pairs.get("Action").map_or("", String::as_str);
        let version = pairs.get("Version").map_or("", String::as_str);
        let operation = service
            .route(action)
            .filter(|_| version == service.version());
        let Some(operation) = operation else {
            let shown: String = action.chars().take(128).collect();
            let message = format!("Could not find operation {shown} for version {version}");
            return Err(QueryError::new(QueryErrorCode::InvalidAction, message));
        };
        let mut input = QueryInput::default();
        for parameter in operation.parameters {
            match read(&pairs, parameter)? {
                Some(value) => {
                    input.values.insert(parameter.name, value);
                }
                None if parameter.required => {
                    let place = lower_camel(parameter.name);
                    return Err(complaint(None, &place, "Member must not be null"));
                }
                None => {}
            }
        }
        Ok(Self { operation, input })
    }
}

impl QueryInput {
    /// A text, if it was sent.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(InputValue::Text(text) | InputValue::LargeText(text)) => Some(text),
            _ => None,
        }
    }

    /// A text that the operation's table requires.
    pub fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// A number, if it was sent.
    pub fn number(&self, name: &str) -> Option<i64> {
        match self.values.get(name) {
            Some(InputValue::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// A flag; one that was not sent is false.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(InputValue::Flag(true)))
    }

    /// Tags.
    pub fn tags(&self) -> &[Tag] {
        match self.values.get("Tags") {
            Some(InputValue::Tags(tags)) => tags,
            _ => &[],
        }
    }

    /// A list of texts or policy ARNs.
    pub fn texts(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(InputValue::Texts(texts) | InputValue::PolicyArns(texts)) => texts,
            _ => &[],
        }
    }

    /// What a form that was refused asked for, for its record (SEC-027): parameters that cannot be read stand as they
    /// were sent.
    pub(super) fn of_refused(operation: &QueryOperation, body: &[u8]) -> Self {
        let pairs = pairs_of(body).unwrap_or_default();
        let mut input = Self::default();
        for parameter in operation.parameters {
            let value = read(&pairs, parameter).unwrap_or_else(|_| {
                let text = pairs.get(parameter.name)?;
                Some(match parameter.kind {
                    ParameterKind::LargeText => InputValue::LargeText(text.clone()),
                    _ => InputValue::Text(text.clone()),
                })
            });
            if let Some(value) = value {
                input.values.insert(parameter.name, value);
            }
        }
        input
    }

    /// `requestParameters` of the record: null if there are none. Documents stay plain text here
    /// (SEC-026).
    pub(super) fn recorded(&self, operation: &QueryOperation) -> Value {
        let mut members = Map::new();
        for parameter in operation.parameters {
            let Some(value) = self.values.get(parameter.name) else {
                continue;
            };
            let value = match value {
                InputValue::Text(text) => Value::String(text.clone()),
                InputValue::LargeText(text) => {
                    json!({ "bytes": text.len(), "sha256": sha256_hex(text.as_bytes()) })
                }
                InputValue::Number(number) => Value::from(*number),
                InputValue::Flag(flag) => Value::Bool(*flag),
                InputValue::Texts(texts) => json!(texts),
                InputValue::PolicyArns(arns) => {
                    Value::Array(arns.iter().map(|arn| json!({ "arn": arn })).collect())
                }
                InputValue::Tags(tags) => Value::Array(
                    tags.iter()
                        .map(|tag| json!({ "key": tag.key, "value": tag.value }))
                        .collect(),
                ),
            };
            members.insert(lower_camel(parameter.name), value);
        }
        if members.is_empty() {
            Value::Null
        } else {
            Value::Object(members)
        }
    }
}

type Pairs = BTreeMap<String, String>;

fn pairs_of(body: &[u8]) -> Result<Pairs, QueryError> {
    let malformed = |message: &str| QueryError::new(QueryErrorCode::MalformedQueryString, message);
    let text = std::str::from_utf8(body).map_err(|_| malformed("The body is not UTF-8."))?;
    let mut pairs = Pairs::new();
    for (name, value) in decoded_pairs(text.trim_end_matches(['\r', '\n'])) {
        let (Ok(name), Ok(value)) = (String::from_utf8(name), String::from_utf8(value)) else {
            return Err(malformed("A parameter is not UTF-8."));
        };
        if pairs.len() >= PAIRS_MAX {
            return Err(malformed("The request has too many parameters."));
        }
        // Read one way here and another way elsewhere, a name given twice would hide something.
        if pairs.insert(name, value).is_some() {
            return Err(malformed("A parameter is given twice."));
        }
    }
    Ok(pairs)
}

fn read(pairs: &Pairs, parameter: &Parameter) -> Result<Option<InputValue>, QueryError> {
    let place = lower_camel(parameter.name);
    match parameter.kind {
        ParameterKind::Tags => return read_tags(pairs, parameter.name),
        ParameterKind::Texts => {
            let texts = members(pairs, parameter.name, "", LIST_MAX)?;
            return Ok(texts.map(InputValue::Texts));
        }
        ParameterKind::EachOneOf(words) => {
            let texts = members(pairs, parameter.name, "", LIST_MAX)?;
            let mut each = texts.iter().flatten();
            if let Some(odd) = each.find(|text| !words.contains(&text.as_str())) {
                return Err(not_among(odd, &place, words));
            }
            return Ok(texts.map(InputValue::Texts));
        }
        ParameterKind::PolicyArns => {
            let arns = members(pairs, parameter.name, ".arn", POLICY_ARNS_MAX)?;
            return Ok(arns.map(InputValue::PolicyArns));
        }
        _ => {}
    }
    let Some(text) = pairs.get(parameter.name) else {
        return Ok(None);
    };
    let value = match parameter.kind {
        ParameterKind::Text { min, max, pattern } => {
            check_text(text, &place, (min, max), pattern)?;
            InputValue::Text(text.clone())
        }
        ParameterKind::LargeText => InputValue::LargeText(text.clone()),
        ParameterKind::Number { min, max } => {
            InputValue::Number(check_number(text, &place, (min, max))?)
        }
        ParameterKind::Flag => match text.as_str() {
            "true" => InputValue::Flag(true),
            "false" => InputValue::Flag(false),
            other => {
                return Err(complaint(
                    Some(other),
                    &place,
                    "Member must be true or false",
                ));
            }
        },
        ParameterKind::OneOf(words) if words.contains(&text.as_str()) => {
            InputValue::Text(text.clone())
        }
        ParameterKind::OneOf(words) => return Err(not_among(text, &place, words)),
        ParameterKind::Tags
        | ParameterKind::Texts
        | ParameterKind::EachOneOf(_)
        | ParameterKind::PolicyArns => return Ok(None),
    };
    Ok(Some(value))
}

fn not_among(text: &str, place: &str, words: &[&str]) -> QueryError {
    let words = words.join(", ");
    let constraint = format!("Member must satisfy enum value set: [{words}]");
    let shown: String = text.chars().take(128).collect();
    complaint(Some(&shown), place, &constraint)
}

/// `NAME.member.1SUFFIX`, `NAME.member.2SUFFIX`, … An empty list is sent as `NAME=`.
fn members(
    pairs: &Pairs,
    name: &str,
    suffix: &str,
    members_max: usize,
) -> Result<Option<Vec<String>>, QueryError> {
    let mut texts = Vec::new();
    while let Some(text) = pairs.get(&format!("{name}.member.{}{suffix}", texts.len() + 1)) {
        texts.push(text.clone());
        if texts.len() > members_max {
            let constraint = format!("Member must have length less than or equal to {members_max}");
            return Err(complaint(Some("[…]"), &lower_camel(name), &constraint));
        }
    }
    let sent = !texts.is_empty() || pairs.contains_key(name);
    Ok(sent.then_some(texts))
}

fn read_tags(pairs: &Pairs, name: &str) -> Result<Option<InputValue>, QueryError> {
    let Some(keys) = members(pairs, name, ".Key", LIST_MAX)? else {
        return Ok(None);
    };
    let mut tags: Vec<Tag> = Vec::with_capacity(keys.len());
    for (key, number) in keys.into_iter().zip(1..) {
        let place = format!("tags.{number}.member");
        check_text(&key, &format!("{place}.key"), (1, 128), Pattern::Any)?;
        let value = pairs.get(&format!("{name}.member.{number}.Value")).cloned();
        let Some(value) = value else {
            return Err(complaint(
                None,
                &format!("{place}.value"),
                "Member must not be null",
            ));
        };
        check_text(&value, &format!("{place}.value"), (0, 256), Pattern::Any)?;
        if key.to_ascii_lowercase().starts_with("aws:") {
            let message = "Tag keys beginning with aws: are reserved for AWS.";
            return Err(QueryError::new(QueryErrorCode::InvalidInput, message));
        }
        if tags.iter().any(|tag| tag.key.eq_ignore_ascii_case(&key)) {
            let message =
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(QueryError::new(QueryErrorCode::InvalidInput, message));
        }
        tags.push(Tag { key, value });
    }
    Ok(Some(InputValue::Tags(tags)))
}
