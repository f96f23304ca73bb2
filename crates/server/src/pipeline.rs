//! What happens to a request: check its head, authenticate, read the body, then the way of its
//! protocol: route, validate, authorize, handle, record, answer. The order is in this one file.

mod call;
mod events_call;
mod json_calls;
mod kms_calls;
mod open_routes;
mod own_call;
mod query_calls;
pub(crate) mod recording;

pub(crate) use call::Call;
pub(crate) use own_call::Work;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_access::sigv4::sha256_hex;
use cairn_api::{ApiError, ErrorCode, Protocol, Service};
use cairn_bucket::{AccessLog, Buckets};
use cairn_eventlog::{AppendError, SegmentedLog};
use cairn_platform::Clock;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::authenticate::{self, Authenticator, CalledService, Claim, NotAuthenticated};
use crate::authorize::Authorizer;
use crate::bucket_gate::SelectsData;
use crate::config::Config;
use crate::doors::admission::RateLimit;
use crate::doors::{Doors, Outbox, WaitingRoom};
use crate::http::{
    Answer, BodyBudget, BodyError, BodyLength, BodyLimits, ConnectionFacts, Handler, HeadRefusal,
    HeldBody, ResponseBody, Room, UnreadBody, check_head,
};
use crate::keys::Keys;
use crate::lake_keeper::LakeKeeper;
use crate::metrics::{CallLabels, Metrics, signed};
use crate::operations::Dispatch;
use crate::query_protocol::{Caller, World, error_xml};

/// The path of the ingest door.
const EVENTS_PATH: &str = "/events";
/// What a client should wait before it tries again, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// What a caller learns for whose request there is no room in memory.
const NO_ROOM: &str = "Too many requests are in progress. Try again later.";

/// How old an answer about readiness may be.
const CATALOG_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Larger bodies are hashed off the threads that serve connections.
const HASHED_IN_PLACE_BYTES_MAX: usize = 256 * 1024;

/// Everything that answering requests needs.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) config: Arc<Config>,
    pub(crate) world: Arc<World>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) authorizer: Arc<Authorizer>,
    pub(crate) operations: Box<dyn Dispatch>,
    pub(crate) doors: Arc<Doors>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) waiting_room: Arc<WaitingRoom>,
    /// KMS keys, of this node and configured.
    pub(crate) keys: Arc<Keys>,
    pub(crate) log: Arc<SegmentedLog>,
    pub(crate) lake: Arc<LakeKeeper>,
    pub(crate) buckets: Arc<Buckets>,
    /// The access logs of these buckets.
    pub(crate) access_log: Arc<AccessLog>,
    pub(crate) bodies: BodyBudget,
    pub(crate) parsing: Arc<Semaphore>,
    pub(crate) api_rate: RateLimit<String>,
    pub(crate) ingest_rate: RateLimit<String>,
    pub(crate) bucket_rate: RateLimit<String>,
    pub(crate) trails: Arc<cairn_trails::Trails>,
    /// Who wants to know of reads and writes of objects.
    pub(crate) selects_data: Arc<dyn SelectsData>,
    pub(crate) connections: ConnectionCount,
    /// When the catalog was last asked for readiness, and whether it answered. Held while it is asked, so that
    /// many who ask at once are one.
    pub(crate) catalog_check: tokio::sync::Mutex<Option<(Duration, bool)>>,
    /// Calls in progress, those whose client has gone away included.
    pub(crate) calls: TaskTracker,
    pub(crate) started: Duration,
}

/// Tells how many connections are open.
pub(crate) struct ConnectionCount(pub(crate) Box<dyn Fn() -> usize + Send + Sync>);

impl fmt::Debug for ConnectionCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionCount({})", (self.0)())
    }
}

/// The server as the listener sees it.
#[derive(Debug)]
pub(crate) struct Pipeline(pub(crate) Arc<Server>);

