//! KMS keys as the rest of the node uses them: the bucket endpoint encrypts objects with them (SSE-KMS), and an
//! operation that sets a trail's key asks whether it can be used. Whose keys they are, those of this node or of a
//! configured KMS, stays behind one trait; nobody uses a key but through `Keys`, which records it.

pub(crate) mod conditions;
mod configured;
mod keyring;
mod use_record;

#[cfg(test)]
pub(crate) use configured::configured_at;
pub(crate) use configured::configured_keys;
pub(crate) use keyring::Keys;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use cairn_model::Region;
use zeroize::Zeroizing;

use crate::authorize::Grants;
use crate::query_protocol::Caller;
use crate::trail_destinations::KeyReference;

/// What a data key is bound to, in the order in which it is recorded: nobody opens it with another context.
pub(crate) type EncryptionContext = BTreeMap<String, String>;

/// A key that encrypts one object. Its memory is wiped.
pub(crate) type PlainDataKey = Zeroizing<[u8; 32]>;

/// Who uses a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyUser<'a> {
    /// The caller, also where a service asks in its name.
    pub(crate) caller: &'a Caller,
    /// What the caller may do.
    pub(crate) grants: &'a Grants,
    /// The Region whose key service is asked.
    pub(crate) region: &'a Region,
    /// `kms:ViaService`: the service that asks in the caller's name, such as `s3.us-east-1.amazonaws.com`.
    pub(crate) via_service: Option<&'a str>,
}

/// A key, as far as its users must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFacts {
    /// Its ARN, whatever it was named by (SEC-361).
    pub(crate) arn: String,
    /// Whether it encrypts and decrypts with one secret (SEC-312).
    pub(crate) is_symmetric: bool,
    /// Whether it is enabled and not about to be deleted (SEC-323).
    pub(crate) is_enabled: bool,
}

/// A new data key.
#[derive(Clone)]
pub(crate) struct NewDataKey {
    /// The ARN of the key that wraps it.
    pub(crate) key_arn: String,
    /// The key itself.
    pub(crate) plain: PlainDataKey,
    /// The key as it may lie on a disk; it names its key.
    pub(crate) wrapped: Vec<u8>,
}

impl fmt::Debug for NewDataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDataKey")
            .field("key_arn", &self.key_arn)
            .finish_non_exhaustive()
    }
}

/// A data key that was opened.
#[derive(Clone)]
pub(crate) struct OpenedDataKey {
    /// The ARN of the key that opened it.
    pub(crate) key_arn: String,
    /// The key itself.
    pub(crate) plain: PlainDataKey,
}

impl fmt::Debug for OpenedDataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedDataKey")
            .field("key_arn", &self.key_arn)
            .finish_non_exhaustive()
    }
}

/// Why a key was not used. The texts are KMS's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyProblem {
    /// `NotFoundException`.
    #[error("Key '{key}' does not exist")]
    NotFound {
        /// The ARN of the key or alias that was named.
        key: String,
    },
    /// `DisabledException`.
    #[error("{key} is disabled.")]
    Disabled {
        /// The ARN of the key.
        key: String,
    },
    /// `KMSInvalidStateException`.
    #[error("{key} is pending deletion.")]
    PendingDeletion {
        /// The ARN of the key.
        key: String,
    },
    /// `InvalidKeyUsageException`: the key is not for encryption with one secret.
    #[error("{key} key usage or key spec is not valid for the operation.")]
    WrongKind {
        /// The ARN of the key.
        key: String,
    },
    /// `AccessDeniedException`.
    #[error("{message}")]
    Denied {
        /// What the refused caller sees.
        message: String,
    },
    /// `InvalidCiphertextException`: damaged, or wrapped for another context.
    #[error("The ciphertext does not open.")]
    InvalidCiphertext,
    /// Whoever keeps the key gives no answer; later it may.
    #[error("The key service does not answer.")]
    Unavailable,
}

/// Whoever keeps keys.
#[async_trait]
pub(crate) trait KeyService: Send + Sync + fmt::Debug {
    /// The key that is meant, if `user` may describe it (`kms:DescribeKey`).
    async fn describe(&self, user: KeyUser<'_>, key: &KeyReference)
    -> Result<KeyFacts, KeyProblem>;

    /// A new AES-256 key under `key`, if `user` may (`kms:GenerateDataKey`).
    async fn generate_data_key(
        &self,
        user: KeyUser<'_>,
        key: &KeyReference,
        context: &EncryptionContext,
    ) -> Result<NewDataKey, KeyProblem>;

    /// Opens what `generate_data_key` wrapped for the same context with the key of this ARN, if `user` may
    /// (`kms:Decrypt`).
    async fn decrypt(
        &self,
        user: KeyUser<'_>,
        wrapped: (&[u8], &str),
        context: &EncryptionContext,
    ) -> Result<OpenedDataKey, KeyProblem>;
}
