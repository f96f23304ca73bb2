//! S3's operations over the stored buckets: for each the caller's permission, the store's work, and the
//! answer. What is not in the table below answers S3's `NotImplemented`.

mod answer_parts;
mod buckets;
mod conditions;
mod copies;
mod deletions;
mod encryption;
mod listings;
mod logging;
mod objects;
mod policy;
mod public_policy;
mod requested;
mod settings;
mod tags;
mod uploads;

use std::sync::Arc;

use s3s::dto;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::answers::{denied, no_such_bucket, no_such_key, of_store};
use crate::error::BucketsError;
use crate::gatekeeper::{BucketFacts, Demand, Gatekeeper};
use crate::operation::{Access, Operation};
use crate::read_only::LakeBucket;
use crate::store::{Bucket, Buckets};
use crate::visit::Visit;

/// The stored buckets and what their operations need.
#[derive(Clone, Debug)]
pub(crate) struct StoredBuckets {
    pub(crate) buckets: Arc<Buckets>,
    /// The reserved bucket, which is listed with its owner's.
    pub(crate) lake: LakeBucket,
    pub(crate) gatekeeper: Arc<dyn Gatekeeper>,
}

/// Condition keys with their values.
type Keys = Vec<(&'static str, String)>;

/// What an operation asks the gatekeeper.
#[derive(Clone, Debug)]
struct Asked<'a> {
    /// The operation's name in records.
    name: &'static str,
    /// The IAM action.
    action: &'static str,
    bucket: &'a str,
    key: Option<&'a str>,
    keys: Keys,
}

impl<'a> Asked<'a> {
    fn of_bucket(name: &'static str, action: &'static str, bucket: &'a str) -> Self {
        Self {
            name,
            action,
            bucket,
            key: None,
            keys: Keys::new(),
        }
    }

    fn of_object(name: &'static str, action: &'static str, place: (&'a str, &'a str)) -> Self {
        Self {
            key: Some(place.1),
            ..Self::of_bucket(name, action, place.0)
        }
    }

    fn with(mut self, keys: Keys) -> Self {
        self.keys.extend(keys);
        self
    }
}

/// An operation that may go on.
#[derive(Clone, Debug)]
struct Admitted {
    visit: Arc<Visit>,
    bucket: Bucket,
}

impl StoredBuckets {
    /// Lets a request through that the caller is authorized for, and remembers for the record what it
    /// was about. Whether a bucket exists is no secret; everything else comes after the permission.
    async fn admit<T>(&self, request: &S3Request<T>, asked: Asked<'_>) -> S3Result<Admitted> {
        let admitted = self.known(request, &asked).await?;
        self.permit(&admitted.visit, &admitted.bucket, &asked)
            .await?;
        let owned = &admitted.bucket.facts;
        expect_owner(request, "x-amz-expected-bucket-owner", owned)?;
        Ok(admitted)
    }

    /// The bucket that a request is about. Callers must ask for each permission that they need.
    async fn known<T>(&self, request: &S3Request<T>, asked: &Asked<'_>) -> S3Result<Admitted> {
        let visit = visit_of(request)?;
        let _ = visit.admitted.set(Access {
            operation: Operation::named(asked.name),
            bucket: Some(asked.bucket.to_owned()),
            key: asked.key.map(str::to_owned),
        });
        let found = self.buckets.bucket(asked.bucket).await;
        let found = found.map_err(|error| failed(&visit, &error))?;
        let bucket = found.ok_or_else(no_such_bucket)?;
        // Set once: it is the bucket that the request names, and not the source of a copy.
        let _ = visit.bucket.set(bucket.facts.clone());
        Ok(Admitted { visit, bucket })
    }

    /// Asks for one permission on a bucket or an object in it.
    async fn permit(&self, visit: &Visit, bucket: &Bucket, asked: &Asked<'_>) -> S3Result<()> {
        let resource = match asked.key {
            Some(key) => format!("arn:aws:s3:::{}/{key}", asked.bucket),
            None => format!("arn:aws:s3:::{}", asked.bucket),
        };
        let demand = Demand {
            action: asked.action,
            resource_arn: &resource,
            bucket: Some(&bucket.facts),
            keys: &asked.keys,
        };
        let decided = self.gatekeeper.authorize(&visit.caller, demand).await;
        decided.map_err(|reason| denied(&reason))?;
        if policy::is_restricted(bucket) && visit.account.is_some_and(|a| a != bucket.facts.owner) {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        Ok(())
    }

    /// What a caller learns of an object that is not there: the truth only if it may list the bucket.
    async fn absent(&self, admitted: &Admitted) -> S3Error {
        let bucket = &admitted.bucket;
        let listing = Asked::of_bucket("ListObjects", "s3:ListBucket", &bucket.facts.name);
        match self.permit(&admitted.visit, bucket, &listing).await {
            Ok(()) => no_such_key(),
            Err(refused) => refused,
        }
    }
}

/// The endpoint puts the visit there after authentication; without one, nothing is served.
fn visit_of<T>(request: &S3Request<T>) -> S3Result<Arc<Visit>> {
    let visit: Option<&Arc<Visit>> = request.extensions.get();
    visit
        .cloned()
        .ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))
}

