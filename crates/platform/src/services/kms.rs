//! A KMS that keeps keys which this node does not have.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::{BehaviorVersion, Builder, Config, Region};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeySpec, KeyUsageType};
use zeroize::Zeroizing;

use super::client::{Addressed, credentials, timeouts};
use super::{ServiceConfig, ServiceFailure};
use crate::S3Failure;

/// The longest ciphertext of KMS's API.
const WRAPPED_BYTES_MAX: usize = 6_144;

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

/// Keys at the configured addresses.
#[derive(Debug)]
pub struct KmsClient {
    clients: Addressed<aws_sdk_kms::Client>,
}

impl KmsClient {
    /// A client. An unreadable certificate file is the one thing that can be wrong.
    pub fn new(config: &ServiceConfig) -> Result<Self, ServiceFailure> {
        let clients = Addressed::new(config, |address, http| {
            let built = Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .retry_config(RetryConfig::disabled())
                .timeout_config(timeouts(config.timeouts))
                .credentials_provider(credentials(&config.credentials))
                .http_client(http)
                .endpoint_url(&address.url);
            aws_sdk_kms::Client::from_conf(built.build())
        })?;
        Ok(Self { clients })
    }

    /// The key behind an ARN of a key or an alias.
    pub async fn describe(&self, region: &str, key_arn: &str) -> Result<KmsKey, ServiceFailure> {
        let client = self.clients.of_region(region)?;
        let asked = client.describe_key().key_id(key_arn);
        let sent = asked.customize().config_override(signed_for(region));
        let answer = sent.send().await.map_err(|error| S3Failure::of(&error))?;
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
        region: &str,
        key_arn: &str,
        context: &BTreeMap<String, String>,
    ) -> Result<KmsDataKey, ServiceFailure> {
        let client = self.clients.of_region(region)?;
        let asked = client
            .generate_data_key()
            .key_id(key_arn)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(context.clone().into_iter().collect()));
        let sent = asked.customize().config_override(signed_for(region));
        let answer = sent.send().await.map_err(|error| S3Failure::of(&error))?;
        let wrapped = answer.ciphertext_blob.map(Blob::into_inner);
        let wrapped = wrapped.filter(|wrapped| (1..=WRAPPED_BYTES_MAX).contains(&wrapped.len()));
        Ok(KmsDataKey {
            key_arn: answer.key_id.ok_or_else(|| invalid("no key is named"))?,
            plain: data_key(answer.plaintext)?,
            wrapped: wrapped.ok_or_else(|| invalid("the data key is not wrapped as KMS does"))?,
        })
    }

    /// Opens with this key alone what `generate_data_key` wrapped for the same context.
    pub async fn decrypt(
        &self,
        region: &str,
        (wrapped, key_arn): (&[u8], &str),
        context: &BTreeMap<String, String>,
    ) -> Result<KmsDataKey, ServiceFailure> {
        let client = self.clients.of_region(region)?;
        let asked = client
            .decrypt()
            .key_id(key_arn)
            .ciphertext_blob(Blob::new(wrapped))
            .set_encryption_context(Some(context.clone().into_iter().collect()));
        let sent = asked.customize().config_override(signed_for(region));
        let answer = sent.send().await.map_err(|error| S3Failure::of(&error))?;
        Ok(KmsDataKey {
            key_arn: answer.key_id.ok_or_else(|| invalid("no key is named"))?,
            plain: data_key(answer.plaintext)?,
            wrapped: Vec::new(),
        })
    }
}

fn signed_for(region: &str) -> Builder {
    Config::builder().region(Region::new(region.to_owned()))
}

/// Takes the key out of the answer, whose memory is wiped.
fn data_key(told: Option<Blob>) -> Result<Zeroizing<[u8; 32]>, ServiceFailure> {
    let bytes = Zeroizing::new(told.map(Blob::into_inner).unwrap_or_default());
    let key = <[u8; 32]>::try_from(bytes.as_slice());
    key.map(Zeroizing::new)
        .map_err(|_| invalid("the data key has not 32 bytes"))
}

fn invalid(message: &str) -> ServiceFailure {
    ServiceFailure::new(S3Failure::INVALID_ANSWER, message)
}
