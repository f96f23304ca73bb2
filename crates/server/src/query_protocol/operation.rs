//! One operation of IAM or STS: a row of a table, and what it runs with.

use std::sync::Arc;

use cairn_access::Principal;
use cairn_catalog::identity::{IdentityKind, ReadIdentities, Tag};
use cairn_catalog::{Catalog, ReadTransaction, WriteTransaction};
use cairn_model::AccountId;
use cairn_platform::{Clock, Entropy, MasterKey};
use futures::future::BoxFuture;
use serde_json::Value;

use super::answer::QueryAnswer;
use super::error::{QueryError, QueryErrorCode};
use super::input::QueryInput;
use super::parameters::Parameter;
use crate::recorded_time::TimeForm;
use crate::sts::SessionFacts;

/// A service that speaks the Query protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryService {
    /// Identity and Access Management.
    Iam,
    /// The Security Token Service.
    Sts,
    /// Cairn's own administration.
    Cairn,
}

impl QueryService {
    /// The service in a credential scope and before an action's colon.
    pub fn scope_name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::Cairn => "cairn",
        }
    }

    /// `eventSource` of the record.
    pub fn event_source(self) -> &'static str {
        match self {
            Self::Iam => "iam.amazonaws.com",
            Self::Sts => "sts.amazonaws.com",
            Self::Cairn => "cairn.amazonaws.com",
        }
    }

    /// Whether its events are logged in us-east-1 whatever Region was called (SEC-019).
    pub fn is_global(self) -> bool {
        match self {
            Self::Iam => true,
            Self::Sts | Self::Cairn => false,
        }
    }

    /// How its records write times.
    pub(crate) fn time_form(self) -> TimeForm {
        match self {
            Self::Iam => TimeForm::Iam,
            Self::Sts | Self::Cairn => TimeForm::Others,
        }
    }

    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
            Self::Cairn => "2026-11-21",
        }
    }

    pub(super) fn namespace(self) -> &'static str {
        match self {
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::Cairn => "https://cairn.amazonaws.com/doc/2026-11-21/",
        }
    }

    /// Every operation of the service.
    pub fn operations(self) -> &'static [QueryOperation] {
        match self {
            Self::Iam => crate::iam::OPERATIONS,
            Self::Sts => crate::sts::OPERATIONS,
            Self::Cairn => crate::administration::OPERATIONS,
        }
    }

    pub(super) fn route(self, action: &str) -> Option<&'static QueryOperation> {
        self.operations()
            .iter()
            .find(|operation| operation.name == action)
    }
}

/// What the operations work with.
#[derive(Clone, Debug)]
pub struct World {
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// Seals secrets and session tokens.
    pub master_key: MasterKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Keys, IDs.
    pub entropy: Arc<dyn Entropy>,
}

/// Who calls, as authentication found.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The principal.
    pub principal: Principal,
    /// Its account; of a service the account that it acts for.
    pub account: AccountId,
    /// The account's alias.
    pub account_alias: Option<String>,
    /// The key that signed.
    pub access_key_id: String,
    /// What the session token said, for temporary credentials.
    pub session: Option<Arc<SessionFacts>>,
}

impl Caller {
    /// The name of the service, if one of our own calls: it belongs to no account.
    pub fn service_name(&self) -> Option<&str> {
        match &self.principal {
            Principal::Service { name } => Some(name),
            Principal::Root { .. }
            | Principal::User(_)
            | Principal::UserSession(_)
            | Principal::RoleSession(_) => None,
        }
    }

    /// True for the credentials that `GetSessionToken` gives without a device. IAM takes none of them, STS for
    /// `AssumeRole` and `GetCallerIdentity` alone.
    pub fn is_token_holder(&self) -> bool {
        match &self.principal {
            Principal::UserSession(session) => !session.mfa,
            Principal::Root { .. } => self.session.is_some(),
            Principal::User(_) | Principal::RoleSession(_) | Principal::Service { .. } => false,
        }
    }
}

/// A row of a service's table.
#[derive(Clone, Copy, Debug)]
pub struct QueryOperation {
    /// Its name: the `Action` parameter, and `eventName` of the record.
    pub name: &'static str,
    /// The service.
    pub service: QueryService,
    /// `readOnly` of the record.
    pub read_only: bool,
    /// Whether the record shows the answer: those that write, and those that give credentials.
    pub records_answer: bool,
    /// What its twins differ in: users, groups or roles. None for the others.
    pub subject: Option<IdentityKind>,
    /// Its parameters, in the order in which they are checked and recorded.
    pub parameters: &'static [Parameter],
    /// What is authorized.
    pub resource: ResourceRule,
    /// What runs.
    pub run: Run,
}

/// Which resource an operation is authorized on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceRule {
    /// Never refused.
    Open,
    /// `*`.
    Any,
    /// The user, group or role that the call names, or the calling user if it names none.
    Identity(IdentityKind),
    /// The user whose access key the call names.
    KeyOwner,
    /// The user, group or role that the call makes.
    NewIdentity(IdentityKind),
    /// Those under a path.
    Identities(IdentityKind),
    /// The managed policy that `PolicyArn` names.
    Policy,
    /// The managed policy that the call makes.
    NewPolicy,
    /// Managed policies under a path.
    Policies,
    /// The role to assume, with its trust policy.
    AssumedRole,
}

