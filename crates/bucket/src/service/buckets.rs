//! Buckets as a whole.

use cairn_model::Region;
use s3s::dto;
use s3s::path::check_bucket_name;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answer_parts::{owner, timestamp};
use super::requested::{check_acl, header_keys};
use super::{Asked, StoredBuckets, failed, visit_of};
use crate::answers::{denied, of_store};
use crate::error::BucketsError;
use crate::gatekeeper::Demand;
use crate::operation::{Access, Operation};
use crate::store::{PublicAccessBlock, Settings};

/// Most buckets of one page.
const BUCKETS_PAGE_MAX: usize = 10_000;
/// Beginnings of names that S3 keeps for itself.
const RESERVED_STARTS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
/// Endings of names that S3 keeps for itself.
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

pub(super) async fn list(
    service: &StoredBuckets,
    request: S3Request<dto::ListBucketsInput>,
) -> S3Result<S3Response<dto::ListBucketsOutput>> {
    let visit = visit_of(&request)?;
    let _ = visit.admitted.set(Access {
        operation: Operation::named("ListBuckets"),
        bucket: None,
        key: None,
    });
    let demand = Demand {
        action: "s3:ListAllMyBuckets",
        resource_arn: "arn:aws:s3:::*",
        bucket: None,
        keys: &[],
    };
    let decided = service.gatekeeper.authorize(&visit.caller, demand).await;
    decided.map_err(|reason| denied(&reason))?;
    let account = visit
        .account
        .ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))?;
    let input = request.input;
    let after = input.continuation_token.unwrap_or_default();
    let found = service
        .buckets
        .buckets_of(account, &after, usize::MAX)
        .await;
    let found = found.map_err(|error| failed(&visit, &error))?;
    let mut buckets: Vec<(String, Region, Option<dto::Timestamp>)> = found
        .into_iter()
        .map(|bucket| {
            let created = Some(timestamp(bucket.created_ms));
            (bucket.facts.name, bucket.facts.region, created)
        })
        .collect();
    let lake = &service.lake.facts;
    if lake.owner == account && lake.name > after {
        let created = service.lake.stored.created().map(Into::into);
        buckets.push((lake.name.clone(), lake.region.clone(), created));
        buckets.sort_by(|one, other| one.0.cmp(&other.0));
    }
    let prefix = input.prefix.unwrap_or_default();
    let is_wanted = |name: &str, region: &Region| {
        let in_region = input
            .bucket_region
            .as_ref()
            .is_none_or(|wanted| wanted == region.as_str());
        name.starts_with(&prefix) && in_region
    };
    buckets.retain(|(name, region, _)| is_wanted(name, region));
    let page = match input.max_buckets {
        None => BUCKETS_PAGE_MAX,
        Some(count) => usize::try_from(count)
            .ok()
            .filter(|count| (1..=BUCKETS_PAGE_MAX).contains(count))
            .ok_or_else(|| s3_error!(InvalidArgument, "max-buckets must be 1 to 10000"))?,
    };
    let is_truncated = buckets.len() > page;
    buckets.truncate(page);
    let next = buckets.last().map(|(name, ..)| name.clone());
    let output = dto::ListBucketsOutput {
        buckets: Some(buckets.into_iter().map(wire_bucket).collect()),
        continuation_token: next.filter(|_| is_truncated),
        owner: Some(owner(account)),
        prefix: Some(prefix).filter(|prefix| !prefix.is_empty()),
    };
    Ok(S3Response::new(output))
}

pub(super) async fn create(
    service: &StoredBuckets,
    request: S3Request<dto::CreateBucketInput>,
) -> S3Result<S3Response<dto::CreateBucketOutput>> {
    let visit = visit_of(&request)?;
    let name = &request.input.bucket;
    let _ = visit.admitted.set(Access {
        operation: Operation::named("CreateBucket"),
        bucket: Some(name.clone()),
        key: None,
    });
    let configuration = request.input.create_bucket_configuration.as_ref();
    let constraint = configuration
        .and_then(|configuration| configuration.location_constraint.as_ref())
        .map(|constraint| constraint.as_str().to_owned())
        .filter(|constraint| !constraint.is_empty());
    let mut keys = header_keys(&request.headers);
    if let Some(constraint) = &constraint {
        keys.push(("s3:LocationConstraint", constraint.clone()));
    }
    let ownership = request.input.object_ownership.as_ref();
    if let Some(ownership) = ownership {
        let ownership = ownership.as_str().to_owned();
        keys.push(("s3:x-amz-object-ownership", ownership));
    }
    let resource = format!("arn:aws:s3:::{name}");
    let demand = Demand {
        action: "s3:CreateBucket",
        resource_arn: &resource,
        bucket: None,
        keys: &keys,
    };
    let decided = service.gatekeeper.authorize(&visit.caller, demand).await;
    decided.map_err(|reason| denied(&reason))?;
    let account = visit
        .account
        .ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))?;
    check_acl(&request.headers)?;
    if ownership.is_some_and(|o| o.as_str() != dto::ObjectOwnership::BUCKET_OWNER_ENFORCED)
        || configuration.is_some_and(|c| c.bucket.is_some() || c.location.is_some())
    {
        return Err(s3_error!(
            NotImplemented,
            "Buckets of this kind are not implemented: object ownership is BucketOwnerEnforced"
        ));
    }
    check_name(name)?;
    let region = region_of(constraint.as_deref(), &visit.region)?;
    if *name == service.lake.facts.name {
        return Err(of_store(&BucketsError::BucketAlreadyExists));
    }
    let settings = Settings {
        public_access_block: Some(PublicAccessBlock::ALL),
        ..Settings::default()
    };
    let made = service
        .buckets
        .create_bucket(name, account, &region, &settings)
        .await;
    made.map_err(|error| failed(&visit, &error))?;
    if let Ok(Some(facts)) = service.buckets.facts(name).await {
        let _ = visit.bucket.set(facts);
    }
    let output = dto::CreateBucketOutput {
        location: Some(format!("/{name}")),
    };
    Ok(S3Response::new(output))
}

