//! How objects are encrypted: what a request or its bucket asks for, and the use of KMS keys in the
//! caller's name. Under SSE-KMS each object has one key of its own, made when it is put or its upload
//! begins; the gatekeeper asks the key service and records what it was asked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use s3s::{S3Error, S3Result, dto, s3_error};

use super::{Admitted, StoredBuckets, failed};
use crate::answers::{denied, with_code};
use crate::gatekeeper::{KeyUse, WrappedObjectKey};
use crate::store::{Bucket, DefaultEncryption, EncryptionContext, KmsEncryption, ObjectSeal};

const ALGORITHM: &str = "x-amz-server-side-encryption";
const KEY_ID: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CONTEXT: &str = "x-amz-server-side-encryption-context";
const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";
/// The context's entry that names the object.
const OBJECT_ARN: &str = "aws:s3:arn";
/// Most bytes of a context, as its header has it.
const CONTEXT_BYTES_MAX: usize = 8192;
/// The key of an account that nobody named; there is none here.
const MANAGED_KEY: &str = "alias/aws/s3";

/// What a new object is to be encrypted with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// Keys of the endpoint (SSE-S3).
    Managed,
    /// A KMS key, and what the request binds the object's key to.
    Kms {
        key_id: String,
        context: EncryptionContext,
        has_own_context: bool,
    },
}

/// The encryption of an object that is to be.
#[derive(Clone, Debug, Default)]
pub(super) struct NewEncryption {
    /// Seals the keys of its bodies.
    pub(super) seal: ObjectSeal,
    /// What its version keeps.
    pub(super) kms: Option<KmsEncryption>,
    has_own_context: bool,
}

impl NewEncryption {
    /// As the answer tells it: with the context, if the request had one.
    pub(super) fn told(&self) -> ToldEncryption {
        let kms = self.kms.as_ref();
        let context = kms.filter(|_| self.has_own_context).map(|kms| {
            let json = serde_json::to_string(&kms.context).expect("pairs of texts");
            STANDARD.encode(json)
        });
        ToldEncryption {
            context,
            ..ToldEncryption::of(kms)
        }
    }
}

/// The encryption of an object as answers tell it.
#[derive(Clone, Debug)]
pub(super) struct ToldEncryption {
    pub(super) algorithm: Option<dto::ServerSideEncryption>,
    /// The ARN of its key, under SSE-KMS.
    pub(super) key_id: Option<String>,
    /// What a request bound the object's key to.
    pub(super) context: Option<String>,
}

impl ToldEncryption {
    pub(super) fn of(kms: Option<&KmsEncryption>) -> Self {
        let algorithm = match kms {
            None => dto::ServerSideEncryption::AES256,
            Some(_) => dto::ServerSideEncryption::AWS_KMS,
        };
        Self {
            algorithm: Some(dto::ServerSideEncryption::from_static(algorithm)),
            key_id: kms.map(|kms| kms.key_arn.clone()),
            context: None,
        }
    }
}

impl StoredBuckets {
    /// What encrypts a new object of `admitted`'s bucket, as the request or the bucket wants it. Under
    /// SSE-KMS its key is made, in the caller's name.
    pub(super) async fn new_encryption(
        &self,
        headers: &HeaderMap,
        admitted: &Admitted,
        key: &str,
    ) -> S3Result<NewEncryption> {
        let bucket = &admitted.bucket;
        let (key_id, mut context, has_own_context) = match wanted(headers, bucket)? {
            Wanted::Managed => return Ok(NewEncryption::default()),
            Wanted::Kms {
                key_id,
                context,
                has_own_context,
            } => (key_id, context, has_own_context),
        };
        // Policies of keys rely on it, so a request may not choose it.
        let arn = format!("arn:aws:s3:::{}/{key}", bucket.facts.name);
        let is_chosen = |(name, value): (&String, &String)| {
            name.eq_ignore_ascii_case(OBJECT_ARN) && (name != OBJECT_ARN || *value != arn)
        };
        if context.iter().any(is_chosen) {
            return Err(invalid(&format!(
                "In the encryption context {OBJECT_ARN} can only be the object's own ARN"
            )));
        }
        context.insert(OBJECT_ARN.to_owned(), arn);
        let used = KeyUse {
            bucket: &bucket.facts,
            context: &context,
        };
        let caller = &admitted.visit.caller;
        let made = self.gatekeeper.new_object_key(caller, &key_id, used).await;
        let made = made.map_err(|reason| denied(&reason))?;
        let kms = KmsEncryption::new(made.key_arn, context, &made.wrapped);
        Ok(NewEncryption {
            seal: ObjectSeal::ObjectKey(made.plain),
            kms: Some(kms),
            has_own_context,
        })
    }

