//! GetEventSelectors: the selectors in force, of a fresh trail the default one (TRL-088).

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::GetEventSelectorsRequest;
use cairn_api::cloudtrail::outputs::GetEventSelectorsResponse;
use cairn_catalog::trails::ReadTrails;

use super::trail_reference::TrailReference;
use super::trails::Trails;
use super::{Request, event_selectors};

impl Trails {
    pub(super) async fn get_event_selectors(
        &self,
        request: Request<'_>,
    ) -> Result<GetEventSelectorsResponse, ApiError> {
        let input: GetEventSelectorsRequest = cairn_api::request::typed(request.input.clone())?;
        let reference = TrailReference::read(&input.trail_name, request)?;
        let mut read = self.read().await?;
        let trail = reference.visible(&mut read.trails(), request).await?;
        let trail_arn = Some(trail.arn());
        let (basic, advanced) = event_selectors::shown(trail.settings.event_selectors);
        Ok(GetEventSelectorsResponse {
            advanced_event_selectors: advanced,
            event_selectors: basic,
            trail_arn,
        })
    }
}
