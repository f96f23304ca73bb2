//! Uploads in parts.

use http::HeaderMap;
use s3s::dto;
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};

use super::answer_parts::{
    canonical_id, encoded, entity_tag, entries_max, known_encoding, owner, timestamp, wire_bytes,
    wire_checksum, wire_count, wire_kind,
};
use super::encryption::{ToldEncryption, refuse_own_encryption};
use super::requested::{check_acl, header_keys, properties, write_conditions};
use super::{Admitted, Asked, StoredBuckets, failed, tags};
use crate::checksums::{Algorithm, ChecksumKind, Expected};
use crate::error::BucketsError;
use crate::store::{
    BodyRules, ChosenPart, Completion, NewUpload, Part, Upload, UploadsRequest, WantedChecksum,
};

/// Highest number of a part.
const PART_NUMBER_MAX: i32 = 10_000;

pub(super) async fn create(
    service: &StoredBuckets,
    request: S3Request<dto::CreateMultipartUploadInput>,
) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
    let place = (request.input.bucket.as_str(), request.input.key.as_str());
    let asked = Asked::of_object("CreateMultipartUpload", "s3:PutObject", place);
    let admitted = service
        .admit(&request, asked.with(header_keys(&request.headers)))
        .await?;
    let tags = tags::of_header(request.input.tagging.as_deref())?;
    if !tags.is_empty() {
        let tagging = Asked::of_object("CreateMultipartUpload", "s3:PutObjectTagging", place);
        service
            .permit(&admitted.visit, &admitted.bucket, &tagging)
            .await?;
    }
    check_acl(&request.headers)?;
    let checksum = wanted_checksum(&request.headers)?;
    let input = request.input;
    let mut properties = properties(&request.headers, input.content_type, input.metadata)?;
    let encryption = service
        .new_encryption(&request.headers, &admitted, &input.key)
        .await?;
    let told = encryption.told();
    properties.encryption = encryption.kms;
    let upload = NewUpload {
        properties,
        bucket: input.bucket,
        key: input.key,
        tags,
        checksum,
    };
    let id = service.buckets.create_upload(&upload).await;
    let id = id.map_err(|error| failed(&admitted.visit, &error))?;
    let output = dto::CreateMultipartUploadOutput {
        bucket: Some(upload.bucket),
        key: Some(upload.key),
        checksum_algorithm: checksum
            .map(|wanted| dto::ChecksumAlgorithm::from_static(wanted.algorithm.name())),
        checksum_type: checksum.map(|wanted| wire_kind(wanted.kind)),
        server_side_encryption: told.algorithm,
        ssekms_encryption_context: told.context,
        ssekms_key_id: told.key_id,
        upload_id: Some(id),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn part(
    service: &StoredBuckets,
    mut request: S3Request<dto::UploadPartInput>,
) -> S3Result<S3Response<dto::UploadPartOutput>> {
    let place = (request.input.bucket.as_str(), request.input.key.as_str());
    let asked = Asked::of_object("UploadPart", "s3:PutObject", place);
    let admitted = service
        .admit(&request, asked.with(header_keys(&request.headers)))
        .await?;
    check_number(request.input.part_number)?;
    refuse_own_encryption(&request.headers)?;
    let fail = |error: &BucketsError| failed(&admitted.visit, error);
    let body = request.input.body.take();
    let input = &request.input;
    let upload = service
        .buckets
        .upload(&input.bucket, &input.key, &input.upload_id)
        .await;
    let upload = upload.map_err(|error| fail(&error))?;
    let report = &admitted.visit.report;
    let mut expected = Expected::of(&request.headers, report).map_err(|error| fail(&error))?;
    expected.default_to(upload.checksum.map(|wanted| wanted.algorithm));
    let kms = upload.properties.encryption.as_ref();
    let told = ToldEncryption::of(kms);
    let rules = BodyRules {
        expected,
        report: Some(std::sync::Arc::clone(report)),
        seal: service.seal_of(&admitted, kms).await?,
    };
    let body = body.unwrap_or_else(|| Body::empty().into());
    let body = service.buckets.store_body(&input.bucket, body, rules).await;
    let body = body.map_err(|error| fail(&error))?;
    let (etag, checksum) = (body.etag(), wire_checksum(Some(&body.sums.checksum)));
    let upload = (
        input.bucket.as_str(),
        input.key.as_str(),
        input.upload_id.as_str(),
    );
    let stored = service
        .buckets
        .commit_part(upload, input.part_number, body)
        .await;
    stored.map_err(|error| fail(&error))?;
    let output = dto::UploadPartOutput {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        e_tag: Some(entity_tag(&etag)),
        server_side_encryption: told.algorithm,
        ssekms_key_id: told.key_id,
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn parts(
    service: &StoredBuckets,
    request: S3Request<dto::ListPartsInput>,
) -> S3Result<S3Response<dto::ListPartsOutput>> {
    let place = (request.input.bucket.as_str(), request.input.key.as_str());
    let asked = Asked::of_object("ListParts", "s3:ListMultipartUploadParts", place);
    let admitted = service.admit(&request, asked).await?;
    let fail = |error: &BucketsError| failed(&admitted.visit, error);
    let input = request.input;
    let upload = service
        .buckets
        .upload(&input.bucket, &input.key, &input.upload_id)
        .await;
    let upload = upload.map_err(|error| fail(&error))?;
    let page = entries_max(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or_default();
    let found = service
        .buckets
        .parts(&input.upload_id, after, page + 1)
        .await;
    let mut found = found.map_err(|error| fail(&error))?;
    let is_truncated = found.len() > page;
    found.truncate(page);
    let account = admitted.bucket.facts.owner;
    let output = dto::ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(after),
        next_part_number_marker: found.last().map(|part| part.number),
        max_parts: Some(wire_count(page)),
        is_truncated: Some(is_truncated),
        checksum_algorithm: upload
            .checksum
            .map(|wanted| dto::ChecksumAlgorithm::from_static(wanted.algorithm.name())),
        checksum_type: upload.checksum.map(|wanted| wire_kind(wanted.kind)),
        parts: Some(found.iter().map(wire_part).collect()),
        owner: Some(owner(account)),
        initiator: Some(initiator(&admitted)),
        storage_class: Some(dto::StorageClass::from_static("STANDARD")),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn list(
    service: &StoredBuckets,
    request: S3Request<dto::ListMultipartUploadsInput>,
) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
    let bucket = request.input.bucket.clone();
    let action = "s3:ListBucketMultipartUploads";
    let asked = Asked::of_bucket("ListMultipartUploads", action, &bucket);
    let admitted = service.admit(&request, asked).await?;
    let input = request.input;
    let encoding = input.encoding_type;
    known_encoding(encoding.as_ref())?;
    if input
        .delimiter
        .as_ref()
        .is_some_and(|delimiter| !delimiter.is_empty())
    {
        return Err(s3_error!(
            NotImplemented,
            "Listing uploads by a delimiter is not implemented"
        ));
    }
    let page = entries_max(input.max_uploads)?;
    let wanted = UploadsRequest {
        bucket: input.bucket,
        prefix: input.prefix.unwrap_or_default(),
        key_after: input.key_marker.unwrap_or_default(),
        id_after: input.upload_id_marker.filter(|id| !id.is_empty()),
        uploads_max: page,
    };
    let found = service.buckets.uploads(&wanted).await;
    let mut found = found.map_err(|error| failed(&admitted.visit, &error))?;
    let is_truncated = found.len() > page;
    found.truncate(page);
    let text = |text: String| encoded(text, encoding.as_ref());
    let last = found.last().filter(|_| is_truncated);
    let output = dto::ListMultipartUploadsOutput {
        next_key_marker: last.map(|upload| text(upload.key.clone())),
        next_upload_id_marker: last.map(|upload| upload.id.clone()),
        bucket: Some(wanted.bucket),
        prefix: Some(text(wanted.prefix)),
        key_marker: Some(text(wanted.key_after)),
        upload_id_marker: Some(wanted.id_after.unwrap_or_default()),
        max_uploads: Some(wire_count(page)),
        is_truncated: Some(is_truncated),
        uploads: Some(
            found
                .into_iter()
                .map(|upload| wire_upload(upload, &admitted, encoding.as_ref()))
                .collect(),
        ),
        encoding_type: encoding.clone(),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn complete(
    service: &StoredBuckets,
    request: S3Request<dto::CompleteMultipartUploadInput>,
) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
    let place = (request.input.bucket.as_str(), request.input.key.as_str());
    let asked = Asked::of_object("CompleteMultipartUpload", "s3:PutObject", place);
    let admitted = service
        .admit(&request, asked.with(header_keys(&request.headers)))
        .await?;
    let input = request.input;
    let named = input.multipart_upload.and_then(|upload| upload.parts);
    let parts: Vec<ChosenPart> = named
        .unwrap_or_default()
        .into_iter()
        .map(chosen)
        .collect::<S3Result<_>>()?;
    if parts.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published \
             schema"
        ));
    }
    let mut stated = [
        (Algorithm::Crc32, input.checksum_crc32),
        (Algorithm::Crc32c, input.checksum_crc32c),
        (Algorithm::Crc64Nvme, input.checksum_crc64nvme),
        (Algorithm::Sha1, input.checksum_sha1),
        (Algorithm::Sha256, input.checksum_sha256),
    ]
    .into_iter()
    .filter_map(|(algorithm, value)| Some((algorithm, value?)));
    let completion = Completion {
        bucket: &input.bucket,
        key: &input.key,
        id: &input.upload_id,
        parts: &parts,
        conditions: write_conditions(input.if_match, input.if_none_match.as_ref())?,
        stated: stated.next(),
        stated_bytes: input
            .mpu_object_size
            .and_then(|bytes| u64::try_from(bytes).ok()),
    };
    let completed = service.buckets.complete_upload(completion).await;
    let completed = completed.map_err(|error| failed(&admitted.visit, &error))?;
    let checksum = wire_checksum(completed.checksum.as_ref());
    let told = ToldEncryption::of(completed.encryption.as_ref());
    let output = dto::CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, encoded_path(&input.key))),
        bucket: Some(input.bucket),
        key: Some(input.key),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        e_tag: Some(entity_tag(&completed.stored.etag)),
        server_side_encryption: told.algorithm,
        ssekms_key_id: told.key_id,
        version_id: completed.stored.version,
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn abort(
    service: &StoredBuckets,
    request: S3Request<dto::AbortMultipartUploadInput>,
) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
    let input = &request.input;
    let place = (input.bucket.as_str(), input.key.as_str());
    let action = "s3:AbortMultipartUpload";
    let asked = Asked::of_object("AbortMultipartUpload", action, place);
    let admitted = service.admit(&request, asked).await?;
    let aborted = service
        .buckets
        .abort_upload(place.0, place.1, &input.upload_id)
        .await;
    aborted.map_err(|error| failed(&admitted.visit, &error))?;
    let output = dto::AbortMultipartUploadOutput::default();
    Ok(S3Response::with_status(
        output,
        http::StatusCode::NO_CONTENT,
    ))
}

