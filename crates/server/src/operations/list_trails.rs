//! ListTrails: the trails that are there in the Region of the call (TRL-025), all in one page: an account has a few
//! for each Region.

use cairn_api::cloudtrail::inputs::ListTrailsRequest;
use cairn_api::cloudtrail::outputs::ListTrailsResponse;
use cairn_api::cloudtrail::structures::TrailInfo;
use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::trails::ReadTrails;

use super::Request;
use super::trails::{Trails, catalog_failure};

impl Trails {
    pub(super) async fn list_trails(
        &self,
        request: Request<'_>,
    ) -> Result<ListTrailsResponse, ApiError> {
        let input: ListTrailsRequest = cairn_api::request::typed(request.input.clone())?;
        if input.next_token.is_some() {
            // The model has no exception of its own for it.
            let message = "The next token is invalid: the list has one page.";
            return Err(ApiError::new(ErrorCode::ValidationException, message));
        }
        let mut read = self.read().await?;
        let here = read
            .trails()
            .in_region(request.caller.account, request.region)
            .await;
        let here = here.map_err(catalog_failure)?;
        let listed = here.into_iter().map(|trail| TrailInfo {
            home_region: Some(trail.home_region.to_string()),
            trail_arn: Some(trail.arn()),
            name: Some(trail.name),
        });
        Ok(ListTrailsResponse {
            next_token: None,
            trails: Some(listed.collect()),
        })
    }
}
