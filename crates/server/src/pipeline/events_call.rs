//! `POST /events`: producers' own events. The call itself is counted, not recorded: an event for every
//! batch of events would double small producers' history and tell nothing that the events do not. A
//! call that tried to write for an account or Region that it may not write for is recorded.
//!
//! Which accounts a producer may write for is policy: `cairn:PutEvents` on
//! `arn:aws:cairn:REGION:ACCOUNT:events`, asked once for each account and Region of a batch. Another
//! account's side is the operator's: `ingest.producer_accounts` names whose principals it trusts.

use std::sync::Arc;

use bytes::Bytes;
use cairn_access::policy::ContextKeys;
use cairn_api::{ApiError, ErrorCode};
use cairn_eventlog::AppendError;
use cairn_model::{AccountId, Region};
use http::StatusCode;
use serde_json::{Value, json};

use super::own_call::Context;
use super::recording::{self, Happened};
use super::{Call, Server, failure, internal};
use crate::authorize::{Grants, Question};
use crate::config::Config;
use crate::doors::{
    Batch, BatchFault, BatchLimits, BatchReader, BatchReport, Conflict, Denied, Forbidden,
    OWN_SOURCE, Prepared, ServiceEvent, read_batch,
};
use crate::http::{Answer, BodyError, HeldBody};
use crate::metrics::CallLabels;
use crate::query_protocol::{Caller, QueryService};

const ACTION: &str = "cairn:PutEvents";
const ACCESS_DENIED: &str = "AccessDenied";
/// Event IDs that one audit event of refused duplicates lists, and places that one of a refused call
/// lists.
const LISTED_MAX: usize = 100;
const DAY_MS: i64 = 24 * 3_600_000;

/// Answers a call.
pub(super) async fn answer(
    server: &Arc<Server>,
    call: &Call,
    caller: &Caller,
    region: &Region,
    body: HeldBody,
) -> (Answer, CallLabels, &'static str) {
    let labels = CallLabels {
        service: "cloudtrail-data",
        operation: "PutEvents",
    };
    match put(server, call, caller, region, body).await {
        Ok(report) => {
            let taken = report.accepted > 0 || report.duplicates > 0;
            let status = if taken {
                StatusCode::OK
            } else {
                StatusCode::BAD_REQUEST
            };
            let body = serde_json::to_vec(&report).expect("a report has text keys only");
            let answer = Answer::new(status, "application/json", Bytes::from(body));
            (answer, labels, if taken { "ok" } else { "refused" })
        }
        Err(error) => (failure(call, &error), labels, error.code.name()),
    }
}

async fn put(
    server: &Arc<Server>,
    call: &Call,
    caller: &Caller,
    region: &Region,
    body: HeldBody,
) -> Result<BatchReport, ApiError> {
    let is_gzip = is_gzip(call)?;
    let grants = server
        .authorizer
        .grants(call, caller, region.as_str())
        .await
        .map_err(|error| internal("authorizing", &error))?;
    let accounts = server
        .authorizer
        .accounts()
        .await
        .map_err(|error| internal("listing accounts", &error))?;
    let known = accounts
        .iter()
        .filter(|account| account.enabled)
        .map(|account| account.account);
    let gatekeeper = Gatekeeper {
        config: Arc::clone(&server.config),
        caller: caller.account,
        principal: caller.principal.arn(),
        known: known.collect(),
        grants,
    };
    let (batch, held) = read(server, caller.account, body, is_gzip, gatekeeper).await?;
    let report = append(server, batch)
        .await
        .map_err(|error| server.not_recorded(&error))?;
    drop(held);
    if !report.denied.is_empty() {
        let context = Context {
            server,
            call,
            caller,
            region,
        };
        audit_denied(context, &report.denied)
            .await
            .map_err(|error| server.not_recorded(&error))?;
    }
    if !report.conflicts.is_empty() {
        audit_conflicts(server, caller, &report.conflicts)
            .await
            .map_err(|error| server.not_recorded(&error))?;
    }
    count(server, &report);
    Ok(report)
}