/// Parts are numbered from 1 to 10,000.
pub(super) fn check_number(number: i32) -> S3Result<()> {
    if (1..=PART_NUMBER_MAX).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(
        InvalidArgument,
        "Part number must be an integer between 1 and 10000, inclusive"
    ))
}

/// The checksum that an upload is to have; one without a name gets what its parts have.
fn wanted_checksum(headers: &HeaderMap) -> S3Result<Option<WantedChecksum>> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let invalid = || s3_error!(InvalidRequest, "Checksum algorithm or type is not valid");
    let Some(name) = text("x-amz-checksum-algorithm") else {
        return match text("x-amz-checksum-type") {
            None => Ok(None),
            Some(_) => Err(invalid()),
        };
    };
    let algorithm = Algorithm::named(name).ok_or_else(invalid)?;
    let kind = match text("x-amz-checksum-type") {
        None => algorithm.default_kind(),
        Some("FULL_OBJECT") => ChecksumKind::FullObject,
        Some("COMPOSITE") => ChecksumKind::Composite,
        Some(_) => return Err(invalid()),
    };
    // Hashes of parts do not make the hash of the whole, and S3 has no composite CRC-64.
    let is_possible = match algorithm {
        Algorithm::Crc64Nvme => kind == ChecksumKind::FullObject,
        Algorithm::Sha1 | Algorithm::Sha256 => kind == ChecksumKind::Composite,
        Algorithm::Crc32 | Algorithm::Crc32c => true,
    };
    if is_possible {
        Ok(Some(WantedChecksum { algorithm, kind }))
    } else {
        Err(invalid())
    }
}

