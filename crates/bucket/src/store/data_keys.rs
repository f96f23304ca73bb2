//! Where the keys of bodies come from. Every body has a key of its own; what lies beside the body is that
//! key, wrapped by whoever keeps the keys that last.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cairn_platform::{Entropy, MasterKey};
use zeroize::Zeroizing;

use crate::error::BucketsError;

/// Length of an AES-256 key.
const KEY_BYTES: usize = 32;

/// A key that encrypts one body. Its memory is wiped.
pub type PlainKey = Zeroizing<[u8; KEY_BYTES]>;

/// A new key of a body.
#[derive(Clone)]
pub struct DataKey {
    /// The key itself.
    pub plain: PlainKey,
    /// The key as it may lie on the disk.
    pub wrapped: Vec<u8>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(redacted)")
    }
}

/// What a key is, or was, asked for.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse<'a> {
    /// The key that wraps; None is the endpoint's own (SSE-S3).
    pub key_id: Option<&'a str>,
    /// What the wrapped key is bound to: another context does not open it.
    pub context: &'a str,
}

/// A keeper of keys.
#[async_trait]
pub trait DataKeys: Send + Sync + fmt::Debug {
    /// A new key, plain and wrapped.
    async fn generate(&self, wanted: KeyUse<'_>) -> Result<DataKey, BucketsError>;

    /// The key that `generate` wrapped for the same use.
    async fn unwrap(&self, wrapped: &[u8], used: KeyUse<'_>) -> Result<PlainKey, BucketsError>;
}

/// SSE-S3: keys wrapped by the node's master key. It knows no other keys.
#[derive(Debug)]
pub(super) struct MasterKeys {
    master_key: MasterKey,
    entropy: Arc<dyn Entropy>,
}

impl MasterKeys {
    pub(super) fn new(master_key: MasterKey, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            master_key,
            entropy,
        }
    }
}

#[async_trait]
impl DataKeys for MasterKeys {
    async fn generate(&self, wanted: KeyUse<'_>) -> Result<DataKey, BucketsError> {
        refuse_other_keys(wanted)?;
        let mut plain = PlainKey::default();
        self.entropy.fill(plain.as_mut_slice());
        let sealed = self
            .master_key
            .seal(wanted.context, plain.as_slice(), &*self.entropy);
        Ok(DataKey {
            plain,
            wrapped: sealed,
        })
    }

    async fn unwrap(&self, wrapped: &[u8], used: KeyUse<'_>) -> Result<PlainKey, BucketsError> {
        refuse_other_keys(used)?;
        let damaged = |reason| BucketsError::Damaged {
            file: used.context.to_owned(),
            reason,
        };
        let opened = self.master_key.open(used.context, wrapped);
        let opened = opened.map_err(|_| damaged("its key does not open"))?;
        let plain = <[u8; KEY_BYTES]>::try_from(opened.as_slice());
        Ok(Zeroizing::new(
            plain.map_err(|_| damaged("its key has another length"))?,
        ))
    }
}

fn refuse_other_keys(used: KeyUse<'_>) -> Result<(), BucketsError> {
    match used.key_id {
        None => Ok(()),
        Some(key_id) => Err(BucketsError::NoSuchKmsKey {
            key_id: key_id.to_owned(),
        }),
    }
}
