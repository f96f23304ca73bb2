//! Which keys a call means, and what its caller must be allowed on them. A key's policy must let the caller in; the
//! policies of its own account count as far as the key's policy says so.

use cairn_catalog::identity::Tag;
use cairn_catalog::keys::ReadKeys;

use super::ciphertext::Ciphertext;
use super::error::{KmsError, KmsErrorCode};
use super::input::KmsInput;
use super::material::invalid_ciphertext;
use super::operation::{Found, KmsOperation, Site};
use super::reference::{self, Meant};
use super::{aliases, shapes};
use crate::keys::EncryptionContext;
use crate::keys::conditions::{ConditionKeys, foreign_refusal, is_foreign, of_cryptography, one};
use crate::query_protocol::{AuthorizationTarget, Caller};
use crate::trail_destinations::{KeyReference, KeyReferenceKind};

/// What an operation is authorized on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing: it is refused in any case.
    Nothing,
    /// No key in particular.
    Account,
    /// The key that `KeyId` names.
    Key(Naming),
    /// The key that made `CiphertextBlob`.
    Ciphertext,
    /// The key that made `CiphertextBlob`, and the one that is to encrypt.
    ReEncrypt,
    /// An alias to be made, and its key.
    NewAlias,
    /// An alias to be moved, its key and the next one.
    MovedAlias,
    /// An alias to be taken away, and its key.
    GoneAlias,
}

/// How `KeyId` may name a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Naming {
    /// Whether an alias may stand for it.
    pub(super) takes_alias: bool,
    /// Whether it may be a key of another account.
    pub(super) takes_foreign: bool,
}

/// For what a key is used: condition keys beyond those of the key itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Use {
    pub(super) keys: ConditionKeys,
    pub(super) request_tags: Vec<Tag>,
    pub(super) tag_keys: Vec<String>,
}

impl Use {
    /// Encrypting or decrypting with this context.
    pub(super) fn cryptographic(context: &EncryptionContext) -> Self {
        Self {
            keys: of_cryptography(context),
            ..Self::default()
        }
    }

    /// The same for a service that asks in the caller's name.
    pub(super) fn via(mut self, service: Option<&str>) -> Self {
        self.keys
            .extend(service.map(|service| one("kms:ViaService", service)));
        self
    }
}

/// One question: may this caller do this to that key?
pub(super) fn target(
    action: &str,
    meant: &Meant,
    caller: &Caller,
    used: &Use,
) -> AuthorizationTarget {
    let mut keys = shapes::condition_keys();
    keys.extend(used.keys.iter().cloned());
    // A service calls for itself; whom it acts for stands in aws:SourceAccount.
    if caller.service_name().is_none() {
        keys.push(one("kms:CallerAccount", caller.account.as_str()));
    }
    if let Some(alias) = &meant.by_alias {
        keys.push(one("kms:RequestAlias", alias));
    }
    if !meant.aliases.is_empty() {
        keys.push(("kms:ResourceAliases".to_owned(), meant.aliases.clone()));
    }
    let refusal = is_foreign(caller, meant.key.account).then(|| match &meant.named {
        Some(named) => foreign_refusal(caller, action, named),
        None => OUT_OF_REACH.to_owned(),
    });
    AuthorizationTarget {
        action: action.to_owned(),
        resource: meant.key.arn(),
        resource_account: meant.key.account,
        resource_tags: meant.tags.clone(),
        request_tags: used.request_tags.clone(),
        tag_keys: used.tag_keys.clone(),
        keys,
        trust_policy: None,
        key_policy: Some(meant.key.policy.clone()),
        refusal,
    }
}

/// What the call means and asks for.
pub(crate) async fn ask(
    operation: &KmsOperation,
    site: Site<'_>,
    input: &KmsInput,
    catalog: &mut dyn ReadKeys,
) -> Result<(Found, Vec<AuthorizationTarget>), KmsError> {
    let asker = Asker {
        action: format!("kms:{}", operation.name),
        site,
        input,
    };
    match operation.asks {
        Asks::Nothing => Ok((Found::default(), Vec::new())),
        Asks::Account => Ok((Found::default(), asker.of_account())),
        Asks::Key(naming) => asker.key(naming, catalog).await,
        Asks::Ciphertext => asker.ciphertext(catalog).await,
        Asks::ReEncrypt => asker.re_encrypt(catalog).await,
        Asks::NewAlias => asker.new_alias(catalog).await,
        Asks::MovedAlias => asker.moved_alias(catalog).await,
        Asks::GoneAlias => asker.gone_alias(catalog).await,
    }
}

type Asked = Result<(Found, Vec<AuthorizationTarget>), KmsError>;

struct Asker<'a> {
    action: String,
    site: Site<'a>,
    input: &'a KmsInput,
}

