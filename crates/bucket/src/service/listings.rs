//! Listings of objects and versions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answer_parts::{
    encoded, entity_tag, entries_max, known_encoding, owner, timestamp, wire_bytes, wire_count,
};
use super::{Asked, StoredBuckets, failed};
use crate::read_only::listing_keys;
use crate::store::{Bucket, Entry, ListRequest, Page, Version, VersionsRequest};

/// The storage class of every object.
const STORAGE_CLASS: &str = "STANDARD";

pub(super) async fn first(
    service: &StoredBuckets,
    request: S3Request<dto::ListObjectsInput>,
) -> S3Result<S3Response<dto::ListObjectsOutput>> {
    let input = &request.input;
    let keys = listing_keys(
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        input.max_keys,
    );
    let asked = Asked::of_bucket("ListObjects", "s3:ListBucket", &input.bucket).with(keys);
    let admitted = service.admit(&request, asked).await?;
    let input = request.input;
    let encoding = input.encoding_type;
    known_encoding(encoding.as_ref())?;
    let list = ListRequest {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: input.marker.clone().unwrap_or_default(),
        entries_max: entries_max(input.max_keys)?,
    };
    let page = service.buckets.list(&list).await;
    let page = page.map_err(|error| failed(&admitted.visit, &error))?;
    let next = next_of(&page);
    let wire = Wire {
        encoding: encoding.as_ref(),
        bucket: &admitted.bucket,
        with_owner: true,
    };
    let (contents, prefixes) = wire.contents(page);
    let output = dto::ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(wire.text(list.prefix)),
        marker: Some(wire.text(list.after)),
        max_keys: Some(wire_count(list.entries_max)),
        is_truncated: Some(next.is_some()),
        // S3 gives NextMarker with a delimiter only; without one, clients use the last key.
        next_marker: next
            .filter(|_| input.delimiter.is_some())
            .map(|key| wire.text(key)),
        delimiter: input.delimiter.map(|delimiter| wire.text(delimiter)),
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        encoding_type: encoding.clone(),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn second(
    service: &StoredBuckets,
    request: S3Request<dto::ListObjectsV2Input>,
) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
    let input = &request.input;
    let keys = listing_keys(
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        input.max_keys,
    );
    let asked = Asked::of_bucket("ListObjects", "s3:ListBucket", &input.bucket).with(keys);
    let admitted = service.admit(&request, asked).await?;
    let input = request.input;
    let encoding = input.encoding_type;
    known_encoding(encoding.as_ref())?;
    let after = match &input.continuation_token {
        Some(token) => decode_token(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let list = ListRequest {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after,
        entries_max: entries_max(input.max_keys)?,
    };
    let page = service.buckets.list(&list).await;
    let page = page.map_err(|error| failed(&admitted.visit, &error))?;
    let next = next_of(&page);
    let count = page.entries.len();
    let wire = Wire {
        encoding: encoding.as_ref(),
        bucket: &admitted.bucket,
        with_owner: input.fetch_owner.unwrap_or_default(),
    };
    let (contents, prefixes) = wire.contents(page);
    let output = dto::ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(wire.text(list.prefix)),
        max_keys: Some(wire_count(list.entries_max)),
        key_count: Some(wire_count(count)),
        continuation_token: input.continuation_token,
        start_after: input.start_after.map(|key| wire.text(key)),
        is_truncated: Some(next.is_some()),
        next_continuation_token: next.map(|key| URL_SAFE_NO_PAD.encode(key)),
        delimiter: input.delimiter.map(|delimiter| wire.text(delimiter)),
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        encoding_type: encoding.clone(),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn versions(
    service: &StoredBuckets,
    request: S3Request<dto::ListObjectVersionsInput>,
) -> S3Result<S3Response<dto::ListObjectVersionsOutput>> {
    let input = &request.input;
    let keys = listing_keys(
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        input.max_keys,
    );
    let bucket = input.bucket.clone();
    let asked = Asked::of_bucket("ListObjectVersions", "s3:ListBucketVersions", &bucket);
    let admitted = service.admit(&request, asked.with(keys)).await?;
    let input = request.input;
    let encoding = input.encoding_type;
    known_encoding(encoding.as_ref())?;
    let after_version = input.version_id_marker.filter(|marker| !marker.is_empty());
    if after_version.is_some() && input.key_marker.as_deref().unwrap_or_default().is_empty() {
        return Err(s3_error!(
            InvalidArgument,
            "A version-id marker cannot be specified without a key marker."
        ));
    }
    let versions = VersionsRequest {
        list: ListRequest {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().unwrap_or_default(),
            after: input.key_marker.clone().unwrap_or_default(),
            entries_max: entries_max(input.max_keys)?,
        },
        after_version,
    };
    let page = service.buckets.list_versions(&versions).await;
    let page = page.map_err(|error| failed(&admitted.visit, &error))?;
    let wire = Wire {
        encoding: encoding.as_ref(),
        bucket: &admitted.bucket,
        with_owner: true,
    };
    let next_version = match page.entries.last() {
        Some(Entry::Version(version)) if page.is_truncated => Some(version.version.clone()),
        _ => None,
    };
    let mut output = dto::ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(wire.text(versions.list.prefix)),
        key_marker: Some(wire.text(versions.list.after)),
        version_id_marker: Some(versions.after_version.unwrap_or_default()),
        max_keys: Some(wire_count(versions.list.entries_max)),
        is_truncated: Some(page.is_truncated),
        next_key_marker: next_of(&page).map(|key| wire.text(key)),
        next_version_id_marker: next_version,
        delimiter: input.delimiter.map(|delimiter| wire.text(delimiter)),
        encoding_type: encoding.clone(),
        ..Default::default()
    };
    let (mut found, mut markers, mut prefixes) = (Vec::new(), Vec::new(), Vec::new());
    for entry in page.entries {
        match entry {
            Entry::Prefix(prefix) => prefixes.push(wire.prefix(prefix)),
            Entry::Version(version) if version.is_marker => markers.push(wire.marker(*version)),
            Entry::Version(version) => found.push(wire.version(*version)),
        }
    }
    output.versions = Some(found);
    output.delete_markers = Some(markers);
    output.common_prefixes = Some(prefixes);
    Ok(S3Response::new(output))
}

/// After what the next page begins, if there is one.
fn next_of(page: &Page) -> Option<String> {
    let last = page.entries.last()?;
    page.is_truncated.then(|| last.name().to_owned())
}

fn decode_token(token: &str) -> S3Result<String> {
    let invalid = || {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    String::from_utf8(bytes).map_err(|_| invalid())
}

/// How a listing writes its entries.
struct Wire<'a> {
    encoding: Option<&'a dto::EncodingType>,
    bucket: &'a Bucket,
    with_owner: bool,
}

impl Wire<'_> {
    fn text(&self, text: String) -> String {
        encoded(text, self.encoding)
    }

    fn owner(&self) -> Option<dto::Owner> {
        self.with_owner.then(|| owner(self.bucket.facts.owner))
    }

    fn contents(&self, page: Page) -> (Vec<dto::Object>, Vec<dto::CommonPrefix>) {
        let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
        for entry in page.entries {
            match entry {
                Entry::Prefix(prefix) => prefixes.push(self.prefix(prefix)),
                Entry::Version(version) => objects.push(self.object(*version)),
            }
        }
        (objects, prefixes)
    }

    fn prefix(&self, prefix: String) -> dto::CommonPrefix {
        dto::CommonPrefix {
            prefix: Some(self.text(prefix)),
        }
    }

    fn object(&self, version: Version) -> dto::Object {
        let checksum = version.properties.checksum.as_ref();
        let algorithm = checksum.map(|checksum| vec![wire_algorithm(checksum.algorithm.name())]);
        dto::Object {
            checksum_algorithm: algorithm,
            e_tag: Some(entity_tag(&version.etag)),
            last_modified: Some(timestamp(version.modified_ms)),
            owner: self.owner(),
            size: Some(wire_bytes(version.bytes)),
            storage_class: Some(dto::ObjectStorageClass::from_static(STORAGE_CLASS)),
            key: Some(self.text(version.key)),
            ..Default::default()
        }
    }

    fn version(&self, version: Version) -> dto::ObjectVersion {
        let class = dto::ObjectVersionStorageClass::from_static(STORAGE_CLASS);
        dto::ObjectVersion {
            e_tag: Some(entity_tag(&version.etag)),
            is_latest: Some(version.is_latest),
            last_modified: Some(timestamp(version.modified_ms)),
            owner: self.owner(),
            size: Some(wire_bytes(version.bytes)),
            storage_class: Some(class),
            key: Some(self.text(version.key)),
            version_id: Some(version.version),
            ..Default::default()
        }
    }

    fn marker(&self, version: Version) -> dto::DeleteMarkerEntry {
        dto::DeleteMarkerEntry {
            is_latest: Some(version.is_latest),
            last_modified: Some(timestamp(version.modified_ms)),
            owner: self.owner(),
            key: Some(self.text(version.key)),
            version_id: Some(version.version),
        }
    }
}

fn wire_algorithm(name: &'static str) -> dto::ChecksumAlgorithm {
    dto::ChecksumAlgorithm::from_static(name)
}
