//! The one way of every call to our own API, whatever its protocol: decide, run, record, answer.
//!
//! Reads and refusals are durable before their answer. A change, its event and the answer belong
//! together: the event is committed with the effect, and the answer waits until the event log holds it
//! (R21). What allows a change is read in the change's own transaction, so a policy that is taken away
//! before the commit does not count.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use cairn_catalog::identity::ReadIdentities;
use cairn_catalog::keys::ReadKeys;
use cairn_catalog::trails::ReadTrails;
use cairn_catalog::{Catalog, CatalogError, OutboxEntry, OutboxRecord, WriteTransaction};
use cairn_eventlog::{AppendError, RecordKind};
use cairn_model::{AccountId, Region};
use futures::FutureExt;
use serde_json::Value;

use super::recording::{self, Happened};
use super::{Call, Server};
use crate::authorize::{Authorizer, Grants};
use crate::doors::{Fate, Outbox, Prepared, RecordedResource};
use crate::query_protocol::{AuthorizationTarget, Caller};
use crate::sabotage;

/// How long the answer to a change waits for the event log.
const LOG_PATIENCE: Duration = Duration::from_secs(20);
/// Room that the event log must have before a change begins: the records of almost every one fit.
const CHANGE_ROOM_BYTES: usize = 1 << 20;

/// Who calls from where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) server: &'a Server,
    pub(super) call: &'a Call,
    pub(super) caller: &'a Caller,
    pub(super) region: &'a Region,
}

/// What the record of a call says before anyone knows how the call ends.
#[derive(Clone, Debug)]
pub(super) struct About<'a> {
    pub(super) event_source: &'static str,
    pub(super) event_name: &'static str,
    pub(super) region: &'a str,
    pub(super) read_only: bool,
    /// `Management` or `Data`.
    pub(super) category: &'static str,
    pub(super) request_parameters: Value,
    /// Resources that are recorded even if the call is refused.
    pub(super) resources: Vec<RecordedResource>,
}

/// What a call has done, for its caller and for its record.
#[derive(Clone, Debug)]
pub(super) struct Done<A> {
    pub(super) answer: A,
    pub(super) response_elements: Value,
    /// Resources beyond those that `About` lists.
    pub(super) resources: Vec<RecordedResource>,
    /// Other accounts that get a copy of the record (REC-064).
    pub(super) also_for: Vec<AccountId>,
}

/// What an operation runs in.
#[derive(Debug)]
pub(crate) enum Work<'a> {
    /// It changes nothing.
    Read,
    /// Its effect belongs into this transaction, which is committed with the event of the call.
    Change(&'a mut WriteTransaction),
}

/// A transaction in which everything can be read that a call may be authorized on.
pub(super) trait ReadCatalog: ReadIdentities + ReadTrails + ReadKeys {}

impl<T: ReadIdentities + ReadTrails + ReadKeys> ReadCatalog for T {}

/// A call that is routed and whose parameters are read and checked.
#[async_trait]
pub(super) trait OwnCall: Sync {
    /// What its caller gets.
    type Answer: Send;
    /// How its protocol tells errors.
    type Error: CallError;

    /// For the record.
    fn about(&self) -> About<'_>;

