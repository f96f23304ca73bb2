//! All keys that there are, as one: this node's own are asked first, then those of the configured KMS. Every use of
//! a key, a refused one too, is an event before whoever asked hears of it (SEC-374); that of a success is durable.

use std::fmt;
use std::sync::Arc;

use cairn_eventlog::AppendError;
use cairn_model::AccountId;
use cairn_platform::Clock;
use serde_json::{Value, json};

use super::conditions::{account_of, foreign_refusal, is_foreign};
use super::use_record::KeyUse;
use super::{
    EncryptionContext, KeyFacts, KeyProblem, KeyService, KeyUser, NewDataKey, OpenedDataKey,
};
use crate::doors::{Doors, WaitingRoom};
use crate::kms;
use crate::trail_destinations::{KeyReference, KeyReferenceKind};

/// The keys of this node and of the configured KMS.
pub(crate) struct Keys {
    pub(crate) own: Arc<dyn KeyService>,
    pub(crate) configured: Option<Arc<dyn KeyService>>,
    pub(crate) doors: Arc<Doors>,
    pub(crate) waiting_room: Arc<WaitingRoom>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("own", &self.own)
            .field("configured", &self.configured)
            .finish_non_exhaustive()
    }
}

/// Where the answer to a question came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    ThisNode,
    ConfiguredKms,
}

/// What was asked of a key.
#[derive(Debug)]
struct Asked {
    operation: &'static str,
    parameters: Value,
    /// The key, as far as it is known.
    key_arn: Option<String>,
}

impl Keys {
    /// The key that is meant.
    pub(crate) async fn describe(
        &self,
        user: KeyUser<'_>,
        key: &KeyReference,
    ) -> Result<KeyFacts, KeyProblem> {
        let mut keeper = Keeper::ThisNode;
        let mut answer = self.own.describe(user, key).await;
        if let Some(configured) = self.next(answer.as_ref().err()) {
            let told = configured.describe(user, key).await;
            (keeper, answer) = better((keeper, answer), told);
        }
        let answer = told(user, "kms:DescribeKey", (key.account, &key.arn()), answer);
        let arn = answer.as_ref().ok().map(|facts| facts.arn.clone());
        let asked = Asked {
            operation: "DescribeKey",
            parameters: json!({"keyId": key.arn()}),
            key_arn: arn.or_else(|| named(key)),
        };
        self.recorded(user, keeper, asked, answer).await
    }

    /// A new AES-256 key under `key`.
    pub(crate) async fn generate_data_key(
        &self,
        user: KeyUser<'_>,
        key: &KeyReference,
        context: &EncryptionContext,
    ) -> Result<NewDataKey, KeyProblem> {
        let mut keeper = Keeper::ThisNode;
        let mut answer = self.own.generate_data_key(user, key, context).await;
        if let Some(configured) = self.next(answer.as_ref().err()) {
            let told = configured.generate_data_key(user, key, context).await;
            (keeper, answer) = better((keeper, answer), told);
        }
        let action = "kms:GenerateDataKey";
        let answer = told(user, action, (key.account, &key.arn()), answer);
        let arn = answer.as_ref().ok().map(|made| made.key_arn.clone());
        let arn = arn.or_else(|| named(key));
        let asked = Asked {
            operation: "GenerateDataKey",
            parameters: json!({
                "keySpec": "AES_256",
                "keyId": arn.clone().unwrap_or_else(|| key.arn()),
                "encryptionContext": context,
            }),
            key_arn: arn,
        };
        self.recorded(user, keeper, asked, answer).await
    }

