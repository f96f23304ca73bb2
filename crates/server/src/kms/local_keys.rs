//! The keys of this node, for whoever needs them beside the API: objects in buckets, checks of trails. The same
//! questions are asked as before the API's operations; the record of the use is the asker's.

use std::sync::Arc;

use async_trait::async_trait;
use cairn_catalog::ReadTransaction;
use cairn_catalog::identity::ReadIdentities;
use cairn_catalog::keys::{KmsKey, ReadKeys};
use cairn_model::AccountId;

use super::asking::{OUT_OF_REACH, Use, target};
use super::ciphertext::Ciphertext;
use super::error::{KmsError, KmsErrorCode};
use super::reference::{self, Meant};
use super::{cryptography, states};
use crate::keys::conditions::{foreign_refusal, is_foreign};
use crate::keys::{
    EncryptionContext, KeyFacts, KeyProblem, KeyService, KeyUser, NewDataKey, OpenedDataKey,
    PlainDataKey,
};
use crate::query_protocol::World;
use crate::trail_destinations::KeyReference;

/// The keys of the local key service.
#[derive(Debug)]
pub(crate) struct LocalKeys {
    world: Arc<World>,
}

impl LocalKeys {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// The key that is meant, if the user may do `action` with it. Keys of other Regions are not there.
    async fn allowed(
        &self,
        reading: &mut ReadTransaction,
        (user, action): (KeyUser<'_>, &str),
        (key, used): (&KeyReference, &Use),
    ) -> Result<KmsKey, KeyProblem> {
        let not_found = || KeyProblem::NotFound { key: key.arn() };
        if key.region != *user.region {
            return Err(not_found());
        }
        let meant = Meant::find(&mut reading.keys(), key).await;
        let meant = meant.map_err(|error| problem(KmsError::from_catalog(error)))?;
        let Some(meant) = meant else {
            let caller = user.caller;
            if is_foreign(caller, key.account) && is_kept(reading, key.account).await? {
                // Whether another account of this node has such a key is nobody else's business, and no other KMS
                // speaks for that account.
                let message = foreign_refusal(caller, action, &key.arn());
                return Err(KeyProblem::Denied { message });
            }
            return Err(not_found());
        };
        let asked = target(action, &meant, user.caller, used);
        user.grants
            .decide_target(&asked)
            .map_err(|message| KeyProblem::Denied { message })?;
        Ok(meant.key)
    }

    async fn read(&self) -> Result<ReadTransaction, KeyProblem> {
        let reading = self.world.catalog.read().await;
        reading.map_err(|error| problem(KmsError::from_catalog(error)))
    }
}

#[async_trait]
impl KeyService for LocalKeys {
    async fn describe(
        &self,
        user: KeyUser<'_>,
        key: &KeyReference,
    ) -> Result<KeyFacts, KeyProblem> {
        let mut reading = self.read().await?;
        let used = Use::default().via(user.via_service);
        let asked = (user, "kms:DescribeKey");
        let key = self.allowed(&mut reading, asked, (key, &used)).await?;
        Ok(KeyFacts {
            arn: key.arn(),
            is_symmetric: true,
            is_enabled: key.is_enabled && key.deletion.is_none(),
        })
    }

    async fn generate_data_key(
        &self,
        user: KeyUser<'_>,
        key: &KeyReference,
        context: &EncryptionContext,
    ) -> Result<NewDataKey, KeyProblem> {
        let mut reading = self.read().await?;
        let used = Use::cryptographic(context).via(user.via_service);
        let asked = (user, "kms:GenerateDataKey");
        let key = self.allowed(&mut reading, asked, (key, &used)).await?;
        states::require_usable(&key)?;
        let mut plain = PlainDataKey::default();
        self.world.entropy.fill(plain.as_mut_slice());
        let sealed = (context, plain.as_slice());
        let wrapped = cryptography::encrypt(&self.world, &mut reading.keys(), &key, sealed).await;
        Ok(NewDataKey {
            key_arn: key.arn(),
            plain,
            wrapped: wrapped.map_err(problem)?,
        })
    }

    async fn decrypt(
        &self,
        user: KeyUser<'_>,
        (wrapped, key_arn): (&[u8], &str),
        context: &EncryptionContext,
    ) -> Result<OpenedDataKey, KeyProblem> {
        let ciphertext = Ciphertext::parse(wrapped)
            .filter(|ciphertext| ciphertext.key_arn == key_arn)
            .ok_or(KeyProblem::InvalidCiphertext)?;
        let denied = || KeyProblem::Denied {
            message: OUT_OF_REACH.to_owned(),
        };
        let place = (user.caller.account, user.region);
        let key = reference::read(&ciphertext.key_arn, place, false).map_err(|_| denied())?;
        let mut reading = self.read().await?;
        let used = Use::cryptographic(context).via(user.via_service);
        let asked = (user, "kms:Decrypt");
        let key = self.allowed(&mut reading, asked, (&key, &used)).await?;
        states::require_usable(&key)?;
        let sealed = (context, &ciphertext);
        let opened = cryptography::decrypt(&self.world, &mut reading.keys(), &key, sealed).await;
        let opened = opened.map_err(problem)?;
        let mut plain = PlainDataKey::default();
        if opened.len() != plain.len() {
            return Err(KeyProblem::InvalidCiphertext);
        }
        plain.copy_from_slice(&opened);
        Ok(OpenedDataKey {
            key_arn: key.arn(),
            plain,
        })
    }
}

/// Whether this node has the account.
async fn is_kept(reading: &mut ReadTransaction, account: AccountId) -> Result<bool, KeyProblem> {
    let facts = reading.view(account).account_facts().await;
    let facts = facts.map_err(|error| problem(KmsError::from_catalog(error)))?;
    Ok(facts.is_some())
}

/// What is left of the API's errors once key and state are settled.
#[expect(
    clippy::needless_pass_by_value,
    reason = "made to be handed to map_err"
)]
fn problem(error: KmsError) -> KeyProblem {
    match error.code {
        KmsErrorCode::InvalidCiphertext | KmsErrorCode::IncorrectKey => {
            KeyProblem::InvalidCiphertext
        }
        KmsErrorCode::AccessDenied
        | KmsErrorCode::AlreadyExists
        | KmsErrorCode::Disabled
        | KmsErrorCode::DryRun
        | KmsErrorCode::InvalidAliasName
        | KmsErrorCode::InvalidArn
        | KmsErrorCode::InvalidGrantToken
        | KmsErrorCode::InvalidKeyUsage
        | KmsErrorCode::InvalidMarker
        | KmsErrorCode::Internal
        | KmsErrorCode::InvalidState
        | KmsErrorCode::LimitExceeded
        | KmsErrorCode::MalformedPolicyDocument
        | KmsErrorCode::NotFound
        | KmsErrorCode::Serialization
        | KmsErrorCode::Tag
        | KmsErrorCode::Throttling
        | KmsErrorCode::Unavailable
        | KmsErrorCode::UnknownOperation
        | KmsErrorCode::Unsupported
        | KmsErrorCode::Validation => KeyProblem::Unavailable,
    }
}
