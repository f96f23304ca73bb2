//! Settings of buckets: versioning, encryption, ownership and access control lists.

use cairn_model::AccountId;
use http::StatusCode;
use s3s::dto;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answer_parts::{canonical_id, owner};
use super::encryption::{no_bucket_key, no_dual_layer, no_managed_key, unknown_algorithm};
use super::objects::Wanted;
use super::requested::{check_acl, header_keys};
use super::{Admitted, Asked, StoredBuckets, failed};
use crate::answers::{denied, with_code};
use crate::store::{DefaultEncryption, Versioning};
use crate::unsupported::acl_not_supported;

pub(super) async fn put_versioning(
    service: &StoredBuckets,
    request: S3Request<dto::PutBucketVersioningInput>,
) -> S3Result<S3Response<dto::PutBucketVersioningOutput>> {
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("PutBucketVersioning", "s3:PutBucketVersioning", bucket);
    let admitted = service.admit(&request, asked).await?;
    let wanted = &request.input.versioning_configuration;
    if wanted.mfa_delete.is_some() {
        return Err(s3_error!(NotImplemented, "MFA Delete is not implemented"));
    }
    let versioning = match wanted
        .status
        .as_ref()
        .map(dto::BucketVersioningStatus::as_str)
    {
        Some("Enabled") => Versioning::Enabled,
        Some("Suspended") => Versioning::Suspended,
        _ => {
            let message = "The Versioning element must be specified".to_owned();
            return Err(with_code(
                "IllegalVersioningConfigurationException",
                message,
            ));
        }
    };
    let set = service.buckets.set_versioning(bucket, versioning).await;
    set.map_err(|error| failed(&admitted.visit, &error))?;
    Ok(S3Response::new(dto::PutBucketVersioningOutput::default()))
}

