//! StartLogging: takes up logging again or for the first time (TRL-061). A trail that logs already is left as it is.

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::StartLoggingRequest;
use cairn_api::cloudtrail::outputs::StartLoggingResponse;
use cairn_catalog::WriteTransaction;
use cairn_catalog::trails::ReadTrails;

use super::Request;
use super::trail_reference::TrailReference;
use super::trails::{Trails, catalog_failure};

impl Trails {
    pub(super) async fn start_logging(
        &self,
        request: Request<'_>,
        transaction: &mut WriteTransaction,
    ) -> Result<StartLoggingResponse, ApiError> {
        let input: StartLoggingRequest = cairn_api::request::typed(request.input.clone())?;
        let reference = TrailReference::read(&input.name, request)?;
        let mut trail = reference
            .at_home(&mut transaction.trails(), request)
            .await?;
        if !trail.logging.is_on {
            trail.version = trail.version.saturating_add(1);
            trail.logging.is_on = true;
            trail.logging.started_ms = Some(transaction.now_ms());
            let put = transaction.put_trail(&trail).await;
            put.map_err(catalog_failure)?;
        }
        Ok(StartLoggingResponse {})
    }
}
