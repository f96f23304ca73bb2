//! Calls in AWS JSON and REST-JSON: parse and validate, then the way of all own calls.

use std::sync::OnceLock;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_api::authorization::{Resource, Scope, condition_keys, targets};
use cairn_api::operations::{EventClass, route_rest};
use cairn_api::shape::Location;
use cairn_api::{ApiError, ErrorCode, Operation, Service};
use cairn_catalog::identity::Tag;
use cairn_catalog::{Catalog, CatalogError};
use cairn_eventlog::AppendError;
use cairn_model::{AccountId, Arn, Region};
use serde_json::Value;

use super::own_call::{About, CallError, Context, Done, OwnCall, ReadCatalog, Work};
use super::{Call, Server, failure};
use crate::doors::{RecordedResource, recorded_members};
use crate::http::{Answer, decoded_pairs};
use crate::metrics::CallLabels;
use crate::operations::{Preparation, Request, catalog_failure};
use crate::query_protocol::{AuthorizationTarget, Caller};

/// A call whose request is valid.
struct JsonCall<'a> {
    context: Context<'a>,
    operation: &'static Operation,
    input: Value,
    /// As they are recorded.
    request_parameters: Value,
    /// What was found out before the transaction.
    preparation: OnceLock<Preparation>,
}

/// Answers a call to the CloudTrail or CloudTrail Data API.
pub(super) async fn answer(
    server: &Server,
    call: &Call,
    caller: &Caller,
    region: &Region,
    (service, body): (Service, Bytes),
) -> (Answer, CallLabels, &'static str) {
    let context = Context {
        server,
        call,
        caller,
        region,
    };
    let mut labels = CallLabels {
        service: service.signing_name(),
        operation: "unknown",
    };
    let operation = match route(call, service) {
        Ok(operation) => operation,
        Err(error) => return (failure(call, &error), labels, error.code.name()),
    };
    labels.operation = operation.name;
    let outcome = match read(context, operation, &body) {
        Ok(json_call) => {
            let settled = context.settle(&json_call).await;
            if json_call.is_change() {
                select_anew(server).await;
            }
            settled
        }
        Err((request_parameters, error)) => {
            let about = about(operation, region.as_str(), request_parameters);
            Err(context.refuse(about, error).await)
        }
    };
    match outcome {
        Ok(body) => {
            let content_type = cairn_api::answer::content_type(call.protocol);
            let answer = Answer::new(http::StatusCode::OK, content_type, Bytes::from(body));
            (answer, labels, "ok")
        }
        Err(error) => (failure(call, &error), labels, error.code.name()),
    }
}

/// What a trail selects is recorded from the answer on that says so. An error may hide a change that was made.
async fn select_anew(server: &Server) {
    if let Err(error) = server.trails.refresh().await {
        tracing::warn!(%error, "what trails select could not be read anew");
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

/// Reads and validates a request; an error comes with the parameters to record.
fn read<'a>(
    context: Context<'a>,
    operation: &'static Operation,
    body: &[u8],
) -> Result<JsonCall<'a>, (Value, ApiError)> {
    let input =
        read_input(operation, &context.call.query, body).map_err(|error| (Value::Null, error))?;
    let sensitive = operation.recording.sensitive;
    let request_parameters = recorded_members(operation.input, &input, sensitive);
    if let Err(error) = cairn_api::validate(operation, &input) {
        return Err((request_parameters, error));
    }
    Ok(JsonCall {
        context,
        operation,
        input,
        request_parameters,
        preparation: OnceLock::new(),
    })
}

fn read_input(operation: &Operation, query: &str, body: &[u8]) -> Result<Value, ApiError> {
    let mut input = cairn_api::request::read_body(operation, body)?;
    let members = operation.input.members();
    if members
        .iter()
        .any(|member| matches!(member.location, Location::Query(_)))
    {
        let parameters = query_parameters(query)?;
        cairn_api::request::add_query_members(operation, &parameters, &mut input)?;
    }
    Ok(input)
}

fn about<'a>(operation: &Operation, region: &'a str, request_parameters: Value) -> About<'a> {
    About {
        event_source: operation.service.event_source(),
        event_name: operation.name,
        region,
        read_only: operation.read_only,
        category: match operation.recording.class {
            EventClass::Management => "Management",
            EventClass::Data => "Data",
        },
        request_parameters,
        resources: Vec::new(),
    }
}

impl JsonCall<'_> {
    fn scope(&self) -> Scope<'_> {
        Scope {
            account: self.context.caller.account,
            region: self.context.region,
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            caller: self.context.caller,
            region: self.context.region,
            input: &self.input,
            preparation: self.preparation.get(),
        }
    }

    /// Everything that the caller must be allowed, but for the tags of what it is about.
    fn asked(&self) -> Vec<AuthorizationTarget> {
        let keys = condition_keys(self.operation, &self.input);
        let asked = targets(self.operation, &self.input, self.scope());
        let asked = asked.into_iter().map(|target| {
            let resource = match target.resource {
                Resource::Arn(arn) => arn,
                // No event data store, query or dashboard exists yet that a request could mean, so there
                // is none to check on; `*` is the strictest question that can be asked.
                Resource::Any | Resource::Stored(_) => "*".to_owned(),
            };
            AuthorizationTarget {
                action: target.action.to_owned(),
                resource_account: self.account_of(&resource),
                resource,
                resource_tags: Vec::new(),
                request_tags: Vec::new(),
                tag_keys: Vec::new(),
                keys: keys.clone(),
                trust_policy: None,
                key_policy: None,
                refusal: None,
            }
        });
        asked.collect()
    }

    /// The resources that the call is authorized on, if records of its operation list them.
    fn resources(&self) -> Vec<RecordedResource> {
        let Some(kind) = self.operation.recording.resource_type else {
            return Vec::new();
        };
        let of_operation = targets(self.operation, &self.input, self.scope());
        let of_operation = of_operation
            .into_iter()
            .filter(|target| target.action == self.operation.iam_action);
        let named = of_operation.filter_map(|target| match target.resource {
            Resource::Arn(arn) => Some(arn),
            Resource::Any | Resource::Stored(_) => None,
        });
        named
            .map(|arn| RecordedResource::new(self.account_of(&arn), kind.as_str(), arn))
            .collect()
    }

    /// The account of an ARN; the caller's if it names none.
    fn account_of(&self, arn: &str) -> AccountId {
        let named = arn.split(':').nth(4).and_then(|text| text.parse().ok());
        named.unwrap_or(self.context.caller.account)
    }

    fn is_data(&self) -> bool {
        self.operation.recording.class == EventClass::Data
    }
}

