//! Copies: the bytes of a stored version become a new object or a part. They are read, decrypted and
//! encrypted anew, since every body has a key of its own.

use futures::TryStreamExt as _;
use s3s::dto::{self, CopySource};
use s3s::{S3Request, S3Response, S3Result, StdError, s3_error};

use super::answer_parts::{entity_tag, http_time, timestamp, told_version, wire_checksum};
use super::conditions::{ReadConditions, Selection};
use super::encryption::{ToldEncryption, is_asked_for, refuse_own_encryption};
use super::objects::Wanted;
use super::requested::{check_acl, header_keys, properties, version_key};
use super::{Admitted, Asked, StoredBuckets, expect_owner, failed, tags, uploads};
use crate::answers::{no_such_bucket, precondition_failed};
use crate::checksums::{Algorithm, Expected};
use crate::error::BucketsError;
use crate::store::{BodyRules, NewBody, NewObject, ObjectSeal, Version};

/// The version that a copy is made of.
struct Source {
    admitted: Admitted,
    bucket: String,
    version: Version,
}

/// What is copied, and the seals of both ends.
struct Copy<'a> {
    source: &'a Source,
    range: std::ops::Range<u64>,
    opening: ObjectSeal,
    seal: ObjectSeal,
}

pub(super) async fn object(
    service: &StoredBuckets,
    request: S3Request<dto::CopyObjectInput>,
) -> S3Result<S3Response<dto::CopyObjectOutput>> {
    let input = &request.input;
    let place = (input.bucket.as_str(), input.key.as_str());
    let asked = Asked::of_object("CopyObject", "s3:PutObject", place);
    let admitted = service
        .admit(&request, asked.with(header_keys(&request.headers)))
        .await?;
    let source = service
        .source(&request, &admitted, &input.copy_source)
        .await?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match.clone(),
        if_none_match: input.copy_source_if_none_match.clone(),
        if_modified_since: input.copy_source_if_modified_since.clone(),
        if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
    };
    conditions
        .check(&source.version)
        .map_err(|_| precondition_failed())?;
    check_acl(&request.headers)?;
    let mut object = new_object(service, &request, &admitted, &source).await?;
    let opening = service.opened(&source).await?;
    let encryption = service
        .new_encryption(&request.headers, &admitted, &object.key)
        .await?;
    let told = encryption.told();
    object.properties.encryption = encryption.kms;
    let copy = Copy {
        source: &source,
        range: 0..source.version.bytes,
        opening,
        seal: encryption.seal,
    };
    let body = service.copied(&request, &admitted, copy).await?;
    let checksum = wire_checksum(Some(&body.sums.checksum));
    let stored = service.buckets.commit_object(object, body).await;
    let stored = stored.map_err(|error| failed(&admitted.visit, &error))?;
    let result = dto::CopyObjectResult {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        e_tag: Some(entity_tag(&stored.etag)),
        last_modified: Some(timestamp(stored.modified_ms)),
    };
    let versioning = source.admitted.bucket.versioning;
    let output = dto::CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: told_version(versioning, &source.version),
        server_side_encryption: told.algorithm,
        ssekms_encryption_context: told.context,
        ssekms_key_id: told.key_id,
        version_id: stored.version,
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn part(
    service: &StoredBuckets,
    request: S3Request<dto::UploadPartCopyInput>,
) -> S3Result<S3Response<dto::UploadPartCopyOutput>> {
    let input = &request.input;
    let place = (input.bucket.as_str(), input.key.as_str());
    let asked = Asked::of_object("UploadPartCopy", "s3:PutObject", place);
    let admitted = service
        .admit(&request, asked.with(header_keys(&request.headers)))
        .await?;
    uploads::check_number(input.part_number)?;
    refuse_own_encryption(&request.headers)?;
    let fail = |error: &BucketsError| failed(&admitted.visit, error);
    let upload = service
        .buckets
        .upload(place.0, place.1, &input.upload_id)
        .await;
    let upload = upload.map_err(|error| fail(&error))?;
    let source = service
        .source(&request, &admitted, &input.copy_source)
        .await?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match.clone(),
        if_none_match: input.copy_source_if_none_match.clone(),
        if_modified_since: input.copy_source_if_modified_since.clone(),
        if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
    };
    conditions
        .check(&source.version)
        .map_err(|_| precondition_failed())?;
    let range = copied_range(input.copy_source_range.as_deref(), source.version.bytes)?;
    let kms = upload.properties.encryption.as_ref();
    let told = ToldEncryption::of(kms);
    let copy = Copy {
        source: &source,
        range,
        opening: service.opened(&source).await?,
        seal: service.seal_of(&admitted, kms).await?,
    };
    let body = service.copied(&request, &admitted, copy).await?;
    let (etag, checksum) = (body.etag(), wire_checksum(Some(&body.sums.checksum)));
    let upload = (place.0, place.1, input.upload_id.as_str());
    let stored = service
        .buckets
        .commit_part(upload, input.part_number, body)
        .await;
    let modified_ms = stored.map_err(|error| fail(&error))?;
    let versioning = source.admitted.bucket.versioning;
    let output = dto::UploadPartCopyOutput {
        copy_part_result: Some(dto::CopyPartResult {
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            e_tag: Some(entity_tag(&etag)),
            last_modified: Some(http_time(modified_ms)),
        }),
        copy_source_version_id: told_version(versioning, &source.version),
        server_side_encryption: told.algorithm,
        ssekms_key_id: told.key_id,
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

/// What a copy has beside its bytes: its source's, or what the request gives it.
async fn new_object(
    service: &StoredBuckets,
    request: &S3Request<dto::CopyObjectInput>,
    admitted: &Admitted,
    source: &Source,
) -> S3Result<NewObject> {
    let input = &request.input;
    let is_replaced = |directive: Option<&str>| match directive {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "Unknown directive")),
    };
    let directive = input.metadata_directive.as_ref();
    let new_properties = is_replaced(directive.map(dto::MetadataDirective::as_str))?;
    let directive = input.tagging_directive.as_ref();
    let new_tags = is_replaced(directive.map(dto::TaggingDirective::as_str))?;
    let is_itself = source.bucket == input.bucket
        && source.version.key == input.key
        && source.version.is_latest;
    if is_itself && !new_properties && !new_tags && !is_asked_for(&request.headers) {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without \
             changing the object's metadata, storage class, website redirect location or \
             encryption attributes."
        ));
    }
    let properties = if new_properties {
        let metadata = input.metadata.clone();
        properties(&request.headers, input.content_type.clone(), metadata)?
    } else {
        let mut properties = source.version.properties.clone();
        properties.parts = None;
        properties.encryption = None;
        properties
    };
    let tags = if new_tags {
        tags::of_header(input.tagging.as_deref())?
    } else {
        let tags = source.version.tags.clone();
        if !tags.is_empty() {
            let place = (source.bucket.as_str(), source.version.key.as_str());
            let asked = Asked::of_object("CopyObject", "s3:GetObjectTagging", place);
            let from = &source.admitted;
            service.permit(&from.visit, &from.bucket, &asked).await?;
        }
        tags
    };
    if !tags.is_empty() {
        let place = (input.bucket.as_str(), input.key.as_str());
        let asked = Asked::of_object("CopyObject", "s3:PutObjectTagging", place);
        service
            .permit(&admitted.visit, &admitted.bucket, &asked)
            .await?;
    }
    Ok(NewObject {
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        properties,
        tags,
        ..NewObject::default()
    })
}

