//! S3's read operations over stored objects. Everything else answers S3's `NotImplemented`.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::stream::{self, Stream};
use s3s::dto;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::answers::{denied, no_such_bucket, no_such_key};
use crate::gatekeeper::{BucketFacts, Demand, Gatekeeper};
use crate::listing::{self, Listing, ListingRequest, PAGE_ENTRIES_MAX};
use crate::operation::{Access, Operation, Plane};
use crate::stored_objects::{
    ObjectFacts, ObjectKey, StoredObject, StoredObjects, StoredObjectsError,
};
use crate::visit::Visit;

/// Bytes read from disk and sent at a time.
const CHUNK_BYTES: u64 = 256 * 1024;

/// A folder that is served as a bucket which nobody can write.
#[derive(Clone, Debug)]
pub struct LakeBucket {
    /// Its name, owner and Region. It has no policy.
    pub facts: BucketFacts,
    /// What is in it.
    pub stored: Arc<StoredObjects>,
}

/// S3's operations over such a bucket.
#[derive(Clone, Debug)]
pub(crate) struct ReadOnlyBucket {
    pub(crate) lake: LakeBucket,
    pub(crate) gatekeeper: Arc<dyn Gatekeeper>,
}

impl ReadOnlyBucket {
    /// Lets a request through that the caller is authorized for, and remembers for the record what
    /// it was about.
    async fn admit<T>(
        &self,
        request: &S3Request<T>,
        action: &'static str,
        access: Access,
        keys: &[(&'static str, String)],
    ) -> S3Result<()> {
        // The endpoint puts the visit there after authentication; without one, nothing is served.
        let visit = request
            .extensions
            .get::<Arc<Visit>>()
            .ok_or_else(|| s3_error!(AccessDenied))?;
        let access = visit.admitted.get_or_init(|| access);
        let resource = match (&access.bucket, &access.key) {
            (Some(bucket), Some(key)) => format!("arn:aws:s3:::{bucket}/{key}"),
            (Some(bucket), None) => format!("arn:aws:s3:::{bucket}"),
            (None, _) => "arn:aws:s3:::*".to_owned(),
        };
        let facts = &self.lake.facts;
        let bucket = (access.bucket.as_ref() == Some(&facts.name)).then_some(facts);
        let demand = Demand {
            action,
            resource_arn: &resource,
            bucket,
            keys,
        };
        self.gatekeeper
            .authorize(&visit.caller, demand)
            .await
            .map_err(|d| denied(&d))?;
        match &access.bucket {
            Some(bucket) if *bucket != facts.name => Err(no_such_bucket()),
            _ => Ok(()),
        }
    }

    async fn open(&self, key: &str) -> S3Result<StoredObject> {
        let key = ObjectKey::parse(key).map_err(|_| no_such_key())?;
        let stored = Arc::clone(&self.lake.stored);
        off_thread(move || stored.object(&key)).await
    }

    async fn page(&self, request: ListingRequest) -> S3Result<Listing> {
        let stored = Arc::clone(&self.lake.stored);
        off_thread(move || listing::list(&stored, &request)).await
    }
}

#[async_trait::async_trait]
impl S3 for ReadOnlyBucket {
    async fn list_buckets(
        &self,
        request: S3Request<dto::ListBucketsInput>,
    ) -> S3Result<S3Response<dto::ListBucketsOutput>> {
        let access = Access {
            operation: Operation::read("ListBuckets", Plane::Management),
            bucket: None,
            key: None,
        };
        self.admit(&request, "s3:ListAllMyBuckets", access, &[])
            .await?;
        let bucket = dto::Bucket {
            name: Some(self.lake.facts.name.clone()),
            bucket_region: Some(self.lake.facts.region.to_string()),
            creation_date: self.lake.stored.created().map(Into::into),
        };
        let output = dto::ListBucketsOutput {
            buckets: Some(vec![bucket]),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<dto::GetBucketLocationInput>,
    ) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
        let access = of_bucket(
            "GetBucketLocation",
            Plane::Management,
            &request.input.bucket,
        );
        self.admit(&request, "s3:GetBucketLocation", access, &[])
            .await?;
        // S3 leaves the constraint out for us-east-1.
        let region = self.lake.facts.region.as_str();
        let constraint =
            (region != "us-east-1").then(|| dto::BucketLocationConstraint::from(region.to_owned()));
        let output = dto::GetBucketLocationOutput {
            location_constraint: constraint,
        };
        Ok(S3Response::new(output))
    }

    async fn head_bucket(
        &self,
        request: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        let access = of_bucket("HeadBucket", Plane::Data, &request.input.bucket);
        self.admit(&request, "s3:ListBucket", access, &[]).await?;
        let output = dto::HeadBucketOutput {
            bucket_region: Some(self.lake.facts.region.to_string()),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn list_objects(
        &self,
        request: S3Request<dto::ListObjectsInput>,
    ) -> S3Result<S3Response<dto::ListObjectsOutput>> {
        let access = of_bucket("ListObjects", Plane::Data, &request.input.bucket);
        let keys = listing_keys(
            request.input.prefix.as_deref(),
            request.input.delimiter.as_deref(),
            request.input.max_keys,
        );
        self.admit(&request, "s3:ListBucket", access, &keys).await?;
        let input = request.input;
        let entries_max = entries_max(input.max_keys)?;
        let listing = self
            .page(ListingRequest {
                prefix: input.prefix.clone().unwrap_or_default(),
                delimiter: input.delimiter.clone().unwrap_or_default(),
                after: input.marker.clone().unwrap_or_default(),
                entries_max,
            })
            .await?;
        let output = dto::ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            marker: Some(input.marker.unwrap_or_default()),
            max_keys: Some(wire_count(entries_max)),
            is_truncated: Some(listing.next_after.is_some()),
            // S3 gives NextMarker with a delimiter only; without one, clients use the last key.
            next_marker: listing.next_after.filter(|_| input.delimiter.is_some()),
            delimiter: input.delimiter,
            contents: Some(listing.objects.into_iter().map(wire_object).collect()),
            common_prefixes: Some(wire_prefixes(listing.common_prefixes)),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        let access = of_bucket("ListObjects", Plane::Data, &request.input.bucket);
        let keys = listing_keys(
            request.input.prefix.as_deref(),
            request.input.delimiter.as_deref(),
            request.input.max_keys,
        );
        self.admit(&request, "s3:ListBucket", access, &keys).await?;
        let input = request.input;
        let entries_max = entries_max(input.max_keys)?;
        let after = match &input.continuation_token {
            Some(token) => decode_token(token)?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let listing = self
            .page(ListingRequest {
                prefix: input.prefix.clone().unwrap_or_default(),
                delimiter: input.delimiter.clone().unwrap_or_default(),
                after,
                entries_max,
            })
            .await?;
        let count = listing.objects.len() + listing.common_prefixes.len();
        let output = dto::ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            max_keys: Some(wire_count(entries_max)),
            key_count: Some(wire_count(count)),
            continuation_token: input.continuation_token,
            start_after: input.start_after,
            is_truncated: Some(listing.next_after.is_some()),
            next_continuation_token: listing.next_after.map(|key| URL_SAFE_NO_PAD.encode(key)),
            delimiter: input.delimiter,
            contents: Some(listing.objects.into_iter().map(wire_object).collect()),
            common_prefixes: Some(wire_prefixes(listing.common_prefixes)),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_object(
        &self,
        request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        let input = &request.input;
        let access = of_object("HeadObject", &input.bucket, &input.key);
        self.admit(&request, "s3:GetObject", access, &[]).await?;
        let facts = self.open(&input.key).await?.facts;
        let range = wanted_range(input.range, facts.bytes)?;
        let output = dto::HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(wire_bytes(range.end - range.start)),
            content_type: Some("application/octet-stream".to_owned()),
            e_tag: Some(dto::ETag::Strong(facts.entity_tag())),
            last_modified: Some(facts.modified.into()),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn get_object(
        &self,
        request: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        let input = &request.input;
        let access = of_object("GetObject", &input.bucket, &input.key);
        self.admit(&request, "s3:GetObject", access, &[]).await?;
        let object = self.open(&input.key).await?;
        check_conditions(input, &object.facts)?;
        let facts = object.facts.clone();
        let range = wanted_range(input.range, facts.bytes)?;
        let partial = input.range.map(|_| {
            format!(
                "bytes {}-{}/{}",
                range.start,
                range.end.max(1) - 1,
                facts.bytes
            )
        });
        let output = dto::GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(wire_bytes(range.end - range.start)),
            content_range: partial,
            content_type: Some("application/octet-stream".to_owned()),
            e_tag: Some(dto::ETag::Strong(facts.entity_tag())),
            last_modified: Some(facts.modified.into()),
            body: Some(dto::StreamingBlob::wrap(chunks(object, range))),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }
}

/// The condition keys of a listing.
pub(crate) fn listing_keys(
    prefix: Option<&str>,
    delimiter: Option<&str>,
    entries_max: Option<i32>,
) -> Vec<(&'static str, String)> {
    let entries_max = entries_max.map(|count| count.to_string());
    let keys = [
        ("s3:prefix", prefix.map(str::to_owned)),
        ("s3:delimiter", delimiter.map(str::to_owned)),
        ("s3:max-keys", entries_max),
    ];
    keys.into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn of_bucket(name: &'static str, plane: Plane, bucket: &str) -> Access {
    Access {
        operation: Operation::read(name, plane),
        bucket: Some(bucket.to_owned()),
        key: None,
    }
}

fn of_object(name: &'static str, bucket: &str, key: &str) -> Access {
    Access {
        operation: Operation::read(name, Plane::Data),
        bucket: Some(bucket.to_owned()),
        key: Some(key.to_owned()),
    }
}

/// The bytes of a range, read off the async threads a chunk at a time.
fn chunks(object: StoredObject, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((object, range), |(mut object, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let wanted = (range.end - range.start).min(CHUNK_BYTES);
        let length = usize::try_from(wanted).expect("a chunk fits in memory");
        let read = tokio::task::spawn_blocking(move || {
            let bytes = object.read_at(range.start, length)?;
            if bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            Ok((object, bytes))
        });
        let (object, bytes) = read.await.map_err(io::Error::other)??;
        let next = range.start + wanted.min(u64::try_from(bytes.len()).unwrap_or(wanted));
        Ok(Some((bytes, (object, next..range.end))))
    })
}

fn check_conditions(input: &dto::GetObjectInput, facts: &ObjectFacts) -> S3Result<()> {
    let tag = dto::ETag::Strong(facts.entity_tag());
    let matches = |condition: &dto::ETagCondition| match condition {
        dto::ETagCondition::Any => true,
        dto::ETagCondition::ETag(wanted) => wanted.strong_cmp(&tag),
    };
    if input
        .if_match
        .as_ref()
        .is_some_and(|condition| !matches(condition))
    {
        return Err(s3_error!(PreconditionFailed));
    }
    if input.if_none_match.as_ref().is_some_and(matches) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

fn wanted_range(range: Option<dto::Range>, bytes: u64) -> S3Result<Range<u64>> {
    match range {
        None => Ok(0..bytes),
        Some(range) => range.check(bytes).map_err(|_| s3_error!(InvalidRange)),
    }
}

fn entries_max(max_keys: Option<i32>) -> S3Result<usize> {
    match max_keys {
        None => Ok(PAGE_ENTRIES_MAX),
        Some(count) => usize::try_from(count)
            .map(|count| count.min(PAGE_ENTRIES_MAX))
            .map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative")),
    }
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

fn wire_count(count: usize) -> i32 {
    i32::try_from(count).expect("a page holds at most a thousand entries")
}

fn wire_bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn wire_object(facts: ObjectFacts) -> dto::Object {
    dto::Object {
        e_tag: Some(dto::ETag::Strong(facts.entity_tag())),
        last_modified: Some(facts.modified.into()),
        size: Some(wire_bytes(facts.bytes)),
        storage_class: Some(dto::ObjectStorageClass::from_static("STANDARD")),
        key: Some(facts.key),
        ..Default::default()
    }
}

fn wire_prefixes(prefixes: Vec<String>) -> Vec<dto::CommonPrefix> {
    prefixes
        .into_iter()
        .map(|prefix| dto::CommonPrefix {
            prefix: Some(prefix),
        })
        .collect()
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoredObjectsError> + Send + 'static,
) -> S3Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(StoredObjectsError::NotFound)) => Err(no_such_key()),
        Ok(Err(failure @ StoredObjectsError::Disk { .. })) => Err(S3Error::internal_error(failure)),
        Err(panicked) => Err(S3Error::internal_error(panicked)),
    }
}
