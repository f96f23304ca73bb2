//! DescribeTrails: the trails of the Region, or exactly those that are named (TRL-067). What is named and not here is
//! left out; a name means a trail that was made in this Region, an ARN any trail that is here.

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::DescribeTrailsRequest;
use cairn_api::cloudtrail::outputs::DescribeTrailsResponse;
use cairn_catalog::trails::ReadTrails;
use cairn_model::Trail;

use super::Request;
use super::trail_answers::described;
use super::trail_reference::TrailReference;
use super::trails::{Trails, catalog_failure};

impl Trails {
    pub(super) async fn describe_trails(
        &self,
        request: Request<'_>,
    ) -> Result<DescribeTrailsResponse, ApiError> {
        let input: DescribeTrailsRequest = cairn_api::request::typed(request.input.clone())?;
        let named = input.trail_name_list.unwrap_or_default();
        let references: Result<Vec<TrailReference>, ApiError> = named
            .iter()
            .map(|text| TrailReference::read_checked(text, request))
            .collect();
        let references = references?;
        let mut read = self.read().await?;
        let here = read
            .trails()
            .in_region(request.caller.account, request.region)
            .await;
        let mut here = here.map_err(catalog_failure)?;
        if input.include_shadow_trails == Some(false) {
            here.retain(|trail| trail.home_region == *request.region);
        }
        if !references.is_empty() {
            here.retain(|trail: &Trail| references.iter().any(|one| one.names(trail)));
        }
        Ok(DescribeTrailsResponse {
            trail_list: Some(here.into_iter().map(described).collect()),
        })
    }
}