    /// Opens what `generate_data_key` wrapped for the same context under the key of `key_arn`.
    pub(crate) async fn decrypt(
        &self,
        user: KeyUser<'_>,
        wrapped: (&[u8], &str),
        context: &EncryptionContext,
    ) -> Result<OpenedDataKey, KeyProblem> {
        let (bytes, key_arn) = wrapped;
        let mut keeper = Keeper::ThisNode;
        let mut answer = self.own.decrypt(user, wrapped, context).await;
        // What was wrapped here opens here or nowhere.
        let next = self.next(answer.as_ref().err());
        if let Some(configured) = next.filter(|_| !kms::is_own_ciphertext(bytes)) {
            let told = configured.decrypt(user, wrapped, context).await;
            (keeper, answer) = better((keeper, answer), told);
        }
        // Whatever opened it, it must be the key that the object says.
        if answer
            .as_ref()
            .is_ok_and(|opened| opened.key_arn != key_arn)
        {
            answer = Err(KeyProblem::InvalidCiphertext);
        }
        let owner = account_of(key_arn).unwrap_or(user.caller.account);
        let answer = told(user, "kms:Decrypt", (owner, key_arn), answer);
        let asked = Asked {
            operation: "Decrypt",
            parameters: json!({
                "encryptionContext": context,
                "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
            }),
            key_arn: Some(key_arn.to_owned()),
        };
        self.recorded(user, keeper, asked, answer).await
    }

    /// The configured KMS, if this node does not have the key.
    fn next(&self, problem: Option<&KeyProblem>) -> Option<&Arc<dyn KeyService>> {
        let is_elsewhere = matches!(
            problem,
            Some(KeyProblem::NotFound { .. } | KeyProblem::InvalidCiphertext)
        );
        self.configured.as_ref().filter(|_| is_elsewhere)
    }

    /// The answer, once its event is durable; that of a refusal may wait while the disk is full.
    async fn recorded<T>(
        &self,
        user: KeyUser<'_>,
        keeper: Keeper,
        asked: Asked,
        answer: Result<T, KeyProblem>,
    ) -> Result<T, KeyProblem> {
        let used = KeyUse {
            user,
            event_name: asked.operation,
            request_parameters: asked.parameters,
            key_arn: asked.key_arn.as_deref(),
            // A KMS elsewhere tells its own accounts.
            owner_is_told: keeper == Keeper::ThisNode,
            problem: answer.as_ref().err(),
        };
        let appended = match used.events(&self.doors, self.clock.now_ms()) {
            // A key is worth as much as a credential: nobody gets it on a record that may be lost.
            Ok(events) if answer.is_ok() => self.doors.append(events).await.map(drop),
            Ok(events) => self.waiting_room.append(&self.doors, events).await,
            // It cannot happen for records of our own; if it does, the key is not used.
            Err(error) => {
                tracing::error!(%error, "the record of a key's use is not valid");
                Err(AppendError::Closed)
            }
        };
        match appended {
            Ok(()) => answer,
            Err(error) => {
                tracing::warn!(%error, "the use of a key could not be recorded");
                Err(KeyProblem::Unavailable)
            }
        }
    }
}

/// What the user may learn: of another account's key nothing, unless it may use it.
fn told<T>(
    user: KeyUser<'_>,
    action: &str,
    (owner, named): (AccountId, &str),
    answer: Result<T, KeyProblem>,
) -> Result<T, KeyProblem> {
    match answer {
        Err(KeyProblem::NotFound { .. } | KeyProblem::Denied { .. })
            if is_foreign(user.caller, owner) =>
        {
            let message = foreign_refusal(user.caller, action, named);
            Err(KeyProblem::Denied { message })
        }
        answer => answer,
    }
}

/// The ARN that a key was named by, if not by an alias.
fn named(key: &KeyReference) -> Option<String> {
    match key.kind {
        KeyReferenceKind::Key(_) => Some(key.arn()),
        KeyReferenceKind::Alias(_) => None,
    }
}

/// What the configured KMS says counts unless it does not know the key either.
fn better<T>(
    own: (Keeper, Result<T, KeyProblem>),
    configured: Result<T, KeyProblem>,
) -> (Keeper, Result<T, KeyProblem>) {
    match configured {
        Err(KeyProblem::NotFound { .. } | KeyProblem::InvalidCiphertext) => own,
        told => (Keeper::ConfiguredKms, told),
    }
}
