//! What tags are put on, and the rules that tags keep. Trails are the only resources of CloudTrail that there are.

use std::collections::HashSet;

use cairn_api::cloudtrail::structures as wire;
use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::CatalogError;
use cairn_catalog::identity::Tag;
use cairn_catalog::trails::{RESOURCE_TAGS_MAX, TrailView};
use cairn_model::{AccountId, Arn, Region, Trail};

use super::Request;
use super::trails::catalog_failure;

/// The resource that an ARN names: a trail of the caller's account whose home is the Region of the call (TRL-029).
pub(super) async fn find(
    text: &str,
    trails: &mut TrailView<'_>,
    request: Request<'_>,
) -> Result<Trail, ApiError> {
    let arn: Option<Arn> = text.parse().ok();
    let arn = arn.filter(|arn| arn.service() == "cloudtrail" && arn.partition() == "aws");
    let Some(arn) = arn else {
        let message = "The resource must be given by its ARN. The following is the format of a trail ARN: \
                       arn:aws:cloudtrail:us-east-2:123456789012:trail/MyTrail";
        return Err(ApiError::new(
            ErrorCode::CloudTrailARNInvalidException,
            message,
        ));
    };
    match arn.resource_kind() {
        Some("trail") => {}
        Some("eventdatastore") => {
            let message = "The event data store cannot be found.";
            return Err(ApiError::new(
                ErrorCode::EventDataStoreNotFoundException,
                message,
            ));
        }
        Some("channel" | "dashboard") => return Err(not_found()),
        _ => {
            let message = "Tags can be put on trails, event data stores, dashboards and channels.";
            return Err(ApiError::new(
                ErrorCode::ResourceTypeNotSupportedException,
                message,
            ));
        }
    }
    let account: Option<AccountId> = arn.account().parse().ok();
    let region: Option<Region> = arn.region().parse().ok();
    if account != Some(request.caller.account) || region.as_ref() != Some(request.region) {
        return Err(not_found());
    }
    let found = trails.find(request.caller.account, request.region, arn.resource_name());
    let found = found.await.map_err(catalog_failure)?;
    found
        .filter(|trail| trail.arn() == text)
        .ok_or_else(not_found)
}

/// Tags to be put on a resource.
pub(super) fn new_tags(given: Vec<wire::Tag>) -> Result<Vec<Tag>, ApiError> {
    let mut keys = HashSet::new();
    for tag in &given {
        check(tag)?;
        if !keys.insert(tag.key.as_str()) {
            return Err(refused("Tag keys must be unique."));
        }
    }
    let tags = given.into_iter().map(|tag| Tag {
        key: tag.key,
        value: tag.value.unwrap_or_default(),
    });
    Ok(tags.collect())
}

/// A tag without a value has none in answers either.
pub(super) fn shown(tag: Tag) -> wire::Tag {
    wire::Tag {
        key: tag.key,
        value: Some(tag.value).filter(|value| !value.is_empty()),
    }
}

/// What a caller learns when tags could not be put.
pub(super) fn tags_failure(error: CatalogError) -> ApiError {
    if matches!(error, CatalogError::LimitExceeded { .. }) {
        let message = format!(
            "The number of tags per trail has exceeded the permitted amount. \
             Currently, the limit is {RESOURCE_TAGS_MAX}."
        );
        return ApiError::new(ErrorCode::TagsLimitExceededException, message);
    }
    catalog_failure(error)
}

fn check(tag: &wire::Tag) -> Result<(), ApiError> {
    if tag
        .key
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
    {
        return Err(refused("Tag keys that begin with aws: are reserved."));
    }
    let is_allowed = |c: char| {
        c.is_alphanumeric()
            || c == ' '
            || matches!(c, '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
    };
    let value = tag.value.as_deref().unwrap_or_default();
    if !tag.key.chars().chain(value.chars()).all(is_allowed) {
        return Err(refused(
            "Tags can only contain letters, numbers, spaces and the characters _ . : / = + - @",
        ));
    }
    Ok(())
}

fn refused(message: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidTagParameterException, message)
}

fn not_found() -> ApiError {
    let message = "The specified resource cannot be found in this Region.";
    ApiError::new(ErrorCode::ResourceNotFoundException, message)
}
