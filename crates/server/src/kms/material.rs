//! The secret of a key: made here, sealed with the master key, opened for one call at a time. It has no text form but
//! the sealed one, and its memory is wiped.

use cairn_catalog::WriteTransaction;
use cairn_catalog::keys::{KeyView, KmsKey, MaterialFacts};
use cairn_platform::MasterKey;
use zeroize::Zeroizing;

use super::error::{KmsError, KmsErrorCode};
use crate::query_protocol::World;

/// Makes the material that the key's version says and stores it.
pub(super) async fn make(
    world: &World,
    transaction: &mut WriteTransaction,
    key: &KmsKey,
    is_on_demand: bool,
) -> Result<(), KmsError> {
    let entropy = world.entropy.as_ref();
    let digits = MasterKey::generate(entropy).to_hex();
    let context = key.material_context(key.version);
    let sealed = world.master_key.seal(&context, digits.as_bytes(), entropy);
    let facts = MaterialFacts {
        version: key.version,
        created_ms: world.clock.now_ms(),
        is_on_demand,
    };
    transaction
        .add_kms_material(key, facts, &sealed)
        .await
        .map_err(KmsError::from_catalog)
}

/// The material of a version. A version that the key does not have made no ciphertext.
pub(super) async fn open(
    world: &World,
    view: &mut KeyView<'_>,
    key: &KmsKey,
    version: u32,
) -> Result<MasterKey, KmsError> {
    let sealed = view.material(key, version).await;
    let Some(sealed) = sealed.map_err(KmsError::from_catalog)? else {
        return Err(invalid_ciphertext());
    };
    let context = key.material_context(version);
    let material = world.master_key.open(&context, &sealed).ok();
    let digits = material.and_then(|plain| {
        let text = std::str::from_utf8(&plain).ok()?;
        Some(Zeroizing::new(text.to_owned()))
    });
    let opened = digits.and_then(|digits| MasterKey::from_hex(&digits).ok());
    opened.ok_or_else(|| {
        tracing::error!(
            key = key.arn(),
            version,
            "the material of a key cannot be opened"
        );
        KmsError::internal()
    })
}

/// KMS says no more: whoever sends ciphertexts at random learns nothing.
pub(super) fn invalid_ciphertext() -> KmsError {
    KmsError::new(
        KmsErrorCode::InvalidCiphertext,
        "The ciphertext does not open.",
    )
}
