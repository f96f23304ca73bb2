//! Calls to KMS: find the operation, read its members, then the way of all own calls.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_api::{ErrorCode, Protocol};
use cairn_catalog::CatalogError;
use cairn_eventlog::AppendError;
use cairn_model::Region;
use http::StatusCode;
use serde_json::{Value, json};

use super::own_call::{About, CallError, Context, Done, OwnCall, ReadCatalog, Work};
use super::{Call, RETRY_AFTER_S, Server};
use crate::http::Answer;
use crate::kms::{
    self, ChangeCall, Found, KmsAnswer, KmsError, KmsErrorCode, KmsInput, KmsOperation, ReadCall,
    Run, Site,
};
use crate::metrics::CallLabels;
use crate::query_protocol::{AuthorizationTarget, Caller};

/// The service in credential scopes and metrics.
pub(super) const SERVICE: &str = "kms";
/// What stands before the operation's name in the target.
const TARGET_PREFIX: &str = "TrentService.";
const EVENT_SOURCE: &str = "kms.amazonaws.com";

/// A call whose members are valid.
struct KmsCall<'a> {
    context: Context<'a>,
    operation: &'static KmsOperation,
    input: KmsInput,
    /// What the call meant when it was last authorized: that is what is done.
    // Held for a copy, never across an await.
    found: Mutex<Arc<Found>>,
}

/// Answers a call to KMS.
pub(super) async fn answer(
    server: &Server,
    call: &Call,
    caller: &Caller,
    region: &Region,
    body: Bytes,
) -> (Answer, CallLabels, &'static str) {
    let context = Context {
        server,
        call,
        caller,
        region,
    };
    let mut labels = CallLabels {
        service: SERVICE,
        operation: "unknown",
    };
    let operation = match route(call) {
        Ok(operation) => operation,
        // Without a name there is nothing to record.
        Err(error) => return (refusal(&error), labels, error.code.name()),
    };
    labels.operation = operation.name;
    let outcome = match KmsInput::read(operation, &body) {
        Ok(input) => {
            let kms_call = KmsCall {
                context,
                operation,
                input,
                found: Mutex::default(),
            };
            context.settle(&kms_call).await
        }
        Err((request_parameters, error)) => {
            let about = about(operation, region, request_parameters);
            Err(context.refuse(about, error).await)
        }
    };
    match outcome {
        Ok(output) => {
            // Operations without an output have no body.
            let body = match output {
                Value::Null => Bytes::new(),
                mut output => {
                    let body = Bytes::from(output.to_string());
                    // The body goes its way; no second copy of a plaintext stays.
                    kms::wipe(&mut output);
                    body
                }
            };
            let content_type = cairn_api::answer::content_type(Protocol::AwsJson);
            (
                Answer::new(StatusCode::OK, content_type, body),
                labels,
                "ok",
            )
        }
        Err(error) => (refusal(&error), labels, error.code.name()),
    }
}

fn route(call: &Call) -> Result<&'static KmsOperation, KmsError> {
    let unknown = || {
        let message = "The operation is not known.";
        KmsError::new(KmsErrorCode::UnknownOperation, message)
    };
    if call.method != "POST" || call.path != "/" {
        return Err(unknown());
    }
    let target = call.header("x-amz-target").unwrap_or_default();
    let name = target.strip_prefix(TARGET_PREFIX).ok_or_else(unknown)?;
    let operation = kms::OPERATIONS.iter().find(|row| row.name == name);
    let operation = operation.ok_or_else(unknown)?;
    let content_type = call.header("content-type").unwrap_or_default();
    if !cairn_api::request::is_aws_json(content_type) {
        let message = "The content type must be application/x-amz-json-1.1.";
        return Err(KmsError::new(KmsErrorCode::Serialization, message));
    }
    Ok(operation)
}

fn refusal(error: &KmsError) -> Answer {
    let status = StatusCode::from_u16(error.code.http_status())
        .expect("the table of errors holds valid statuses");
    let name = error.code.name();
    let body = json!({"__type": name, "message": error.message});
    let content_type = cairn_api::answer::content_type(Protocol::AwsJson);
    let mut answer = Answer::new(status, content_type, Bytes::from(body.to_string()));
    answer.error_type = Some(name);
    answer.retry_after = error.code.is_retryable().then_some(RETRY_AFTER_S);
    answer
}

