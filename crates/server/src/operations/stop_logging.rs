//! StopLogging: suspends logging; what was delivered stays (TRL-062). A trail that does not log is left as it is.

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::StopLoggingRequest;
use cairn_api::cloudtrail::outputs::StopLoggingResponse;
use cairn_catalog::WriteTransaction;
use cairn_catalog::trails::ReadTrails;

use super::Request;
use super::trail_reference::TrailReference;
use super::trails::{Trails, catalog_failure};

impl Trails {
    pub(super) async fn stop_logging(
        &self,
        request: Request<'_>,
        transaction: &mut WriteTransaction,
    ) -> Result<StopLoggingResponse, ApiError> {
        let input: StopLoggingRequest = cairn_api::request::typed(request.input.clone())?;
        let reference = TrailReference::read(&input.name, request)?;
        let mut trail = reference
            .at_home(&mut transaction.trails(), request)
            .await?;
        if trail.logging.is_on {
            trail.version = trail.version.saturating_add(1);
            trail.logging.is_on = false;
            trail.logging.stopped_ms = Some(transaction.now_ms());
            let put = transaction.put_trail(&trail).await;
            put.map_err(catalog_failure)?;
        }
        Ok(StopLoggingResponse {})
    }
}
