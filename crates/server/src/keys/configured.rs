//! Keys of the configured KMS. It knows the credentials of the configuration alone, so whether a caller may use such
//! a key is decided here, by the caller's own policies on the key's ARN. Services of Cairn's may encrypt with them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_access::policy::ContextKeys;
use cairn_model::{AccountId, Arn};
use cairn_platform::{KmsClient, S3Timeouts, ServiceConfig, ServiceFailure};

use super::{
    EncryptionContext, KeyFacts, KeyProblem, KeyService, KeyUser, NewDataKey, OpenedDataKey,
};
use crate::authorize::Question;
use crate::config::EndpointsConfig;
use crate::error::StartError;
use crate::trail_delivery::service_config;
use crate::trail_destinations::{KeyReference, KeyReferenceKind};

/// A request to the endpoint waits for its key, so the time is short.
const TIMEOUTS: S3Timeouts = S3Timeouts {
    connect: Duration::from_secs(3),
    read: Duration::from_secs(5),
    operation: Duration::from_secs(8),
};

/// The configured KMS, if there is one.
pub(crate) fn configured_keys(
    endpoints: &EndpointsConfig,
) -> Result<Option<Arc<dyn KeyService>>, StartError> {
    let Some(config) = service_config(endpoints, "kms", &endpoints.kms)? else {
        return Ok(None);
    };
    let client = KmsClient::new(&ServiceConfig {
        timeouts: TIMEOUTS,
        ..config
    });
    let client = client.map_err(|failure| StartError::Open {
        part: "the configured KMS",
        reason: failure.to_string(),
    })?;
    Ok(Some(Arc::new(ConfiguredKeys { client })))
}

/// Keys at the addresses of the configuration.
#[derive(Debug)]
struct ConfiguredKeys {
    client: KmsClient,
}

#[async_trait]
impl KeyService for ConfiguredKeys {
    async fn describe(
        &self,
        user: KeyUser<'_>,
        key: &KeyReference,
    ) -> Result<KeyFacts, KeyProblem> {
        let action = "kms:DescribeKey";
        if let KeyReferenceKind::Key(_) = key.kind {
            decide(user, action, &key.arn(), &EncryptionContext::new())?;
        }
        let told = self.client.describe(key.region.as_str(), &key.arn()).await;
        let told = told.map_err(|failure| problem(&failure, &key.arn()))?;
        decide(user, action, &told.arn, &EncryptionContext::new())?;
        Ok(KeyFacts {
            arn: told.arn,
            is_symmetric: told.is_symmetric,
            is_enabled: told.is_enabled,
        })
    }

    async fn generate_data_key(
        &self,
        user: KeyUser<'_>,
        key: &KeyReference,
        context: &EncryptionContext,
    ) -> Result<NewDataKey, KeyProblem> {
        let region = key.region.as_str();
        let arn = match key.kind {
            KeyReferenceKind::Key(_) => key.arn(),
            KeyReferenceKind::Alias(_) => {
                let told = self.client.describe(region, &key.arn()).await;
                told.map_err(|failure| problem(&failure, &key.arn()))?.arn
            }
        };
        decide(user, "kms:GenerateDataKey", &arn, context)?;
        let made = self.client.generate_data_key(region, &arn, context).await;
        let made = made.map_err(|failure| problem(&failure, &arn))?;
        Ok(NewDataKey {
            key_arn: made.key_arn,
            plain: made.plain,
            wrapped: made.wrapped,
        })
    }

    async fn decrypt(
        &self,
        user: KeyUser<'_>,
        wrapped: &[u8],
        context: &EncryptionContext,
    ) -> Result<OpenedDataKey, KeyProblem> {
        let region = user.region.as_str();
        let opened = self.client.decrypt(region, wrapped, context).await;
        let opened = opened.map_err(|failure| problem(&failure, "of the object"))?;
        // Only the answer says which key it was; what was opened for nothing is wiped.
        decide(user, "kms:Decrypt", &opened.key_arn, context)?;
        Ok(OpenedDataKey {
            key_arn: opened.key_arn,
            plain: opened.plain,
        })
    }
}

/// Whether the user may do this with the key.
fn decide(
    user: KeyUser<'_>,
    action: &str,
    key_arn: &str,
    context: &EncryptionContext,
) -> Result<(), KeyProblem> {
    if let Some(service) = user.caller.service_name() {
        if action != "kms:Decrypt" {
            return Ok(());
        }
        let message = format!("{service} is not authorized to perform: {action}");
        return Err(KeyProblem::Denied { message });
    }
    let mut keys = ContextKeys::new();
    if let Some(via) = user.via_service {
        keys.set("kms:ViaService", via);
    }
    keys.set("kms:CallerAccount", user.caller.account.as_str());
    for (name, value) in context {
        keys.set(&format!("kms:EncryptionContext:{name}"), value);
    }
    if !context.is_empty() {
        let names = context.keys().map(String::as_str);
        keys.set_all("kms:EncryptionContextKeys", names);
    }
    let question = Question {
        action,
        resource: key_arn,
        resource_account: account_of(key_arn).unwrap_or(user.caller.account),
        resource_policy: None,
        keys: &keys,
        // The key's own policy lets the credentials of the configuration in, and says nothing of callers.
        resource_agrees: true,
    };
    let decided = user.grants.decide(&question);
    decided.map_err(|message| KeyProblem::Denied { message })
}

fn account_of(key_arn: &str) -> Option<AccountId> {
    let arn: Arn = key_arn.parse().ok()?;
    arn.account().parse().ok()
}

/// A failure of the KMS as the caller learns it. What the KMS refuses to the credentials of the configuration is told
/// to the log alone.
fn problem(failure: &ServiceFailure, key: &str) -> KeyProblem {
    let key = key.to_owned();
    match failure.code.as_str() {
        "NotFoundException" | ServiceFailure::NOT_CONFIGURED => KeyProblem::NotFound { key },
        "DisabledException" => KeyProblem::Disabled { key },
        "KMSInvalidStateException" => KeyProblem::PendingDeletion { key },
        "InvalidKeyUsageException" => KeyProblem::WrongKind { key },
        "InvalidCiphertextException" | "IncorrectKeyException" => KeyProblem::InvalidCiphertext,
        "AccessDeniedException" => {
            tracing::warn!(%failure, key, "the configured KMS refuses its credentials a key");
            let message = "The configured KMS does not let this service use the key.".to_owned();
            KeyProblem::Denied { message }
        }
        _ => {
            tracing::warn!(%failure, key, "the configured KMS did not answer as it should");
            KeyProblem::Unavailable
        }
    }
}
