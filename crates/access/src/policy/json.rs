//! JSON as policies need it: a member twice is an error, because two readers could take different ones
//! (TESTING 2.4, R24). Depth is bounded by the parser at 128.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::PolicyError;

/// A JSON value whose objects have each name once, in the order written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(super) fn parse(text: &str) -> Result<Self, PolicyError> {
        serde_json::from_str(text).map_err(|error| PolicyError::Syntax {
            detail: error.to_string(),
        })
    }

    /// The members of an object.
    pub(super) fn into_object(self, name: &str) -> Result<Vec<(String, Json)>, PolicyError> {
        match self {
            Self::Object(members) => Ok(members),
            _ => Err(PolicyError::WrongType {
                name: name.to_owned(),
            }),
        }
    }

    /// A string.
    pub(super) fn into_text(self, name: &str) -> Result<String, PolicyError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(PolicyError::WrongType {
                name: name.to_owned(),
            }),
        }
    }

    /// One string or a list of them. (SEC-115)
    pub(super) fn into_texts(self, name: &str) -> Result<Vec<String>, PolicyError> {
        match self {
            Self::Text(text) => Ok(vec![text]),
            Self::List(values) => values
                .into_iter()
                .map(|value| value.into_text(name))
                .collect(),
            _ => Err(PolicyError::WrongType {
                name: name.to_owned(),
            }),
        }
    }

    /// One value of a condition or a list of them: strings, and the numbers and booleans that IAM
    /// takes as if they were strings.
    pub(super) fn into_scalars(self, name: &str) -> Result<Vec<String>, PolicyError> {
        let scalar = |value| match value {
            Self::Text(text) | Self::Number(text) => Ok(text),
            Self::Bool(value) => Ok(value.to_string()),
            _ => Err(PolicyError::WrongType {
                name: name.to_owned(),
            }),
        };
        match self {
            Self::List(values) => values.into_iter().map(scalar).collect(),
            value => Ok(vec![scalar(value)?]),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut names = BTreeSet::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!(
                    "element {name} appears twice"
                )));
            }
            members.push((name, value));
        }
        Ok(Json::Object(members))
    }
}