impl Asker<'_> {
    fn of_account(&self) -> Vec<AuthorizationTarget> {
        let tags = self.input.tags();
        let mut keys = Vec::new();
        if self.action == "kms:CreateKey" {
            keys = shapes::condition_keys();
            keys.push(self.bypass());
        }
        let ask = |action: &str| AuthorizationTarget {
            action: action.to_owned(),
            resource: "*".to_owned(),
            resource_account: self.site.caller.account,
            resource_tags: Vec::new(),
            request_tags: tags.clone(),
            tag_keys: Vec::new(),
            keys: keys.clone(),
            trust_policy: None,
            key_policy: None,
            refusal: None,
        };
        let mut targets = vec![ask(&self.action)];
        if !tags.is_empty() {
            targets.push(ask("kms:TagResource"));
        }
        targets
    }

    async fn key(&self, naming: Naming, catalog: &mut dyn ReadKeys) -> Asked {
        let meant = self.meant("KeyId", naming, &self.action, catalog).await?;
        let used = self.used();
        let target = target(&self.action, &meant, self.site.caller, &used);
        let found = Found {
            keys: vec![meant.key],
            ..Found::default()
        };
        Ok((found, vec![target]))
    }

    async fn ciphertext(&self, catalog: &mut dyn ReadKeys) -> Asked {
        let (ciphertext, meant) = self.source("KeyId", &self.action, catalog).await?;
        let used = Use::cryptographic(&self.input.context("EncryptionContext"));
        let target = target(&self.action, &meant, self.site.caller, &used);
        let found = Found {
            keys: vec![meant.key],
            ciphertext: Some(ciphertext),
            ..Found::default()
        };
        Ok((found, vec![target]))
    }

    async fn re_encrypt(&self, catalog: &mut dyn ReadKeys) -> Asked {
        let (from, to) = ("kms:ReEncryptFrom", "kms:ReEncryptTo");
        let (ciphertext, source) = self.source("SourceKeyId", from, catalog).await?;
        let anywhere = Naming {
            takes_alias: true,
            takes_foreign: true,
        };
        let destination = self
            .meant("DestinationKeyId", anywhere, to, catalog)
            .await?;
        let same = source.key.arn() == destination.key.arn();
        let used = |context: &str| {
            let mut used = Use::cryptographic(&self.input.context(context));
            let same = same.to_string();
            used.keys.push(one("kms:ReEncryptOnSameKey", &same));
            used
        };
        let caller = self.site.caller;
        let targets = vec![
            target(from, &source, caller, &used("SourceEncryptionContext")),
            target(
                to,
                &destination,
                caller,
                &used("DestinationEncryptionContext"),
            ),
        ];
        let found = Found {
            keys: vec![source.key, destination.key],
            ciphertext: Some(ciphertext),
            ..Found::default()
        };
        Ok((found, targets))
    }

    async fn new_alias(&self, catalog: &mut dyn ReadKeys) -> Asked {
        let name = aliases::checked_name(self.input.required("AliasName"))?;
        let meant = self
            .meant("TargetKeyId", OWN, &self.action, catalog)
            .await?;
        Ok(self.of_alias(name, &[meant]))
    }

    async fn moved_alias(&self, catalog: &mut dyn ReadKeys) -> Asked {
        let name = aliases::checked_name(self.input.required("AliasName"))?;
        let old = self.behind(name, catalog).await?;
        let new = self
            .meant("TargetKeyId", OWN, &self.action, catalog)
            .await?;
        Ok(self.of_alias(name, &[new, old]))
    }

    async fn gone_alias(&self, catalog: &mut dyn ReadKeys) -> Asked {
        let name = aliases::checked_name(self.input.required("AliasName"))?;
        let meant = self.behind(name, catalog).await?;
        Ok(self.of_alias(name, &[meant]))
    }

    /// An alias has no policy: the account's own policies speak for it, the keys' policies for them.
    fn of_alias(&self, name: &str, keys: &[Meant]) -> (Found, Vec<AuthorizationTarget>) {
        let (account, region) = self.site.place();
        let arn = format!("arn:aws:kms:{region}:{account}:{name}");
        let mut targets = vec![AuthorizationTarget {
            action: self.action.clone(),
            resource: arn.clone(),
            resource_account: account,
            resource_tags: Vec::new(),
            request_tags: Vec::new(),
            tag_keys: Vec::new(),
            keys: Vec::new(),
            trust_policy: None,
            key_policy: None,
            refusal: None,
        }];
        for meant in keys {
            targets.push(target(
                &self.action,
                meant,
                self.site.caller,
                &Use::default(),
            ));
        }
        let found = Found {
            keys: keys.iter().map(|meant| meant.key.clone()).collect(),
            alias: Some((account, arn)),
            ciphertext: None,
        };
        (found, targets)
    }

    /// The key that an alias of the caller's account stands for.
    async fn behind(&self, name: &str, catalog: &mut dyn ReadKeys) -> Result<Meant, KmsError> {
        let (account, region) = self.site.place();
        let alias = KeyReference {
            region: region.clone(),
            account,
            kind: KeyReferenceKind::Alias(name.strip_prefix("alias/").unwrap_or(name).to_owned()),
        };
        let mut meant = self.existing(&alias, &self.action, catalog).await?;
        // The alias is what is changed, not how the key is named.
        meant.by_alias = None;
        Ok(meant)
    }

    /// The key that a member names.
    async fn meant(
        &self,
        member: &str,
        naming: Naming,
        action: &str,
        catalog: &mut dyn ReadKeys,
    ) -> Result<Meant, KmsError> {
        let text = self.input.required(member);
        let reference = reference::read(text, self.site.place(), naming.takes_alias)?;
        if !naming.takes_foreign && reference.account != self.site.caller.account {
            return Err(self.denied(action, &reference.arn()));
        }
        self.existing(&reference, action, catalog).await
    }

    async fn existing(
        &self,
        reference: &KeyReference,
        action: &str,
        catalog: &mut dyn ReadKeys,
    ) -> Result<Meant, KmsError> {
        let meant = Meant::find(&mut catalog.keys(), reference).await;
        match meant.map_err(KmsError::from_catalog)? {
            Some(meant) => Ok(meant),
            None if reference.account == self.site.caller.account => {
                Err(reference::not_found(reference))
            }
            // Whether another account has such a key is nobody else's business.
            None => Err(self.denied(action, &reference.arn())),
        }
    }

    /// What is to be decrypted, and the key: the one that a member names, else the one that the ciphertext names.
    async fn source(
        &self,
        member: &str,
        action: &str,
        catalog: &mut dyn ReadKeys,
    ) -> Result<(Ciphertext, Meant), KmsError> {
        let bytes = self.input.blob("CiphertextBlob").ok_or_else(|| {
            KmsError::validation(
                "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: Member \
                 must not be null",
            )
        })?;
        let ciphertext = Ciphertext::parse(&bytes).ok_or_else(invalid_ciphertext)?;
        if self.input.text(member).is_some() {
            let anywhere = Naming {
                takes_alias: true,
                takes_foreign: true,
            };
            let meant = self.meant(member, anywhere, action, catalog).await?;
            return Ok((ciphertext, meant));
        }
        let place = self.site.place();
        let out_of_reach = || KmsError::new(KmsErrorCode::AccessDenied, OUT_OF_REACH);
        let reference =
            reference::read(&ciphertext.key_arn, place, false).map_err(|_| out_of_reach())?;
        let meant = Meant::find(&mut catalog.keys(), &reference).await;
        let meant = meant.map_err(KmsError::from_catalog)?;
        let mut meant = meant.ok_or_else(out_of_reach)?;
        meant.named = None;
        Ok((ciphertext, meant))
    }

    fn denied(&self, action: &str, arn: &str) -> KmsError {
        let message = foreign_refusal(self.site.caller, action, arn);
        KmsError::new(KmsErrorCode::AccessDenied, message)
    }

    fn bypass(&self) -> (String, Vec<String>) {
        let bypasses = self.input.flag("BypassPolicyLockoutSafetyCheck");
        one("kms:BypassPolicyLockoutSafetyCheck", &bypasses.to_string())
    }

    /// What the operations on one key say of their use.
    fn used(&self) -> Use {
        let mut used = match self.action.as_str() {
            "kms:Encrypt" | "kms:GenerateDataKey" | "kms:GenerateDataKeyWithoutPlaintext" => {
                Use::cryptographic(&self.input.context("EncryptionContext"))
            }
            _ => Use {
                request_tags: self.input.tags(),
                tag_keys: self.input.tag_keys(),
                ..Use::default()
            },
        };
        if self.action == "kms:PutKeyPolicy" {
            used.keys.push(self.bypass());
        }
        for (key, member) in [
            (
                "kms:ScheduleKeyDeletionPendingWindowInDays",
                "PendingWindowInDays",
            ),
            ("kms:RotationPeriodInDays", "RotationPeriodInDays"),
        ] {
            let days = self.input.number(member).map(|days| days.to_string());
            used.keys.extend(days.map(|days| one(key, &days)));
        }
        used
    }
}

/// A key of the caller's own, by ID or ARN.
pub(super) const OWN: Naming = Naming {
    takes_alias: false,
    takes_foreign: false,
};

/// KMS says no more than this of a key that a ciphertext names.
pub(super) const OUT_OF_REACH: &str = "The ciphertext refers to a customer master key that does not exist, does not \
                                       exist in this region, or you are not allowed to access.";
