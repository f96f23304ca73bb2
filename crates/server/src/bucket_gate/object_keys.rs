//! Keys of objects: KMS keys used in the name of whoever puts or reads an object, with the object's context and
//! S3 as the service that asks (`kms:ViaService`).

use cairn_bucket::{BucketFacts, Denied, KeyUse, NewObjectKey, PlainKey, WrappedObjectKey};

use super::{BucketGate, Visitor};
use crate::keys::{KeyProblem, KeyUser};
use crate::trail_destinations::KeyReference;

/// Refuses what names no key, or a key that cannot serve the bucket (SEC-313).
pub(super) fn key_for(
    visitor: &Visitor,
    key_id: &str,
    bucket: &BucketFacts,
) -> Result<KeyReference, Denied> {
    let not_found = |message: String| Denied {
        code: "KMS.NotFoundException",
        message,
    };
    let key = KeyReference::read(key_id, visitor.caller.account, &bucket.region);
    let key = key.ok_or_else(|| not_found(format!("Invalid keyId {key_id}")))?;
    if key.region != bucket.region {
        return Err(not_found(format!("Invalid arn {}", key.region)));
    }
    Ok(key)
}

impl BucketGate {
    pub(super) async fn generate(
        &self,
        visitor: &Visitor,
        key_id: &str,
        used: KeyUse<'_>,
    ) -> Result<NewObjectKey, Denied> {
        let key = key_for(visitor, key_id, used.bucket)?;
        let via = via_service(used.bucket);
        let user = visitor.key_user(used.bucket, &via);
        let made = self.server.keys.generate_data_key(user, &key, used.context);
        let made = made.await.map_err(|problem| denied(&problem))?;
        Ok(NewObjectKey {
            key_arn: made.key_arn,
            plain: made.plain,
            wrapped: made.wrapped,
        })
    }

    pub(super) async fn open(
        &self,
        visitor: &Visitor,
        wrapped: WrappedObjectKey<'_>,
        used: KeyUse<'_>,
    ) -> Result<PlainKey, Denied> {
        let via = via_service(used.bucket);
        let user = visitor.key_user(used.bucket, &via);
        let wrapped = (wrapped.bytes, wrapped.key_arn);
        let opened = self.server.keys.decrypt(user, wrapped, used.context).await;
        opened
            .map(|opened| opened.plain)
            .map_err(|problem| denied(&problem))
    }
}

impl Visitor {
    fn key_user<'a>(&'a self, bucket: &'a BucketFacts, via_service: &'a str) -> KeyUser<'a> {
        KeyUser {
            caller: &self.caller,
            grants: &self.grants,
            region: &bucket.region,
            via_service: Some(via_service),
        }
    }
}

fn via_service(bucket: &BucketFacts) -> String {
    format!("s3.{}.amazonaws.com", bucket.region)
}

/// What S3 says of a key that was not used.
fn denied(problem: &KeyProblem) -> Denied {
    let code = match problem {
        KeyProblem::NotFound { .. } => "KMS.NotFoundException",
        KeyProblem::Disabled { .. } => "KMS.DisabledException",
        KeyProblem::PendingDeletion { .. } => "KMS.KMSInvalidStateException",
        KeyProblem::WrongKind { .. } => "KMS.InvalidKeyUsageException",
        KeyProblem::Denied { .. } => "AccessDenied",
        KeyProblem::InvalidCiphertext => "KMS.InvalidCiphertextException",
        KeyProblem::Unavailable => "ServiceUnavailable",
    };
    Denied {
        code,
        message: problem.to_string(),
    }
}
