//! The typed form of inputs, outputs and what they hold: structs and enums with serde, under AWS's member names.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, bail};

use super::model::{Role, ServiceModel, Shape, ShapeKind};
use super::names;
use super::source::{Module, module};

pub(super) fn emit(model: &ServiceModel) -> anyhow::Result<Vec<Module>> {
    let mut modules = Vec::new();
    let enums = enums(model)?;
    if !enums.is_empty() {
        let documentation = "Strings that have a fixed set of values.";
        modules.push(module("enums", "pub", documentation, &enums));
    }
    for (name, role, documentation) in [
        (
            "structures",
            Role::Nested,
            "Structures inside inputs and outputs.",
        ),
        ("inputs", Role::Input, "Inputs of the operations."),
        ("outputs", Role::Output, "Outputs of the operations."),
    ] {
        let mut body = String::from("use serde::{Deserialize, Serialize};\n\n");
        for (structure, shape) in model.structures(role) {
            write_structure(model, structure, shape, role, &mut body)?;
        }
        modules.push(module(name, "pub", documentation, &body));
    }
    Ok(modules)
}

fn enums(model: &ServiceModel) -> anyhow::Result<String> {
    let mut body = String::new();
    for (name, shape) in model
        .shapes
        .iter()
        .filter(|(_, shape)| !shape.values.is_empty())
    {
        let mut variants = String::new();
        let mut arms = String::new();
        let mut seen = BTreeSet::new();
        for value in &shape.values {
            let variant = names::variant(value);
            if !seen.insert(variant.clone()) {
                bail!("two values of {name} would be named {variant}");
            }
            writeln!(
                variants,
                "/// `{value}`.\n#[serde(rename = {value:?})]\n{variant},"
            )?;
            writeln!(arms, "Self::{variant} => {value:?},")?;
        }
        let values: Vec<String> = shape
            .values
            .iter()
            .map(|value| format!("Self::{}", names::variant(value)))
            .collect();
        write!(
            body,
            "/// AWS's `{name}`.\n\
             #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]\n\
             pub enum {name} {{ {variants} }}\n\n\
             impl {name} {{\n\
             /// Every value, in the model's order.\n\
             pub const ALL: [Self; {}] = [{}];\n\n\
             /// The value as it goes over the wire.\n\
             pub const fn as_str(self) -> &'static str {{ match self {{ {arms} }} }}\n\
             }}\n\n",
            values.len(),
            values.join(", ")
        )?;
    }
    if !body.is_empty() {
        body.insert_str(0, "use serde::{Deserialize, Serialize};\n\n");
    }
    Ok(body)
}

fn write_structure(
    model: &ServiceModel,
    name: &str,
    shape: &Shape,
    role: Role,
    body: &mut String,
) -> anyhow::Result<()> {
    let mut fields = String::new();
    for (member, reference) in &shape.members {
        let held =
            rust_type(model, &reference.shape).with_context(|| format!("{name}.{member}"))?;
        let required = shape.required.contains(member);
        let mut attributes = format!("rename = {member:?}");
        if !required {
            attributes.push_str(", default, skip_serializing_if = \"Option::is_none\"");
        }
        let held = if required {
            held
        } else {
            format!("Option<{held}>")
        };
        let field = names::field(member);
        let deprecated = if reference.deprecated {
            " No longer returned or sent by AWS."
        } else {
            ""
        };
        writeln!(
            fields,
            "/// `{member}`.{deprecated}\n#[serde({attributes})]\npub {field}: {held},"
        )?;
    }
    let default = if has_default(model, name)? {
        "Default, "
    } else {
        ""
    };
    let which = match role {
        Role::Input => "input",
        Role::Output => "output",
        Role::Nested | Role::Exception => "structure",
    };
    writeln!(
        body,
        "/// AWS's {which} `{name}`.\n\
         #[derive(Clone, Debug, {default}PartialEq, Serialize, Deserialize)]\n\
         pub struct {name} {{ {fields} }}\n"
    )?;
    Ok(())
}

/// Whether every member can be left out or has a natural empty value.
fn has_default(model: &ServiceModel, name: &str) -> anyhow::Result<bool> {
    let shape = model.shape(name)?;
    for member in &shape.required {
        let held = &shape
            .members
            .get(member)
            .context("a required member exists")?
            .shape;
        let held_shape = model.shape(held)?;
        let natural = match held_shape.kind {
            ShapeKind::Structure => has_default(model, held)?,
            ShapeKind::String => held_shape.values.is_empty(),
            ShapeKind::Timestamp => false,
            _ => true,
        };
        if !natural {
            return Ok(false);
        }
    }
    Ok(true)
}

fn rust_type(model: &ServiceModel, name: &str) -> anyhow::Result<String> {
    let shape = model.shape(name)?;
    if shape.sensitive {
        bail!("{name} is sensitive: its type must hide it from Debug");
    }
    let element = |reference: &Option<super::model::Reference>| -> anyhow::Result<String> {
        rust_type(
            model,
            &reference
                .as_ref()
                .context("a collection says what it holds")?
                .shape,
        )
    };
    Ok(match shape.kind {
        ShapeKind::Structure => format!("super::structures::{name}"),
        ShapeKind::List => format!("Vec<{}>", element(&shape.member)?),
        ShapeKind::Map => {
            let (key, value) = (element(&shape.key)?, element(&shape.value)?);
            format!("std::collections::BTreeMap<{key}, {value}>")
        }
        ShapeKind::String if shape.values.is_empty() => "String".to_owned(),
        ShapeKind::String => format!("super::enums::{name}"),
        ShapeKind::Integer => "i32".to_owned(),
        ShapeKind::Long => "i64".to_owned(),
        ShapeKind::Float => "f32".to_owned(),
        ShapeKind::Double => "f64".to_owned(),
        ShapeKind::Boolean => "bool".to_owned(),
        ShapeKind::Timestamp => "crate::Timestamp".to_owned(),
        ShapeKind::Blob => "crate::Blob".to_owned(),
    })
}
