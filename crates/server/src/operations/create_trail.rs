//! CreateTrail (register 05, section 2.1). The trail does not log before StartLogging (TRL-050).

use cairn_api::cloudtrail::inputs::CreateTrailRequest;
use cairn_api::cloudtrail::outputs::CreateTrailResponse;
use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::WriteTransaction;
use cairn_catalog::identity::Tag;
use cairn_catalog::trails::{ReadTrails, TrailView};
use cairn_model::selectors::EventSelectors;
use cairn_model::{Logging, Trail, TrailId, TrailSettings};

use super::tagged_resource::{new_tags, tags_failure};
use super::trail_settings::GivenSettings;
use super::trails::{Preparation, Trails, catalog_failure};
use super::{Request, trail_answers, trail_quota};
use crate::trail_destinations;

impl Trails {
    /// Everything that can be decided before the transaction, and asks the destinations last: nobody learns of a
    /// bucket by a trail that cannot be.
    pub(super) async fn prepare_create(
        &self,
        request: Request<'_>,
    ) -> Result<Preparation, ApiError> {
        let given = GivenSettings::read(request)?;
        tags(request)?;
        let mut trail = self.new_trail(request, given.applied_to(fresh_settings(), None)?);
        // Other operations take an ARN in the place of a name; here it would become part of one.
        cairn_api::validate::trail_name(&trail.name)?;
        let mut read = self.read().await?;
        self.require_place(&mut read.trails(), &trail).await?;
        drop(read);
        let key_arn = match given.key() {
            Some(key) => {
                let asked = (&*self.destinations, &self.clock);
                Some(trail_destinations::resolve_key(asked.0, asked.1, &trail, key).await?)
            }
            None => None,
        };
        trail.settings = given.applied_to(fresh_settings(), key_arn)?;
        let set = given.destinations();
        trail_destinations::check(&*self.destinations, &self.clock, &trail, set).await?;
        Ok(Preparation {
            settings: trail.settings,
        })
    }

    pub(super) async fn create_trail(
        &self,
        request: Request<'_>,
        transaction: &mut WriteTransaction,
    ) -> Result<CreateTrailResponse, ApiError> {
        let prepared = request.preparation.ok_or_else(ApiError::internal_failure)?;
        let mut trail = self.new_trail(request, prepared.settings.clone());
        trail.created_ms = transaction.now_ms();
        self.require_place(&mut transaction.trails(), &trail)
            .await?;
        let put = transaction.put_trail(&trail).await;
        put.map_err(catalog_failure)?;
        let tags = tags(request)?;
        let arn = trail.arn();
        let tagged = transaction.put_resource_tags(trail.account, &arn, &tags);
        tagged.await.map_err(tags_failure)?;
        Ok(trail_answers::created(trail))
    }

    fn new_trail(&self, request: Request<'_>, settings: TrailSettings) -> Trail {
        let name = request.input.get("Name").and_then(|name| name.as_str());
        Trail {
            account: request.caller.account,
            home_region: request.region.clone(),
            name: name.unwrap_or_default().to_owned(),
            id: TrailId(self.entropy.uuid()),
            version: 1,
            created_ms: 0,
            settings,
            logging: Logging::default(),
        }
    }

    /// The name is free where the trail is made, and no Region is full.
    async fn require_place(
        &self,
        trails: &mut TrailView<'_>,
        trail: &Trail,
    ) -> Result<(), ApiError> {
        let here = trails.in_region(trail.account, &trail.home_region).await;
        let here = here.map_err(catalog_failure)?;
        if here.iter().any(|other| other.name == trail.name) {
            let message = format!(
                "Trail {} already exists for customer: {}",
                trail.name, trail.account
            );
            return Err(ApiError::new(
                ErrorCode::TrailAlreadyExistsException,
                message,
            ));
        }
        trail_quota::require_room(trails, trail, &self.regions).await
    }
}

/// TRL-047, and the default selector (TRL-006). The bucket is always given.
fn fresh_settings() -> TrailSettings {
    TrailSettings {
        bucket: String::new(),
        key_prefix: None,
        sns_topic: None,
        includes_global_service_events: true,
        is_multi_region: false,
        is_organization: false,
        validates_log_files: false,
        kms_key_arn: None,
        log_group: None,
        event_selectors: EventSelectors::default(),
        insight_selectors: Vec::new(),
    }
}

fn tags(request: Request<'_>) -> Result<Vec<Tag>, ApiError> {
    let input: CreateTrailRequest = cairn_api::request::typed(request.input.clone())?;
    new_tags(input.tags_list.unwrap_or_default())
}
