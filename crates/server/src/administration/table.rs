//! Every operation of the service `cairn`, a row each.

use super::{accounts, identities};
use crate::query_protocol::{
    Parameter, ParameterKind, Pattern, QueryOperation, QueryService, ResourceRule, Run,
};

const ACCOUNT: ParameterKind = ParameterKind::Text {
    min: 12,
    max: 12,
    pattern: Pattern::Digits,
};
const ACCOUNT_ID: Parameter = Parameter::required("AccountId", ACCOUNT);
const DOCUMENT: Parameter = Parameter::required("Document", ParameterKind::LargeText);

const READS: QueryOperation = QueryOperation {
    name: "ListAccounts",
    service: QueryService::Cairn,
    read_only: true,
    records_answer: false,
    subject: None,
    parameters: &[],
    resource: ResourceRule::Any,
    run: Run::Read(accounts::list),
};

const WRITES: QueryOperation = QueryOperation {
    name: "CreateAccount",
    read_only: false,
    records_answer: true,
    parameters: &[
        ACCOUNT_ID,
        Parameter::optional(
            "Name",
            ParameterKind::Text {
                min: 1,
                max: 128,
                pattern: Pattern::Any,
            },
        ),
        Parameter::optional(
            "AdministratorName",
            ParameterKind::Text {
                min: 1,
                max: 64,
                pattern: Pattern::Name,
            },
        ),
    ],
    run: Run::Write(accounts::create),
    ..READS
};

/// The table.
pub(crate) static OPERATIONS: &[QueryOperation] = &[
    READS,
    WRITES,
    QueryOperation {
        name: "EnableAccount",
        parameters: &[ACCOUNT_ID],
        run: Run::Write(accounts::enable),
        ..WRITES
    },
    QueryOperation {
        name: "DisableAccount",
        parameters: &[ACCOUNT_ID],
        run: Run::Write(accounts::disable),
        ..WRITES
    },
    QueryOperation {
        name: "GetIdentities",
        parameters: &[Parameter::optional("AccountId", ACCOUNT)],
        run: Run::Read(identities::export),
        ..READS
    },
    QueryOperation {
        name: "GetIdentitiesPlan",
        parameters: &[DOCUMENT],
        run: Run::Read(identities::plan),
        ..READS
    },
    QueryOperation {
        name: "ApplyIdentities",
        parameters: &[DOCUMENT],
        run: Run::Write(identities::apply),
        ..WRITES
    },
];
