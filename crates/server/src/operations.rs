//! The operations of the CloudTrail APIs: one file each, for those that are built.

mod lookup_events;
mod page_token;

pub(crate) use lookup_events::LookupEvents;

use cairn_api::{ApiError, Operation, Protocol, Service};
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

impl Operations {
    /// Runs an operation; its answer is the body as the protocol wants it.
    pub(crate) async fn run(
        &self,
        operation: &Operation,
        request: Request<'_>,
    ) -> Result<Vec<u8>, ApiError> {
        match (operation.service, operation.name) {
            (Service::CloudTrail, "LookupEvents") => {
                let output = self.lookup_events.run(request).await?;
                Ok(cairn_api::answer::success(Protocol::AwsJson, &output)?.body)
            }
            _ => Err(ApiError::not_built(operation.name)),
        }
    }
}