#[async_trait]
impl Handler for Pipeline {
    async fn handle(
        &self,
        connection: &ConnectionFacts,
        request: Request<Incoming>,
    ) -> Response<ResponseBody> {
        let server = &self.0;
        let (mut head, body) = request.into_parts();
        let body = UnreadBody::new(&mut head, body);
        let is_http1 = head.version < http::Version::HTTP_2;
        let request_id = server.doors.new_id();
        let origin = Origin {
            protocol: call::protocol_of(&head),
            request_id: &request_id,
        };
        if let Err(refusal) = check_head(
            &head,
            server.config.http.header_count_max,
            BodyLength::Declared,
        ) {
            let answer = origin.refused_head(refusal);
            return answer.and_close().into_response(&request_id, is_http1);
        }
        let Ok(room) = server.bodies.take_head(connection.peer.ip(), &head) else {
            server.metrics.not_admitted("no-memory");
            let answer = origin.failure(&ApiError::new(ErrorCode::ServiceUnavailable, NO_ROOM));
            return answer.and_close().into_response(&request_id, is_http1);
        };
        let moment = (
            request_id.clone(),
            server.clock.monotonic(),
            server.clock.now_ms(),
        );
        let proxies = &server.config.http.trusted_proxies;
        let call = Call::new(&head, connection, proxies, moment);
        drop(head);
        // A task of its own: a client that hangs up in the middle of a mutation must not stop it
        // between its commit and its record (R21).
        let work = {
            let server = Arc::clone(server);
            async move { server.answer(call, body, room).await }
        };
        // Whatever is logged on the way stands under the ID that the caller gets.
        let work = work.instrument(tracing::error_span!("call", request.id = request_id));
        let answer = server.calls.spawn(work).await.unwrap_or_else(|_| {
            // The panic's own text went to standard error; this ties it to the request.
            server.metrics.panics.inc();
            tracing::error!(request.id = request_id, "a handler panicked");
            origin.failure(&ApiError::internal_failure())
        });
        answer.into_response(&request_id, is_http1)
    }
}

impl Server {
    /// `room` is that of the call's head.
    async fn answer(self: &Arc<Self>, call: Call, body: UnreadBody, room: Room) -> Answer {
        if let Some(answer) = open_routes::answer(self, &call).await {
            return answer;
        }
        let refusal = match self.authenticator.claim(&call).await {
            Ok(claim) => {
                let bytes_max = self.body_bytes_max(&call, claim.service);
                let declared = body.declared_bytes();
                if declared.is_none_or(|length| length <= bytes_max) {
                    return self.answer_claim(&call, claim, body, bytes_max).await;
                }
                let error = body_failure(BodyError::TooLarge);
                query_failure(&call, claim.service, &error).and_close()
            }
            Err(error) => self.not_authenticated(&call, &error),
        };
        // What is thrown away may take seconds to come; nothing of the call is held meanwhile.
        drop((call, room));
        body.discard(&*self.clock).await;
        refusal
    }

    fn body_bytes_max(&self, call: &Call, service: CalledService) -> usize {
        match service {
            CalledService::CloudTrailData if call.path == EVENTS_PATH => {
                self.config.ingest.body_bytes_max
            }
            _ => self.config.http.api_body_bytes_max,
        }
    }

    async fn answer_claim(
        self: &Arc<Self>,
        call: &Call,
        claim: Claim,
        body: UnreadBody,
        bytes_max: usize,
    ) -> Answer {
        let (service, region) = (claim.service, claim.region.clone());
        let (caller, body) = match self.verified(call, claim, body, bytes_max).await {
            Ok(verified) => verified,
            Err(answer) => return answer,
        };
        let (answer, labels, code) = match self.admit(call, service, &caller) {
            Ok(()) => self.dispatch(call, service, &region, &caller, body).await,
            Err(error) => {
                let labels = CallLabels {
                    service: service_name(service),
                    operation: "unknown",
                };
                (
                    query_failure(call, service, &error),
                    labels,
                    error.code.name(),
                )
            }
        };
        let took = self.clock.monotonic().saturating_sub(call.began);
        self.metrics.answered(&labels, code, took);
        tracing::debug!(
            service = labels.service,
            operation = labels.operation,
            code,
            took_ms = signed(took.as_millis()),
            "answered"
        );
        answer
    }

