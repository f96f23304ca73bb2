//! Where the keys of bodies come from. Every body has a key of its own; what lies beside the body is that
//! key, sealed with the node's master key (SSE-S3) or with the key of its object (SSE-KMS), which in turn
//! lies in the index as the key service wrapped it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_platform::{Entropy, MasterKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::BucketsError;

/// Length of an AES-256 key.
const KEY_BYTES: usize = 32;

/// A key in the clear. Its memory is wiped.
pub type PlainKey = Zeroizing<[u8; KEY_BYTES]>;

/// What a key of KMS is bound to: it opens with the same pairs alone.
pub type EncryptionContext = BTreeMap<String, String>;

/// Whose key seals the keys of bodies; the header of a body says which kind it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealedBy {
    /// The node's master key (SSE-S3).
    MasterKey,
    /// The key of the object (SSE-KMS).
    ObjectKey,
}

/// What seals the keys of an object's bodies.
#[derive(Clone, Default)]
pub(crate) enum ObjectSeal {
    /// The node's master key.
    #[default]
    MasterKey,
    /// The object's own key, as the key service gave or opened it.
    ObjectKey(PlainKey),
}

impl fmt::Debug for ObjectSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectSeal({:?})", self.kind())
    }
}

impl ObjectSeal {
    pub(super) fn kind(&self) -> SealedBy {
        match self {
            Self::MasterKey => SealedBy::MasterKey,
            Self::ObjectKey(_) => SealedBy::ObjectKey,
        }
    }
}

/// SSE-KMS of an object, as its version keeps it (SEC-371).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KmsEncryption {
    /// The ARN of the KMS key.
    pub(crate) key_arn: String,
    /// What the object's key is bound to.
    pub(crate) context: EncryptionContext,
    /// The object's key as the key service wrapped it, in base64.
    wrapped_key: String,
}

impl KmsEncryption {
    pub(crate) fn new(key_arn: String, context: EncryptionContext, wrapped_key: &[u8]) -> Self {
        Self {
            key_arn,
            context,
            wrapped_key: STANDARD.encode(wrapped_key),
        }
    }

    pub(crate) fn wrapped_key(&self) -> Result<Vec<u8>, BucketsError> {
        let decoded = STANDARD.decode(&self.wrapped_key);
        decoded.map_err(|_| BucketsError::Damaged {
            file: "-".to_owned(),
            reason: "the wrapped key of an object is not base64",
        })
    }
}

/// A new key of a body.
#[derive(Clone)]
pub(super) struct DataKey {
    /// The key itself.
    pub(super) plain: PlainKey,
    /// The key as it may lie on the disk.
    pub(super) wrapped: Vec<u8>,
    /// Whose key sealed it.
    pub(super) sealed_by: SealedBy,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(redacted)")
    }
}

/// Makes and opens the keys of bodies.
#[derive(Debug)]
pub(super) struct BodyKeys {
    master_key: MasterKey,
    entropy: Arc<dyn Entropy>,
}

impl BodyKeys {
    pub(super) fn new(master_key: MasterKey, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            master_key,
            entropy,
        }
    }

    /// A new key, plain and sealed for `context`.
    pub(super) fn generate(&self, seal: &ObjectSeal, context: &str) -> DataKey {
        let mut plain = PlainKey::default();
        self.entropy.fill(plain.as_mut_slice());
        let sealed = self
            .sealing_key(seal)
            .seal(context, plain.as_slice(), &*self.entropy);
        DataKey {
            plain,
            wrapped: sealed,
            sealed_by: seal.kind(),
        }
    }

    /// The key that `generate` sealed with the same key for the same context.
    pub(super) fn open(
        &self,
        seal: &ObjectSeal,
        (wrapped, sealed_by): (&[u8], SealedBy),
        context: &str,
    ) -> Result<PlainKey, BucketsError> {
        let damaged = |reason| BucketsError::Damaged {
            file: context.to_owned(),
            reason,
        };
        if sealed_by != seal.kind() {
            return Err(damaged("its key is sealed by a key of another kind"));
        }
        let opened = self.sealing_key(seal).open(context, wrapped);
        let opened = opened.map_err(|_| damaged("its key does not open"))?;
        let plain = <[u8; KEY_BYTES]>::try_from(opened.as_slice());
        Ok(Zeroizing::new(
            plain.map_err(|_| damaged("its key has another length"))?,
        ))
    }

    fn sealing_key(&self, seal: &ObjectSeal) -> MasterKey {
        match seal {
            ObjectSeal::MasterKey => self.master_key.clone(),
            ObjectSeal::ObjectKey(key) => MasterKey::from_bytes(key.clone()),
        }
    }
}
