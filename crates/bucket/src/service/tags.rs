//! Tags of buckets and objects.

use http::StatusCode;
use percent_encoding::percent_decode_str;
use s3s::dto;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answer_parts::told_version;
use super::objects::Wanted;
use super::requested::version_key;
use super::{Admitted, Asked, StoredBuckets, failed};
use crate::answers::with_code;
use crate::store::{Tags, Version};

const OBJECT_TAGS_MAX: usize = 10;
const BUCKET_TAGS_MAX: usize = 50;
const KEY_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;

pub(super) async fn put_bucket(
    service: &StoredBuckets,
    request: S3Request<dto::PutBucketTaggingInput>,
) -> S3Result<S3Response<dto::PutBucketTaggingOutput>> {
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("PutBucketTagging", "s3:PutBucketTagging", bucket);
    let admitted = service.admit(&request, asked).await?;
    let tags = of_set(&request.input.tagging.tag_set, BUCKET_TAGS_MAX)?;
    set_bucket(service, &admitted, Some(tags)).await?;
    let output = dto::PutBucketTaggingOutput::default();
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

pub(super) async fn get_bucket(
    service: &StoredBuckets,
    request: S3Request<dto::GetBucketTaggingInput>,
) -> S3Result<S3Response<dto::GetBucketTaggingOutput>> {
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("GetBucketTagging", "s3:GetBucketTagging", bucket);
    let admitted = service.admit(&request, asked).await?;
    let tags = admitted.bucket.settings.tags;
    let tags = tags.ok_or_else(|| s3_error!(NoSuchTagSet, "The TagSet does not exist"))?;
    Ok(S3Response::new(dto::GetBucketTaggingOutput {
        tag_set: wire_set(&tags),
    }))
}

pub(super) async fn delete_bucket(
    service: &StoredBuckets,
    request: S3Request<dto::DeleteBucketTaggingInput>,
) -> S3Result<S3Response<dto::DeleteBucketTaggingOutput>> {
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("DeleteBucketTagging", "s3:PutBucketTagging", bucket);
    let admitted = service.admit(&request, asked).await?;
    set_bucket(service, &admitted, None).await?;
    let output = dto::DeleteBucketTaggingOutput::default();
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

pub(super) async fn put_object(
    service: &StoredBuckets,
    request: S3Request<dto::PutObjectTaggingInput>,
) -> S3Result<S3Response<dto::PutObjectTaggingOutput>> {
    let input = &request.input;
    let wanted = Wanted {
        name: "PutObjectTagging",
        place: (&input.bucket, &input.key),
        version: input.version_id.as_deref(),
    };
    let actions = ("s3:PutObjectTagging", "s3:PutObjectVersionTagging");
    let (admitted, version) = tagged(service, &request, &wanted, actions).await?;
    let tags = of_set(&input.tagging.tag_set, OBJECT_TAGS_MAX)?;
    let set = service.buckets.set_tags(&version, &tags).await;
    set.map_err(|error| failed(&admitted.visit, &error))?;
    Ok(S3Response::new(dto::PutObjectTaggingOutput {
        version_id: told_version(admitted.bucket.versioning, &version),
    }))
}

pub(super) async fn get_object(
    service: &StoredBuckets,
    request: S3Request<dto::GetObjectTaggingInput>,
) -> S3Result<S3Response<dto::GetObjectTaggingOutput>> {
    let input = &request.input;
    let wanted = Wanted {
        name: "GetObjectTagging",
        place: (&input.bucket, &input.key),
        version: input.version_id.as_deref(),
    };
    let actions = ("s3:GetObjectTagging", "s3:GetObjectVersionTagging");
    let (admitted, version) = tagged(service, &request, &wanted, actions).await?;
    Ok(S3Response::new(dto::GetObjectTaggingOutput {
        tag_set: wire_set(&version.tags),
        version_id: told_version(admitted.bucket.versioning, &version),
    }))
}

pub(super) async fn delete_object(
    service: &StoredBuckets,
    request: S3Request<dto::DeleteObjectTaggingInput>,
) -> S3Result<S3Response<dto::DeleteObjectTaggingOutput>> {
    let input = &request.input;
    let wanted = Wanted {
        name: "DeleteObjectTagging",
        place: (&input.bucket, &input.key),
        version: input.version_id.as_deref(),
    };
    let actions = ("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging");
    let (admitted, version) = tagged(service, &request, &wanted, actions).await?;
    let set = service.buckets.set_tags(&version, &Tags::new()).await;
    set.map_err(|error| failed(&admitted.visit, &error))?;
    let output = dto::DeleteObjectTaggingOutput {
        version_id: told_version(admitted.bucket.versioning, &version),
    };
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

/// The tags of `x-amz-tagging`: a query string.
pub(super) fn of_header(header: Option<&str>) -> S3Result<Tags> {
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8();
        decoded
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| invalid_tag())
    };
    let mut tags = Tags::new();
    for pair in header
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        tags.push((decoded(key)?, decoded(value)?));
    }
    checked(tags, OBJECT_TAGS_MAX)
}

fn of_set(set: &[dto::Tag], tags_max: usize) -> S3Result<Tags> {
    let tags = set.iter().map(|tag| {
        let (key, value) = (tag.key.clone(), tag.value.clone());
        (key.unwrap_or_default(), value.unwrap_or_default())
    });
    checked(tags.collect(), tags_max)
}

fn checked(tags: Tags, tags_max: usize) -> S3Result<Tags> {
    if tags.len() > tags_max {
        return Err(with_code(
            "BadRequest",
            format!("Object tags cannot be greater than {tags_max}"),
        ));
    }
    for (at, (key, value)) in tags.iter().enumerate() {
        let is_long = key.chars().count() > KEY_CHARACTERS_MAX
            || value.chars().count() > VALUE_CHARACTERS_MAX;
        let is_reserved = key.to_lowercase().starts_with("aws:");
        let is_repeated = tags[..at].iter().any(|(earlier, _)| earlier == key);
        if key.is_empty() || is_long || is_reserved || is_repeated {
            return Err(invalid_tag());
        }
    }
    Ok(tags)
}

fn invalid_tag() -> s3s::S3Error {
    s3_error!(
        InvalidTag,
        "The TagKey or TagValue you have provided is invalid"
    )
}

fn wire_set(tags: &Tags) -> Vec<dto::Tag> {
    tags.iter()
        .map(|(key, value)| dto::Tag {
            key: Some(key.clone()),
            value: Some(value.clone()),
        })
        .collect()
}

async fn set_bucket(
    service: &StoredBuckets,
    admitted: &Admitted,
    tags: Option<Tags>,
) -> S3Result<()> {
    let name = &admitted.bucket.facts.name;
    let set = service
        .buckets
        .change_settings(name, |settings| settings.tags = tags)
        .await;
    set.map_err(|error| failed(&admitted.visit, &error))
}

/// The version whose tags a request is about.
async fn tagged<T>(
    service: &StoredBuckets,
    request: &S3Request<T>,
    wanted: &Wanted<'_>,
    (newest, named): (&'static str, &'static str),
) -> S3Result<(Admitted, Version)> {
    let action = if wanted.version.is_some() {
        named
    } else {
        newest
    };
    let asked = Asked::of_object(wanted.name, action, wanted.place);
    let asked = asked.with(version_key(wanted.version));
    let admitted = service.admit(request, asked).await?;
    let version = service.version_there(&admitted, wanted).await?;
    Ok((admitted, version))
}