    /// Reads the body and compares the signature with it.
    async fn verified(
        &self,
        call: &Call,
        claim: Claim,
        body: UnreadBody,
        bytes_max: usize,
    ) -> Result<(Caller, HeldBody), Answer> {
        let service = claim.service;
        let limits = BodyLimits {
            bytes_max,
            timeout: self.config.http.body_read_timeout,
            peer: call.source_ip,
        };
        let body = self.bodies.read(body, limits, &*self.clock).await;
        let body = body.map_err(|error| {
            self.metrics.not_admitted(match error {
                BodyError::TooLarge => "body-too-large",
                BodyError::NoRoom => "no-memory",
                BodyError::TimedOut => "body-too-slow",
                BodyError::Interrupted => "body-interrupted",
            });
            query_failure(call, service, &body_failure(error)).and_close()
        })?;
        let hash = body_hash(&body.bytes).await;
        match self.authenticator.verify(claim, &hash) {
            Ok(caller) => {
                self.believe(call);
                Ok((caller, body))
            }
            Err(error) => Err(self.not_authenticated(call, &error)),
        }
    }

    /// The caller is who it says: what it sends from there may take more room from now on.
    pub(crate) fn believe(&self, call: &Call) {
        self.bodies.believe(call.source_ip);
        if call.peer_ip.to_canonical() != call.source_ip {
            self.bodies.believe(call.peer_ip);
        }
    }

    async fn dispatch(
        self: &Arc<Self>,
        call: &Call,
        service: CalledService,
        region: &cairn_model::Region,
        caller: &Caller,
        body: HeldBody,
    ) -> (Answer, CallLabels, &'static str) {
        match service {
            CalledService::CloudTrail => {
                let request = (Service::CloudTrail, body.bytes.clone());
                json_calls::answer(self, call, caller, region, request).await
            }
            CalledService::CloudTrailData if call.path == EVENTS_PATH && call.method == "POST" => {
                events_call::answer(self, call, caller, region, body).await
            }
            CalledService::CloudTrailData => {
                let request = (Service::CloudTrailData, body.bytes.clone());
                json_calls::answer(self, call, caller, region, request).await
            }
            CalledService::Kms => {
                kms_calls::answer(self, call, caller, region, body.bytes.clone()).await
            }
            CalledService::Query(service) => {
                let request = (service, body.bytes.clone());
                query_calls::answer(self, call, caller, region, request).await
            }
        }
    }

    /// Rates by principal, of a role with all of its sessions (R18). Refusals here are counted, not recorded: recording them would let a
    /// caller without quota fill the log.
    fn admit(&self, call: &Call, service: CalledService, caller: &Caller) -> Result<(), ApiError> {
        let is_ingest = service == CalledService::CloudTrailData && call.path == EVENTS_PATH;
        let rate = if is_ingest {
            &self.ingest_rate
        } else {
            &self.api_rate
        };
        if rate.admit(caller.principal.stable_id()) {
            return Ok(());
        }
        self.metrics.not_admitted("rate");
        Err(ApiError::new(
            ErrorCode::ThrottlingException,
            "Rate exceeded",
        ))
    }

    fn not_authenticated(&self, call: &Call, error: &NotAuthenticated) -> Answer {
        match error {
            NotAuthenticated::Refused(error) => {
                let (answer, reason) = authenticate::refusal(error);
                self.metrics.authentication_failed(reason);
                tracing::info!(
                    source.ip = %call.source_ip,
                    reason,
                    "a request was not authenticated"
                );
                failure(call, &answer)
            }
            NotAuthenticated::Failed(error) => failure(call, &internal("authenticating", error)),
        }
    }

    /// What a caller learns when the event log did not take what it had to take.
    pub(crate) fn not_recorded(&self, error: &AppendError) -> ApiError {
        self.metrics.calls_not_recorded.inc();
        tracing::warn!(error = %error, "the event log took no record");
        match error {
            AppendError::RefusedBusy => {
                ApiError::new(ErrorCode::ThrottlingException, "The event log is busy.")
            }
            AppendError::RefusedTooLarge { .. } => ApiError::new(
                ErrorCode::RequestEntityTooLargeException,
                "The batch is larger than the event log takes.",
            ),
            AppendError::RefusedNoSpace => {
                ApiError::new(ErrorCode::ServiceUnavailable, "The event log has no room.")
            }
            AppendError::Poisoned { .. } | AppendError::Closed => ApiError::new(
                ErrorCode::ServiceUnavailable,
                "The event log is not available.",
            ),
        }
    }