    /// What opens the bodies of an object, or seals those of an upload. Under SSE-KMS its key is opened,
    /// in the caller's name.
    pub(super) async fn seal_of(
        &self,
        admitted: &Admitted,
        encryption: Option<&KmsEncryption>,
    ) -> S3Result<ObjectSeal> {
        let Some(kms) = encryption else {
            return Ok(ObjectSeal::MasterKey);
        };
        let visit = &admitted.visit;
        let bytes = kms.wrapped_key().map_err(|error| failed(visit, &error))?;
        let wrapped = WrappedObjectKey {
            key_arn: &kms.key_arn,
            bytes: &bytes,
        };
        let used = KeyUse {
            bucket: &admitted.bucket.facts,
            context: &kms.context,
        };
        let opened = self
            .gatekeeper
            .open_object_key(&visit.caller, wrapped, used);
        let opened = opened.await.map_err(|reason| denied(&reason))?;
        Ok(ObjectSeal::ObjectKey(opened))
    }
}

/// Parts are encrypted as their upload says: a part that wants something of its own is refused.
pub(super) fn refuse_own_encryption(headers: &HeaderMap) -> S3Result<()> {
    match [ALGORITHM, KEY_ID, CONTEXT, BUCKET_KEY]
        .into_iter()
        .find(|name| headers.contains_key(*name))
    {
        None => Ok(()),
        Some(name) => Err(invalid(&format!(
            "{name} header is not supported for this operation."
        ))),
    }
}

/// Whether a request says how its object is to be encrypted.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.contains_key(ALGORITHM)
}

/// No key is named, and there is none that an account has by itself.
pub(super) fn no_managed_key() -> S3Error {
    with_code(
        "KMS.NotFoundException",
        format!("Key '{MANAGED_KEY}' does not exist: a KMS key must be named"),
    )
}

pub(super) fn no_dual_layer() -> S3Error {
    s3_error!(
        NotImplemented,
        "Dual-layer encryption (aws:kms:dsse) is not implemented"
    )
}

pub(super) fn no_bucket_key() -> S3Error {
    s3_error!(NotImplemented, "S3 Bucket Keys are not implemented")
}

pub(super) fn unknown_algorithm() -> S3Error {
    invalid("The encryption method specified is not supported")
}

fn wanted(headers: &HeaderMap, bucket: &Bucket) -> S3Result<Wanted> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    match text(BUCKET_KEY) {
        None | Some("false") => {}
        Some("true") => return Err(no_bucket_key()),
        Some(_) => return Err(invalid("The bucket key is either true or false")),
    }
    let (key_id, context) = (text(KEY_ID), text(CONTEXT));
    let default = bucket.settings.encryption.as_ref();
    match (text(ALGORITHM), default) {
        (Some("aws:kms"), _) => {
            let named = key_id.filter(|key_id| !key_id.is_empty());
            Ok(Wanted::Kms {
                key_id: named.ok_or_else(no_managed_key)?.to_owned(),
                has_own_context: context.is_some(),
                context: context.map(read_context).transpose()?.unwrap_or_default(),
            })
        }
        (Some("aws:kms:dsse"), _) => Err(no_dual_layer()),
        (None | Some("AES256"), _) if key_id.or(context).is_some() => Err(invalid(
            "Server Side Encryption with AWS KMS managed key requires HTTP header \
             x-amz-server-side-encryption : aws:kms",
        )),
        (Some("AES256"), _) | (None, None) => Ok(Wanted::Managed),
        (None, Some(DefaultEncryption::Kms(key_id))) => Ok(Wanted::Kms {
            key_id: key_id.clone(),
            context: EncryptionContext::new(),
            has_own_context: false,
        }),
        (Some(_), _) => Err(unknown_algorithm()),
    }
}

/// Base64 of a JSON object whose values are texts.
fn read_context(header: &str) -> S3Result<EncryptionContext> {
    let refused = || {
        invalid(
            "The header x-amz-server-side-encryption-context must be the base64 of a JSON object of \
             texts",
        )
    };
    if header.len() > CONTEXT_BYTES_MAX {
        return Err(refused());
    }
    let json = STANDARD.decode(header).map_err(|_| refused())?;
    serde_json::from_slice(&json).map_err(|_| refused())
}

fn invalid(message: &str) -> S3Error {
    with_code("InvalidArgument", message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_objects_of_texts() {
        let read = |json: &str| read_context(&STANDARD.encode(json)).ok();
        let pairs = [("team".to_owned(), "blau".to_owned())];
        assert_eq!(read(r#"{"team":"blau"}"#), Some(pairs.into()));
        for wrong in [r#"{"team":1}"#, r#"["team"]"#, "team", "", r#"{"a":{}}"#] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(read_context("{}").is_err(), "no base64");
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(CONTEXT_BYTES_MAX));
        assert_eq!(read(&long), None);
    }
}
