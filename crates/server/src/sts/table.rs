//! Every operation of STS that Cairn has, a row each.

use super::{assume_role, caller_identity, session_token};
use crate::query_protocol::{
    Parameter, ParameterKind, Pattern, QueryOperation, QueryService, ResourceRule, Run,
};

const fn text(min: usize, max: usize, pattern: Pattern) -> ParameterKind {
    ParameterKind::Text { min, max, pattern }
}

const SESSION_NAME: ParameterKind = text(2, 64, Pattern::Name);
const SERIAL_NUMBER: Parameter =
    Parameter::optional("SerialNumber", text(9, 256, Pattern::ExternalId));
const TOKEN_CODE: Parameter = Parameter::optional("TokenCode", text(6, 6, Pattern::Digits));

/// None of these writes to the catalog: sessions are stateless. The records of those that give
/// credentials show the answer without the secret (REC-121).
const STS: QueryOperation = QueryOperation {
    name: "",
    service: QueryService::Sts,
    read_only: true,
    records_answer: false,
    subject: None,
    parameters: &[],
    resource: ResourceRule::Open,
    run: Run::Read(caller_identity::get),
};

/// The table.
pub static OPERATIONS: &[QueryOperation] = &[
    QueryOperation {
        name: "GetCallerIdentity",
        ..STS
    },
    QueryOperation {
        name: "GetAccessKeyInfo",
        parameters: &[Parameter::required(
            "AccessKeyId",
            text(16, 128, Pattern::Word),
        )],
        resource: ResourceRule::Any,
        run: Run::Read(caller_identity::key_info),
        ..STS
    },
    QueryOperation {
        name: "GetSessionToken",
        records_answer: true,
        parameters: &[
            Parameter::optional(
                "DurationSeconds",
                ParameterKind::Number {
                    min: 900,
                    max: 129_600,
                },
            ),
            SERIAL_NUMBER,
            TOKEN_CODE,
        ],
        run: Run::Read(session_token::get),
        ..STS
    },
    QueryOperation {
        name: "AssumeRole",
        records_answer: true,
        parameters: &[
            Parameter::required("RoleArn", text(20, 2048, Pattern::Any)),
            Parameter::required("RoleSessionName", SESSION_NAME),
            Parameter::optional("ExternalId", text(2, 1224, Pattern::ExternalId)),
            Parameter::optional("SourceIdentity", SESSION_NAME),
            Parameter::optional(
                "DurationSeconds",
                ParameterKind::Number {
                    min: 900,
                    max: 43_200,
                },
            ),
            Parameter::optional("PolicyArns", ParameterKind::PolicyArns),
            Parameter::optional("Policy", text(1, 131_072, Pattern::Document)),
            Parameter::optional("Tags", ParameterKind::Tags),
            Parameter::optional("TransitiveTagKeys", ParameterKind::Texts),
            SERIAL_NUMBER,
            TOKEN_CODE,
        ],
        resource: ResourceRule::AssumedRole,
        run: Run::Read(assume_role::run),
        ..STS
    },
];
