//! PutInsightSelectors: replaces the Insights settings of a trail; an empty list turns Insights off (TRL-125 to TRL-127).

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::PutInsightSelectorsRequest;
use cairn_api::cloudtrail::outputs::PutInsightSelectorsResponse;
use cairn_catalog::WriteTransaction;
use cairn_catalog::trails::ReadTrails;

use super::trail_reference::TrailReference;
use super::trails::{Trails, catalog_failure};
use super::{Request, insight_selectors};

impl Trails {
    pub(super) async fn put_insight_selectors(
        &self,
        request: Request<'_>,
        transaction: &mut WriteTransaction,
    ) -> Result<PutInsightSelectorsResponse, ApiError> {
        let input: PutInsightSelectorsRequest = cairn_api::request::typed(request.input.clone())?;
        let has_store = input.event_data_store.is_some() || input.insights_destination.is_some();
        let named =
            insight_selectors::trail_named(input.trail_name, has_store, "PutInsightSelectors")?;
        let reference = TrailReference::read(&named, request)?;
        let mut trail = reference
            .at_home(&mut transaction.trails(), request)
            .await?;
        let logged = &trail.settings.event_selectors;
        let selectors = insight_selectors::read(input.insight_selectors, logged)?;
        trail.version = trail.version.saturating_add(1);
        trail.settings.insight_selectors = selectors;
        let put = transaction.put_trail(&trail).await;
        put.map_err(catalog_failure)?;
        Ok(PutInsightSelectorsResponse {
            event_data_store_arn: None,
            insights_destination: None,
            trail_arn: Some(trail.arn()),
            insight_selectors: Some(insight_selectors::shown(trail.settings.insight_selectors)),
        })
    }
}