impl StoredBuckets {
    /// The version that a copy is made of, if the caller may read it.
    async fn source<T>(
        &self,
        request: &S3Request<T>,
        admitted: &Admitted,
        source: &CopySource,
    ) -> S3Result<Source> {
        let CopySource::Bucket {
            bucket,
            key,
            version_id,
        } = source
        else {
            return Err(s3_error!(
                NotImplemented,
                "Copies from access points are not implemented"
            ));
        };
        if **bucket == *self.lake.facts.name {
            return Err(s3_error!(
                NotImplemented,
                "Copies from the reserved bucket are not implemented"
            ));
        }
        let visit = &admitted.visit;
        let found = self.buckets.bucket(bucket).await;
        let found = found.map_err(|error| failed(visit, &error))?;
        let found = found.ok_or_else(no_such_bucket)?;
        let version_id = version_id.as_deref();
        let action = match version_id {
            None => "s3:GetObject",
            Some(_) => "s3:GetObjectVersion",
        };
        let asked = Asked::of_object("CopyObject", action, (bucket, key));
        let asked = asked.with(version_key(version_id));
        self.permit(visit, &found, &asked).await?;
        expect_owner(request, "x-amz-source-expected-bucket-owner", &found.facts)?;
        let admitted = Admitted {
            visit: std::sync::Arc::clone(visit),
            bucket: found,
        };
        let wanted = Wanted {
            name: "CopyObject",
            place: (bucket, key),
            version: version_id,
        };
        let version = self.version_there(&admitted, &wanted).await?;
        Ok(Source {
            admitted,
            bucket: bucket.to_string(),
            version,
        })
    }

    /// What opens the source, in the name of whoever copies it.
    async fn opened(&self, source: &Source) -> S3Result<ObjectSeal> {
        let kms = source.version.properties.encryption.as_ref();
        self.seal_of(&source.admitted, kms).await
    }

    /// Bytes of the source as a new body in the bucket of the request.
    async fn copied<T>(
        &self,
        request: &S3Request<T>,
        admitted: &Admitted,
        copy: Copy<'_>,
    ) -> S3Result<NewBody> {
        let Copy {
            source,
            range,
            opening,
            seal,
        } = copy;
        if range.end - range.start > self.buckets.config.body_bytes_max {
            return Err(s3_error!(
                InvalidRequest,
                "The specified copy source is larger than the maximum allowable size for a copy \
                 source: 5368709120"
            ));
        }
        let fail = |error: BucketsError| failed(&admitted.visit, &error);
        let named = request.headers.get("x-amz-checksum-algorithm");
        let named = named.and_then(|name| Algorithm::named(name.to_str().unwrap_or_default()));
        let stored = source.version.properties.checksum.as_ref();
        let algorithm = named.or(stored.map(|checksum| checksum.algorithm));
        let rules = BodyRules {
            expected: Expected::of_algorithm(algorithm),
            report: None,
            seal,
        };
        let reading = self
            .buckets
            .read_version(&source.bucket, &source.version, range, opening)
            .await
            .map_err(fail)?;
        let bucket = &admitted.bucket.facts.name;
        let body = reading.map_err(|error| -> StdError { Box::new(error) });
        let body = self.buckets.store_body(bucket, body, rules).await;
        body.map_err(fail)
    }
}

/// The bytes that `x-amz-copy-source-range` names: both ends, within the source.
fn copied_range(header: Option<&str>, bytes: u64) -> S3Result<std::ops::Range<u64>> {
    let Some(header) = header else {
        return Ok(0..bytes);
    };
    let invalid = || {
        s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy"
        )
    };
    let range = dto::Range::parse(header).map_err(|_| invalid())?;
    match range {
        dto::Range::Int {
            last: Some(last), ..
        } if last < bytes => Ok(Selection::of_range(Some(range), bytes)?.range),
        _ => Err(invalid()),
    }
}
