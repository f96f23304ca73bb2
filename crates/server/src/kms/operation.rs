//! One operation of KMS: a row of the table, and what it runs with.

use std::collections::BTreeSet;

use cairn_access::policy::ContextKeys;
use cairn_catalog::keys::KmsKey;
use cairn_catalog::{ReadTransaction, WriteTransaction};
use cairn_model::{AccountId, Region};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::asking::Asks;
use super::ciphertext::Ciphertext;
use super::error::KmsError;
use super::input::KmsInput;
use super::members::Member;
use crate::doors::RecordedResource;
use crate::lake_keeper::LakeKeeper;
use crate::pipeline::Call;
use crate::query_protocol::{Caller, World};

/// The types under which records list keys and aliases.
const KEY_TYPE: &str = "AWS::KMS::Key";
const ALIAS_TYPE: &str = "AWS::KMS::Alias";

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KmsOperation {
    /// What follows `TrentService.` in the target; `eventName` of the record.
    pub(crate) name: &'static str,
    /// `readOnly` of the record (QRY-293).
    pub(crate) read_only: bool,
    /// What a request holds.
    pub(super) members: &'static [Member],
    /// What is authorized.
    pub(super) asks: Asks,
    /// What runs.
    pub(crate) run: Run,
}

impl KmsOperation {
    /// Whether it uses a key or makes a secret: its answer is worth as much as a credential, so its record must be
    /// durable before.
    pub(crate) fn uses_secrets(&self) -> bool {
        matches!(
            self.name,
            "Decrypt"
                | "Encrypt"
                | "GenerateDataKey"
                | "GenerateDataKeyWithoutPlaintext"
                | "GenerateRandom"
                | "ReEncrypt"
        )
    }
}

/// The future of an operation.
pub(super) type Running<'a> = BoxFuture<'a, Result<KmsAnswer, KmsError>>;

/// What runs: the pipeline opens the transaction that fits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    /// It reads, or uses a key.
    Read(for<'a> fn(ReadCall<'a>) -> Running<'a>),
    /// It changes keys.
    Change(for<'a> fn(ChangeCall<'a>) -> Running<'a>),
    /// KMS has it, this service does not.
    NotBuilt,
}

/// Who calls, and what everything works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) world: &'a World,
    pub(crate) call: &'a Call,
    pub(crate) caller: &'a Caller,
    pub(crate) region: &'a Region,
    /// Knows how late it may be.
    pub(crate) lake: &'a LakeKeeper,
}

impl<'a> Site<'a> {
    /// The caller's keys of this Region.
    pub(super) fn place(self) -> (AccountId, &'a Region) {
        (self.caller.account, self.region)
    }

    /// What policies see of the call itself.
    pub(super) fn policy_keys(self) -> ContextKeys {
        let facts = self.call.policy_facts(self.region.as_str());
        ContextKeys::of_call(&self.caller.principal, &facts)
    }
}

/// What a call means, as it was when the call was authorized.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// The key; of ReEncrypt the one that decrypts, then the one that encrypts; of UpdateAlias the new one, then the old.
    pub(super) keys: Vec<KmsKey>,
    /// Owner and ARN of the alias that is made, moved or taken away.
    pub(super) alias: Option<(AccountId, String)>,
    /// What is decrypted.
    pub(super) ciphertext: Option<Ciphertext>,
}

impl Found {
    /// The key of an operation on one.
    pub(super) fn key(&self) -> &KmsKey {
        self.keys
            .first()
            .expect("the operation's row asks for a key")
    }

    /// `resources` of the record (SEC-374).
    pub(crate) fn resources(&self) -> Vec<RecordedResource> {
        let keys = self.keys.iter().map(key_resource);
        let alias = self.alias.iter();
        let alias =
            alias.map(|(account, arn)| RecordedResource::new(*account, ALIAS_TYPE, arn.clone()));
        let mut resources: Vec<RecordedResource> = keys.chain(alias).collect();
        resources.dedup();
        resources
    }

    /// The accounts whose keys they are, other than this one (REC-064).
    pub(crate) fn owners_beside(&self, account: AccountId) -> Vec<AccountId> {
        let owners = self.keys.iter().map(|key| key.account);
        let others: BTreeSet<AccountId> = owners.filter(|owner| *owner != account).collect();
        others.into_iter().collect()
    }
}

/// A key as records list it.
pub(super) fn key_resource(key: &KmsKey) -> RecordedResource {
    RecordedResource::new(key.account, KEY_TYPE, key.arn())
}

/// What a reading operation runs with.
#[derive(Debug)]
pub(crate) struct ReadCall<'a> {
    pub(crate) operation: &'static KmsOperation,
    pub(crate) site: Site<'a>,
    pub(crate) input: &'a KmsInput,
    pub(crate) found: &'a Found,
    pub(crate) transaction: &'a mut ReadTransaction,
}

/// What a changing operation runs with. The pipeline adds the record of the call and commits.
#[derive(Debug)]
pub(crate) struct ChangeCall<'a> {
    pub(crate) site: Site<'a>,
    pub(crate) input: &'a KmsInput,
    pub(crate) found: &'a Found,
    pub(crate) transaction: &'a mut WriteTransaction,
}

/// What an operation answers.
pub(crate) struct KmsAnswer {
    /// The body; null for operations without one.
    pub(crate) output: Value,
    /// `responseElements` of the record; null for what changes nothing.
    pub(crate) elements: Value,
    /// What the call has made.
    pub(crate) made: Vec<RecordedResource>,
}

// Plaintexts are in some bodies.
impl std::fmt::Debug for KmsAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KmsAnswer")
            .field("elements", &self.elements)
            .finish_non_exhaustive()
    }
}

impl KmsAnswer {
    /// An answer that is not recorded.
    pub(super) fn read(output: Value) -> Self {
        Self {
            output,
            elements: Value::Null,
            made: Vec::new(),
        }
    }

    /// A change of a key whose answer has no body; records name the key all the same.
    pub(super) fn changed(key: &KmsKey) -> Self {
        Self {
            output: Value::Null,
            elements: json!({"keyId": key.arn()}),
            made: Vec::new(),
        }
    }
}
