//! GetTrailStatus: whether a trail logs, and how its deliveries went. Some times are numbers, some are texts, and some
//! are both (TRL-075, TRL-076); a text for what never was is empty (TRL-077).

use cairn_api::cloudtrail::inputs::GetTrailStatusRequest;
use cairn_api::cloudtrail::outputs::GetTrailStatusResponse;
use cairn_api::{ApiError, Timestamp};
use cairn_catalog::trails::{ReadTrails, TrailStatus};
use cairn_model::Logging;
use chrono::DateTime;

use super::Request;
use super::trail_reference::TrailReference;
use super::trails::{Trails, catalog_failure};

impl Trails {
    pub(super) async fn get_trail_status(
        &self,
        request: Request<'_>,
    ) -> Result<GetTrailStatusResponse, ApiError> {
        let input: GetTrailStatusRequest = cairn_api::request::typed(request.input.clone())?;
        let reference = TrailReference::read(&input.name, request)?;
        let mut read = self.read().await?;
        let trail = reference.visible(&mut read.trails(), request).await?;
        let status = read.trails().status(&trail.id).await;
        let status = status.map_err(catalog_failure)?;
        Ok(answer(&trail.logging, status))
    }
}

pub(super) fn answer(logging: &Logging, status: TrailStatus) -> GetTrailStatusResponse {
    GetTrailStatusResponse {
        is_logging: Some(logging.is_on),
        latest_cloud_watch_logs_delivery_error: status.logs_delivery_error,
        latest_cloud_watch_logs_delivery_time: status.logs_delivery_ms.map(number),
        latest_delivery_attempt_succeeded: Some(text(status.delivery_ms)),
        latest_delivery_attempt_time: Some(text(status.delivery_attempt_ms)),
        latest_delivery_error: status.delivery_error,
        latest_delivery_time: status.delivery_ms.map(number),
        latest_digest_delivery_error: status.digest_delivery_error,
        latest_digest_delivery_time: status.digest_delivery_ms.map(number),
        latest_notification_attempt_succeeded: Some(text(status.notification_ms)),
        latest_notification_attempt_time: Some(text(status.notification_attempt_ms)),
        latest_notification_error: status.notification_error,
        latest_notification_time: status.notification_ms.map(number),
        start_logging_time: logging.started_ms.map(number),
        stop_logging_time: logging.stopped_ms.map(number),
        time_logging_started: Some(text(logging.started_ms)),
        time_logging_stopped: Some(text(logging.stopped_ms)),
    }
}

fn number(time_ms: i64) -> Timestamp {
    Timestamp::from_micros(time_ms.saturating_mul(1000))
}

fn text(time_ms: Option<i64>) -> String {
    let time = time_ms.and_then(DateTime::from_timestamp_millis);
    time.map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
        .unwrap_or_default()
}
