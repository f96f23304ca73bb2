//! Calls in AWS JSON and REST-JSON: parse, validate, authorize, handle, record, answer.

use bytes::Bytes;
use cairn_access::policy::ContextKeys;
use cairn_api::authorization::{Resource, Scope, condition_keys, targets};
use cairn_api::operations::{EventClass, route_rest};
use cairn_api::shape::Location;
use cairn_api::{ApiError, ErrorCode, Operation, Service};
use cairn_model::Region;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::recording::{self, Happened};
use super::{Call, Server, failure, internal};
use crate::authorize::Question;
use crate::doors::request_parameters;
use crate::http::Answer;
use crate::metrics::CallLabels;
use crate::operations::Request;
use crate::query_protocol::Caller;

/// What a call came to.
struct Done {
    request_parameters: Value,
    outcome: Result<Vec<u8>, ApiError>,
}

/// Answers a call to the CloudTrail or CloudTrail Data API.
pub(super) async fn answer(
    server: &Server,
    call: &Call,
    caller: &Caller,
    region: &Region,
    (service, body): (Service, Bytes),
) -> (Answer, CallLabels, &'static str) {
    let operation = match route(call, service) {
        Ok(operation) => operation,
        Err(error) => {
            let labels = CallLabels {
                service: service.signing_name(),
                operation: "unknown",
            };
            return (failure(call, &error), labels, error.code.name());
        }
    };
    let labels = CallLabels {
        service: service.signing_name(),
        operation: operation.name,
    };
    let mut done = run(server, call, caller, region, (operation, &body)).await;
    if let Err(error) = record(server, call, caller, region, (operation, &done)).await {
        done.outcome = Err(error);
    }
    match done.outcome {
        Ok(body) => {
            let content_type = cairn_api::answer::content_type(call.protocol);
            let answer = Answer::new(http::StatusCode::OK, content_type, Bytes::from(body));
            (answer, labels, "ok")
        }
        Err(error) => (failure(call, &error), labels, error.code.name()),
    }
}

fn route(call: &Call, service: Service) -> Result<&'static Operation, ApiError> {
    let unknown = || {
        ApiError::new(
            ErrorCode::UnknownOperationException,
            "The operation is not known.",
        )
    };
    match service {
        Service::CloudTrail => {
            if call.method != "POST" || call.path != "/" {
                return Err(unknown());
            }
            let target = call.header("x-amz-target").unwrap_or_default();
            let operation = cairn_api::route(target).map_err(|_| unknown())?;
            let content_type = call.header("content-type").unwrap_or_default();
            if !cairn_api::request::is_aws_json(content_type) {
                let message = "The content type must be application/x-amz-json-1.1.";
                return Err(ApiError::new(ErrorCode::SerializationException, message));
            }
            Ok(operation)
        }
        Service::CloudTrailData => route_rest(&call.method, &call.path).map_err(|_| unknown()),
    }
}

async fn run(
    server: &Server,
    call: &Call,
    caller: &Caller,
    region: &Region,
    (operation, body): (&'static Operation, &[u8]),
) -> Done {
    let refused = |outcome| Done {
        request_parameters: Value::Null,
        outcome: Err(outcome),
    };
    let mut input = match cairn_api::request::read_body(operation, body) {
        Ok(input) => input,
        Err(error) => return refused(error),
    };
    if operation
        .input
        .members()
        .iter()
        .any(|m| matches!(m.location, Location::Query(_)))
    {
        let parameters = match query_parameters(&call.query) {
            Ok(parameters) => parameters,
            Err(error) => return refused(error),
        };
        if let Err(error) =
            cairn_api::request::add_query_members(operation, &parameters, &mut input)
        {
            return refused(error);
        }
    }
    let sensitive = operation.recording.sensitive;
    let request_parameters = request_parameters(operation.input, &input, sensitive);
    let outcome = decide_and_handle(server, call, caller, region, (operation, &input)).await;
    Done {
        request_parameters,
        outcome,
    }
}

async fn decide_and_handle(
    server: &Server,
    call: &Call,
    caller: &Caller,
    region: &Region,
    (operation, input): (&'static Operation, &Value),
) -> Result<Vec<u8>, ApiError> {
    cairn_api::validate(operation, input)?;
    let grants = server
        .authorizer
        .grants(call, caller, region.as_str())
        .await
        .map_err(|error| internal(call, "authorizing", &error))?;
    let scope = Scope {
        account: caller.account,
        region,
    };
    let mut keys = ContextKeys::new();
    for (name, values) in condition_keys(operation, input) {
        keys.set_all(&name, values);
    }
    for target in targets(operation, input, scope) {
        let resource = match &target.resource {
            Resource::Arn(arn) => arn.as_str(),
            // No event data store, query or dashboard exists yet that a request could mean, so there
            // is none to check on; `*` is the strictest question that can be asked.
            Resource::Any | Resource::Stored(_) => "*",
        };
        let account = account_of(resource).unwrap_or(caller.account);
        let question = Question {
            action: target.action,
            resource,
            resource_account: account,
            trust_policy: None,
            keys: &keys,
            resource_agrees: false,
        };
        grants
            .decide(&question)
            .map_err(|message| ApiError::new(ErrorCode::AccessDeniedException, message))?;
    }
    server
        .operations
        .run(
            operation,
            Request {
                caller,
                region,
                input,
            },
        )
        .await
}

/// The account of an ARN, if it names one.
fn account_of(arn: &str) -> Option<cairn_model::AccountId> {
    arn.split(':').nth(4)?.parse().ok()
}

async fn record(
    server: &Server,
    call: &Call,
    caller: &Caller,
    region: &Region,
    (operation, done): (&'static Operation, &Done),
) -> Result<(), ApiError> {
    let error = done.outcome.as_ref().err();
    let name = error.map(|error| recorded_name(error.code));
    let happened = Happened {
        event_source: operation.service.event_source(),
        event_name: operation.name,
        region: region.as_str(),
        read_only: operation.read_only,
        category: match operation.recording.class {
            EventClass::Management => "Management",
            EventClass::Data => "Data",
        },
        request_parameters: done.request_parameters.clone(),
        response_elements: Value::Null,
        additional_event_data: Value::Null,
        resources: Vec::new(),
        error: name.zip(error.map(|error| error.message.as_str())),
        also_for: None,
    };
    let events = recording::events(
        &server.doors,
        server.clock.now_ms(),
        call,
        caller,
        &happened,
    );
    recording::append(server, events)
        .await
        .map_err(|error| server.not_recorded(call, &error))
}

/// CloudTrail writes refusals of authorization without their suffix.
fn recorded_name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::AccessDeniedException => "AccessDenied",
        code => code.name(),
    }
}

fn query_parameters(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let decoded = |text: &str| -> Result<String, ApiError> {
        let spaced = text.replace('+', " ");
        let text = percent_decode_str(&spaced).decode_utf8().map_err(|_| {
            ApiError::new(
                ErrorCode::ValidationException,
                "The query string is not UTF-8.",
            )
        })?;
        Ok(text.into_owned())
    };
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.push((decoded(name)?, decoded(value)?));
    }
    Ok(parameters)
}