pub(super) async fn get_versioning(
    service: &StoredBuckets,
    request: S3Request<dto::GetBucketVersioningInput>,
) -> S3Result<S3Response<dto::GetBucketVersioningOutput>> {
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("GetBucketVersioning", "s3:GetBucketVersioning", bucket);
    let admitted = service.admit(&request, asked).await?;
    let status = match admitted.bucket.versioning {
        Versioning::Unversioned => None,
        Versioning::Enabled => Some(dto::BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(dto::BucketVersioningStatus::SUSPENDED),
    };
    Ok(S3Response::new(dto::GetBucketVersioningOutput {
        mfa_delete: None,
        status: status.map(dto::BucketVersioningStatus::from_static),
    }))
}

pub(super) async fn put_bucket_acl(
    service: &StoredBuckets,
    request: S3Request<dto::PutBucketAclInput>,
) -> S3Result<S3Response<dto::PutBucketAclOutput>> {
    let asked = Asked::of_bucket("PutBucketAcl", "s3:PutBucketAcl", &request.input.bucket);
    let keys = header_keys(&request.headers);
    let admitted = service.admit(&request, asked.with(keys)).await?;
    check_acl(&request.headers)?;
    let account = admitted.bucket.facts.owner;
    check_list(request.input.access_control_policy.as_ref(), account)?;
    Ok(S3Response::new(dto::PutBucketAclOutput::default()))
}

pub(super) async fn get_bucket_acl(
    service: &StoredBuckets,
    request: S3Request<dto::GetBucketAclInput>,
) -> S3Result<S3Response<dto::GetBucketAclOutput>> {
    let asked = Asked::of_bucket("GetBucketAcl", "s3:GetBucketAcl", &request.input.bucket);
    let admitted = service.admit(&request, asked).await?;
    let account = admitted.bucket.facts.owner;
    Ok(S3Response::new(dto::GetBucketAclOutput {
        grants: Some(vec![full_control(account)]),
        owner: Some(owner(account)),
    }))
}

pub(super) async fn put_object_acl(
    service: &StoredBuckets,
    request: S3Request<dto::PutObjectAclInput>,
) -> S3Result<S3Response<dto::PutObjectAclOutput>> {
    let input = &request.input;
    let action = match input.version_id {
        None => "s3:PutObjectAcl",
        Some(_) => "s3:PutObjectVersionAcl",
    };
    let wanted = Wanted {
        name: "PutObjectAcl",
        place: (&input.bucket, &input.key),
        version: input.version_id.as_deref(),
    };
    let asked = Asked::of_object(wanted.name, action, wanted.place);
    let keys = header_keys(&request.headers);
    let admitted = service.admit(&request, asked.with(keys)).await?;
    service.version_there(&admitted, &wanted).await?;
    check_acl(&request.headers)?;
    let account = admitted.bucket.facts.owner;
    check_list(input.access_control_policy.as_ref(), account)?;
    Ok(S3Response::new(dto::PutObjectAclOutput::default()))
}

pub(super) async fn get_object_acl(
    service: &StoredBuckets,
    request: S3Request<dto::GetObjectAclInput>,
) -> S3Result<S3Response<dto::GetObjectAclOutput>> {
    let input = &request.input;
    let action = match input.version_id {
        None => "s3:GetObjectAcl",
        Some(_) => "s3:GetObjectVersionAcl",
    };
    let wanted = Wanted {
        name: "GetObjectAcl",
        place: (&input.bucket, &input.key),
        version: input.version_id.as_deref(),
    };
    let asked = Asked::of_object(wanted.name, action, wanted.place);
    let admitted = service.admit(&request, asked).await?;
    service.version_there(&admitted, &wanted).await?;
    let account = admitted.bucket.facts.owner;
    Ok(S3Response::new(dto::GetObjectAclOutput {
        grants: Some(vec![full_control(account)]),
        owner: Some(owner(account)),
        ..Default::default()
    }))
}

pub(super) async fn put_ownership(
    service: &StoredBuckets,
    request: S3Request<dto::PutBucketOwnershipControlsInput>,
) -> S3Result<S3Response<dto::PutBucketOwnershipControlsOutput>> {
    let action = "s3:PutBucketOwnershipControls";
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("PutBucketOwnershipControls", action, bucket);
    service.admit(&request, asked).await?;
    let rules = &request.input.ownership_controls.rules;
    let wanted = rules.first().map(|rule| rule.object_ownership.as_str());
    if rules.len() != 1 || wanted != Some(dto::ObjectOwnership::BUCKET_OWNER_ENFORCED) {
        return Err(s3_error!(
            NotImplemented,
            "Object ownership other than BucketOwnerEnforced is not implemented"
        ));
    }
    let output = dto::PutBucketOwnershipControlsOutput::default();
    Ok(S3Response::new(output))
}

pub(super) async fn get_ownership(
    service: &StoredBuckets,
    request: S3Request<dto::GetBucketOwnershipControlsInput>,
) -> S3Result<S3Response<dto::GetBucketOwnershipControlsOutput>> {
    let action = "s3:GetBucketOwnershipControls";
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("GetBucketOwnershipControls", action, bucket);
    service.admit(&request, asked).await?;
    let enforced = dto::ObjectOwnership::BUCKET_OWNER_ENFORCED;
    let rule = dto::OwnershipControlsRule {
        object_ownership: dto::ObjectOwnership::from_static(enforced),
    };
    Ok(S3Response::new(dto::GetBucketOwnershipControlsOutput {
        ownership_controls: Some(dto::OwnershipControls { rules: vec![rule] }),
    }))
}

pub(super) async fn put_encryption(
    service: &StoredBuckets,
    request: S3Request<dto::PutBucketEncryptionInput>,
) -> S3Result<S3Response<dto::PutBucketEncryptionOutput>> {
    let action = "s3:PutEncryptionConfiguration";
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("PutBucketEncryption", action, bucket);
    let admitted = service.admit(&request, asked).await?;
    let rules = &request.input.server_side_encryption_configuration.rules;
    let default = match rules.as_slice() {
        [rule] if rule.bucket_key_enabled == Some(true) => return Err(no_bucket_key()),
        [rule] => rule.apply_server_side_encryption_by_default.as_ref(),
        _ => None,
    };
    let default = default
        .ok_or_else(|| s3_error!(MalformedXML, "One rule with a default encryption is needed"))?;
    let key_id = default.kms_master_key_id.as_deref();
    let encryption = match (default.sse_algorithm.as_str(), key_id) {
        // What every object has anyway.
        ("AES256", None) => None,
        ("AES256", Some(_)) => {
            return Err(s3_error!(
                InvalidArgument,
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
            ));
        }
        ("aws:kms", None) => return Err(no_managed_key()),
        ("aws:kms", Some(key_id)) => {
            let (caller, facts) = (&admitted.visit.caller, &admitted.bucket.facts);
            let checked = service.gatekeeper.check_key_name(caller, key_id, facts);
            checked.map_err(|reason| denied(&reason))?;
            Some(DefaultEncryption::Kms(key_id.to_owned()))
        }
        ("aws:kms:dsse", _) => return Err(no_dual_layer()),
        _ => return Err(unknown_algorithm()),
    };
    set_default_encryption(service, &admitted, encryption).await?;
    Ok(S3Response::new(dto::PutBucketEncryptionOutput::default()))
}

async fn set_default_encryption(
    service: &StoredBuckets,
    admitted: &Admitted,
    encryption: Option<DefaultEncryption>,
) -> S3Result<()> {
    let name = &admitted.bucket.facts.name;
    let set = service
        .buckets
        .change_settings(name, |settings| settings.encryption = encryption);
    set.await.map_err(|error| failed(&admitted.visit, &error))
}

pub(super) async fn get_encryption(
    service: &StoredBuckets,
    request: S3Request<dto::GetBucketEncryptionInput>,
) -> S3Result<S3Response<dto::GetBucketEncryptionOutput>> {
    let action = "s3:GetEncryptionConfiguration";
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("GetBucketEncryption", action, bucket);
    let admitted = service.admit(&request, asked).await?;
    let (algorithm, key_id) = match admitted.bucket.settings.encryption {
        None => (dto::ServerSideEncryption::AES256, None),
        Some(DefaultEncryption::Kms(key_id)) => (dto::ServerSideEncryption::AWS_KMS, Some(key_id)),
    };
    let rule = dto::ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(dto::ServerSideEncryptionByDefault {
            kms_master_key_id: key_id,
            sse_algorithm: dto::ServerSideEncryption::from_static(algorithm),
        }),
        bucket_key_enabled: Some(false),
    };
    let configuration = dto::ServerSideEncryptionConfiguration { rules: vec![rule] };
    Ok(S3Response::new(dto::GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(configuration),
    }))
}

