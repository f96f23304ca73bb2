//! What the model says of each operation: name, shapes, errors. The rows of the operations table begin with these.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::ensure;

use super::model::ServiceModel;
use super::names;
use super::source::{Module, module};

pub(super) fn emit(model: &ServiceModel, service: &str) -> anyhow::Result<Module> {
    let mut body = String::from(
        "use crate::error::ErrorCode;\nuse crate::operations::{Contract, Service};\n\n",
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
            "pub(crate) static {}: Contract = Contract {{ name: {name:?}, service: Service::{service}, \
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
    Ok(module(
        "contracts",
        "pub(crate)",
        "What the model says of each operation.",
        &body,
    ))
}