/// One question to ask before an operation runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationTarget {
    /// Such as `iam:CreateUser`.
    pub action: String,
    /// An ARN or `*`.
    pub resource: String,
    /// The resource's account.
    pub resource_account: AccountId,
    /// The resource's tags.
    pub resource_tags: Vec<Tag>,
    /// The tags that the call brings.
    pub request_tags: Vec<Tag>,
    /// The keys of tags that the call takes away; they count as `aws:TagKeys`.
    pub tag_keys: Vec<String>,
    /// The service's own condition keys.
    pub keys: Vec<(String, Vec<String>)>,
    /// The role's trust policy, which takes the resource policy's place.
    pub trust_policy: Option<String>,
    /// The key's policy, in the same place.
    pub key_policy: Option<String>,
    /// What a refused caller hears, where the decision's own words would tell too much.
    pub refusal: Option<String>,
}

/// The future of an operation.
pub type Running<'a> = BoxFuture<'a, Result<QueryAnswer, QueryError>>;

/// What a reading operation runs with.
#[derive(Debug)]
pub struct ReadCall<'a> {
    /// The table's row.
    pub operation: &'static QueryOperation,
    /// Catalog, keys, clock.
    pub world: &'a World,
    /// Who calls.
    pub caller: &'a Caller,
    /// The parameters.
    pub input: &'a QueryInput,
    /// One consistent point of the catalog.
    pub transaction: &'a mut ReadTransaction,
}

/// What a writing operation runs with. The pipeline adds the record of the call and commits.
#[derive(Debug)]
pub struct WriteCall<'a> {
    /// The table's row.
    pub operation: &'static QueryOperation,
    /// Catalog, keys, clock.
    pub world: &'a World,
    /// Who calls.
    pub caller: &'a Caller,
    /// The parameters.
    pub input: &'a QueryInput,
    /// The mutation.
    pub transaction: &'a mut WriteTransaction,
}

/// What runs: the pipeline opens the transaction that fits.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// It reads.
    Read(for<'a> fn(ReadCall<'a>) -> Running<'a>),
    /// It changes identities.
    Write(for<'a> fn(WriteCall<'a>) -> Running<'a>),
}

impl QueryOperation {
    /// Such as `iam:CreateUser`.
    pub fn action(&self) -> String {
        format!("{}:{}", self.service.scope_name(), self.name)
    }

    /// Whether it needs a `WriteTransaction`.
    pub fn is_write(&self) -> bool {
        matches!(self.run, Run::Write(_))
    }

    /// `requestParameters` of the record.
    pub fn request_parameters(&self, input: &QueryInput) -> Value {
        input.recorded(self)
    }

    /// `requestParameters` of a form that was refused before it was a call.
    pub(crate) fn parameters_of_refused(&self, body: &[u8]) -> Value {
        QueryInput::of_refused(self, body).recorded(self)
    }

    /// `requestParameters` of the record of a refused call: the call's own (SEC-027), but null where STS
    /// forbids it, as its real records show.
    pub(crate) fn refused_parameters(&self, parameters: Value, code: QueryErrorCode) -> Value {
        match (self.service, code) {
            (QueryService::Sts, QueryErrorCode::AccessDenied) => Value::Null,
            _ => parameters,
        }
    }

    /// Every question that must be answered yes before the operation runs; none means that it is never
    /// refused.
    pub async fn authorization_targets(
        &'static self,
        input: &QueryInput,
        caller: &Caller,
        identities: &mut dyn ReadIdentities,
    ) -> Result<Vec<AuthorizationTarget>, QueryError> {
        match self.resource {
            ResourceRule::Open => Ok(Vec::new()),
            ResourceRule::AssumedRole => {
                crate::sts::assume_role_targets(input, caller, identities).await
            }
            _ => crate::iam::authorization_targets(self, input, caller, identities).await,
        }
    }

    /// Runs an operation that reads.
    pub async fn run_read(
        &'static self,
        world: &World,
        caller: &Caller,
        input: &QueryInput,
        transaction: &mut ReadTransaction,
    ) -> Result<QueryAnswer, QueryError> {
        match self.run {
            Run::Read(run) => {
                run(ReadCall {
                    operation: self,
                    world,
                    caller,
                    input,
                    transaction,
                })
                .await
            }
            Run::Write(_) => Err(wrong_transaction()),
        }
    }

    /// Runs an operation that writes, inside a transaction that the caller completes and commits.
    pub async fn run_write(
        &'static self,
        world: &World,
        caller: &Caller,
        input: &QueryInput,
        transaction: &mut WriteTransaction,
    ) -> Result<QueryAnswer, QueryError> {
        match self.run {
            Run::Write(run) => {
                run(WriteCall {
                    operation: self,
                    world,
                    caller,
                    input,
                    transaction,
                })
                .await
            }
            Run::Read(_) => Err(wrong_transaction()),
        }
    }
}

fn wrong_transaction() -> QueryError {
    QueryError::new(
        QueryErrorCode::ServiceFailure,
        "The operation was started the wrong way.",
    )
}
