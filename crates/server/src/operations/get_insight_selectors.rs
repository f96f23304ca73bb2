//! GetInsightSelectors: the Insights settings of a trail; a trail without any is an error (OVR-233).

use cairn_api::cloudtrail::inputs::GetInsightSelectorsRequest;
use cairn_api::cloudtrail::outputs::GetInsightSelectorsResponse;
use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::trails::ReadTrails;

use super::trail_reference::TrailReference;
use super::trails::Trails;
use super::{Request, insight_selectors};

impl Trails {
    pub(super) async fn get_insight_selectors(
        &self,
        request: Request<'_>,
    ) -> Result<GetInsightSelectorsResponse, ApiError> {
        let input: GetInsightSelectorsRequest = cairn_api::request::typed(request.input.clone())?;
        let has_store = input.event_data_store.is_some();
        let named =
            insight_selectors::trail_named(input.trail_name, has_store, "GetInsightSelectors")?;
        let reference = TrailReference::read(&named, request)?;
        let mut read = self.read().await?;
        let trail = reference.visible(&mut read.trails(), request).await?;
        let trail_arn = trail.arn();
        if trail.settings.insight_selectors.is_empty() {
            let message = format!(
                "Trail {trail_arn} does not have Insights enabled. Edit the trail settings to enable Insights, \
                 and then try the operation again."
            );
            return Err(ApiError::new(
                ErrorCode::InsightNotEnabledException,
                message,
            ));
        }
        Ok(GetInsightSelectorsResponse {
            event_data_store_arn: None,
            insights_destination: None,
            trail_arn: Some(trail_arn),
            insight_selectors: Some(insight_selectors::shown(trail.settings.insight_selectors)),
        })
    }
}