fn is_gzip(call: &Call) -> Result<bool, ApiError> {
    match call.header("content-encoding") {
        None | Some("identity") => Ok(false),
        Some("gzip") => Ok(true),
        Some(_) => Err(ApiError::new(
            ErrorCode::ValidationException,
            "The content encoding must be gzip or identity.",
        )),
    }
}

/// Reads the batch on a thread of its own, a bounded number of them at a time: parsing hundreds of
/// events must not hold up the threads that serve connections.
async fn read(
    server: &Arc<Server>,
    account: AccountId,
    mut body: HeldBody,
    is_gzip: bool,
    gatekeeper: Gatekeeper,
) -> Result<(Batch, HeldBody), ApiError> {
    let limits = BatchLimits {
        body_bytes: server.config.ingest.body_bytes_max,
        events: server.config.ingest.events_max,
        gzip_ratio: server.config.ingest.gzip_ratio_max,
        oldest_ms: oldest_ms(server),
    };
    if is_gzip {
        // How large the text will be is not known; the limit is what it can be.
        let room = server
            .bodies
            .take(limits.body_bytes)
            .map_err(super::body_failure)?;
        body.held.push(room);
    }
    let turn = Arc::clone(&server.parsing).acquire_owned().await;
    let turn = turn.map_err(|_| super::body_failure(BodyError::NoRoom))?;
    let (preparer, entropy) = (server.doors.preparer(), Arc::clone(&server.world.entropy));
    let trails = Arc::clone(&server.trails);
    let bytes = std::mem::take(&mut body.bytes);
    let parsed = tokio::task::spawn_blocking(move || {
        let mut gate = |account: AccountId, region: &Region| gatekeeper.admit(account, region);
        let mut reader = BatchReader {
            limits,
            preparer,
            account,
            entropy: &*entropy,
            gate: &mut gate,
            collects: &|header| trails.selects(header),
        };
        let batch = read_batch(bytes, is_gzip, &mut reader);
        drop(turn);
        batch
    });
    match parsed.await {
        Ok(Ok(batch)) => Ok((batch, body)),
        Ok(Err(BatchFault::Malformed(message))) => {
            Err(ApiError::new(ErrorCode::ValidationException, message))
        }
        Ok(Err(BatchFault::TooLarge(message))) => Err(ApiError::new(
            ErrorCode::RequestEntityTooLargeException,
            message,
        )),
        Err(panicked) => {
            server.metrics.panics.inc();
            tracing::error!(error = %panicked, "reading a batch panicked");
            Err(ApiError::internal_failure())
        }
    }
}

/// The time from which on event history keeps events.
fn oldest_ms(server: &Server) -> i64 {
    let kept_ms = i64::from(server.config.lake.history_retention_days) * DAY_MS;
    server.clock.now_ms().saturating_sub(kept_ms)
}

async fn append(server: &Server, mut batch: Batch) -> Result<BatchReport, AppendError> {
    let events = std::mem::take(&mut batch.events);
    if events.is_empty() {
        return Ok(batch.report(&[], &[]));
    }
    let sizes: Vec<u64> = events.iter().map(Prepared::bytes).collect();
    let outcomes = server.doors.append(events).await?;
    Ok(batch.report(&sizes, &outcomes))
}

/// An attempt to write for others is evidence: one event a call, in the caller's account, whatever the
/// number of places, of which it lists the first hundred.
async fn audit_denied(context: Context<'_>, denied: &[Denied]) -> Result<(), AppendError> {
    let first = denied
        .iter()
        .find(|denied| denied.why.code == ACCESS_DENIED);
    let Some(told) = first.or(denied.first()) else {
        return Ok(());
    };
    let listed = denied.iter().take(LISTED_MAX).map(|denied| {
        json!({
            "accountId": denied.account,
            "region": denied.region.as_str(),
            "errorCode": denied.why.code,
            "eventCount": denied.count,
        })
    });
    let parameters = json!({
        "refusedEventCount": denied.iter().map(|denied| denied.count).sum::<usize>(),
        "refusedPlaceCount": denied.len(),
        "refused": listed.collect::<Vec<_>>(),
    });
    let happened = Happened {
        event_source: QueryService::Cairn.event_source(),
        event_name: "PutEvents",
        region: context.region.as_str(),
        read_only: false,
        category: "Management",
        request_parameters: parameters,
        response_elements: Value::Null,
        additional_event_data: Value::Null,
        resources: Vec::new(),
        error: Some((told.why.code, &told.why.message)),
        also_for: Vec::new(),
        hides_owner: false,
    };
    let Context {
        server,
        call,
        caller,
        ..
    } = context;
    let now_ms = server.clock.now_ms();
    match recording::events(&server.doors, now_ms, call, caller, &happened) {
        Ok(events) => recording::append(server, events).await,
        // It has been logged; without its record the call must not be answered.
        Err(_) => Err(AppendError::Closed),
    }
}

