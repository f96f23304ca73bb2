//! PutEventSelectors: replaces the whole set of a trail, by selectors of one kind (TRL-085 to TRL-087).

use cairn_api::cloudtrail::inputs::PutEventSelectorsRequest;
use cairn_api::cloudtrail::outputs::PutEventSelectorsResponse;
use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::WriteTransaction;
use cairn_catalog::trails::ReadTrails;
use cairn_model::selectors::EventSelectors;

use super::trail_reference::TrailReference;
use super::trails::{Trails, catalog_failure};
use super::{Request, event_selectors};

impl Trails {
    pub(super) async fn put_event_selectors(
        &self,
        request: Request<'_>,
        transaction: &mut WriteTransaction,
    ) -> Result<PutEventSelectorsResponse, ApiError> {
        let input: PutEventSelectorsRequest = cairn_api::request::typed(request.input.clone())?;
        let reference = TrailReference::read(&input.trail_name, request)?;
        let mut trail = reference
            .at_home(&mut transaction.trails(), request)
            .await?;
        let selectors = given(input)?;
        // Whatever does not compile cannot be stored: readers compile it again.
        selectors
            .compile()
            .map_err(|error| refused(&error.to_string()))?;
        trail.version = trail.version.saturating_add(1);
        trail.settings.event_selectors = selectors;
        let put = transaction.put_trail(&trail).await;
        put.map_err(catalog_failure)?;
        let trail_arn = Some(trail.arn());
        let (basic, advanced) = event_selectors::shown(trail.settings.event_selectors);
        Ok(PutEventSelectorsResponse {
            advanced_event_selectors: advanced,
            event_selectors: basic,
            trail_arn,
        })
    }
}

/// The kind that is given. An empty list of the other kind, as tools send it, says nothing.
fn given(input: PutEventSelectorsRequest) -> Result<EventSelectors, ApiError> {
    let basic = input.event_selectors.unwrap_or_default();
    let advanced = input.advanced_event_selectors.unwrap_or_default();
    match (basic.is_empty(), advanced.is_empty()) {
        (false, true) => Ok(EventSelectors::Basic(
            basic.into_iter().map(event_selectors::basic).collect(),
        )),
        (true, false) => Ok(EventSelectors::Advanced(
            advanced
                .into_iter()
                .map(event_selectors::advanced)
                .collect(),
        )),
        (true, true) => Err(refused(
            "You must specify either EventSelectors or AdvancedEventSelectors.",
        )),
        (false, false) => Err(refused(
            "You can specify either EventSelectors or AdvancedEventSelectors, but not both.",
        )),
    }
}

fn refused(message: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidEventSelectorsException, message)
}
