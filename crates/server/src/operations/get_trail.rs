//! GetTrail: one trail, as DescribeTrails shows it (TRL-070).

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::GetTrailRequest;
use cairn_api::cloudtrail::outputs::GetTrailResponse;
use cairn_catalog::trails::ReadTrails;

use super::Request;
use super::trail_answers::described;
use super::trail_reference::TrailReference;
use super::trails::Trails;

impl Trails {
    pub(super) async fn get_trail(
        &self,
        request: Request<'_>,
    ) -> Result<GetTrailResponse, ApiError> {
        let input: GetTrailRequest = cairn_api::request::typed(request.input.clone())?;
        let reference = TrailReference::read(&input.name, request)?;
        let mut read = self.read().await?;
        let trail = reference.visible(&mut read.trails(), request).await?;
        Ok(GetTrailResponse {
            trail: Some(described(trail)),
        })
    }
}
