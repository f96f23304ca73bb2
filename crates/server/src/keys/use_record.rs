//! The use of a key by a service, for itself or in its caller's name, as CloudTrail records it (SEC-374 to SEC-376).

use cairn_model::{AccountId, RecordError};
use serde_json::Value;

use super::conditions::account_of;
use super::{KeyProblem, KeyUser};
use crate::doors::{CallRecord, Doors, Prepared, RecordIds, RecordedCaller, RecordedResource};

const SOURCE: &str = "kms.amazonaws.com";
/// Address, agent and `invokedBy` of what a service asks in its caller's name (SEC-376).
const INTERNAL: &str = "AWS Internal";

/// One use of a key, and what came of it.
#[derive(Debug)]
pub(super) struct KeyUse<'a> {
    pub(super) user: KeyUser<'a>,
    pub(super) event_name: &'static str,
    pub(super) request_parameters: Value,
    /// The key, as far as it is known.
    pub(super) key_arn: Option<&'a str>,
    /// Whether the key's account gets a copy.
    pub(super) owner_is_told: bool,
    pub(super) problem: Option<&'a KeyProblem>,
}

impl KeyUse<'_> {
    /// A copy for the caller's account, and one for the key's if it is another and the key was there (REC-064). A
    /// service has no account: then there is the key's copy alone or, if that is not known, one for whom it acts.
    pub(super) fn events(&self, doors: &Doors, now_ms: i64) -> Result<Vec<Prepared>, RecordError> {
        let caller = self.user.caller;
        let service = caller.service_name();
        let owner = self.owner().filter(|_| self.owner_is_told);
        let recipients = match (service, owner) {
            (Some(_), Some(owner)) => vec![owner],
            (None, Some(owner)) if owner != caller.account => vec![caller.account, owner],
            (_, _) => vec![caller.account],
        };
        // SEC-375: those of services have one in any case.
        let is_shared = service.is_some() || recipients.len() > 1;
        let shared = is_shared.then(|| doors.new_id());
        let resources: Vec<RecordedResource> = self.resource().into_iter().collect();
        let error = self
            .problem
            .map(|problem| (code(problem), problem.to_string()));
        let request_id = doors.new_id();
        let agent = service.unwrap_or(INTERNAL);
        let record = CallRecord {
            caller: RecordedCaller {
                principal: &caller.principal,
                access_key_id: &caller.access_key_id,
                account_alias: caller.account_alias.as_deref(),
                invoked_by: service.is_none().then_some(INTERNAL),
            },
            completed_ms: now_ms,
            event_source: SOURCE,
            event_name: self.event_name,
            region: self.user.region.as_str(),
            source_ip: agent,
            user_agent: Some(agent),
            error: error
                .as_ref()
                .map(|(code, message)| (*code, message.as_str())),
            request_parameters: self.request_parameters.clone(),
            response_elements: Value::Null,
            additional_event_data: Value::Null,
            request_id: &request_id,
            read_only: true,
            resources: &resources,
            category: "Management",
            tls: None,
            client_host: None,
            hides_owner: false,
        };
        let copies = recipients.into_iter().map(|recipient| {
            let event_id = doors.new_id();
            let ids = RecordIds {
                event_id: &event_id,
                recipient,
                shared_event_id: shared.as_deref(),
            };
            doors.prepare_own(recipient, &record.to_json(ids))
        });
        copies.collect()
    }

    /// The account of a key that is there. Where the caller was refused, nobody's key was used.
    fn owner(&self) -> Option<AccountId> {
        match self.problem {
            None
            | Some(
                KeyProblem::Disabled { .. }
                | KeyProblem::PendingDeletion { .. }
                | KeyProblem::WrongKind { .. },
            ) => account_of(self.key_arn?),
            Some(
                KeyProblem::NotFound { .. }
                | KeyProblem::Denied { .. }
                | KeyProblem::InvalidCiphertext
                | KeyProblem::Unavailable,
            ) => None,
        }
    }

    /// The key, unless there is none, or none that the caller may use.
    fn resource(&self) -> Option<RecordedResource> {
        if let Some(KeyProblem::NotFound { .. } | KeyProblem::Denied { .. }) = self.problem {
            return None;
        }
        let arn = self.key_arn?;
        let account = account_of(arn)?;
        Some(RecordedResource::new(
            account,
            "AWS::KMS::Key",
            arn.to_owned(),
        ))
    }
}

/// `errorCode`, as KMS's records have it.
fn code(problem: &KeyProblem) -> &'static str {
    match problem {
        KeyProblem::NotFound { .. } => "NotFoundException",
        KeyProblem::Disabled { .. } => "DisabledException",
        KeyProblem::PendingDeletion { .. } => "KMSInvalidStateException",
        KeyProblem::WrongKind { .. } => "InvalidKeyUsageException",
        KeyProblem::Denied { .. } => "AccessDenied",
        KeyProblem::InvalidCiphertext => "InvalidCiphertextException",
        KeyProblem::Unavailable => "KMSInternalException",
    }
}
