//! What the model says of each operation: name, shapes, errors. The rows of the operations table begin with these.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::ensure;

use super::model::ServiceModel;
use super::names;
use super::source::{Module, module};

pub(super) fn emit(model: &ServiceModel, service: &str) -> anyhow::Result<Module> {
    let mut body = String::from(
        "use crate::error::ErrorCode;\nuse crate::operations::{Contract, OperationId, Service};\n\n",
    );
    for (name, operation) in &model.operations {
        ensure!(
            *name == operation.name,
            "operation {name} calls itself {}",
            operation.name
        );
        let mut errors: Vec<&str> = Vec::new();
        let mut seen = BTreeSet::new();
        for error in &operation.errors {
            ensure!(
                model.shape(&error.shape)?.exception,
                "{} is no exception",
                error.shape
            );
            if seen.insert(&error.shape) {
                errors.push(&error.shape);
            }
        }
        let errors: Vec<String> = errors
            .iter()
            .map(|error| format!("ErrorCode::{error}"))
            .collect();
        let errors = errors.join(", ");
        writeln!(
            body,
            "pub(crate) static {}: Contract = Contract {{ id: OperationId::{name}, name: {name:?}, service: Service::{service}, \
             path: {:?}, idempotent: {}, input: &super::input_shapes::{}, \
             output: &super::output_shapes::{}, errors: &[{errors}] }};\n",
            names::table(name),
            operation.http.request_uri,
            operation.idempotent,
            names::table(&operation.input.shape),
            names::table(&operation.output.shape),
        )?;
    }
    let all: Vec<String> = model
        .operations
        .keys()
        .map(|name| format!("&{}", names::table(name)))
        .collect();
    let all = all.join(", ");
    writeln!(
        body,
        "/// Every operation of the model, by name.\n\
         #[cfg(test)]\n\
         pub(crate) static ALL: [&Contract; {}] = [{all}];\n",
        model.operations.len()
    )?;
    write_round_trips(model, &mut body)?;
    Ok(module(
        "contracts",
        "pub(crate)",
        "What the model says of each operation.",
        &body,
    ))
}

/// For tests: JSON into the typed form and back, for each input and output.
fn write_round_trips(model: &ServiceModel, body: &mut String) -> anyhow::Result<()> {
    let mut rows = String::new();
    for operation in model.operations.values() {
        let (input, output) = (&operation.input.shape, &operation.output.shape);
        for (table, types, shape) in [
            ("input_shapes", "inputs", input),
            ("output_shapes", "outputs", output),
        ] {
            writeln!(
                rows,
                "(&super::{table}::{}, |value| serde_json::to_value(\
                 serde_json::from_value::<super::{types}::{shape}>(value)?)),",
                names::table(shape)
            )?;
        }
    }
    writeln!(
        body,
        "/// JSON into the typed form of an input or output, and back.\n\
         #[cfg(test)]\n\
         pub(crate) static ROUND_TRIPS: [crate::operations::RoundTrip; {}] = [{rows}];\n",
        model.operations.len() * 2
    )?;
    Ok(())
}
