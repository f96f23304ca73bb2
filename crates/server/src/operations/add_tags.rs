//! AddTags: adds tags to a trail, or gives them other values (TRL-082).

use cairn_api::ApiError;
use cairn_api::cloudtrail::inputs::AddTagsRequest;
use cairn_api::cloudtrail::outputs::AddTagsResponse;
use cairn_catalog::WriteTransaction;
use cairn_catalog::trails::ReadTrails;

use super::trails::Trails;
use super::{Request, tagged_resource};

impl Trails {
    pub(super) async fn add_tags(
        &self,
        request: Request<'_>,
        transaction: &mut WriteTransaction,
    ) -> Result<AddTagsResponse, ApiError> {
        let input: AddTagsRequest = cairn_api::request::typed(request.input.clone())?;
        let tags = tagged_resource::new_tags(input.tags_list)?;
        let trail =
            tagged_resource::find(&input.resource_id, &mut transaction.trails(), request).await?;
        let arn = trail.arn();
        let put = transaction.put_resource_tags(trail.account, &arn, &tags);
        put.await.map_err(tagged_resource::tags_failure)?;
        Ok(AddTagsResponse {})
    }
}