#[async_trait]
impl OwnCall for JsonCall<'_> {
    type Answer = Vec<u8>;
    type Error = ApiError;

    fn about(&self) -> About<'_> {
        let region = self.context.region.as_str();
        let mut about = about(self.operation, region, self.request_parameters.clone());
        // A data event is selected by its resources, whether the call succeeds or not; management events
        // of refused calls list none.
        if self.is_data() {
            about.resources = self.resources();
        }
        about
    }

    fn is_change(&self) -> bool {
        let operations = &self.context.server.operations;
        self.operation.is_change() && operations.is_built(self.operation)
    }

    /// What has no tags needs no transaction.
    async fn targets_now(&self, catalog: &Catalog) -> Result<Vec<AuthorizationTarget>, ApiError> {
        let asked = self.asked();
        if !asked.iter().any(|target| has_tags(&target.resource)) {
            return Ok(asked);
        }
        let transaction = catalog.read().await;
        let mut transaction = transaction.map_err(ApiError::from_catalog)?;
        self.targets(&mut transaction).await
    }

    async fn targets(
        &self,
        catalog: &mut dyn ReadCatalog,
    ) -> Result<Vec<AuthorizationTarget>, ApiError> {
        let mut asked = self.asked();
        for target in &mut asked {
            if has_tags(&target.resource) {
                target.resource_tags = tags_of(catalog, target).await?;
            }
        }
        Ok(asked)
    }

    async fn prepare(&self) -> Result<(), ApiError> {
        let operations = &self.context.server.operations;
        let prepared = operations.prepare(self.operation, self.request()).await?;
        if let Some(prepared) = prepared {
            self.preparation.get_or_init(|| prepared);
        }
        Ok(())
    }

    async fn run(&self, work: Work<'_>) -> Result<Done<Vec<u8>>, ApiError> {
        let operations = &self.context.server.operations;
        let answer = operations.run(self.operation, self.request(), work).await?;
        let resources = if self.is_data() {
            Vec::new()
        } else {
            self.resources()
        };
        Ok(Done {
            response_elements: response_elements(self.operation, &answer)?,
            answer,
            resources,
            also_for: Vec::new(),
        })
    }
}

/// SEC-132: whether the resource is of a kind that can have tags of its own.
fn has_tags(resource: &str) -> bool {
    let arn: Option<Arn> = resource.parse().ok();
    arn.is_some_and(|arn| arn.service() == "cloudtrail")
}

async fn tags_of(
    catalog: &mut dyn ReadCatalog,
    target: &AuthorizationTarget,
) -> Result<Vec<Tag>, ApiError> {
    let mut trails = catalog.trails();
    let tags = trails.tags(target.resource_account, &target.resource);
    tags.await.map_err(ApiError::from_catalog)
}

/// REC-024: what a change has answered; null for reads and for answers without members.
fn response_elements(operation: &Operation, answer: &[u8]) -> Result<Value, ApiError> {
    if operation.read_only {
        return Ok(Value::Null);
    }
    let output: Value = serde_json::from_slice(answer).map_err(|error| {
        tracing::error!(error = %error, operation = operation.name, "an answer is not JSON");
        ApiError::internal_failure()
    })?;
    let sensitive = operation.recording.sensitive;
    Ok(recorded_members(operation.output, &output, sensitive))
}

impl CallError for ApiError {
    /// CloudTrail writes refusals of authorization without their suffix.
    fn recorded(&self) -> (&'static str, &str) {
        let name = match self.code {
            ErrorCode::AccessDeniedException => "AccessDenied",
            code => code.name(),
        };
        (name, &self.message)
    }

    fn access_denied(message: String) -> Self {
        Self::new(ErrorCode::AccessDeniedException, message)
    }

    fn internal() -> Self {
        Self::internal_failure()
    }

    fn from_catalog(error: CatalogError) -> Self {
        catalog_failure(error)
    }

    fn not_recorded(context: Context<'_>, error: &AppendError) -> Self {
        context.server.not_recorded(error)
    }

    fn recorded_later(message: &'static str) -> Self {
        Self::new(ErrorCode::ServiceUnavailable, message)
    }
}

fn query_parameters(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| {
            ApiError::new(
                ErrorCode::ValidationException,
                "The query string is not UTF-8.",
            )
        })
    };
    let pairs = decoded_pairs(query);
    pairs
        .map(|(name, value)| Ok((text(name)?, text(value)?)))
        .collect()
}
