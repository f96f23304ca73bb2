//! Putting and reading objects.

use futures::{StreamExt as _, TryStreamExt as _};
use http_body::Frame;
use http_body_util::StreamBody;
use s3s::dto;
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::answer_parts::{
    entity_tag, http_time, marker_headers, told_version, wire_bytes, wire_checksum,
};
use super::conditions::{ReadConditions, Selection};
use super::encryption::ToldEncryption;
use super::requested::{check_acl, header_keys, properties, version_key, write_conditions};
use super::{Admitted, Asked, StoredBuckets, failed, tags};
use crate::checksums::Expected;
use crate::error::BucketsError;
use crate::store::{BodyRules, NewObject, Version};

pub(super) async fn put(
    service: &StoredBuckets,
    mut request: S3Request<dto::PutObjectInput>,
) -> S3Result<S3Response<dto::PutObjectOutput>> {
    let place = (request.input.bucket.as_str(), request.input.key.as_str());
    let asked = Asked::of_object("PutObject", "s3:PutObject", place);
    let admitted = service
        .admit(&request, asked.with(header_keys(&request.headers)))
        .await?;
    let tags = tags::of_header(request.input.tagging.as_deref())?;
    if !tags.is_empty() {
        let tagging = Asked::of_object("PutObject", "s3:PutObjectTagging", place);
        service
            .permit(&admitted.visit, &admitted.bucket, &tagging)
            .await?;
    }
    check_acl(&request.headers)?;
    let fail = |error: &BucketsError| failed(&admitted.visit, error);
    let report = &admitted.visit.report;
    let expected = Expected::of(&request.headers, report).map_err(|error| fail(&error))?;
    let body = request.input.body.take();
    let input = request.input;
    let mut object = NewObject {
        properties: properties(&request.headers, input.content_type, input.metadata)?,
        tags,
        conditions: write_conditions(input.if_match, input.if_none_match.as_ref())?,
        bucket: input.bucket,
        key: input.key,
    };
    let encryption = service
        .new_encryption(&request.headers, &admitted, &object.key)
        .await?;
    let told = encryption.told();
    object.properties.encryption = encryption.kms;
    let rules = BodyRules {
        expected,
        report: Some(std::sync::Arc::clone(report)),
        seal: encryption.seal,
    };
    let body = body.unwrap_or_else(|| Body::empty().into());
    let stored = service
        .buckets
        .store_body(&object.bucket, body, rules)
        .await;
    let body = stored.map_err(|error| fail(&error))?;
    let (bytes, checksum) = (body.bytes, body.sums.checksum.clone());
    let committed = service.buckets.commit_object(object, body).await;
    let stored = committed.map_err(|error| fail(&error))?;
    let checksum = wire_checksum(Some(&checksum));
    let output = dto::PutObjectOutput {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        e_tag: Some(entity_tag(&stored.etag)),
        server_side_encryption: told.algorithm,
        ssekms_encryption_context: told.context,
        ssekms_key_id: told.key_id,
        version_id: stored.version,
        size: None,
        ..Default::default()
    };
    debug_assert!(
        bytes <= service.buckets.config.body_bytes_max,
        "the store bounds bodies"
    );
    Ok(S3Response::new(output))
}