/// An error of the store as the client learns it; the log learns of defects.
fn failed(visit: &Visit, error: &BucketsError) -> S3Error {
    if error.is_defect() {
        visit.note_defect(error.to_string());
    }
    of_store(error)
}

fn expect_owner<T>(
    request: &S3Request<T>,
    header: &'static str,
    bucket: &BucketFacts,
) -> S3Result<()> {
    match request.headers.get(header) {
        Some(expected) if expected.as_bytes() != bucket.owner.as_str().as_bytes() => {
            Err(s3_error!(AccessDenied, "Access Denied"))
        }
        _ => Ok(()),
    }
}

/// Which function does which operation.
macro_rules! operations {
    ($($operation:ident: $input:ident => $output:ident by $module:ident::$function:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for StoredBuckets {
            $(
                async fn $operation(
                    &self,
                    request: S3Request<dto::$input>,
                ) -> S3Result<S3Response<dto::$output>> {
                    $module::$function(self, request).await
                }
            )*
        }
    };
}

operations! {
    list_buckets: ListBucketsInput => ListBucketsOutput by buckets::list;
    create_bucket: CreateBucketInput => CreateBucketOutput by buckets::create;
    head_bucket: HeadBucketInput => HeadBucketOutput by buckets::head;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput by buckets::delete;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput by buckets::location;

    put_object: PutObjectInput => PutObjectOutput by objects::put;
    get_object: GetObjectInput => GetObjectOutput by objects::get;
    head_object: HeadObjectInput => HeadObjectOutput by objects::head;
    copy_object: CopyObjectInput => CopyObjectOutput by copies::object;
    delete_object: DeleteObjectInput => DeleteObjectOutput by deletions::one;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput by deletions::many;

    list_objects: ListObjectsInput => ListObjectsOutput by listings::first;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output by listings::second;
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput by listings::versions;

    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput by uploads::create;
    upload_part: UploadPartInput => UploadPartOutput by uploads::part;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput by copies::part;
    list_parts: ListPartsInput => ListPartsOutput by uploads::parts;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput by uploads::list;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput by uploads::complete;
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput by uploads::abort;

    put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput by settings::put_versioning;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput by settings::get_versioning;
    put_bucket_acl: PutBucketAclInput => PutBucketAclOutput by settings::put_bucket_acl;
    get_bucket_acl: GetBucketAclInput => GetBucketAclOutput by settings::get_bucket_acl;
    put_object_acl: PutObjectAclInput => PutObjectAclOutput by settings::put_object_acl;
    get_object_acl: GetObjectAclInput => GetObjectAclOutput by settings::get_object_acl;
    put_bucket_ownership_controls: PutBucketOwnershipControlsInput => PutBucketOwnershipControlsOutput by settings::put_ownership;
    get_bucket_ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput by settings::get_ownership;
    put_bucket_encryption: PutBucketEncryptionInput => PutBucketEncryptionOutput by settings::put_encryption;
    get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput by settings::get_encryption;
    delete_bucket_encryption: DeleteBucketEncryptionInput => DeleteBucketEncryptionOutput by settings::delete_encryption;

    put_bucket_logging: PutBucketLoggingInput => PutBucketLoggingOutput by logging::put;
    get_bucket_logging: GetBucketLoggingInput => GetBucketLoggingOutput by logging::get;

    put_bucket_policy: PutBucketPolicyInput => PutBucketPolicyOutput by policy::put;
    get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput by policy::get;
    delete_bucket_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput by policy::delete;
    get_bucket_policy_status: GetBucketPolicyStatusInput => GetBucketPolicyStatusOutput by policy::status;
    put_public_access_block: PutPublicAccessBlockInput => PutPublicAccessBlockOutput by policy::put_block;
    get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput by policy::get_block;
    delete_public_access_block: DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput by policy::delete_block;

    put_bucket_tagging: PutBucketTaggingInput => PutBucketTaggingOutput by tags::put_bucket;
    get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput by tags::get_bucket;
    delete_bucket_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput by tags::delete_bucket;
    put_object_tagging: PutObjectTaggingInput => PutObjectTaggingOutput by tags::put_object;
    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput by tags::get_object;
    delete_object_tagging: DeleteObjectTaggingInput => DeleteObjectTaggingOutput by tags::delete_object;
}
