//! Bucket policies and the block against public ones.

use http::StatusCode;
use s3s::dto;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::public_policy::is_public;
use super::{Admitted, Asked, StoredBuckets, failed};
use crate::answers::{denied, with_code};
use crate::store::{Bucket, PublicAccessBlock};

/// Most bytes of a policy.
const POLICY_BYTES_MAX: usize = 20 * 1024;

pub(super) async fn put(
    service: &StoredBuckets,
    request: S3Request<dto::PutBucketPolicyInput>,
) -> S3Result<S3Response<dto::PutBucketPolicyOutput>> {
    let (bucket, text) = (&request.input.bucket, &request.input.policy);
    let asked = Asked::of_bucket("PutBucketPolicy", "s3:PutBucketPolicy", bucket);
    let admitted = service.admit(&request, asked).await?;
    if text.len() > POLICY_BYTES_MAX {
        return Err(with_code(
            "PolicyTooLarge",
            format!("Policy exceeds the maximum allowed document size of {POLICY_BYTES_MAX} bytes"),
        ));
    }
    let checked = service.gatekeeper.check_policy(bucket, text);
    checked.map_err(|reason| denied(&reason))?;
    let block = admitted.bucket.settings.public_access_block;
    if block.is_some_and(|block| block.block_public_policy) && is_public(text) {
        return Err(s3_error!(
            AccessDenied,
            "Access Denied: public policies are blocked by the BlockPublicPolicy setting in S3 \
             Block Public Access"
        ));
    }
    let set = service.buckets.set_policy(bucket, Some(text)).await;
    set.map_err(|error| failed(&admitted.visit, &error))?;
    let output = dto::PutBucketPolicyOutput::default();
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

pub(super) async fn get(
    service: &StoredBuckets,
    request: S3Request<dto::GetBucketPolicyInput>,
) -> S3Result<S3Response<dto::GetBucketPolicyOutput>> {
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("GetBucketPolicy", "s3:GetBucketPolicy", bucket);
    let admitted = service.admit(&request, asked).await?;
    let policy = policy_of(&admitted)?;
    Ok(S3Response::new(dto::GetBucketPolicyOutput {
        policy: Some(policy.to_owned()),
    }))
}

pub(super) async fn delete(
    service: &StoredBuckets,
    request: S3Request<dto::DeleteBucketPolicyInput>,
) -> S3Result<S3Response<dto::DeleteBucketPolicyOutput>> {
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("DeleteBucketPolicy", "s3:DeleteBucketPolicy", bucket);
    let admitted = service.admit(&request, asked).await?;
    let set = service.buckets.set_policy(bucket, None).await;
    set.map_err(|error| failed(&admitted.visit, &error))?;
    let output = dto::DeleteBucketPolicyOutput::default();
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

pub(super) async fn status(
    service: &StoredBuckets,
    request: S3Request<dto::GetBucketPolicyStatusInput>,
) -> S3Result<S3Response<dto::GetBucketPolicyStatusOutput>> {
    let action = "s3:GetBucketPolicyStatus";
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("GetBucketPolicyStatus", action, bucket);
    let admitted = service.admit(&request, asked).await?;
    let policy = policy_of(&admitted)?;
    Ok(S3Response::new(dto::GetBucketPolicyStatusOutput {
        policy_status: Some(dto::PolicyStatus {
            is_public: Some(is_public(policy)),
        }),
    }))
}

pub(super) async fn put_block(
    service: &StoredBuckets,
    request: S3Request<dto::PutPublicAccessBlockInput>,
) -> S3Result<S3Response<dto::PutPublicAccessBlockOutput>> {
    let wanted = &request.input.public_access_block_configuration;
    let block = PublicAccessBlock {
        block_public_acls: wanted.block_public_acls.unwrap_or_default(),
        ignore_public_acls: wanted.ignore_public_acls.unwrap_or_default(),
        block_public_policy: wanted.block_public_policy.unwrap_or_default(),
        restrict_public_buckets: wanted.restrict_public_buckets.unwrap_or_default(),
    };
    let name = "PutBucketPublicAccessBlock";
    set_block(
        service,
        &request,
        (name, &request.input.bucket),
        Some(block),
    )
    .await?;
    Ok(S3Response::new(dto::PutPublicAccessBlockOutput::default()))
}

pub(super) async fn get_block(
    service: &StoredBuckets,
    request: S3Request<dto::GetPublicAccessBlockInput>,
) -> S3Result<S3Response<dto::GetPublicAccessBlockOutput>> {
    let action = "s3:GetBucketPublicAccessBlock";
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("GetBucketPublicAccessBlock", action, bucket);
    let admitted = service.admit(&request, asked).await?;
    let block = admitted.bucket.settings.public_access_block;
    let block = block.ok_or_else(|| {
        let message = "The public access block configuration was not found".to_owned();
        let mut missing = with_code("NoSuchPublicAccessBlockConfiguration", message);
        missing.set_status_code(StatusCode::NOT_FOUND);
        missing
    })?;
    let configuration = dto::PublicAccessBlockConfiguration {
        block_public_acls: Some(block.block_public_acls),
        block_public_policy: Some(block.block_public_policy),
        ignore_public_acls: Some(block.ignore_public_acls),
        restrict_public_buckets: Some(block.restrict_public_buckets),
    };
    Ok(S3Response::new(dto::GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(configuration),
    }))
}

pub(super) async fn delete_block(
    service: &StoredBuckets,
    request: S3Request<dto::DeletePublicAccessBlockInput>,
) -> S3Result<S3Response<dto::DeletePublicAccessBlockOutput>> {
    let name = "DeleteBucketPublicAccessBlock";
    set_block(service, &request, (name, &request.input.bucket), None).await?;
    let output = dto::DeletePublicAccessBlockOutput::default();
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

/// Whether other accounts are kept out although the bucket's policy lets everyone in.
pub(super) fn is_restricted(bucket: &Bucket) -> bool {
    let block = bucket.settings.public_access_block;
    block.is_some_and(|block| block.restrict_public_buckets)
        && bucket.facts.policy.as_deref().is_some_and(is_public)
}

fn policy_of(admitted: &Admitted) -> S3Result<&str> {
    let policy = admitted.bucket.facts.policy.as_deref();
    policy.ok_or_else(|| s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))
}

async fn set_block<T>(
    service: &StoredBuckets,
    request: &S3Request<T>,
    (name, bucket): (&'static str, &str),
    block: Option<PublicAccessBlock>,
) -> S3Result<()> {
    let asked = Asked::of_bucket(name, "s3:PutBucketPublicAccessBlock", bucket);
    let admitted = service.admit(request, asked).await?;
    let set = service
        .buckets
        .change_settings(bucket, |settings| settings.public_access_block = block)
        .await;
    set.map_err(|error| failed(&admitted.visit, &error))
}
