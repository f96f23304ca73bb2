//! Whether a trail's files can be encrypted with a key: it is there, in the bucket's Region, enabled and symmetric, and
//! lets CloudTrail use it for that trail. CloudTrail asks as it will when files are put, and throws the answer away.

use cairn_model::Trail;

use super::TrailDestinations;
use super::services::SERVICE;
use crate::authorize::Grants;
use crate::keys::{EncryptionContext, KeyProblem, KeyUser};
use crate::query_protocol::Caller;
use crate::sts::{ServiceSource, service_caller};
use crate::trail_destinations::{DestinationProblem, KeyReference, KeyReferenceKind};

impl TrailDestinations {
    /// The ARN of the key that is meant for `trail` (SEC-312, SEC-313, SEC-323, SEC-361).
    pub(super) async fn find_key(
        &self,
        trail: &Trail,
        key: &KeyReference,
    ) -> Result<String, DestinationProblem> {
        let bucket = &trail.settings.bucket;
        let is_embedded = self.endpoints.is_embedded(bucket);
        if is_embedded && self.facts(bucket).await?.region != key.region {
            return Err(DestinationProblem::NoSuchKey { key: key.arn() });
        }
        let (caller, grants) = self.asking(trail, key);
        let found = self.keys.describe(user(&caller, &grants, key), key).await;
        match found {
            Ok(facts) if facts.is_symmetric && facts.is_enabled => Ok(facts.arn),
            Ok(facts) => Err(DestinationProblem::UnusableKey { key: facts.arn }),
            // A bucket elsewhere has a KMS of its own, which the probe asks by its ARN.
            Err(KeyProblem::NotFound { .. })
                if !is_embedded && matches!(key.kind, KeyReferenceKind::Key(_)) =>
            {
                Ok(key.arn())
            }
            Err(problem) => Err(refusal(&problem, trail, key)),
        }
    }

    /// Makes a data key as for an object at `object_arn`, and throws it away (SEC-315, SEC-369, SEC-370).
    pub(super) async fn check_key(
        &self,
        trail: &Trail,
        key_arn: &str,
        object_arn: &str,
    ) -> Result<(), DestinationProblem> {
        let missing = || DestinationProblem::NoSuchKey {
            key: key_arn.to_owned(),
        };
        let key = KeyReference::read(key_arn, trail.account, &trail.home_region);
        let key = key.ok_or_else(missing)?;
        if self.facts(&trail.settings.bucket).await?.region != key.region {
            return Err(missing());
        }
        let context = EncryptionContext::from([
            ("aws:cloudtrail:arn".to_owned(), trail.arn()),
            ("aws:s3:arn".to_owned(), object_arn.to_owned()),
        ]);
        let (caller, grants) = self.asking(trail, &key);
        // As the delivery: there the bucket endpoint asks for CloudTrail.
        let via = format!("s3.{}.amazonaws.com", key.region);
        let asked = KeyUser {
            via_service: Some(&via),
            ..user(&caller, &grants, &key)
        };
        let made = self.keys.generate_data_key(asked, &key, &context);
        made.await
            .map(drop)
            .map_err(|problem| refusal(&problem, trail, &key))
    }

    /// CloudTrail, acting for the trail.
    fn asking(&self, trail: &Trail, key: &KeyReference) -> (Caller, Grants) {
        let source = ServiceSource {
            arn: trail.arn(),
            account: trail.account,
        };
        let caller = service_caller(SERVICE, source);
        let grants = Grants::of_service(&caller, self.clock.now_ms(), key.region.as_str());
        (caller, grants)
    }
}

fn user<'a>(caller: &'a Caller, grants: &'a Grants, key: &'a KeyReference) -> KeyUser<'a> {
    KeyUser {
        caller,
        grants,
        region: &key.region,
        via_service: None,
    }
}

fn refusal(problem: &KeyProblem, trail: &Trail, key: &KeyReference) -> DestinationProblem {
    let key = key.arn();
    match problem {
        KeyProblem::NotFound { .. } => DestinationProblem::NoSuchKey { key },
        KeyProblem::Disabled { .. }
        | KeyProblem::PendingDeletion { .. }
        | KeyProblem::WrongKind { .. }
        | KeyProblem::InvalidCiphertext => DestinationProblem::UnusableKey { key },
        KeyProblem::Denied { .. } => DestinationProblem::KeyPolicy {
            bucket: trail.settings.bucket.clone(),
            key,
        },
        KeyProblem::Unavailable => DestinationProblem::NoAnswer,
    }
}