fn chosen(part: dto::CompletedPart) -> S3Result<ChosenPart> {
    let malformed = || s3_error!(MalformedXML, "A part needs its number and its entity tag");
    let checksums = [
        (Algorithm::Crc32, part.checksum_crc32),
        (Algorithm::Crc32c, part.checksum_crc32c),
        (Algorithm::Crc64Nvme, part.checksum_crc64nvme),
        (Algorithm::Sha1, part.checksum_sha1),
        (Algorithm::Sha256, part.checksum_sha256),
    ];
    Ok(ChosenPart {
        number: part.part_number.ok_or_else(malformed)?,
        etag: part.e_tag.ok_or_else(malformed)?.into_value(),
        checksums: checksums
            .into_iter()
            .filter_map(|(algorithm, value)| Some((algorithm, value?)))
            .collect(),
    })
}

fn initiator(admitted: &Admitted) -> dto::Initiator {
    dto::Initiator {
        display_name: None,
        id: Some(canonical_id(admitted.bucket.facts.owner)),
    }
}

fn encoded_path(key: &str) -> String {
    let url = dto::EncodingType::from_static(dto::EncodingType::URL);
    encoded(key.to_owned(), Some(&url))
}

fn wire_part(part: &Part) -> dto::Part {
    let checksum = wire_checksum(Some(&part.checksum));
    dto::Part {
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        e_tag: Some(entity_tag(&part.etag())),
        last_modified: Some(timestamp(part.modified_ms)),
        part_number: Some(part.number),
        size: Some(wire_bytes(part.bytes)),
    }
}

fn wire_upload(
    upload: Upload,
    admitted: &Admitted,
    encoding: Option<&dto::EncodingType>,
) -> dto::MultipartUpload {
    dto::MultipartUpload {
        checksum_algorithm: upload
            .checksum
            .map(|wanted| dto::ChecksumAlgorithm::from_static(wanted.algorithm.name())),
        checksum_type: upload.checksum.map(|wanted| wire_kind(wanted.kind)),
        initiated: Some(timestamp(upload.initiated_ms)),
        initiator: Some(initiator(admitted)),
        key: Some(encoded(upload.key, encoding)),
        owner: Some(owner(admitted.bucket.facts.owner)),
        storage_class: Some(dto::StorageClass::from_static("STANDARD")),
        upload_id: Some(upload.id),
    }
}