/// Two events with one ID are either a broken producer or an attempt to replace evidence: the account
/// learns of it from an event of its own, one for each account and Region of the batch.
async fn audit_conflicts(
    server: &Server,
    caller: &Caller,
    conflicts: &[Conflict],
) -> Result<(), AppendError> {
    let mut places: Vec<(AccountId, &Region)> = conflicts
        .iter()
        .map(|conflict| (conflict.account, &conflict.region))
        .collect();
    places.sort();
    places.dedup();
    let mut events = Vec::with_capacity(places.len());
    for (account, region) in places {
        let ids: Vec<&str> = conflicts
            .iter()
            .filter(|conflict| conflict.account == account && conflict.region == *region)
            .map(|conflict| conflict.event_id.as_str())
            .collect();
        let event = ServiceEvent {
            account,
            region: region.as_str(),
            completed_ms: server.clock.now_ms(),
            event_source: OWN_SOURCE,
            event_name: "DuplicateEventRefused",
            details: json!({
                "reason": "DuplicatedAuditEventId",
                "producerArn": caller.principal.arn(),
                "count": ids.len(),
                "eventIDs": ids.iter().take(LISTED_MAX).collect::<Vec<_>>(),
            }),
        };
        let json = event.to_json(&server.doors.new_id());
        match server.doors.prepare_own(account, &json) {
            Ok(event) => events.push(event),
            Err(error) => tracing::error!(error = %error, "an own event is not valid"),
        }
    }
    server.doors.append(events).await.map(drop)
}

fn count(server: &Server, report: &BatchReport) {
    let metrics = &server.metrics;
    metrics.events_answered(report.accepted, report.duplicates);
    metrics.events_unselected.inc_by(report.unselected);
    metrics.event_bytes.inc_by(report.accepted_bytes);
    for refusal in &report.refused {
        metrics.event_refused(refusal.code);
    }
}

/// Decides for whose events the caller may speak.
struct Gatekeeper {
    config: Arc<Config>,
    caller: AccountId,
    principal: String,
    known: Vec<AccountId>,
    grants: Grants,
}

impl Gatekeeper {
    fn admit(&self, account: AccountId, region: &Region) -> Result<(), Forbidden> {
        let trusted =
            account == self.caller || self.config.ingest.producer_accounts.contains(&self.caller);
        let resource = format!("arn:aws:cairn:{region}:{account}:events");
        if !trusted {
            let message = format!(
                "User: {} is not authorized to perform: {ACTION} on resource: {resource} because \
                 account {account} does not trust producers of account {}",
                self.principal, self.caller
            );
            return Err(Forbidden {
                code: ACCESS_DENIED,
                message,
            });
        }
        let question = Question {
            action: ACTION,
            resource: &resource,
            resource_account: account,
            resource_policy: None,
            keys: &ContextKeys::new(),
            resource_agrees: true,
        };
        self.grants.decide(&question).map_err(|message| Forbidden {
            code: ACCESS_DENIED,
            message,
        })?;
        if !self.known.contains(&account) {
            let message = format!("account {account} does not exist here or is disabled");
            return Err(Forbidden {
                code: "AccountNotFound",
                message,
            });
        }
        if !self.config.account.regions.is_enabled(account, region) {
            let message = format!("Region {region} is not enabled for account {account}");
            return Err(Forbidden {
                code: "RegionNotEnabled",
                message,
            });
        }
        Ok(())
    }
}
