//! Where a bucket's access log goes. A target that would not take the log is refused.

use s3s::dto;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::requested::KEY_BYTES_MAX;
use super::{Asked, StoredBuckets, failed};
use crate::access_log::{check_target, sample_key};
use crate::store::{AccessLogging, DateSource, KeyFormat, LoggedBucket};
use crate::unsupported::acl_not_supported;

pub(super) async fn put(
    service: &StoredBuckets,
    request: S3Request<dto::PutBucketLoggingInput>,
) -> S3Result<S3Response<dto::PutBucketLoggingOutput>> {
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("PutBucketLogging", "s3:PutBucketLogging", bucket);
    let admitted = service.admit(&request, asked).await?;
    let wanted = request.input.bucket_logging_status.logging_enabled.as_ref();
    let logging = wanted.map(accepted).transpose()?;
    if let Some(logging) = &logging {
        let source = LoggedBucket::new(&admitted.bucket.facts, logging.clone());
        let key = sample_key(&source, service.buckets.clock.now_ms());
        if key.len() > KEY_BYTES_MAX {
            return Err(s3_error!(KeyTooLongError, "Your key is too long"));
        }
        let checked = check_target(&service.buckets, &*service.gatekeeper, &source, &key).await;
        checked.map_err(|error| failed(&admitted.visit, &error))?;
    }
    let set = service.buckets.set_logging(bucket, logging).await;
    set.map_err(|error| failed(&admitted.visit, &error))?;
    Ok(S3Response::new(dto::PutBucketLoggingOutput::default()))
}

pub(super) async fn get(
    service: &StoredBuckets,
    request: S3Request<dto::GetBucketLoggingInput>,
) -> S3Result<S3Response<dto::GetBucketLoggingOutput>> {
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("GetBucketLogging", "s3:GetBucketLogging", bucket);
    let admitted = service.admit(&request, asked).await?;
    let logging = admitted.bucket.settings.logging.as_ref();
    Ok(S3Response::new(dto::GetBucketLoggingOutput {
        logging_enabled: logging.map(told),
    }))
}

fn accepted(wanted: &dto::LoggingEnabled) -> S3Result<AccessLogging> {
    if wanted
        .target_grants
        .as_ref()
        .is_some_and(|grants| !grants.is_empty())
    {
        return Err(acl_not_supported());
    }
    let format = wanted.target_object_key_format.as_ref();
    Ok(AccessLogging {
        target_bucket: wanted.target_bucket.clone(),
        target_prefix: wanted.target_prefix.clone(),
        key_format: format.map(key_format).transpose()?,
    })
}

fn key_format(wanted: &dto::TargetObjectKeyFormat) -> S3Result<KeyFormat> {
    match (&wanted.simple_prefix, &wanted.partitioned_prefix) {
        (Some(_), None) => Ok(KeyFormat::SimplePrefix),
        (None, Some(partitioned)) => {
            let source = partitioned.partition_date_source.as_ref();
            match source.map(dto::PartitionDateSource::as_str) {
                None | Some(dto::PartitionDateSource::DELIVERY_TIME) => {
                    Ok(KeyFormat::PartitionedPrefix(DateSource::DeliveryTime))
                }
                Some(dto::PartitionDateSource::EVENT_TIME) => {
                    Ok(KeyFormat::PartitionedPrefix(DateSource::EventTime))
                }
                Some(_) => Err(malformed()),
            }
        }
        _ => Err(malformed()),
    }
}

fn malformed() -> s3s::S3Error {
    s3_error!(
        MalformedXML,
        "The XML you provided was not well-formed or did not validate against our published schema"
    )
}

fn told(logging: &AccessLogging) -> dto::LoggingEnabled {
    let format = logging.key_format.map(|format| match format {
        KeyFormat::SimplePrefix => dto::TargetObjectKeyFormat {
            partitioned_prefix: None,
            simple_prefix: Some(dto::SimplePrefix::default()),
        },
        KeyFormat::PartitionedPrefix(source) => {
            let source = match source {
                DateSource::DeliveryTime => dto::PartitionDateSource::DELIVERY_TIME,
                DateSource::EventTime => dto::PartitionDateSource::EVENT_TIME,
            };
            let source = dto::PartitionDateSource::from_static(source);
            dto::TargetObjectKeyFormat {
                partitioned_prefix: Some(dto::PartitionedPrefix {
                    partition_date_source: Some(source),
                }),
                simple_prefix: None,
            }
        }
    });
    dto::LoggingEnabled {
        target_bucket: logging.target_bucket.clone(),
        target_grants: None,
        target_object_key_format: format,
        target_prefix: logging.target_prefix.clone(),
    }
}