    /// Reads the gauges from the parts of the server.
    pub(crate) async fn refresh_gauges(&self) {
        let gauges = self.metrics.gauges();
        gauges.connections.set(signed((self.connections.0)()));
        gauges.in_flight_bytes.set(signed(self.bodies.held_bytes()));
        gauges.records_waiting.set(signed(self.waiting_room.len()));
        gauges.deduplication_keys.set(signed(self.doors.keys()));
        gauges.uptime_seconds.set(
            self.clock
                .monotonic()
                .saturating_sub(self.started)
                .as_secs_f64(),
        );
        if let Ok(entries) = self.world.catalog.outbox_depth().await {
            gauges.outbox_entries.set(signed(entries));
        }
        if let Ok(records) = self.world.catalog.outbox_quarantined().await {
            gauges.outbox_quarantined.set(signed(records));
        }
        let log = self.log.status();
        gauges.log_bytes.set(signed(log.bytes));
        gauges.log_segments.set(signed(log.segments));
        gauges.log_queue_bytes.set(signed(log.queue_bytes));
        gauges.log_start.set(signed(log.start.0));
        gauges.log_end.set(signed(log.end.0));
        gauges.log_poisoned.set(i64::from(log.poisoned.is_some()));
        gauges.log_no_space.set(i64::from(log.no_space));
        gauges.log_damages.set(signed(log.damage.len()));
        for (reader, position) in &log.readers {
            self.metrics
                .set_reader_lag(reader, log.end.0.saturating_sub(position.0));
        }
        self.refresh_lake_gauges();
        self.metrics.access_log.set(&self.access_log);
        let trails = &self.metrics.trails;
        trails.set_counts(&self.trails.counts());
        if let Ok(used) = self.trails.spool_use().await {
            trails.set_spool(&used, self.clock.now_ms());
        }
        let outlets = &self.metrics.outlets;
        outlets.set_counts(&self.trails.outlet_counts());
        if let Ok(used) = self.trails.lane_use().await {
            outlets.set_waiting(&used, self.clock.now_ms());
        }
    }

    fn refresh_lake_gauges(&self) {
        let gauges = self.metrics.gauges();
        let lake = self.lake.lake();
        gauges.lake_closed.set(i64::from(lake.is_none()));
        let Some(lake) = lake else { return };
        let lake = lake.status();
        self.metrics
            .set_reader_lag("lake-visible", lake.lag_records);
        gauges
            .lake_hot_bytes
            .set(signed(lake.tables.iter().map(|t| t.hot_bytes).sum::<u64>()));
        gauges.lake_commits.set(signed(lake.counts.commits));
        gauges.lake_quarantined.set(signed(lake.counts.quarantined));
        gauges.lake_too_old.set(signed(lake.counts.too_old));
        gauges.lake_lost.set(signed(lake.counts.lost));
        gauges
            .lake_rebuilt
            .set(signed(lake.counts.rebuilt_hot_objects));
        gauges.lake_failures.set(signed(lake.counts.failures));
        gauges.lake_damaged.set(signed(lake.counts.damaged_objects));
        gauges.set_scrub(&lake.counts);
        for table in &lake.tables {
            let rows = table.committed_rows + table.hot_rows;
            self.metrics
                .set_store(table.table.as_str(), rows, table.visible_end.0);
        }
    }

