//! The operations of the CloudTrail APIs: one file each, for those that are built.

mod lookup_events;
pub(crate) mod page_token;

pub(crate) use lookup_events::LookupEvents;

use cairn_api::{ApiError, Operation, OperationId as Id, Protocol};
use cairn_model::Region;
use serde_json::Value;

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

#[deny(clippy::wildcard_enum_match_arm)]
impl Operations {
    /// Runs an operation; its answer is the body as the protocol wants it.
    pub(crate) async fn run(
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