/// Back to what every bucket begins with.
pub(super) async fn delete_encryption(
    service: &StoredBuckets,
    request: S3Request<dto::DeleteBucketEncryptionInput>,
) -> S3Result<S3Response<dto::DeleteBucketEncryptionOutput>> {
    let action = "s3:PutEncryptionConfiguration";
    let bucket = &request.input.bucket;
    let asked = Asked::of_bucket("DeleteBucketEncryption", action, bucket);
    let admitted = service.admit(&request, asked).await?;
    set_default_encryption(service, &admitted, None).await?;
    let output = dto::DeleteBucketEncryptionOutput::default();
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

/// A list in a document may say what is so anyway: that the owner has full control.
fn check_list(list: Option<&dto::AccessControlPolicy>, account: AccountId) -> S3Result<()> {
    let Some(list) = list else {
        return Ok(());
    };
    let grants = list.grants.as_deref().unwrap_or_default();
    if grants == [full_control(account)] {
        Ok(())
    } else {
        Err(acl_not_supported())
    }
}

fn full_control(account: AccountId) -> dto::Grant {
    dto::Grant {
        grantee: Some(dto::Grantee {
            display_name: None,
            email_address: None,
            id: Some(canonical_id(account)),
            type_: dto::Type::from_static(dto::Type::CANONICAL_USER),
            uri: None,
        }),
        permission: Some(dto::Permission::from_static(dto::Permission::FULL_CONTROL)),
    }
}