    /// For the record of its refusal.
    fn about_refusal(&self, _error: &Self::Error) -> About<'_> {
        self.about()
    }

    /// Whether it runs in a transaction.
    fn is_change(&self) -> bool;

    /// Whether its record cannot wait for room on the disk: what hands out credentials must leave a
    /// durable trace.
    fn needs_durable_record(&self) -> bool {
        false
    }

    /// Everything that its caller must be allowed, as the catalog is now.
    async fn targets_now(
        &self,
        catalog: &Catalog,
    ) -> Result<Vec<AuthorizationTarget>, Self::Error> {
        let transaction = catalog.read().await;
        let mut transaction = transaction.map_err(Self::Error::from_catalog)?;
        self.targets(&mut transaction).await
    }

    /// The same inside the transaction of a change.
    async fn targets(
        &self,
        catalog: &mut dyn ReadCatalog,
    ) -> Result<Vec<AuthorizationTarget>, Self::Error>;

    /// Finds out what a change needs to know from outside, once its caller may make it and before its transaction
    /// begins: others that change something do not wait for a foreign server.
    async fn prepare(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Runs it, allowed as it is.
    async fn run(&self, work: Work<'_>) -> Result<Done<Self::Answer>, Self::Error>;
}

/// The errors that any call can end with, in a protocol's own form.
pub(super) trait CallError: Send {
    /// `errorCode` and `errorMessage` of the record.
    fn recorded(&self) -> (&'static str, &str);
    /// The caller may not do it.
    fn access_denied(message: String) -> Self;
    /// Something failed here.
    fn internal() -> Self;
    /// The catalog refused, or could not be asked.
    fn from_catalog(error: CatalogError) -> Self;
    /// The event log did not take the record.
    fn not_recorded(context: Context<'_>, error: &AppendError) -> Self;
    /// The change is made, its record is still on its way.
    fn recorded_later(message: &'static str) -> Self;
}

/// Why a call has no answer of its own.
enum Stopped<E> {
    /// To be recorded.
    Refused(E),
    /// The record is the trouble, or is made already.
    NotRecorded(E),
}

impl<E: CallError> Stopped<E> {
    fn from_catalog(error: CatalogError) -> Self {
        Self::Refused(E::from_catalog(error))
    }
}

impl Context<'_> {
    /// Decides, runs and records a call.
    pub(super) async fn settle<C: OwnCall>(self, own: &C) -> Result<C::Answer, C::Error> {
        let settled = if own.is_change() {
            self.change(own).await
        } else {
            self.read(own).await
        };
        match settled {
            Ok(answer) => Ok(answer),
            Err(Stopped::NotRecorded(error)) => Err(error),
            Err(Stopped::Refused(error)) => {
                let about = own.about_refusal(&error);
                Err(self.refuse(about, error).await)
            }
        }
    }

    /// Records a refusal and hands the error back, or the error of recording it.
    pub(super) async fn refuse<E: CallError>(self, about: About<'_>, error: E) -> E {
        let events = match self.events(about, Err(&error)) {
            Ok(events) => events,
            Err(invalid) => return invalid,
        };
        match recording::append(self.server, events).await {
            Ok(()) => error,
            Err(append) => E::not_recorded(self, &append),
        }
    }

    async fn read<C: OwnCall>(self, own: &C) -> Result<C::Answer, Stopped<C::Error>> {
        self.decide(own).await?;
        let done = self.run(own, Work::Read).await?;
        let events = self.success_events(own, &done)?;
        let appended = if own.needs_durable_record() {
            self.server.doors.append(events).await.map(drop)
        } else {
            recording::append(self.server, events).await
        };
        match appended {
            Ok(()) => Ok(done.answer),
            Err(error) => Err(Stopped::NotRecorded(C::Error::not_recorded(self, &error))),
        }
    }

    async fn change<C: OwnCall>(self, own: &C) -> Result<C::Answer, Stopped<C::Error>> {
        // First from memory: whoever is refused anyway shall not hold up those who change something.
        self.decide(own).await?;
        self.require_room::<C::Error>()?;
        self.guarded(own.prepare()).await?;
        let catalog = &self.server.world.catalog;
        let mut transaction = catalog.begin().await.map_err(Stopped::from_catalog)?;
        self.decide_within(own, &mut transaction).await?;
        let done = self.run(own, Work::Change(&mut transaction)).await?;
        let entry = entry_of(self.success_events(own, &done)?);
        Outbox::check(&entry)
            .map_err(|error| Stopped::Refused(C::Error::not_recorded(self, &error)))?;
        let (id, entry) = transaction
            .enqueue(entry)
            .await
            .map_err(Stopped::from_catalog)?;
        let committed = sabotage::loses_commit_answer(transaction.commit().await);
        if let Err(error) = committed {
            match self.server.outbox.fate_of(id, &entry).await {
                Fate::Made => {}
                Fate::NotMade => return Err(Stopped::from_catalog(error)),
                // A record of a refusal might contradict the record of the change.
                Fate::Unknown => {
                    return Err(Stopped::NotRecorded(C::Error::from_catalog(error)));
                }
            }
        }
        if self.server.outbox.wait_for(id, LOG_PATIENCE).await {
            return Ok(done.answer);
        }
        self.server.metrics.calls_not_recorded.inc();
        let message =
            "The change was made but is not recorded yet. It will be; check before you repeat it.";
        Err(Stopped::NotRecorded(C::Error::recorded_later(message)))
    }

    /// What could not be recorded must not be done. The refusal itself can wait for room.
    fn require_room<E: CallError>(self) -> Result<(), Stopped<E>> {
        let room = self.server.log.check_room(CHANGE_ROOM_BYTES);
        room.map_err(|error| Stopped::Refused(E::not_recorded(self, &error)))
    }

    async fn run<C: OwnCall>(
        self,
        own: &C,
        work: Work<'_>,
    ) -> Result<Done<C::Answer>, Stopped<C::Error>> {
        self.guarded(async {
            sabotage::panic_in(own.about().event_name);
            own.run(work).await
        })
        .await
    }

    async fn decide<C: OwnCall>(self, own: &C) -> Result<(), Stopped<C::Error>> {
        let catalog = &self.server.world.catalog;
        let targets = self.guarded(own.targets_now(catalog)).await?;
        let authorizer = &self.server.authorizer;
        let grants = authorizer
            .grants(self.call, self.caller, self.region.as_str())
            .await;
        decide_all(&grants.map_err(Stopped::from_catalog)?, &targets)
    }

    async fn decide_within<C: OwnCall>(
        self,
        own: &C,
        transaction: &mut WriteTransaction,
    ) -> Result<(), Stopped<C::Error>> {
        let targets = self.guarded(own.targets(transaction)).await?;
        let region = self.region.as_str();
        let grants = Authorizer::grants_within(self.call, self.caller, region, transaction).await;
        let Some(grants) = grants.map_err(Stopped::from_catalog)? else {
            let message = "The security token included in the request is invalid.";
            let error = C::Error::access_denied(message.to_owned());
            return Err(Stopped::Refused(error));
        };
        decide_all(&grants, &targets)
    }

    /// Runs a piece of an operation so that a panic in it becomes a recorded failure of this call, and
    /// of no other.
    async fn guarded<T, E: CallError>(
        self,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Stopped<E>> {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(result) => result.map_err(Stopped::Refused),
            Err(panic) => {
                self.server.metrics.panics.inc();
                tracing::error!(reason = panic_text(&*panic), "an operation panicked");
                Err(Stopped::Refused(E::internal()))
            }
        }
    }

    fn success_events<C: OwnCall>(
        self,
        own: &C,
        done: &Done<C::Answer>,
    ) -> Result<Vec<Prepared>, Stopped<C::Error>> {
        let mut about = own.about();
        about.resources.extend(done.resources.iter().cloned());
        let said = Said {
            response_elements: &done.response_elements,
            also_for: &done.also_for,
        };
        self.events::<C::Error>(about, Ok(said))
            .map_err(Stopped::Refused)
    }

    fn events<E: CallError>(
        self,
        about: About<'_>,
        outcome: Result<Said<'_>, &E>,
    ) -> Result<Vec<Prepared>, E> {
        let happened = Happened {
            event_source: about.event_source,
            event_name: about.event_name,
            region: about.region,
            read_only: about.read_only,
            category: about.category,
            request_parameters: about.request_parameters,
            response_elements: outcome
                .as_ref()
                .map_or(Value::Null, |said| said.response_elements.clone()),
            additional_event_data: Value::Null,
            resources: about.resources,
            also_for: outcome
                .as_ref()
                .map_or(Vec::new(), |said| said.also_for.to_vec()),
            hides_owner: false,
            error: outcome.err().map(CallError::recorded),
        };
        let (doors, now_ms) = (&self.server.doors, self.server.clock.now_ms());
        recording::events(doors, now_ms, self.call, self.caller, &happened)
            .map_err(|_| E::internal())
    }
}

/// What the record of a success says of the answer.
struct Said<'a> {
    response_elements: &'a Value,
    also_for: &'a [AccountId],
}

fn decide_all<E: CallError>(
    grants: &Grants,
    targets: &[AuthorizationTarget],
) -> Result<(), Stopped<E>> {
    for target in targets {
        grants
            .decide_target(target)
            .map_err(|message| Stopped::Refused(E::access_denied(message)))?;
    }
    Ok(())
}

fn entry_of(events: Vec<Prepared>) -> OutboxEntry {
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

/// What the panic said, if it was a text.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

#[cfg(test)]
mod tests;