fn about<'a>(operation: &KmsOperation, region: &'a Region, request_parameters: Value) -> About<'a> {
    About {
        event_source: EVENT_SOURCE,
        event_name: operation.name,
        region: region.as_str(),
        read_only: operation.read_only,
        category: "Management",
        request_parameters,
        resources: Vec::new(),
    }
}

impl KmsCall<'_> {
    fn site(&self) -> Site<'_> {
        Site {
            world: &self.context.server.world,
            call: self.context.call,
            caller: self.context.caller,
            region: self.context.region,
            lake: &self.context.server.lake,
        }
    }

    fn found(&self) -> Arc<Found> {
        let found = self.found.lock().expect("no holder of this lock panics");
        Arc::clone(&found)
    }

    async fn answer(&self, work: Work<'_>, found: &Found) -> Result<KmsAnswer, KmsError> {
        let (site, input) = (self.site(), &self.input);
        match (self.operation.run, work) {
            (Run::Read(run), Work::Read) => {
                let transaction = site.world.catalog.read().await;
                let mut transaction = transaction.map_err(KmsError::from_catalog)?;
                run(ReadCall {
                    operation: self.operation,
                    site,
                    input,
                    found,
                    transaction: &mut transaction,
                })
                .await
            }
            (Run::Change(run), Work::Change(transaction)) => {
                run(ChangeCall {
                    site,
                    input,
                    found,
                    transaction,
                })
                .await
            }
            (Run::NotBuilt, _) => Err(KmsError::not_built(self.operation.name)),
            (Run::Read(_), Work::Change(_)) | (Run::Change(_), Work::Read) => {
                Err(KmsError::internal())
            }
        }
    }
}

#[async_trait]
impl OwnCall for KmsCall<'_> {
    type Answer = Value;
    type Error = KmsError;

    fn about(&self) -> About<'_> {
        let parameters = self.input.recorded(self.operation);
        about(self.operation, self.context.region, parameters)
    }

    /// The record says which key refused, but not to those who may not know of it.
    fn about_refusal(&self, error: &KmsError) -> About<'_> {
        let mut about = self.about();
        if error.code != KmsErrorCode::AccessDenied {
            about.resources = self.found().resources();
        }
        about
    }

    fn is_change(&self) -> bool {
        matches!(self.operation.run, Run::Change(_))
    }

    fn needs_durable_record(&self) -> bool {
        self.operation.uses_secrets()
    }

    async fn targets(
        &self,
        catalog: &mut dyn ReadCatalog,
    ) -> Result<Vec<AuthorizationTarget>, KmsError> {
        let asked = kms::ask(self.operation, self.site(), &self.input, catalog);
        let (found, targets) = asked.await?;
        *self.found.lock().expect("no holder of this lock panics") = Arc::new(found);
        Ok(targets)
    }

    async fn run(&self, work: Work<'_>) -> Result<Done<Value>, KmsError> {
        let found = self.found();
        let answer = self.answer(work, &found).await?;
        let mut resources = found.resources();
        resources.extend(answer.made);
        Ok(Done {
            answer: answer.output,
            response_elements: answer.elements,
            resources,
            also_for: found.owners_beside(self.context.caller.account),
        })
    }
}

impl CallError for KmsError {
    fn recorded(&self) -> (&'static str, &str) {
        (self.code.recorded_name(), &self.message)
    }

    fn access_denied(message: String) -> Self {
        Self::new(KmsErrorCode::AccessDenied, message)
    }

    fn internal() -> Self {
        Self::internal()
    }

    fn from_catalog(error: CatalogError) -> Self {
        Self::from_catalog(error)
    }

    fn not_recorded(context: Context<'_>, error: &AppendError) -> Self {
        let error = context.server.not_recorded(error);
        let code = match error.code {
            ErrorCode::ThrottlingException => KmsErrorCode::Throttling,
            _ => KmsErrorCode::Unavailable,
        };
        Self::new(code, error.message)
    }

    fn recorded_later(message: &'static str) -> Self {
        Self::new(KmsErrorCode::Unavailable, message)
    }
}
