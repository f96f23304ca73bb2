//! Destinations of trails that nobody asks: whatever is named is taken to be there and to let CloudTrail in. What tests
//! of configuration alone want, and what a test of the checks must find out.

use async_trait::async_trait;
use cairn_model::{LogGroup, SnsTopic, Trail};

use crate::trail_destinations::{DestinationProblem, Destinations, KeyReference};

/// The key that every alias stands for.
const KEY_ID: &str = "11111111-2222-3333-4444-555555555555";

#[derive(Debug)]
pub(super) struct UnaskedDestinations;

#[async_trait]
impl Destinations for UnaskedDestinations {
    async fn resolve_key(
        &self,
        _: &Trail,
        key: &KeyReference,
    ) -> Result<String, DestinationProblem> {
        let arn = key.arn();
        let alias = arn.find(":alias/");
        Ok(alias.map_or_else(|| arn.clone(), |at| format!("{}:key/{KEY_ID}", &arn[..at])))
    }

    async fn check_bucket(&self, _: &Trail) -> Result<(), DestinationProblem> {
        Ok(())
    }

    async fn check_topic(&self, _: &Trail, _: &SnsTopic) -> Result<(), DestinationProblem> {
        Ok(())
    }

    async fn check_log_group(&self, _: &Trail, _: &LogGroup) -> Result<(), DestinationProblem> {
        Ok(())
    }
}