    /// Why the server should not get requests now; `None` if it should.
    pub(crate) async fn not_ready(&self) -> Option<&'static str> {
        let status = self.log.status();
        if status.poisoned.is_some() {
            return Some("the event log has failed");
        }
        if status.no_space {
            return Some("the event log has no room");
        }
        if !self.catalog_answers().await {
            return Some("the catalog cannot be read");
        }
        None
    }

    /// Anybody may ask for readiness, so the catalog is asked a few times a second at most.
    async fn catalog_answers(&self) -> bool {
        let now = self.clock.monotonic();
        let mut last = self.catalog_check.lock().await;
        if let Some((when, answered)) = *last
            && now.saturating_sub(when) < CATALOG_CHECK_INTERVAL
        {
            return answered;
        }
        let answered = self.world.catalog.outbox_depth().await.is_ok();
        *last = Some((self.clock.monotonic(), answered));
        answered
    }
}

/// What a caller learns of a failure of ours; the log has the cause under the same request ID.
fn internal(during: &'static str, error: &dyn std::error::Error) -> ApiError {
    tracing::error!(during, error = %error, "a call failed");
    ApiError::internal_failure()
}

/// What an answer to a request is told by, whatever else is known of it.
#[derive(Clone, Copy, Debug)]
struct Origin<'a> {
    protocol: Protocol,
    request_id: &'a str,
}

impl Origin<'_> {
    fn failure(self, error: &ApiError) -> Answer {
        let rendered = cairn_api::answer::failure(self.protocol, error, self.request_id);
        let status =
            StatusCode::from_u16(rendered.status).expect("the error table's statuses are valid");
        let mut answer = Answer::new(status, rendered.content_type, Bytes::from(rendered.body));
        answer.error_type = rendered.error_type;
        answer.retry_after = error.is_retryable().then_some(RETRY_AFTER_S);
        answer
    }

    fn refused_head(self, refusal: HeadRefusal) -> Answer {
        let code = match refusal {
            HeadRefusal::Ambiguous(_) => ErrorCode::ValidationException,
            HeadRefusal::TooManyHeaders => ErrorCode::RequestEntityTooLargeException,
        };
        let mut answer = self.failure(&ApiError::new(code, refusal.message()));
        answer.status = refusal.status();
        answer
    }
}

/// The answer to an error, in the protocol that the call seems to speak.
pub(crate) fn failure(call: &Call, error: &ApiError) -> Answer {
    let origin = Origin {
        protocol: call.protocol,
        request_id: &call.request_id,
    };
    origin.failure(error)
}

/// As `failure`, in XML for the services that speak it whatever the head looked like.
fn query_failure(call: &Call, service: CalledService, error: &ApiError) -> Answer {
    let CalledService::Query(service) = service else {
        return failure(call, error);
    };
    let name = error.wire_name(Protocol::Query);
    let body = error_xml(service, name, &error.message, &call.request_id);
    let mut answer = failure(call, error);
    answer.status = StatusCode::from_u16(error.http_status(Protocol::Query))
        .expect("the error table's statuses are valid");
    answer.content_type = "text/xml";
    answer.body = Bytes::from(body);
    answer.error_type = Some(name);
    answer
}

fn body_failure(error: BodyError) -> ApiError {
    match error {
        BodyError::TooLarge => ApiError::new(
            ErrorCode::RequestEntityTooLargeException,
            "The request body is larger than this operation takes.",
        ),
        BodyError::NoRoom => ApiError::new(ErrorCode::ThrottlingException, NO_ROOM),
        BodyError::TimedOut | BodyError::Interrupted => ApiError::new(
            ErrorCode::RequestTimeoutException,
            "The request body did not arrive in time.",
        ),
    }
}

fn service_name(service: CalledService) -> &'static str {
    match service {
        CalledService::CloudTrail => Service::CloudTrail.signing_name(),
        CalledService::CloudTrailData => Service::CloudTrailData.signing_name(),
        CalledService::Kms => kms_calls::SERVICE,
        CalledService::Query(service) => service.scope_name(),
    }
}

async fn body_hash(bytes: &Bytes) -> String {
    if bytes.len() <= HASHED_IN_PLACE_BYTES_MAX {
        return sha256_hex(bytes);
    }
    let bytes = bytes.clone();
    let hash = tokio::task::spawn_blocking(move || sha256_hex(&bytes));
    hash.await.expect("hashing does not panic")
}