pub(super) async fn get(
    service: &StoredBuckets,
    request: S3Request<dto::GetObjectInput>,
) -> S3Result<S3Response<dto::GetObjectOutput>> {
    let input = &request.input;
    let wanted = Wanted {
        name: "GetObject",
        place: (&input.bucket, &input.key),
        version: input.version_id.as_deref(),
    };
    let (admitted, version) = service.wanted(&request, &wanted).await?;
    let conditions = ReadConditions {
        if_match: input.if_match.clone(),
        if_none_match: input.if_none_match.clone(),
        if_modified_since: input.if_modified_since.clone(),
        if_unmodified_since: input.if_unmodified_since.clone(),
    };
    conditions.check(&version)?;
    let selection = service
        .selected(&admitted, &version, (input.part_number, input.range))
        .await?;
    let length = selection.range.end - selection.range.start;
    let kms = version.properties.encryption.as_ref();
    let seal = service.seal_of(&admitted, kms).await?;
    let told = ToldEncryption::of(kms);
    let reading = service
        .buckets
        .read_version(&input.bucket, &version, selection.range, seal)
        .await;
    let reading = reading.map_err(|error| failed(&admitted.visit, &error))?;
    let frames = StreamBody::new(reading.map_ok(Frame::data).boxed());
    let is_whole = selection.told.is_none();
    let checksum = version.properties.checksum.as_ref();
    let checksum = wire_checksum(checksum.filter(|_| is_whole && input.checksum_mode.is_some()));
    let properties = &version.properties;
    let output = dto::GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(Body::http_body_unsync(frames).into()),
        cache_control: properties.cache_control.clone(),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        content_disposition: properties.content_disposition.clone(),
        content_encoding: properties.content_encoding.clone(),
        content_language: properties.content_language.clone(),
        content_length: Some(wire_bytes(length)),
        content_range: selection.told,
        content_type: properties.content_type.clone(),
        e_tag: Some(entity_tag(&version.etag)),
        expires: expires(&version),
        last_modified: Some(http_time(version.modified_ms)),
        metadata: metadata(&version),
        parts_count: input
            .part_number
            .and(properties.parts)
            .and_then(|n| n.try_into().ok()),
        server_side_encryption: told.algorithm,
        ssekms_key_id: told.key_id,
        tag_count: tag_count(&version),
        version_id: told_version(admitted.bucket.versioning, &version),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn head(
    service: &StoredBuckets,
    request: S3Request<dto::HeadObjectInput>,
) -> S3Result<S3Response<dto::HeadObjectOutput>> {
    let input = &request.input;
    let wanted = Wanted {
        name: "HeadObject",
        place: (&input.bucket, &input.key),
        version: input.version_id.as_deref(),
    };
    let (admitted, version) = service.wanted(&request, &wanted).await?;
    let conditions = ReadConditions {
        if_match: input.if_match.clone(),
        if_none_match: input.if_none_match.clone(),
        if_modified_since: input.if_modified_since.clone(),
        if_unmodified_since: input.if_unmodified_since.clone(),
    };
    conditions.check(&version)?;
    let selection = service
        .selected(&admitted, &version, (input.part_number, input.range))
        .await?;
    let is_partial = selection.told.is_some();
    let kms = version.properties.encryption.as_ref();
    if input.checksum_mode.is_some() {
        // The checksum tells of what is in the object, so it is for those who may read it.
        service.seal_of(&admitted, kms).await?;
    }
    let told = ToldEncryption::of(kms);
    let checksum = version.properties.checksum.as_ref();
    let checksum = wire_checksum(checksum.filter(|_| !is_partial && input.checksum_mode.is_some()));
    let properties = &version.properties;
    let output = dto::HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: properties.cache_control.clone(),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        content_disposition: properties.content_disposition.clone(),
        content_encoding: properties.content_encoding.clone(),
        content_language: properties.content_language.clone(),
        content_length: Some(wire_bytes(selection.range.end - selection.range.start)),
        content_range: selection.told,
        content_type: properties.content_type.clone(),
        e_tag: Some(entity_tag(&version.etag)),
        expires: expires(&version),
        last_modified: Some(http_time(version.modified_ms)),
        metadata: metadata(&version),
        parts_count: input
            .part_number
            .and(properties.parts)
            .and_then(|n| n.try_into().ok()),
        server_side_encryption: told.algorithm,
        ssekms_key_id: told.key_id,
        version_id: told_version(admitted.bucket.versioning, &version),
        ..Default::default()
    };
    let mut response = S3Response::new(output);
    if is_partial {
        response.status = Some(http::StatusCode::PARTIAL_CONTENT);
    }
    Ok(response)
}

/// Which version of which object a request wants to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'static str,
    pub(super) place: (&'a str, &'a str),
    pub(super) version: Option<&'a str>,
}

impl StoredBuckets {
    /// The version that a request may read; a delete marker is none.
    pub(super) async fn wanted<T>(
        &self,
        request: &S3Request<T>,
        wanted: &Wanted<'_>,
    ) -> S3Result<(Admitted, Version)> {
        let action = match wanted.version {
            None => "s3:GetObject",
            Some(_) => "s3:GetObjectVersion",
        };
        let asked = Asked::of_object(wanted.name, action, wanted.place);
        let admitted = self
            .admit(request, asked.with(version_key(wanted.version)))
            .await?;
        let version = self.version_there(&admitted, wanted).await?;
        Ok((admitted, version))
    }

    /// The version that is wanted, if it is there and no marker.
    pub(super) async fn version_there(
        &self,
        admitted: &Admitted,
        wanted: &Wanted<'_>,
    ) -> S3Result<Version> {
        let (bucket, key) = wanted.place;
        let found = self.buckets.version(bucket, key, wanted.version).await;
        let version = match found {
            Ok(version) => version,
            Err(BucketsError::NoSuchKey) => return Err(self.absent(admitted).await),
            Err(error) => return Err(failed(&admitted.visit, &error)),
        };
        if !version.is_marker {
            return Ok(version);
        }
        let mut refused = match wanted.version {
            None => self.absent(admitted).await,
            Some(_) => s3_error!(
                MethodNotAllowed,
                "The specified method is not allowed against this resource."
            ),
        };
        if *refused.code() != S3ErrorCode::AccessDenied {
            refused.set_headers(marker_headers(&version));
        }
        Err(refused)
    }

    async fn selected(
        &self,
        admitted: &Admitted,
        version: &Version,
        (part, range): (Option<i32>, Option<dto::Range>),
    ) -> S3Result<Selection> {
        match (part, range) {
            (Some(_), Some(_)) => Err(both_asked()),
            (None, range) => Selection::of_range(range, version.bytes),
            (Some(number), None) => {
                let files = self.buckets.files_of(version).await;
                let files = files.map_err(|error| failed(&admitted.visit, &error))?;
                let lengths: Vec<u64> = files.iter().map(|file| file.bytes).collect();
                Selection::of_part(number, &lengths)
            }
        }
    }
}

fn both_asked() -> S3Error {
    s3_error!(
        InvalidRequest,
        "Cannot specify both Range header and partNumber query parameter."
    )
}

fn expires(version: &Version) -> Option<dto::Timestamp> {
    let text = version.properties.expires.as_deref()?;
    dto::Timestamp::parse(dto::TimestampFormat::HttpDate, text).ok()
}

fn metadata(version: &Version) -> Option<dto::Metadata> {
    let metadata = &version.properties.metadata;
    (!metadata.is_empty()).then(|| metadata.clone().into_iter().collect())
}

fn tag_count(version: &Version) -> Option<i32> {
    let count = i32::try_from(version.tags.len()).ok()?;
    (count > 0).then_some(count)
}
