//! One enum over the operations of all services, so that code which must know every operation can match
//! on it without a wildcard.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::ensure;

use super::names;
use super::source::{Module, module};

/// `operations` are AWS's names, in the order of the operations table.
pub(super) fn emit(operations: &[String]) -> anyhow::Result<Module> {
    let distinct: BTreeSet<&String> = operations.iter().collect();
    ensure!(
        distinct.len() == operations.len(),
        "two services have an operation of one name"
    );
    let count = operations.len();
    let (mut variants, mut rows, mut arms) = (String::new(), String::new(), String::new());
    for name in operations {
        let row = names::table(name);
        writeln!(variants, "/// `{name}`.\n{name},")?;
        writeln!(rows, "&table::{row},")?;
        writeln!(arms, "Self::{name} => &table::{row},")?;
    }
    let body = format!(
        "use crate::operations::{{Operation, table}};\n\n\
         /// An operation of any service. Code that must handle each of them matches on this without a\n\
         /// wildcard, so that a new one does not compile until it is handled (R20).\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n\
         pub enum OperationId {{\n{variants}}}\n\n\
         impl OperationId {{\n\
         /// The operation's row of the table.\n\
         pub fn operation(self) -> &'static Operation {{\n\
         match self {{\n{arms}}}\n}}\n}}\n\n\
         /// The operations table: every row, by service and name.\n\
         pub(crate) static ROWS: [&Operation; {count}] = [{rows}];\n",
    );
    Ok(module(
        "operation_id",
        "pub(crate)",
        "Every operation of every service.",
        &body,
    ))
}
