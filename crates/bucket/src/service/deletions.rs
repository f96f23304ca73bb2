//! Deleting objects.

use http::StatusCode;
use s3s::dto;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::requested::{check_key, version_key, wanted_tag};
use super::{Asked, StoredBuckets, expect_owner, failed};
use crate::answers::of_store;
use crate::store::{Deleted, Deletion};

/// Most objects of one request.
const OBJECTS_MAX: usize = 1000;

pub(super) async fn one(
    service: &StoredBuckets,
    request: S3Request<dto::DeleteObjectInput>,
) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
    let input = &request.input;
    let place = (input.bucket.as_str(), input.key.as_str());
    let asked = Asked::of_object("DeleteObject", action(input.version_id.as_deref()), place);
    let keys = version_key(input.version_id.as_deref());
    let admitted = service.admit(&request, asked.with(keys)).await?;
    let deletion = Deletion {
        key: input.key.clone(),
        version: input.version_id.clone(),
        if_match: input.if_match.clone().map(wanted_tag),
    };
    let deleted = service
        .buckets
        .delete_objects(&input.bucket, &[deletion])
        .await;
    let mut deleted = deleted.map_err(|error| failed(&admitted.visit, &error))?;
    let deleted = deleted.pop().unwrap_or(Ok(Deleted::default()));
    let deleted = deleted.map_err(|error| failed(&admitted.visit, &error))?;
    let output = dto::DeleteObjectOutput {
        delete_marker: deleted.is_marker.then_some(true),
        version_id: deleted.version,
        ..Default::default()
    };
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

pub(super) async fn many(
    service: &StoredBuckets,
    request: S3Request<dto::DeleteObjectsInput>,
) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
    let bucket = request.input.bucket.clone();
    let objects = &request.input.delete.objects;
    if objects.is_empty() || objects.len() > OBJECTS_MAX {
        return Err(s3_error!(
            MalformedXML,
            "A request deletes 1 to 1000 objects"
        ));
    }
    // Each object is asked for by itself below.
    let asked = Asked::of_bucket("DeleteObjects", "s3:DeleteObject", &bucket);
    let admitted = service.known(&request, &asked).await?;
    let owned = &admitted.bucket.facts;
    expect_owner(&request, "x-amz-expected-bucket-owner", owned)?;
    let (mut output, mut deletions) = (dto::DeleteObjectsOutput::default(), Vec::new());
    let mut errors = Vec::new();
    for object in objects {
        check_key(&object.key)?;
        if object.last_modified_time.is_some() || object.size.is_some() {
            return Err(s3_error!(
                NotImplemented,
                "Conditions on the time or size of an object are not implemented"
            ));
        }
        let version = object.version_id.as_deref();
        let place = (bucket.as_str(), object.key.as_str());
        let asked = Asked::of_object("DeleteObjects", action(version), place);
        let asked = asked.with(version_key(version));
        let decided = service
            .permit(&admitted.visit, &admitted.bucket, &asked)
            .await;
        match decided {
            Ok(()) => deletions.push(Deletion {
                key: object.key.clone(),
                version: object.version_id.clone(),
                if_match: object.e_tag.clone().map(dto::ETag::into_value),
            }),
            Err(refused) => errors.push(wire_error(&object.key, version, &refused)),
        }
    }
    let results = service.buckets.delete_objects(&bucket, &deletions).await;
    let results = results.map_err(|error| failed(&admitted.visit, &error))?;
    let mut deleted = Vec::new();
    for (deletion, result) in deletions.into_iter().zip(results) {
        match result {
            Ok(done) => deleted.push(wire_deleted(deletion, done)),
            Err(error) => {
                let version = deletion.version.as_deref();
                errors.push(wire_error(&deletion.key, version, &of_store(&error)));
            }
        }
    }
    if !request.input.delete.quiet.unwrap_or_default() {
        output.deleted = Some(deleted);
    }
    output.errors = Some(errors);
    Ok(S3Response::new(output))
}

fn action(version: Option<&str>) -> &'static str {
    match version {
        None => "s3:DeleteObject",
        Some(_) => "s3:DeleteObjectVersion",
    }
}

fn wire_deleted(deletion: Deletion, done: Deleted) -> dto::DeletedObject {
    // Of a marker that was made, its ID; of a version that was named, that one.
    let marker = done.version.filter(|_| done.is_marker);
    dto::DeletedObject {
        delete_marker: done.is_marker.then_some(true),
        delete_marker_version_id: marker,
        key: Some(deletion.key),
        version_id: deletion.version,
    }
}

fn wire_error(key: &str, version: Option<&str>, error: &s3s::S3Error) -> dto::Error {
    dto::Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key.to_owned()),
        message: error.message().map(str::to_owned),
        version_id: version.map(str::to_owned),
    }
}
