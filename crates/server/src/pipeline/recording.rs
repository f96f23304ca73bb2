//! Every call to our own API becomes an event, whether it succeeded or was refused (R21). Reads and
//! refusals are durable before their answer; mutations carry their events in their own transaction.

use cairn_eventlog::AppendError;
use cairn_model::{AccountId, RecordError};
use serde_json::Value;

use super::{Call, Server};
use crate::doors::{CallRecord, Doors, Prepared, RecordIds, RecordedCaller, RecordedResource};
use crate::query_protocol::Caller;

/// What a record says beyond who called and how.
#[derive(Debug)]
pub(crate) struct Happened<'a> {
    pub(crate) event_source: &'a str,
    pub(crate) event_name: &'a str,
    pub(crate) region: &'a str,
    pub(crate) read_only: bool,
    /// `Management` or `Data`.
    pub(crate) category: &'static str,
    pub(crate) request_parameters: Value,
    pub(crate) response_elements: Value,
    /// Null if there is none.
    pub(crate) additional_event_data: Value,
    pub(crate) resources: Vec<RecordedResource>,
    /// Name and message of the error.
    pub(crate) error: Option<(&'a str, &'a str)>,
    /// Other accounts that get a copy (REC-064).
    pub(crate) also_for: Vec<AccountId>,
    /// True if the caller must not learn whose the resources are (REC-212).
    pub(crate) hides_owner: bool,
}

/// The events of a call: one for the caller's account and, if other accounts are concerned, one for each
/// under the same `sharedEventID` (REC-062, REC-063). A service calls in nobody's name, so that there is
/// one event at most: that of the account concerned. An error cannot happen for the records that we
/// build; if it does, the call must fail: nothing may happen without its record.
pub(crate) fn events(
    doors: &Doors,
    now_ms: i64,
    call: &Call,
    caller: &Caller,
    happened: &Happened<'_>,
) -> Result<Vec<Prepared>, RecordError> {
    // REC-015, REC-017: a service comes from no address, and its name is its agent.
    let service = caller.service_name();
    let address = call.source_ip.to_string();
    let record = CallRecord {
        caller: RecordedCaller {
            principal: &caller.principal,
            access_key_id: &caller.access_key_id,
            account_alias: caller.account_alias.as_deref(),
            invoked_by: None,
        },
        completed_ms: now_ms,
        event_source: happened.event_source,
        event_name: happened.event_name,
        region: happened.region,
        source_ip: service.unwrap_or(&address),
        user_agent: service.or_else(|| call.header("user-agent")),
        error: happened.error,
        request_parameters: happened.request_parameters.clone(),
        response_elements: happened.response_elements.clone(),
        additional_event_data: happened.additional_event_data.clone(),
        request_id: &call.request_id,
        read_only: happened.read_only,
        resources: &happened.resources,
        category: happened.category,
        tls: call.tls,
        client_host: call.client_host.as_deref(),
        hides_owner: happened.hides_owner,
    };
    let own = service.is_none().then_some(caller.account);
    let mut recipients: Vec<AccountId> = own.into_iter().collect();
    for other in &happened.also_for {
        if !recipients.contains(other) {
            recipients.push(*other);
        }
    }
    let shared = (recipients.len() > 1).then(|| doors.new_id());
    let copies = recipients.into_iter().map(|recipient| {
        let event_id = doors.new_id();
        let ids = RecordIds {
            event_id: &event_id,
            recipient,
            shared_event_id: shared.as_deref(),
        };
        let prepared = doors.prepare_own(recipient, &record.to_json(ids));
        prepared.inspect_err(|error| {
            tracing::error!(error = %error, "a call's record is not valid");
        })
    });
    copies.collect()
}

/// Makes the events of a read or a refused call durable. `Err` when they are not: then the caller must
/// not get the answer.
pub(crate) async fn append(server: &Server, events: Vec<Prepared>) -> Result<(), AppendError> {
    if events.is_empty() {
        return Err(AppendError::Closed);
    }
    server.waiting_room.append(&server.doors, events).await
}
