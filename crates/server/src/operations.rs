//! The operations of the CloudTrail APIs: one file each, for those that are built.

mod add_tags;
mod create_trail;
mod delete_trail;
mod describe_trails;
mod event_selectors;
mod get_event_selectors;
mod get_insight_selectors;
mod get_trail;
mod get_trail_status;
mod insight_selectors;
mod list_public_keys;
mod list_tags;
mod list_trails;
mod lookup_events;
pub(crate) mod page_token;
mod put_event_selectors;
mod put_insight_selectors;
mod remove_tags;
mod start_logging;
mod stop_logging;
mod tagged_resource;
mod trail_answers;
mod trail_quota;
mod trail_reference;
mod trail_settings;
mod trails;
mod update_trail;

#[cfg(test)]
mod tests;

pub(crate) use lookup_events::LookupEvents;
pub(crate) use trails::{Preparation, Trails, catalog_failure};

use std::fmt;

use async_trait::async_trait;
use cairn_api::{ApiError, Operation, OperationId as Id, Protocol};
use cairn_catalog::WriteTransaction;
use cairn_model::Region;
use serde::Serialize;
use serde_json::Value;

use crate::pipeline::Work;
use crate::query_protocol::Caller;

/// What an operation works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) region: &'a Region,
    /// Validated against the operation's shapes.
    pub(crate) input: &'a Value,
    /// What was found out before the transaction of a change.
    pub(crate) preparation: Option<&'a Preparation>,
}

/// Every operation that is built.
#[derive(Debug)]
pub(crate) struct Operations {
    pub(crate) lookup_events: LookupEvents,
    pub(crate) trails: Trails,
}

/// Runs operations. A trait, so that tests of the pipeline can bring operations of their own.
#[async_trait]
pub(crate) trait Dispatch: Send + Sync + fmt::Debug {
    /// False for an operation that answers `UnsupportedOperationException`.
    fn is_built(&self, operation: &Operation) -> bool;

    /// Finds out what an operation that changes something needs to know from outside, before its transaction begins.
    async fn prepare(
        &self,
        _operation: &Operation,
        _request: Request<'_>,
    ) -> Result<Option<Preparation>, ApiError> {
        Ok(None)
    }

    /// Runs an operation; its answer is the body as the protocol wants it. What changes the catalog gets
    /// the transaction that its effect belongs into.
    async fn run(
        &self,
        operation: &Operation,
        request: Request<'_>,
        work: Work<'_>,
    ) -> Result<Vec<u8>, ApiError>;
}

#[async_trait]
impl Dispatch for Operations {
    fn is_built(&self, operation: &Operation) -> bool {
        operation.built
    }

    async fn prepare(
        &self,
        operation: &Operation,
        request: Request<'_>,
    ) -> Result<Option<Preparation>, ApiError> {
        match operation.id {
            Id::CreateTrail => self.trails.prepare_create(request).await.map(Some),
            Id::UpdateTrail => self.trails.prepare_update(request).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn run(
        &self,
        operation: &Operation,
        request: Request<'_>,
        work: Work<'_>,
    ) -> Result<Vec<u8>, ApiError> {
        // A change outside of a transaction would be a change without its event (R21).
        let in_transaction = matches!(work, Work::Change(_));
        assert!(
            !operation.built || operation.is_change() == in_transaction,
            "a change has a transaction, all else has none"
        );
        self.answer(operation, request, work).await
    }
}

#[deny(clippy::wildcard_enum_match_arm)]
impl Operations {
    async fn answer(
        &self,
        operation: &Operation,
        request: Request<'_>,
        work: Work<'_>,
    ) -> Result<Vec<u8>, ApiError> {
        let trails = &self.trails;
        // Without a wildcard: a new operation does not compile until it is handled (R20).
        match operation.id {
            Id::AddTags => body(&trails.add_tags(request, change(work)?).await?),
            Id::CreateTrail => body(&trails.create_trail(request, change(work)?).await?),
            Id::DeleteTrail => body(&trails.delete_trail(request, change(work)?).await?),
            Id::DescribeTrails => body(&trails.describe_trails(request).await?),
            Id::GetEventSelectors => body(&trails.get_event_selectors(request).await?),
            Id::GetInsightSelectors => body(&trails.get_insight_selectors(request).await?),
            Id::GetTrail => body(&trails.get_trail(request).await?),
            Id::GetTrailStatus => body(&trails.get_trail_status(request).await?),
            Id::ListPublicKeys => body(&trails.list_public_keys(request).await?),
            Id::ListTags => body(&trails.list_tags(request).await?),
            Id::ListTrails => body(&trails.list_trails(request).await?),
            Id::LookupEvents => body(&self.lookup_events.run(request).await?),
            Id::PutEventSelectors => {
                body(&trails.put_event_selectors(request, change(work)?).await?)
            }
            Id::PutInsightSelectors => {
                body(&trails.put_insight_selectors(request, change(work)?).await?)
            }
            Id::RemoveTags => body(&trails.remove_tags(request, change(work)?).await?),
            Id::StartLogging => body(&trails.start_logging(request, change(work)?).await?),
            Id::StopLogging => body(&trails.stop_logging(request, change(work)?).await?),
            Id::UpdateTrail => body(&trails.update_trail(request, change(work)?).await?),
            Id::CancelQuery
            | Id::CreateChannel
            | Id::CreateDashboard
            | Id::CreateEventDataStore
            | Id::DeleteChannel
            | Id::DeleteDashboard
            | Id::DeleteEventDataStore
            | Id::DeleteResourcePolicy
            | Id::DeregisterOrganizationDelegatedAdmin
            | Id::DescribeQuery
            | Id::DisableFederation
            | Id::EnableFederation
            | Id::GenerateQuery
            | Id::GetChannel
            | Id::GetDashboard
            | Id::GetEventConfiguration
            | Id::GetEventDataStore
            | Id::GetImport
            | Id::GetQueryResults
            | Id::GetResourcePolicy
            | Id::ListChannels
            | Id::ListDashboards
            | Id::ListEventDataStores
            | Id::ListImportFailures
            | Id::ListImports
            | Id::ListInsightsData
            | Id::ListInsightsMetricData
            | Id::ListQueries
            | Id::PutEventConfiguration
            | Id::PutResourcePolicy
            | Id::RegisterOrganizationDelegatedAdmin
            | Id::RestoreEventDataStore
            | Id::SearchSampleQueries
            | Id::StartDashboardRefresh
            | Id::StartEventDataStoreIngestion
            | Id::StartImport
            | Id::StartQuery
            | Id::StopEventDataStoreIngestion
            | Id::StopImport
            | Id::UpdateChannel
            | Id::UpdateDashboard
            | Id::UpdateEventDataStore
            | Id::PutAuditEvents => Err(ApiError::not_built(operation.name)),
        }
    }
}

/// The answer's body in AWS JSON.
fn body<T: Serialize>(output: &T) -> Result<Vec<u8>, ApiError> {
    Ok(cairn_api::answer::success(Protocol::AwsJson, output)?.body)
}

/// The transaction of a change; `run` has held every built one to having it.
fn change(work: Work<'_>) -> Result<&mut WriteTransaction, ApiError> {
    match work {
        Work::Change(transaction) => Ok(transaction),
        Work::Read => Err(ApiError::internal_failure()),
    }
}
