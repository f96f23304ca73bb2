//! Encrypt, Decrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, ReEncrypt and GenerateRandom. They change
//! nothing, so they are reads to the pipeline; but their records are durable before their answers, on a full disk too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_catalog::keys::{KeyView, KmsKey, ReadKeys};
use serde_json::json;
use zeroize::Zeroizing;

use super::ciphertext::Ciphertext;
use super::error::{KmsError, KmsErrorCode};
use super::input::KmsInput;
use super::material::{self, invalid_ciphertext};
use super::operation::{Found, KmsAnswer, ReadCall, Running};
use super::{shapes, states};
use crate::keys::{EncryptionContext, KeyProblem};
use crate::query_protocol::World;

/// Encrypts with the newest material of a key.
pub(super) async fn encrypt(
    world: &World,
    view: &mut KeyView<'_>,
    key: &KmsKey,
    (context, plain): (&EncryptionContext, &[u8]),
) -> Result<Vec<u8>, KmsError> {
    let material = material::open(world, view, key, key.version).await?;
    let arn = key.arn();
    let sealer = (arn.as_str(), key.version, &material);
    Ok(Ciphertext::seal(
        sealer,
        context,
        plain,
        world.entropy.as_ref(),
    ))
}

/// Decrypts what the key has encrypted.
pub(super) async fn decrypt(
    world: &World,
    view: &mut KeyView<'_>,
    key: &KmsKey,
    (context, ciphertext): (&EncryptionContext, &Ciphertext),
) -> Result<Zeroizing<Vec<u8>>, KmsError> {
    if ciphertext.key_arn != key.arn() {
        let message =
            "The key ID in the request does not identify a CMK that can perform this operation.";
        return Err(KmsError::new(KmsErrorCode::IncorrectKey, message));
    }
    let material = material::open(world, view, key, ciphertext.version).await?;
    let opened = ciphertext.open(&material, context);
    opened.ok_or_else(invalid_ciphertext)
}

/// Encrypt.
pub(super) fn encrypt_call(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let key = usable(call.found.key())?;
        require_symmetric(call.input, key, "EncryptionAlgorithm")?;
        refuse_dry_run(call.input)?;
        let plain = call.input.blob("Plaintext").unwrap_or_default();
        let context = call.input.context("EncryptionContext");
        let mut view = call.transaction.keys();
        let ciphertext = encrypt(call.site.world, &mut view, key, (&context, &plain)).await?;
        Ok(KmsAnswer::read(json!({
            "CiphertextBlob": STANDARD.encode(ciphertext),
            "KeyId": key.arn(),
            "EncryptionAlgorithm": shapes::ALGORITHM,
        })))
    })
}

/// Decrypt.
pub(super) fn decrypt_call(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let key = usable(call.found.key())?;
        require_symmetric(call.input, key, "EncryptionAlgorithm")?;
        let context = call.input.context("EncryptionContext");
        let mut view = call.transaction.keys();
        let sealed = (&context, ciphertext_of(call.found)?);
        let plain = decrypt(call.site.world, &mut view, key, sealed).await?;
        refuse_dry_run(call.input)?;
        Ok(KmsAnswer::read(json!({
            "KeyId": key.arn(),
            "Plaintext": encoded(&plain).as_str(),
            "EncryptionAlgorithm": shapes::ALGORITHM,
        })))
    })
}

/// GenerateDataKey, and its twin that keeps the plaintext to itself.
pub(super) fn generate_data_key(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let key = usable(call.found.key())?;
        let length = match (
            call.input.text("KeySpec"),
            call.input.number("NumberOfBytes"),
        ) {
            (Some("AES_128"), None) => 16,
            (Some(_), None) => 32,
            (None, Some(bytes)) => bytes,
            _ => {
                let message = "Please specify either number of bytes or key spec.";
                return Err(KmsError::validation(message));
            }
        };
        refuse_dry_run(call.input)?;
        let world = call.site.world;
        let plain = random(world, length);
        let context = call.input.context("EncryptionContext");
        let mut view = call.transaction.keys();
        let ciphertext = encrypt(world, &mut view, key, (&context, &plain)).await?;
        let mut answer = json!({
            "CiphertextBlob": STANDARD.encode(ciphertext),
            "KeyId": key.arn(),
        });
        if call.operation.name == "GenerateDataKey" {
            answer["Plaintext"] = encoded(&plain).as_str().into();
        }
        Ok(KmsAnswer::read(answer))
    })
}

/// ReEncrypt.
pub(super) fn re_encrypt(call: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let [source, destination] = &call.found.keys[..] else {
            return Err(KmsError::internal());
        };
        let (source, destination) = (usable(source)?, usable(destination)?);
        require_symmetric(call.input, source, "SourceEncryptionAlgorithm")?;
        require_symmetric(call.input, destination, "DestinationEncryptionAlgorithm")?;
        let from = call.input.context("SourceEncryptionContext");
        let to = call.input.context("DestinationEncryptionContext");
        let world = call.site.world;
        let mut view = call.transaction.keys();
        let sealed = (&from, ciphertext_of(call.found)?);
        let plain = decrypt(world, &mut view, source, sealed).await?;
        refuse_dry_run(call.input)?;
        let ciphertext = encrypt(world, &mut view, destination, (&to, &plain)).await?;
        Ok(KmsAnswer::read(json!({
            "CiphertextBlob": STANDARD.encode(ciphertext),
            "SourceKeyId": source.arn(),
            "KeyId": destination.arn(),
            "SourceEncryptionAlgorithm": shapes::ALGORITHM,
            "DestinationEncryptionAlgorithm": shapes::ALGORITHM,
        })))
    })
}

/// GenerateRandom.
pub(super) fn generate_random(ReadCall { site, input, .. }: ReadCall<'_>) -> Running<'_> {
    Box::pin(async move {
        let Some(length) = input.number("NumberOfBytes") else {
            let message = "NumberOfBytes is required.";
            return Err(KmsError::validation(message));
        };
        let plain = random(site.world, length);
        Ok(KmsAnswer::read(
            json!({"Plaintext": encoded(&plain).as_str()}),
        ))
    })
}

/// Random bytes, as many as a row's bounds allow.
pub(super) fn random(world: &World, length: u32) -> Zeroizing<Vec<u8>> {
    let length = usize::try_from(length).unwrap_or(0);
    let mut bytes = Zeroizing::new(vec![0; length]);
    world.entropy.fill(&mut bytes);
    bytes
}

fn ciphertext_of(found: &Found) -> Result<&Ciphertext, KmsError> {
    found.ciphertext.as_ref().ok_or_else(KmsError::internal)
}

fn usable(key: &KmsKey) -> Result<&KmsKey, KeyProblem> {
    states::require_usable(key)?;
    Ok(key)
}

fn require_symmetric(input: &KmsInput, key: &KmsKey, member: &str) -> Result<(), KmsError> {
    match input.text(member) {
        None | Some(shapes::ALGORITHM) => Ok(()),
        Some(_) => Err(KeyProblem::WrongKind { key: key.arn() }.into()),
    }
}

fn refuse_dry_run(input: &KmsInput) -> Result<(), KmsError> {
    if !input.flag("DryRun") {
        return Ok(());
    }
    let message = "The request would have succeeded, but the DryRun option is set.";
    Err(KmsError::new(KmsErrorCode::DryRun, message))
}

fn encoded(plain: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(plain))
}
