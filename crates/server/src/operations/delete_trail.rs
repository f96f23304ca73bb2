//! DeleteTrail: the trail goes with its tags; bucket, log files and topic stay (TRL-065).

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::DeleteTrailRequest;
use cairn_api::cloudtrail::outputs::DeleteTrailResponse;
use cairn_catalog::WriteTransaction;
use cairn_catalog::trails::ReadTrails;

use super::Request;
use super::trail_reference::TrailReference;
use super::trails::{Trails, catalog_failure};

impl Trails {
    pub(super) async fn delete_trail(
        &self,
        request: Request<'_>,
        transaction: &mut WriteTransaction,
    ) -> Result<DeleteTrailResponse, ApiError> {
        let input: DeleteTrailRequest = cairn_api::request::typed(request.input.clone())?;
        let reference = TrailReference::read(&input.name, request)?;
        let trail = reference
            .at_home(&mut transaction.trails(), request)
            .await?;
        let deleted = transaction.delete_trail(&trail).await;
        deleted.map_err(catalog_failure)?;
        Ok(DeleteTrailResponse {})
    }
}
