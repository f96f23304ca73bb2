//! The operations of the CloudTrail APIs: one file each, for those that are built.

mod lookup_events;
pub(crate) mod page_token;

pub(crate) use lookup_events::LookupEvents;

use std::fmt;

use async_trait::async_trait;
use cairn_api::{ApiError, Operation, OperationId as Id, Protocol};
use cairn_model::Region;
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
}

/// Every operation that is built.
#[derive(Debug)]
pub(crate) struct Operations {
    pub(crate) lookup_events: LookupEvents,
}

/// Runs operations. A trait, so that tests of the pipeline can bring operations of their own.
#[async_trait]
pub(crate) trait Dispatch: Send + Sync + fmt::Debug {
    /// False for an operation that answers `UnsupportedOperationException`.
    fn is_built(&self, operation: &Operation) -> bool;

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
        self.answer(operation, request).await
    }
}

#[deny(clippy::wildcard_enum_match_arm)]
impl Operations {
    async fn answer(
        &self,
        operation: &Operation,
        request: Request<'_>,
    ) -> Result<Vec<u8>, ApiError> {
        // Without a wildcard: a new operation does not compile until it is handled (R20).
        match operation.id {
            Id::LookupEvents => {
                let output = self.lookup_events.run(request).await?;
                Ok(cairn_api::answer::success(Protocol::AwsJson, &output)?.body)
            }
            Id::AddTags
            | Id::CancelQuery
            | Id::CreateChannel
            | Id::CreateDashboard
            | Id::CreateEventDataStore
            | Id::CreateTrail
            | Id::DeleteChannel
            | Id::DeleteDashboard
            | Id::DeleteEventDataStore
            | Id::DeleteResourcePolicy
            | Id::DeleteTrail
            | Id::DeregisterOrganizationDelegatedAdmin
            | Id::DescribeQuery
            | Id::DescribeTrails
            | Id::DisableFederation
            | Id::EnableFederation
            | Id::GenerateQuery
            | Id::GetChannel
            | Id::GetDashboard
            | Id::GetEventConfiguration
            | Id::GetEventDataStore
            | Id::GetEventSelectors
            | Id::GetImport
            | Id::GetInsightSelectors
            | Id::GetQueryResults
            | Id::GetResourcePolicy
            | Id::GetTrail
            | Id::GetTrailStatus
            | Id::ListChannels
            | Id::ListDashboards
            | Id::ListEventDataStores
            | Id::ListImportFailures
            | Id::ListImports
            | Id::ListInsightsData
            | Id::ListInsightsMetricData
            | Id::ListPublicKeys
            | Id::ListQueries
            | Id::ListTags
            | Id::ListTrails
            | Id::PutEventConfiguration
            | Id::PutEventSelectors
            | Id::PutInsightSelectors
            | Id::PutResourcePolicy
            | Id::RegisterOrganizationDelegatedAdmin
            | Id::RemoveTags
            | Id::RestoreEventDataStore
            | Id::SearchSampleQueries
            | Id::StartDashboardRefresh
            | Id::StartEventDataStoreIngestion
            | Id::StartImport
            | Id::StartLogging
            | Id::StartQuery
            | Id::StopEventDataStoreIngestion
            | Id::StopImport
            | Id::StopLogging
            | Id::UpdateChannel
            | Id::UpdateDashboard
            | Id::UpdateEventDataStore
            | Id::UpdateTrail
            | Id::PutAuditEvents => Err(ApiError::not_built(operation.name)),
        }
    }
}