pub(super) async fn head(
    service: &StoredBuckets,
    request: S3Request<dto::HeadBucketInput>,
) -> S3Result<S3Response<dto::HeadBucketOutput>> {
    let asked = Asked::of_bucket("HeadBucket", "s3:ListBucket", &request.input.bucket);
    let admitted = service.admit(&request, asked).await?;
    let output = dto::HeadBucketOutput {
        bucket_region: Some(admitted.bucket.facts.region.to_string()),
        ..Default::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn delete(
    service: &StoredBuckets,
    request: S3Request<dto::DeleteBucketInput>,
) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
    let name = &request.input.bucket;
    let asked = Asked::of_bucket("DeleteBucket", "s3:DeleteBucket", name);
    let admitted = service.admit(&request, asked).await?;
    let deleted = service.buckets.delete_bucket(name).await;
    deleted.map_err(|error| failed(&admitted.visit, &error))?;
    Ok(S3Response::with_status(
        dto::DeleteBucketOutput {},
        http::StatusCode::NO_CONTENT,
    ))
}

pub(super) async fn location(
    service: &StoredBuckets,
    request: S3Request<dto::GetBucketLocationInput>,
) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
    let name = &request.input.bucket;
    let asked = Asked::of_bucket("GetBucketLocation", "s3:GetBucketLocation", name);
    let admitted = service.admit(&request, asked).await?;
    // S3 leaves the constraint out for us-east-1.
    let region = admitted.bucket.facts.region.as_str();
    let constraint =
        (region != "us-east-1").then(|| dto::BucketLocationConstraint::from(region.to_owned()));
    let output = dto::GetBucketLocationOutput {
        location_constraint: constraint,
    };
    Ok(S3Response::new(output))
}

/// The rules for names of buckets (TRL-279, TRL-280).
pub(super) fn check_name(name: &str) -> S3Result<()> {
    let is_reserved = RESERVED_STARTS.iter().any(|start| name.starts_with(start))
        || RESERVED_ENDS.iter().any(|end| name.ends_with(end));
    let looks_like_address = {
        let labels: Vec<&str> = name.split('.').collect();
        labels.len() == 4 && labels.iter().all(|l| l.bytes().all(|b| b.is_ascii_digit()))
    };
    let label_is_plain =
        |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    if check_bucket_name(name)
        && !is_reserved
        && !looks_like_address
        && name.split('.').all(label_is_plain)
    {
        Ok(())
    } else {
        Err(s3_error!(
            InvalidBucketName,
            "The specified bucket is not valid."
        ))
    }
}

/// The Region that a new bucket is in: the one that is named, or that of the credentials' scope.
fn region_of(constraint: Option<&str>, scope: &Region) -> S3Result<Region> {
    let constraint = match constraint {
        None => return Ok(scope.clone()),
        Some("EU") => "eu-west-1",
        Some(constraint) => constraint,
    };
    let region: Region = constraint.parse().map_err(|_| {
        s3_error!(
            InvalidLocationConstraint,
            "The specified location-constraint is not valid"
        )
    })?;
    if scope.as_str() != "us-east-1" && region != *scope {
        return Err(s3_error!(
            IllegalLocationConstraintException,
            "The {constraint} location constraint is incompatible for the region specific endpoint \
             this request was sent to."
        ));
    }
    Ok(region)
}

fn wire_bucket((name, region, created): (String, Region, Option<dto::Timestamp>)) -> dto::Bucket {
    dto::Bucket {
        name: Some(name),
        bucket_region: Some(region.to_string()),
        creation_date: created,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: TRL-279, TRL-280
    #[test]
    fn names_follow_the_rules() {
        let long = "a".repeat(63);
        for name in ["abc", "my.example-bucket.2", "1ab", &long] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let too_long = "a".repeat(64);
        for name in [
            "ab",
            &too_long,
            "Abc",
            "a_bc",
            "abc-",
            "-abc",
            "a..b",
            "a.-b",
            "a-.b",
            ".abc",
            "abc.",
            "192.168.5.4",
            "999.1.1.1",
            "xn--abc",
            "abc-s3alias",
            "a b",
            "é-bucket",
            "a/b",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_bucket_is_made_where_it_is_asked_for() {
        let region = |text: &str| -> Region { text.parse().expect("a Region") };
        let (east, west) = (region("us-east-1"), region("eu-west-1"));
        assert_eq!(region_of(None, &west).ok(), Some(west.clone()));
        assert_eq!(region_of(Some("EU"), &east).ok(), Some(west.clone()));
        assert!(region_of(Some("ap-south-1"), &west).is_err());
        assert!(region_of(Some("no region"), &east).is_err());
    }
}
