//! ListTags: the tags of one or more trails, in the order in which they are named (TRL-083).

use cairn_api::cloudtrail::inputs::ListTagsRequest;
use cairn_api::cloudtrail::outputs::ListTagsResponse;
use cairn_api::cloudtrail::structures::ResourceTag;
use cairn_api::{ApiError, ErrorCode};
use cairn_catalog::trails::ReadTrails;

use super::trails::{Trails, catalog_failure};
use super::{Request, tagged_resource};

/// As the API reference says.
const RESOURCES_MAX: usize = 20;

impl Trails {
    pub(super) async fn list_tags(
        &self,
        request: Request<'_>,
    ) -> Result<ListTagsResponse, ApiError> {
        let input: ListTagsRequest = cairn_api::request::typed(request.input.clone())?;
        if input.next_token.is_some() {
            let message = "The next token is invalid: it is reserved for future use.";
            return Err(ApiError::new(ErrorCode::InvalidTokenException, message));
        }
        if input.resource_id_list.len() > RESOURCES_MAX {
            let message = format!("ResourceIdList can have at most {RESOURCES_MAX} ARNs.");
            return Err(ApiError::new(ErrorCode::ValidationException, message));
        }
        let mut read = self.read().await?;
        let mut listed = Vec::with_capacity(input.resource_id_list.len());
        for id in input.resource_id_list {
            let trail = tagged_resource::find(&id, &mut read.trails(), request).await?;
            let tags = read.trails().tags(trail.account, &trail.arn()).await;
            let tags = tags.map_err(catalog_failure)?;
            listed.push(ResourceTag {
                resource_id: Some(id),
                tags_list: Some(tags.into_iter().map(tagged_resource::shown).collect()),
            });
        }
        Ok(ListTagsResponse {
            next_token: None,
            resource_tag_list: Some(listed),
        })
    }
}
