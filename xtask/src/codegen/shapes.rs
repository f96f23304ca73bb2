//! The static shape tables: what `validate` walks. One static per shape; shapes refer to each other by reference.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, bail};

use super::model::{Reference, Role, ServiceModel, Shape, ShapeKind};
use super::source::{Module, module};
use super::{names, pattern};

pub(super) fn emit(model: &ServiceModel) -> anyhow::Result<Vec<Module>> {
    let reachable = reachable(model)?;
    let file = |wanted: &'static str| -> anyhow::Result<String> {
        let mut body = String::new();
        for name in &reachable {
            if module_of(model, name)? == wanted {
                write_table(model, name, wanted, &mut body)?;
            }
        }
        Ok(imports_for(&body) + &body)
    };
    Ok(vec![
        module(
            "scalar_shapes",
            "",
            "Strings, numbers and times.",
            &file("scalar_shapes")?,
        ),
        module(
            "collection_shapes",
            "",
            "Lists and maps.",
            &file("collection_shapes")?,
        ),
        module(
            "structure_shapes",
            "",
            "Nested structures.",
            &file("structure_shapes")?,
        ),
        module(
            "input_shapes",
            "",
            "Inputs of the operations.",
            &file("input_shapes")?,
        ),
        module(
            "output_shapes",
            "",
            "Outputs of the operations.",
            &file("output_shapes")?,
        ),
    ])
}

fn imports_for(body: &str) -> String {
    let mut imports: Vec<&str> = Vec::new();
    for name in [
        "Bounds",
        "Kind",
        "Location",
        "Member",
        "Pattern",
        "Shape",
        "StringShape",
    ] {
        let used = body.contains(&format!("{name}::"))
            || body.contains(&format!("{name} {{"))
            || body.contains(&format!(": {name} "));
        if used {
            imports.push(name);
        }
    }
    format!("use crate::shape::{{{}}};\n\n", imports.join(", "))
}

/// Shapes that inputs and outputs are made of. Exceptions carry nothing but a message and have no table.
fn reachable(model: &ServiceModel) -> anyhow::Result<BTreeSet<String>> {
    let mut reached = BTreeSet::new();
    let mut pending: Vec<&Reference> = Vec::new();
    for operation in model.operations.values() {
        pending.extend([&operation.input, &operation.output]);
    }
    while let Some(reference) = pending.pop() {
        if reached.insert(reference.shape.clone()) {
            let shape = model.shape(&reference.shape)?;
            pending.extend(shape.members.values());
            pending.extend(
                [&shape.member, &shape.key, &shape.value]
                    .into_iter()
                    .flatten(),
            );
        }
    }
    Ok(reached)
}

fn module_of(model: &ServiceModel, name: &str) -> anyhow::Result<&'static str> {
    Ok(match model.shape(name)?.kind {
        ShapeKind::List | ShapeKind::Map => "collection_shapes",
        ShapeKind::Structure => match model.role(name) {
            Role::Input => "input_shapes",
            Role::Output => "output_shapes",
            Role::Nested => "structure_shapes",
            Role::Exception => bail!("exception {name} is used as a member"),
        },
        _ => "scalar_shapes",
    })
}

fn write_table(
    model: &ServiceModel,
    name: &str,
    module: &str,
    body: &mut String,
) -> anyhow::Result<()> {
    let shape = model.shape(name)?;
    let kind = kind(model, shape, module).with_context(|| format!("shape {name}"))?;
    // Visible to the operations' contracts, which name inputs and outputs.
    let table = names::table(name);
    writeln!(
        body,
        "pub(super) static {table}: Shape = Shape {{ name: \"{name}\", sensitive: {}, kind: {kind} }};\n",
        shape.sensitive
    )?;
    Ok(())
}

fn kind(model: &ServiceModel, shape: &Shape, module: &str) -> anyhow::Result<String> {
    let bounds = bounds(shape);
    let refer = |reference: &Option<Reference>| -> anyhow::Result<String> {
        let reference = reference
            .as_ref()
            .context("a collection says what it holds")?;
        reference_to(model, &reference.shape, module)
    };
    Ok(match shape.kind {
        ShapeKind::Structure => format!("Kind::Structure(&[{}])", members(model, shape, module)?),
        ShapeKind::List => {
            format!(
                "Kind::List {{ element: {}, length: {bounds} }}",
                refer(&shape.member)?
            )
        }
        ShapeKind::Map => format!(
            "Kind::Map {{ key: {}, value: {}, length: {bounds} }}",
            refer(&shape.key)?,
            refer(&shape.value)?
        ),
        ShapeKind::String => {
            let pattern = match &shape.pattern {
                None => "None".to_owned(),
                Some(java) => {
                    let translated = pattern::translate(java)?;
                    format!("Some(Pattern::new({}, {}))", raw(java), raw(&translated))
                }
            };
            let values: Vec<String> = shape.values.iter().map(|value| raw(value)).collect();
            format!(
                "Kind::String(StringShape {{ length: {bounds}, pattern: {pattern}, values: &[{}] }})",
                values.join(", ")
            )
        }
        ShapeKind::Integer => format!("Kind::Integer({bounds})"),
        ShapeKind::Long => format!("Kind::Long({bounds})"),
        ShapeKind::Float | ShapeKind::Double if shape.min.or(shape.max).is_some() => {
            bail!("bounds on a fraction are not known to the generator")
        }
        ShapeKind::Float => "Kind::Float".to_owned(),
        ShapeKind::Double => "Kind::Double".to_owned(),
        ShapeKind::Boolean => "Kind::Boolean".to_owned(),
        ShapeKind::Timestamp => "Kind::Timestamp".to_owned(),
        ShapeKind::Blob if shape.min.or(shape.max).is_some() => {
            bail!("bounds on a blob are not known to the generator")
        }
        ShapeKind::Blob => "Kind::Blob".to_owned(),
    })
}

fn members(model: &ServiceModel, shape: &Shape, module: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    for (name, reference) in &shape.members {
        let location = match (reference.location.as_deref(), &reference.location_name) {
            (None, None) => "Location::Body".to_owned(),
            (Some("querystring"), Some(parameter)) => format!("Location::Query(\"{parameter}\")"),
            other => bail!("member {name} lies where the generator does not look: {other:?}"),
        };
        write!(
            text,
            "Member {{ name: \"{name}\", shape: {}, required: {}, location: {location}, deprecated: {} }},",
            reference_to(model, &reference.shape, module)?,
            shape.required.contains(name),
            reference.deprecated,
        )?;
    }
    Ok(text)
}

fn reference_to(model: &ServiceModel, name: &str, from: &str) -> anyhow::Result<String> {
    let module = module_of(model, name)?;
    let table = names::table(name);
    Ok(if module == from {
        format!("&{table}")
    } else {
        format!("&super::{module}::{table}")
    })
}

fn bounds(shape: &Shape) -> String {
    match (shape.min, shape.max) {
        (None, None) => "Bounds::NONE".to_owned(),
        (min, max) => format!("Bounds {{ min: {min:?}, max: {max:?} }}"),
    }
}

/// A string literal that needs no escapes where that is possible.
fn raw(text: &str) -> String {
    if text.contains('\\') && !text.contains('"') {
        format!("r\"{text}\"")
    } else {
        format!("{text:?}")
    }
}
