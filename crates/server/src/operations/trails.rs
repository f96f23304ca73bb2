//! What the operations on trails work with.

use std::sync::Arc;

use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::{Catalog, CatalogError, ReadTransaction};
use cairn_model::TrailSettings;
use cairn_platform::{Clock, Entropy};

use crate::config::RegionRules;
use crate::trail_destinations::Destinations;

/// The operations on trails, their tags and the keys that their digests are signed with.
#[derive(Debug)]
pub(crate) struct Trails {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) regions: RegionRules,
    pub(crate) destinations: Arc<dyn Destinations>,
}

/// What was found out before the transaction of CreateTrail or UpdateTrail.
#[derive(Debug)]
pub(crate) struct Preparation {
    /// The settings whose destinations were asked.
    pub(super) settings: TrailSettings,
}

impl Trails {
    /// Reads the catalog at one consistent point.
    pub(super) async fn read(&self) -> Result<ReadTransaction, ApiError> {
        self.catalog.read().await.map_err(catalog_failure)
    }
}

/// What a caller learns when the catalog does not do what an operation needs.
#[expect(
    clippy::needless_pass_by_value,
    reason = "made to be handed to map_err"
)]
pub(crate) fn catalog_failure(error: CatalogError) -> ApiError {
    if matches!(error, CatalogError::ChangedMeanwhile { .. }) {
        return changed_meanwhile();
    }
    tracing::error!(error = %error, "the catalog failed");
    if error.is_retryable() {
        let message = "The request could not be completed. Try again later.";
        return ApiError::new(ErrorCode::ServiceUnavailable, message);
    }
    ApiError::internal_failure()
}

/// Another call changed the trail while this one asked its destinations.
pub(super) fn changed_meanwhile() -> ApiError {
    let message = "The trail is being modified by another operation. Try again later.";
    ApiError::new(ErrorCode::ConflictException, message)
}
