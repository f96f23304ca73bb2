//! RemoveTags: takes tags away by their keys, whatever values stand beside them (TRL-084).

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::RemoveTagsRequest;
use cairn_api::cloudtrail::outputs::RemoveTagsResponse;
use cairn_catalog::WriteTransaction;
use cairn_catalog::trails::ReadTrails;

use super::trails::{Trails, catalog_failure};
use super::{Request, tagged_resource};

impl Trails {
    pub(super) async fn remove_tags(
        &self,
        request: Request<'_>,
        transaction: &mut WriteTransaction,
    ) -> Result<RemoveTagsResponse, ApiError> {
        let input: RemoveTagsRequest = cairn_api::request::typed(request.input.clone())?;
        let trail =
            tagged_resource::find(&input.resource_id, &mut transaction.trails(), request).await?;
        let keys: Vec<String> = input.tags_list.into_iter().map(|tag| tag.key).collect();
        let arn = trail.arn();
        let removed = transaction.delete_resource_tags(trail.account, &arn, &keys);
        removed.await.map_err(catalog_failure)?;
        Ok(RemoveTagsResponse {})
    }
}
