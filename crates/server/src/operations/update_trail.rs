//! UpdateTrail (register 05, section 2.2): only what is given changes (TRL-053).

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::UpdateTrailRequest;
use cairn_api::cloudtrail::outputs::UpdateTrailResponse;
use cairn_catalog::WriteTransaction;
use cairn_catalog::trails::{ReadTrails, TrailView};
use cairn_model::{Trail, TrailSettings};

use super::trail_reference::TrailReference;
use super::trail_settings::GivenSettings;
use super::trails::{Preparation, Trails, catalog_failure, changed_meanwhile};
use super::{Request, trail_answers, trail_quota};
use crate::trail_destinations;

impl Trails {
    /// Everything that can be decided before the transaction; the destinations that are given are asked last.
    pub(super) async fn prepare_update(
        &self,
        request: Request<'_>,
    ) -> Result<Preparation, ApiError> {
        let given = GivenSettings::read(request)?;
        let mut read = self.read().await?;
        let mut trail = self
            .updated_trail(&mut read.trails(), request, &given, None)
            .await?;
        drop(read);
        if let Some(key) = given.key() {
            let arn =
                trail_destinations::resolve_key(&*self.destinations, &self.clock, &trail, key)
                    .await?;
            trail.settings.kms_key_arn = Some(arn);
        }
        let set = given.destinations();
        trail_destinations::check(&*self.destinations, &self.clock, &trail, set).await?;
        Ok(Preparation {
            settings: trail.settings,
        })
    }

    pub(super) async fn update_trail(
        &self,
        request: Request<'_>,
        transaction: &mut WriteTransaction,
    ) -> Result<UpdateTrailResponse, ApiError> {
        let asked = &request
            .preparation
            .ok_or_else(ApiError::internal_failure)?
            .settings;
        let given = GivenSettings::read(request)?;
        let key_arn = asked.kms_key_arn.clone().filter(|_| given.key().is_some());
        let mut trail = self
            .updated_trail(&mut transaction.trails(), request, &given, key_arn)
            .await?;
        // What the destinations were asked must be what is stored: another call may have changed the rest of it.
        if given.destinations().any() && !has_same_destinations(asked, &trail.settings) {
            return Err(changed_meanwhile());
        }
        trail.version = trail.version.saturating_add(1);
        let put = transaction.put_trail(&trail).await;
        put.map_err(catalog_failure)?;
        Ok(trail_answers::updated(trail))
    }

    /// The trail as it is to become.
    async fn updated_trail(
        &self,
        trails: &mut TrailView<'_>,
        request: Request<'_>,
        given: &GivenSettings,
        key_arn: Option<String>,
    ) -> Result<Trail, ApiError> {
        let input: UpdateTrailRequest = cairn_api::request::typed(request.input.clone())?;
        let reference = TrailReference::read(&input.name, request)?;
        let mut trail = reference.at_home(trails, request).await?;
        let was_multi_region = trail.settings.is_multi_region;
        trail.settings = given.applied_to(trail.settings, key_arn)?;
        if trail.settings.is_multi_region && !was_multi_region {
            trail_quota::require_room(trails, &trail, &self.regions).await?;
        }
        Ok(trail)
    }
}

fn has_same_destinations(one: &TrailSettings, other: &TrailSettings) -> bool {
    one.bucket == other.bucket
        && one.key_prefix == other.key_prefix
        && one.kms_key_arn == other.kms_key_arn
        && one.sns_topic == other.sns_topic
        && one.log_group == other.log_group
}
