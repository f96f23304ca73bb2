//! A service model as AWS publishes it (botocore's form). Unknown members are refused, so that a newer model with a
//! kind of constraint that the generator does not know is noticed instead of ignored.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceModel {
    #[serde(rename = "version")]
    _version: String,
    #[serde(rename = "metadata")]
    _metadata: serde_json::Value,
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) http: Http,
    pub(super) input: Reference,
    pub(super) output: Reference,
    #[serde(default)]
    pub(super) errors: Vec<Reference>,
    #[serde(default)]
    pub(super) idempotent: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Http {
    #[serde(rename = "method")]
    _method: String,
    pub(super) request_uri: String,
    #[serde(default, rename = "responseCode")]
    _response_code: Option<u16>,
}

/// Where a shape is used: by an operation, as a member, as an element.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Reference {
    pub(super) shape: String,
    #[serde(default)]
    pub(super) deprecated: bool,
    #[serde(default, rename = "deprecatedMessage")]
    _deprecated_message: Option<String>,
    #[serde(default)]
    pub(super) location: Option<String>,
    #[serde(default)]
    pub(super) location_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: ShapeKind,
    #[serde(default)]
    pub(super) members: BTreeMap<String, Reference>,
    #[serde(default)]
    pub(super) required: Vec<String>,
    pub(super) member: Option<Reference>,
    pub(super) key: Option<Reference>,
    pub(super) value: Option<Reference>,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    pub(super) pattern: Option<String>,
    #[serde(default, rename = "enum")]
    pub(super) values: Vec<String>,
    #[serde(default)]
    pub(super) exception: bool,
    #[serde(default)]
    pub(super) sensitive: bool,
    #[serde(default, rename = "deprecated")]
    _deprecated: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum ShapeKind {
    Structure,
    List,
    Map,
    String,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Timestamp,
    Blob,
}

/// What a structure is for; it decides the file that it is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Input,
    Output,
    Nested,
    Exception,
}

impl ServiceModel {
    pub(super) fn shape(&self, name: &str) -> anyhow::Result<&Shape> {
        self.shapes
            .get(name)
            .with_context(|| format!("the model has no shape {name}"))
    }

    pub(super) fn role(&self, name: &str) -> Role {
        if self
            .operations
            .values()
            .any(|operation| operation.input.shape == name)
        {
            Role::Input
        } else if self
            .operations
            .values()
            .any(|operation| operation.output.shape == name)
        {
            Role::Output
        } else if self.shapes.get(name).is_some_and(|shape| shape.exception) {
            Role::Exception
        } else {
            Role::Nested
        }
    }

    /// The structures of one role, by name.
    pub(super) fn structures(&self, role: Role) -> impl Iterator<Item = (&str, &Shape)> {
        self.shapes
            .iter()
            .filter(move |(name, shape)| {
                shape.kind == ShapeKind::Structure && self.role(name) == role
            })
            .map(|(name, shape)| (name.as_str(), shape))
    }
}
