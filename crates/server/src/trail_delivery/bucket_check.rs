//! Whether a bucket takes a trail's files. Of an embedded bucket the policy says so, and nothing is put; of a bucket
//! elsewhere nobody here knows the policy, so an empty object in the place of the log files decides, as AWS's own
//! service leaves one there.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_access::Principal;
use cairn_access::policy::{
    ContextKeys, Decision, PolicyDocument, PolicyKind, PolicySets, RequestContext, RequestFacts,
    evaluate,
};
use cairn_bucket::{BucketFacts, Buckets};
use cairn_catalog::Catalog;
use cairn_model::{LogGroup, SnsTopic, Trail};
use cairn_platform::{
    Clock, NewObject, ObjectBody, ObjectEncryption, ObjectPuts as _, S3Endpoints, S3Failure,
    S3Purpose,
};

use super::Services;
use super::services::SERVICE;
use crate::keys::Keys;
use crate::trail_destinations::{DestinationProblem, Destinations, KeyReference};

/// SHA-256 of nothing.
const EMPTY_SHA256: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The destinations of trails as this node reaches them.
#[derive(Debug)]
pub(crate) struct TrailDestinations {
    pub(crate) buckets: Arc<Buckets>,
    pub(crate) endpoints: Arc<S3Endpoints>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) services: Arc<Services>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl Destinations for TrailDestinations {
    async fn resolve_key(
        &self,
        trail: &Trail,
        key: &KeyReference,
    ) -> Result<String, DestinationProblem> {
        self.find_key(trail, key).await
    }

    async fn check_bucket(&self, trail: &Trail) -> Result<(), DestinationProblem> {
        if self.endpoints.is_embedded(&trail.settings.bucket) {
            self.check_embedded(trail).await
        } else {
            self.probe(trail).await
        }
    }

    async fn check_topic(&self, trail: &Trail, topic: &SnsTopic) -> Result<(), DestinationProblem> {
        self.ask_topic(trail, topic).await
    }

    async fn check_log_group(
        &self,
        trail: &Trail,
        group: &LogGroup,
    ) -> Result<(), DestinationProblem> {
        self.ask_log_group(trail, group).await
    }
}

impl TrailDestinations {
    /// SEC-204, SEC-206, SEC-207
    async fn check_embedded(&self, trail: &Trail) -> Result<(), DestinationProblem> {
        let bucket = trail.settings.bucket.clone();
        let facts = self.facts(&bucket).await?;
        let policy = facts.policy.as_deref();
        let policy = policy.and_then(|text| PolicyDocument::parse(text, PolicyKind::Resource).ok());
        let Some(policy) = policy else {
            return Err(DestinationProblem::BucketPolicy { bucket });
        };
        let bucket_arn = format!("arn:aws:s3:::{bucket}");
        let object_arn = format!("{bucket_arn}/{}", probe_key(trail));
        let lets = |action: &str, resource: &str| self.lets_in(&policy, trail, action, resource);
        if !(lets("s3:GetBucketAcl", &bucket_arn) && lets("s3:PutObject", &object_arn)) {
            return Err(DestinationProblem::BucketPolicy { bucket });
        }
        match &trail.settings.kms_key_arn {
            Some(key) => self.check_key(trail, key, &object_arn).await,
            None => Ok(()),
        }
    }

    /// What is known of an embedded bucket.
    pub(super) async fn facts(&self, bucket: &str) -> Result<BucketFacts, DestinationProblem> {
        match self.buckets.facts(bucket).await {
            Ok(Some(facts)) => Ok(facts),
            Ok(None) => Err(DestinationProblem::NoSuchBucket {
                bucket: bucket.to_owned(),
            }),
            Err(error) => {
                tracing::error!(%error, "a bucket could not be looked up");
                Err(DestinationProblem::NoAnswer)
            }
        }
    }

    fn lets_in(
        &self,
        policy: &PolicyDocument,
        trail: &Trail,
        action: &str,
        resource: &str,
    ) -> bool {
        let principal = Principal::Service {
            name: SERVICE.to_owned(),
        };
        let mut keys = ContextKeys::of_call(
            &principal,
            &RequestFacts {
                now_ms: self.clock.now_ms(),
                source_ip: None,
                secure_transport: false,
                user_agent: None,
                referer: None,
                requested_region: trail.home_region.as_str(),
            },
        );
        keys.set("aws:SourceArn", trail.arn());
        keys.set("aws:SourceAccount", trail.account.as_str());
        if action == "s3:PutObject" {
            keys.set("s3:x-amz-acl", "bucket-owner-full-control");
            let algorithm = match &trail.settings.kms_key_arn {
                None => "AES256",
                Some(key) => {
                    let name = "s3:x-amz-server-side-encryption-aws-kms-key-id";
                    keys.set(name, key);
                    "aws:kms"
                }
            };
            keys.set("s3:x-amz-server-side-encryption", algorithm);
        }
        let request = RequestContext {
            action,
            resource,
            principal: &principal,
            keys: &keys,
        };
        let sets = PolicySets {
            identity: &[],
            boundary: None,
            session: None,
            resource: Some(policy),
            same_account: true,
        };
        evaluate(&request, &sets) == Decision::Allow
    }

    async fn probe(&self, trail: &Trail) -> Result<(), DestinationProblem> {
        let bucket = trail.settings.bucket.clone();
        let object = NewObject {
            bucket: bucket.clone(),
            key: probe_key(trail),
            body: ObjectBody::Bytes(Bytes::new()),
            sha256: EMPTY_SHA256,
            metadata: Vec::new(),
            content_type: None,
            content_encoding: None,
            gives_owner_full_control: true,
            encryption: Some(match &trail.settings.kms_key_arn {
                None => ObjectEncryption::Managed,
                Some(key_id) => ObjectEncryption::Kms {
                    key_id: key_id.clone(),
                    context: vec![("aws:cloudtrail:arn".to_owned(), trail.arn())],
                },
            }),
            if_none_match: false,
        };
        let purpose = S3Purpose::Delivery {
            trail_arn: trail.arn(),
            account: trail.account.to_string(),
        };
        let Err(failure) = self.endpoints.put_new(&object, &purpose).await else {
            return Ok(());
        };
        tracing::info!(
            bucket,
            code = failure.code,
            "a bucket did not take a trail's probe"
        );
        let key = trail.settings.kms_key_arn.clone();
        Err(match (failure.code.as_str(), key) {
            ("NoSuchBucket" | "NotFound", _) => DestinationProblem::NoSuchBucket { bucket },
            ("AccessDenied", Some(key)) => DestinationProblem::KeyPolicy { bucket, key },
            ("AccessDenied" | "AllAccessDisabled", _) => {
                DestinationProblem::BucketPolicy { bucket }
            }
            ("KMS.NotFoundException", Some(key)) => DestinationProblem::NoSuchKey { key },
            (S3Failure::NOT_ENCRYPTED | "NotImplemented", Some(key)) => {
                DestinationProblem::UnusableKey { key }
            }
            (code, Some(key)) if code.starts_with("KMS.") => {
                DestinationProblem::UnusableKey { key }
            }
            _ => DestinationProblem::NoAnswer,
        })
    }
}

/// `[PREFIX/]AWSLogs/ACCOUNT/CloudTrail/`: the folder that log files come into.
fn probe_key(trail: &Trail) -> String {
    let prefix = trail.settings.key_prefix.as_deref();
    let prefix = prefix.map_or_else(String::new, |prefix| format!("{prefix}/"));
    format!("{prefix}AWSLogs/{}/CloudTrail/", trail.account)
}
