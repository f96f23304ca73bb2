//! Calls to IAM, STS and Cairn's own administration: read the form, then the way of all own calls.

use async_trait::async_trait;
use bytes::Bytes;
use cairn_access::sigv4::without_signature;
use cairn_catalog::CatalogError;
use cairn_eventlog::AppendError;
use cairn_model::Region;
use http::StatusCode;
use serde_json::Value;

use super::own_call::{About, CallError, Context, Done, OwnCall, ReadCatalog, Work};
use super::{Call, Server};
use crate::doors::RecordedResource;
use crate::http::Answer;
use crate::metrics::CallLabels;
use crate::query_protocol::{
    AuthorizationTarget, Caller, QueryAnswer, QueryError, QueryErrorCode, QueryInput,
    QueryOperation, QueryRequest, QueryService,
};

/// A call whose form is valid.
struct QueryCall<'a> {
    context: Context<'a>,
    operation: &'static QueryOperation,
    input: QueryInput,
}

/// Answers a call to one of the services that speak the Query protocol.
pub(super) async fn answer(
    server: &Server,
    call: &Call,
    caller: &Caller,
    region: &Region,
    (service, body): (QueryService, Bytes),
) -> (Answer, CallLabels, &'static str) {
    let context = Context {
        server,
        call,
        caller,
        region,
    };
    if call.path != "/" || !matches!(call.method.as_str(), "GET" | "POST") {
        let labels = CallLabels {
            service: service.scope_name(),
            operation: "unknown",
        };
        let message = "The service is called by GET or POST on /.";
        let error = QueryError::new(QueryErrorCode::InvalidAction, message);
        return (
            refusal(call, service, &error),
            labels,
            error.code.wire_name(),
        );
    }
    let body = form_of(call, body);
    let named = QueryRequest::operation_named_in(service, &body);
    let labels = CallLabels {
        service: service.scope_name(),
        operation: named.map_or("unknown", |operation| operation.name),
    };
    let outcome = match QueryRequest::parse(service, &body) {
        Ok(QueryRequest { operation, input }) => {
            let query_call = QueryCall {
                context,
                operation,
                input,
            };
            let answered = context.settle(&query_call).await;
            answered.map(|answer| answer.xml(operation, &call.request_id))
        }
        Err(error) => match named {
            Some(operation) => {
                let parameters = operation.parameters_of_refused(&body);
                let about = about(operation, region, parameters);
                Err(context.refuse(about, error).await)
            }
            // Without a name there is nothing to record.
            None => Err(error),
        },
    };
    match outcome {
        Ok(xml) => (
            Answer::new(StatusCode::OK, "text/xml", Bytes::from(xml)),
            labels,
            "ok",
        ),
        Err(error) => (
            refusal(call, service, &error),
            labels,
            error.code.wire_name(),
        ),
    }
}

fn refusal(call: &Call, service: QueryService, error: &QueryError) -> Answer {
    let status = StatusCode::from_u16(error.http_status())
        .expect("the protocol's table holds valid statuses");
    let body = Bytes::from(error.xml(service, &call.request_id));
    let mut answer = Answer::new(status, "text/xml", body);
    answer.error_type = Some(error.code.wire_name());
    answer
}

/// The form of a call: its body or, in a signed link, what stands in the query beside the signature.
fn form_of(call: &Call, body: Bytes) -> Bytes {
    if call.method != "GET" {
        return body;
    }
    Bytes::from(without_signature(&call.query))
}

fn about<'a>(
    operation: &'static QueryOperation,
    region: &'a Region,
    request_parameters: Value,
) -> About<'a> {
    // SEC-019: global services are recorded in us-east-1, whatever Region was called.
    let region = if operation.service.is_global() {
        "us-east-1"
    } else {
        region.as_str()
    };
    About {
        event_source: operation.service.event_source(),
        event_name: operation.name,
        region,
        read_only: operation.read_only,
        category: "Management",
        request_parameters,
        resources: Vec::new(),
    }
}

#[async_trait]
impl OwnCall for QueryCall<'_> {
    type Answer = QueryAnswer;
    type Error = QueryError;

    fn about(&self) -> About<'_> {
        let parameters = self.operation.request_parameters(&self.input);
        about(self.operation, self.context.region, parameters)
    }

    fn about_refusal(&self, error: &QueryError) -> About<'_> {
        let mut about = self.about();
        let parameters = about.request_parameters.take();
        about.request_parameters = self.operation.refused_parameters(parameters, error.code);
        about
    }

    fn is_change(&self) -> bool {
        self.operation.is_write()
    }

    fn needs_durable_record(&self) -> bool {
        self.operation.records_answer
    }

    async fn targets(
        &self,
        catalog: &mut dyn ReadCatalog,
    ) -> Result<Vec<AuthorizationTarget>, QueryError> {
        let caller = self.context.caller;
        self.operation
            .authorization_targets(&self.input, caller, catalog)
            .await
    }

    async fn run(&self, work: Work<'_>) -> Result<Done<QueryAnswer>, QueryError> {
        let (world, caller) = (&self.context.server.world, self.context.caller);
        let answer = match work {
            Work::Read => {
                let transaction = world.catalog.read().await;
                let mut transaction = transaction.map_err(QueryError::from_catalog)?;
                self.operation
                    .run_read(world, caller, &self.input, &mut transaction)
                    .await?
            }
            Work::Change(transaction) => {
                self.operation
                    .run_write(world, caller, &self.input, transaction)
                    .await?
            }
        };
        let resources = answer.resources.iter().map(|resource| {
            RecordedResource::new(resource.account, resource.kind, resource.arn.clone())
        });
        Ok(Done {
            response_elements: answer.response_elements(self.operation),
            resources: resources.collect(),
            also_for: Vec::from_iter(answer.cross_account.as_ref().map(|copy| copy.account)),
            answer,
        })
    }
}

impl CallError for QueryError {
    fn recorded(&self) -> (&'static str, &str) {
        (self.recorded_code(), &self.message)
    }

    fn access_denied(message: String) -> Self {
        Self::new(QueryErrorCode::AccessDenied, message)
    }

    fn internal() -> Self {
        let message = "The request could not be completed because of an unknown error.";
        Self::new(QueryErrorCode::ServiceFailure, message)
    }

    fn from_catalog(error: CatalogError) -> Self {
        Self::from_catalog(error)
    }

    fn not_recorded(context: Context<'_>, error: &AppendError) -> Self {
        let error = context.server.not_recorded(error);
        Self::new(QueryErrorCode::ServiceUnavailable, error.message)
    }

    fn recorded_later(message: &'static str) -> Self {
        Self::new(QueryErrorCode::ServiceUnavailable, message)
    }
}
