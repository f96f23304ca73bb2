//! The client of a configured KMS, which keeps keys that this node does not have.
//!
//! Like the client of buckets it goes where the configuration says and nowhere else (R22): no redirect, no proxy,
//! no credentials but those given; one attempt for each call.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use aws_credential_types::Credentials;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{BehaviorVersion, Config, Region};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeySpec, KeyUsageType};
use zeroize::Zeroizing;

use crate::s3::http_client;
use crate::{S3Credentials, S3Failure, S3Timeouts};

/// A KMS: where it answers, and who signs.
#[derive(Clone, Debug)]
pub struct KmsConfig {
    /// What errors call it.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The Region whose keys it has.
    pub region: String,
    /// Who signs.
    pub credentials: S3Credentials,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeouts: S3Timeouts,
}

/// What a KMS says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    /// Its ARN.
    pub arn: String,
    /// Whether it encrypts and decrypts with one secret.
    pub is_symmetric: bool,
    /// Whether it can be used now.
    pub is_enabled: bool,
}

/// A data key that a KMS made or opened.
#[derive(Clone)]
pub struct KmsDataKey {
    /// The ARN of the key that wraps it.
    pub key_arn: String,
    /// The data key.
    pub plain: Zeroizing<[u8; 32]>,
    /// The data key, wrapped; empty if it was opened.
    pub wrapped: Vec<u8>,
}

impl fmt::Debug for KmsDataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsDataKey")
            .field("key_arn", &self.key_arn)
            .finish_non_exhaustive()
    }
}

/// Why a call failed: KMS's own code, for example `DisabledException`, or one of [`S3Failure`]'s words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct KmsFailure {
    /// The code.
    pub code: String,
    /// KMS's message, or what happened on the way.
    pub message: String,
}

impl From<S3Failure> for KmsFailure {
    fn from(failure: S3Failure) -> Self {
        Self {
            code: failure.code,
            message: failure.message,
        }
    }
}

/// A configured KMS.
#[derive(Debug)]
pub struct KmsClient {
    client: aws_sdk_kms::Client,
}

impl KmsClient {
    /// A client. An unreadable certificate file is the one thing that can be wrong.
    pub fn new(config: &KmsConfig) -> Result<Self, KmsFailure> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.timeouts.connect)
            .read_timeout(config.timeouts.read)
            .operation_timeout(config.timeouts.operation)
            .build();
        let signer = &config.credentials;
        let signer = Credentials::new(
            signer.access_key_id.as_str(),
            signer.secret.as_str(),
            signer.session_token.clone(),
            None,
            "cairn",
        );
        let built = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config.region.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .credentials_provider(signer)
            .http_client(http_client(&config.name, config.ca_file.as_deref())?)
            .endpoint_url(&config.url)
            .build();
        Ok(Self {
            client: aws_sdk_kms::Client::from_conf(built),
        })
    }

    /// The key behind an ARN of a key or an alias.
    pub async fn describe(&self, key_arn: &str) -> Result<KmsKey, KmsFailure> {
        let sent = self.client.describe_key().key_id(key_arn).send().await;
        let answer = sent.map_err(|error| S3Failure::of(&error))?;
        let told = answer.key_metadata.and_then(|key| {
            Some(KmsKey {
                is_symmetric: key.key_spec == Some(KeySpec::SymmetricDefault)
                    && key.key_usage == Some(KeyUsageType::EncryptDecrypt),
                is_enabled: key.enabled,
                arn: key.arn?,
            })
        });
        told.ok_or_else(|| invalid("DescribeKey told no ARN"))
    }

    /// A new AES-256 key under a key.
    pub async fn generate_data_key(
        &self,
        key_arn: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<KmsDataKey, KmsFailure> {
        let asked = self
            .client
            .generate_data_key()
            .key_id(key_arn)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(context.clone().into_iter().collect()));
        let answer = asked.send().await.map_err(|error| S3Failure::of(&error))?;
        let wrapped = answer.ciphertext_blob.map(Blob::into_inner);
        let wrapped = wrapped.filter(|wrapped| !wrapped.is_empty());
        Ok(KmsDataKey {
            key_arn: answer.key_id.ok_or_else(|| invalid("no key is named"))?,
            plain: data_key(answer.plaintext)?,
            wrapped: wrapped.ok_or_else(|| invalid("the data key is not wrapped"))?,
        })
    }

    /// Opens what `generate_data_key` wrapped for the same context.
    pub async fn decrypt(
        &self,
        wrapped: &[u8],
        context: &BTreeMap<String, String>,
    ) -> Result<KmsDataKey, KmsFailure> {
        let asked = self
            .client
            .decrypt()
            .ciphertext_blob(Blob::new(wrapped))
            .set_encryption_context(Some(context.clone().into_iter().collect()));
        let answer = asked.send().await.map_err(|error| S3Failure::of(&error))?;
        Ok(KmsDataKey {
            key_arn: answer.key_id.ok_or_else(|| invalid("no key is named"))?,
            plain: data_key(answer.plaintext)?,
            wrapped: Vec::new(),
        })
    }
}

/// Takes the key out of the answer, whose memory is wiped.
fn data_key(told: Option<Blob>) -> Result<Zeroizing<[u8; 32]>, KmsFailure> {
    let bytes = Zeroizing::new(told.map(Blob::into_inner).unwrap_or_default());
    let key = <[u8; 32]>::try_from(bytes.as_slice());
    key.map(Zeroizing::new)
        .map_err(|_| invalid("the data key has not 32 bytes"))
}

fn invalid(message: &str) -> KmsFailure {
    S3Failure::new(S3Failure::INVALID_ANSWER, message).into()
}
