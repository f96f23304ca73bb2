//! From a name or an ARN to a trail, by the rules of the Regions.
//!
//! A name means a trail that was made in the Region of the call. An ARN means one trail wherever it was made; it can be
//! looked at where it logs (TRL-025) and changed in its home Region alone (TRL-026 to TRL-030).

use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::trails::TrailView;
use cairn_model::{AccountId, Arn, Region, Trail, trail_arn};

use super::Request;
use super::trails::catalog_failure;

/// Which trail a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrailReference {
    account: AccountId,
    home_region: Region,
    name: String,
    is_name: bool,
}

impl TrailReference {
    /// Reads a name, which validation has checked, or an ARN.
    pub(super) fn read(text: &str, request: Request<'_>) -> Result<Self, ApiError> {
        if !text.starts_with("arn:") {
            return Ok(Self {
                account: request.caller.account,
                home_region: request.region.clone(),
                name: text.to_owned(),
                is_name: true,
            });
        }
        Self::of_arn(text).ok_or_else(|| {
            let message = "The trail ARN is not valid. The following is the format of a trail ARN: \
                           arn:aws:cloudtrail:us-east-2:123456789012:trail/MyTrail";
            ApiError::new(ErrorCode::CloudTrailARNInvalidException, message)
        })
    }

    /// As `read`, of a text that validation has not looked at.
    pub(super) fn read_checked(text: &str, request: Request<'_>) -> Result<Self, ApiError> {
        if !text.starts_with("arn:") {
            cairn_api::validate::trail_name(text)?;
        }
        Self::read(text, request)
    }

    /// Whether this is the trail.
    pub(super) fn names(&self, trail: &Trail) -> bool {
        (self.account, &self.home_region, &self.name)
            == (trail.account, &trail.home_region, &trail.name)
    }

    fn of_arn(text: &str) -> Option<Self> {
        let arn: Arn = text.parse().ok()?;
        let name = arn.resource().strip_prefix("trail/")?;
        let is_trail = arn.partition() == "aws"
            && arn.service() == "cloudtrail"
            && !name.is_empty()
            && name
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'));
        if !is_trail {
            return None;
        }
        Some(Self {
            account: arn.account().parse().ok()?,
            home_region: arn.region().parse().ok()?,
            name: name.to_owned(),
            is_name: false,
        })
    }

    /// The trail, if the caller can see it in the Region of the call.
    pub(super) async fn visible(
        &self,
        trails: &mut TrailView<'_>,
        request: Request<'_>,
    ) -> Result<Trail, ApiError> {
        let found = self.find(trails, request).await?;
        found
            .filter(|trail| trail.covers(request.region))
            .ok_or_else(|| self.unknown(request))
    }

    /// The trail, if the Region of the call is its home, where alone it can be changed.
    pub(super) async fn at_home(
        &self,
        trails: &mut TrailView<'_>,
        request: Request<'_>,
    ) -> Result<Trail, ApiError> {
        let found = match self.find(trails, request).await? {
            None if self.is_name => self.shadow(trails, request).await?,
            found => found,
        };
        let trail = found.ok_or_else(|| self.unknown(request))?;
        if trail.home_region != *request.region {
            let message = format!(
                "The trail {} can be changed in its home Region {} only.",
                trail.arn(),
                trail.home_region
            );
            return Err(ApiError::new(
                ErrorCode::InvalidHomeRegionException,
                message,
            ));
        }
        Ok(trail)
    }

    async fn find(
        &self,
        trails: &mut TrailView<'_>,
        request: Request<'_>,
    ) -> Result<Option<Trail>, ApiError> {
        // Trails of other accounts are seen by members of an organization only.
        if self.account != request.caller.account {
            return Ok(None);
        }
        let found = trails.find(self.account, &self.home_region, &self.name);
        found.await.map_err(catalog_failure)
    }

    /// A trail of this name that is here because it covers every Region.
    async fn shadow(
        &self,
        trails: &mut TrailView<'_>,
        request: Request<'_>,
    ) -> Result<Option<Trail>, ApiError> {
        let here = trails.in_region(self.account, request.region).await;
        let here = here.map_err(catalog_failure)?;
        Ok(here.into_iter().find(|trail| trail.name == self.name))
    }

    fn unknown(&self, request: Request<'_>) -> ApiError {
        let arn = trail_arn(self.account, &self.home_region, &self.name);
        let account = request.caller.account;
        let message = format!("Unknown trail: {arn} for the user: {account}");
        ApiError::new(ErrorCode::TrailNotFoundException, message)
    }
}
