//! Keys of the configured KMS. It knows the credentials of the configuration alone, so whether a caller may use such
//! a key is decided here, by the caller's own policies on the key's ARN. Services of Cairn's may encrypt with them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_access::policy::ContextKeys;
use cairn_platform::{KmsClient, KmsKey, S3Timeouts, ServiceConfig, ServiceFailure};

use super::conditions::{account_of, of_cryptography, of_symmetric_keys};
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
    let config = ServiceConfig {
        timeouts: TIMEOUTS,
        ..config
    };
    configured_at(&config).map(Some)
}

/// The KMS at these addresses.
pub(crate) fn configured_at(config: &ServiceConfig) -> Result<Arc<dyn KeyService>, StartError> {
    let client = KmsClient::new(config).map_err(|failure| StartError::Open {
        part: "the configured KMS",
        reason: failure.to_string(),
    })?;
    Ok(Arc::new(ConfiguredKeys { client }))
}

/// Keys at the addresses of the configuration.
#[derive(Debug)]
struct ConfiguredKeys {
    client: KmsClient,
}

/// A question to the caller's policies.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    action: &'a str,
    /// How the key was named, if by an alias.
    key: Option<&'a KeyReference>,
    /// For what encrypts or decrypts; only symmetric keys do.
    context: Option<&'a EncryptionContext>,
}

#[async_trait]
impl KeyService for ConfiguredKeys {
    async fn describe(
        &self,
        user: KeyUser<'_>,
        key: &KeyReference,
    ) -> Result<KeyFacts, KeyProblem> {
        let asked = Asked {
            action: "kms:DescribeKey",
            key: Some(key),
            context: None,
        };
        if let KeyReferenceKind::Key(_) = key.kind {
            decide(user, asked, &key.arn())?;
        }
        let told = self.told(key).await?;
        decide(user, asked, &told.arn)?;
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
            KeyReferenceKind::Alias(_) => self.told(key).await?.arn,
        };
        let asked = Asked {
            action: "kms:GenerateDataKey",
            key: Some(key),
            context: Some(context),
        };
        decide(user, asked, &arn)?;
        let made = self.client.generate_data_key(region, &arn, context).await;
        let made = made.map_err(|failure| problem(&failure, &arn))?;
        require_same(&made.key_arn, &arn)?;
        Ok(NewDataKey {
            key_arn: made.key_arn,
            plain: made.plain,
            wrapped: made.wrapped,
        })
    }

    async fn decrypt(
        &self,
        user: KeyUser<'_>,
        (wrapped, key_arn): (&[u8], &str),
        context: &EncryptionContext,
    ) -> Result<OpenedDataKey, KeyProblem> {
        let asked = Asked {
            action: "kms:Decrypt",
            key: None,
            context: Some(context),
        };
        decide(user, asked, key_arn)?;
        let region = user.region.as_str();
        let wrapped = (wrapped, key_arn);
        let opened = self.client.decrypt(region, wrapped, context).await;
        let opened = opened.map_err(|failure| problem(&failure, key_arn))?;
        require_same(&opened.key_arn, key_arn)?;
        Ok(OpenedDataKey {
            key_arn: opened.key_arn,
            plain: opened.plain,
        })
    }
}

impl ConfiguredKeys {
    /// The key behind a reference: in the same Region and account, and the same key if it was named.
    async fn told(&self, key: &KeyReference) -> Result<KmsKey, KeyProblem> {
        let named = key.arn();
        let told = self.client.describe(key.region.as_str(), &named).await;
        let told = told.map_err(|failure| problem(&failure, &named))?;
        let read = KeyReference::read(&told.arn, key.account, &key.region);
        let read = read.filter(|_| told.arn.starts_with("arn:"));
        let is_meant = read.is_some_and(|read| match key.kind {
            KeyReferenceKind::Key(_) => read == *key,
            KeyReferenceKind::Alias(_) => {
                matches!(read.kind, KeyReferenceKind::Key(_))
                    && (read.account, &read.region) == (key.account, &key.region)
            }
        });
        if is_meant {
            return Ok(told);
        }
        tracing::warn!(
            key = named,
            told = told.arn,
            "the configured KMS told of another key"
        );
        Err(KeyProblem::Unavailable)
    }
}

/// A KMS that used another key than the one that was decided on has done something else.
fn require_same(used: &str, decided: &str) -> Result<(), KeyProblem> {
    if used == decided {
        return Ok(());
    }
    tracing::warn!(used, decided, "the configured KMS used another key");
    Err(KeyProblem::Unavailable)
}

/// Whether the user may do this with the key. Of a key elsewhere tags, aliases and origin are not known, so their
/// condition keys are absent.
fn decide(user: KeyUser<'_>, asked: Asked<'_>, key_arn: &str) -> Result<(), KeyProblem> {
    let action = asked.action;
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
    if let Some(KeyReferenceKind::Alias(name)) = asked.key.map(|key| &key.kind) {
        keys.set("kms:RequestAlias", format!("alias/{name}"));
    }
    if let Some(context) = asked.context {
        let known = of_symmetric_keys().into_iter();
        for (name, values) in known.chain(of_cryptography(context)) {
            keys.set_all(&name, values);
        }
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
