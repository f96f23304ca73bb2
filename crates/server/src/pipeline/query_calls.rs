//! Calls to IAM and STS: parse, authorize, run, record, answer. A mutation, its event and the answer
//! belong together: the event is committed with the effect, and the answer waits until the event log
//! holds it (R21).

use std::time::Duration;

use bytes::Bytes;
use cairn_catalog::{CatalogError, OutboxEntry, OutboxRecord};
use cairn_eventlog::RecordKind;
use cairn_model::Region;
use http::StatusCode;
use serde_json::Value;

use super::recording::{self, Happened};
use super::{Call, Server};
use crate::doors::{Fate, Outbox, Prepared, RecordedResource};
use crate::http::Answer;
use crate::metrics::CallLabels;
use crate::query_protocol::{
    Caller, QueryAnswer, QueryError, QueryErrorCode, QueryInput, QueryOperation, QueryRequest,
    QueryService,
};
use crate::sabotage;

/// How long the answer to a mutation waits for the event log.
const LOG_PATIENCE: Duration = Duration::from_secs(20);

/// Who calls from where, for the functions below.
#[derive(Clone, Copy)]
struct Context<'a> {
    server: &'a Server,
    call: &'a Call,
    caller: &'a Caller,
    region: &'a Region,
}

/// Answers a call to IAM or STS.
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
    let body = form_of(call, body);
    let named = QueryRequest::operation_named_in(service, &body);
    let labels = CallLabels {
        service: service.scope_name(),
        operation: named.map_or("unknown", |operation| operation.name),
    };
    let outcome = match QueryRequest::parse(service, &body) {
        Ok(request) => context.run(request.operation, &request.input).await,
        Err(error) => match named {
            Some(operation) => {
                let parameters = operation.parameters_of_refused(&body);
                Err(context.refuse(operation, parameters, error).await)
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
        Err(error) => {
            let status = StatusCode::from_u16(error.http_status())
                .expect("the protocol's table holds valid statuses");
            let body = Bytes::from(error.xml(service, &call.request_id));
            let mut answer = Answer::new(status, "text/xml", body);
            answer.error_type = Some(error.code.wire_name());
            (answer, labels, error.code.wire_name())
        }
    }
}

/// The form of a call: its body or, in a signed link, what stands in the query beside the signature.
fn form_of(call: &Call, body: Bytes) -> Bytes {
    if call.method != "GET" {
        return body;
    }
    let is_signature = |pair: &&str| {
        let name = pair.get(.."X-Amz-".len());
        name.is_some_and(|name| name.eq_ignore_ascii_case("X-Amz-"))
    };
    let pairs: Vec<&str> = call
        .query
        .split('&')
        .filter(|pair| !is_signature(pair))
        .collect();
    Bytes::from(pairs.join("&"))
}

impl Context<'_> {
    async fn run(
        &self,
        operation: &'static QueryOperation,
        input: &QueryInput,
    ) -> Result<String, QueryError> {
        let parameters = operation.request_parameters(input);
        if let Err(error) = self.authorize(operation, input).await {
            return Err(self.refuse(operation, parameters, error).await);
        }
        let ran = if operation.is_write() {
            self.write(operation, input, &parameters).await
        } else {
            self.read(operation, input, &parameters).await
        };
        match ran {
            Ok(answer) => Ok(answer.xml(operation, &self.call.request_id)),
            Err(Stopped::Refused(error)) => Err(self.refuse(operation, parameters, error).await),
            Err(Stopped::NotRecorded(error)) => Err(error),
        }
    }

    async fn authorize(
        &self,
        operation: &'static QueryOperation,
        input: &QueryInput,
    ) -> Result<(), QueryError> {
        let Context {
            server,
            call,
            caller,
            region,
        } = *self;
        let catalog = &server.world.catalog;
        let mut transaction = catalog.read().await.map_err(QueryError::from_catalog)?;
        let targets = operation
            .authorization_targets(input, caller, &mut transaction)
            .await?;
        drop(transaction);
        let grants = server
            .authorizer
            .grants(call, caller, region.as_str())
            .await
            .map_err(QueryError::from_catalog)?;
        for target in &targets {
            grants
                .decide_target(target)
                .map_err(|message| QueryError::new(QueryErrorCode::AccessDenied, message))?;
        }
        Ok(())
    }

    async fn read(
        &self,
        operation: &'static QueryOperation,
        input: &QueryInput,
        parameters: &Value,
    ) -> Result<QueryAnswer, Stopped> {
        let world = &self.server.world;
        let mut transaction = world.catalog.read().await.map_err(Stopped::from_catalog)?;
        let answer = operation
            .run_read(world, self.caller, input, &mut transaction)
            .await
            .map_err(Stopped::Refused)?;
        drop(transaction);
        let events = self.success_events(operation, parameters, &answer);
        let appended = if operation.records_answer {
            // What hands out credentials must leave a durable trace: its record cannot wait for room.
            self.server.doors.append(events).await.map(drop)
        } else {
            recording::append(self.server, events).await
        };
        appended.map_err(|error| self.not_recorded(&error))?;
        Ok(answer)
    }

    async fn write(
        &self,
        operation: &'static QueryOperation,
        input: &QueryInput,
        parameters: &Value,
    ) -> Result<QueryAnswer, Stopped> {
        let world = &self.server.world;
        let mut transaction = world.catalog.begin().await.map_err(Stopped::from_catalog)?;
        let answer = operation
            .run_write(world, self.caller, input, &mut transaction)
            .await
            .map_err(Stopped::Refused)?;
        let events = self.success_events(operation, parameters, &answer);
        let entry = outbox_entry(events);
        Outbox::check(&entry).map_err(|error| self.not_recorded(&error))?;
        let id = transaction
            .enqueue(entry.clone())
            .await
            .map_err(Stopped::from_catalog)?;
        let committed = sabotage::loses_commit_answer(transaction.commit().await);
        if let Err(error) = committed {
            match self.server.outbox.fate_of(id, &entry).await {
                Fate::Made => {}
                Fate::NotMade => return Err(Stopped::from_catalog(error)),
                // A record of a refusal might contradict the record of the change.
                Fate::Unknown => return Err(Stopped::NotRecorded(QueryError::from_catalog(error))),
            }
        }
        if self.server.outbox.wait_for(id, LOG_PATIENCE).await {
            return Ok(answer);
        }
        self.server.metrics.calls_not_recorded.inc();
        let message =
            "The change was made but is not recorded yet. It will be; check before you repeat it.";
        let error = QueryError::new(QueryErrorCode::ServiceUnavailable, message);
        Err(Stopped::NotRecorded(error))
    }

    /// Records a refusal and hands the error back, or the error of recording it.
    async fn refuse(
        &self,
        operation: &'static QueryOperation,
        parameters: Value,
        error: QueryError,
    ) -> QueryError {
        let parameters = operation.refused_parameters(parameters, error.code);
        let refused = Some((error.recorded_code(), error.message.as_str()));
        let events = self.events(operation, parameters, Value::Null, refused, None);
        match recording::append(self.server, events).await {
            Ok(()) => error,
            Err(append) => match self.not_recorded(&append) {
                Stopped::Refused(error) | Stopped::NotRecorded(error) => error,
            },
        }
    }

    fn success_events(
        &self,
        operation: &'static QueryOperation,
        parameters: &Value,
        answer: &QueryAnswer,
    ) -> Vec<Prepared> {
        let response = answer.response_elements(operation);
        self.events(operation, parameters.clone(), response, None, Some(answer))
    }

    fn events(
        &self,
        operation: &'static QueryOperation,
        request_parameters: Value,
        response_elements: Value,
        error: Option<(&str, &str)>,
        answer: Option<&QueryAnswer>,
    ) -> Vec<Prepared> {
        let resources = answer.map_or(&[][..], |answer| answer.resources.as_slice());
        let resources = resources.iter().map(|resource| {
            RecordedResource::new(resource.account, resource.kind, resource.arn.clone())
        });
        // SEC-019: global services are recorded in us-east-1, whatever Region was called.
        let region = if operation.service.is_global() {
            "us-east-1"
        } else {
            self.region.as_str()
        };
        let happened = Happened {
            event_source: operation.service.event_source(),
            event_name: operation.name,
            region,
            read_only: operation.read_only,
            category: "Management",
            request_parameters,
            response_elements,
            additional_event_data: Value::Null,
            resources: resources.collect(),
            error,
            also_for: answer
                .and_then(|answer| answer.cross_account.as_ref())
                .map(|copy| copy.account),
        };
        let now_ms = self.server.clock.now_ms();
        recording::events(
            &self.server.doors,
            now_ms,
            self.call,
            self.caller,
            &happened,
        )
    }

    fn not_recorded(&self, error: &cairn_eventlog::AppendError) -> Stopped {
        let error = self.server.not_recorded(self.call, error);
        Stopped::NotRecorded(QueryError::new(
            QueryErrorCode::ServiceUnavailable,
            error.message,
        ))
    }
}

/// Why a call has no answer of its own.
enum Stopped {
    /// To be recorded.
    Refused(QueryError),
    /// The record is the trouble.
    NotRecorded(QueryError),
}

impl Stopped {
    fn from_catalog(error: CatalogError) -> Self {
        Self::Refused(QueryError::from_catalog(error))
    }
}

fn outbox_entry(events: Vec<Prepared>) -> OutboxEntry {
    let records = events.into_iter().map(|event| {
        let (header, body) = event.into_parts();
        OutboxRecord {
            kind: RecordKind::Event as u8,
            header,
            body,
        }
    });
    OutboxEntry {
        records: records.collect(),
    }
}
