//! May this caller do this? Collects the policies that apply and asks the evaluator. Policies are read
//! and parsed once for each version of the identities.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cairn_access::policy::{
    ContextKeys, Decision, PolicyDocument, PolicyKind, PolicyLayer, PolicySets, RequestContext,
    RequestFacts, evaluate, managed_by_arn,
};
use cairn_access::{Principal, UserSession};
use cairn_catalog::identity::{
    AccessKey, Account, IdentitySnapshot, ReadIdentities, SnapshotPolicy,
};
use cairn_catalog::{Catalog, CatalogError};
use cairn_model::AccountId;

use crate::pipeline::Call;
use crate::query_protocol::{AuthorizationTarget, Caller};
use crate::sabotage;
use crate::sts;

/// Parsed policies kept before the cache starts anew.
const ENTRIES_MAX: usize = 10_000;

/// One question.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) resource_account: AccountId,
    /// The policy that the resource has: a role's trust policy, a bucket's policy.
    pub(crate) resource_policy: Option<ResourcePolicy<'a>>,
    /// Condition keys beyond those of every call.
    pub(crate) keys: &'a ContextKeys,
    /// True if the resource's account need not agree by a policy of its own.
    pub(crate) resource_agrees: bool,
}

/// The policy of a resource, as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResourcePolicy<'a> {
    pub(crate) kind: PolicyKind,
    pub(crate) document: &'a str,
}

/// Answers questions for callers.
#[derive(Debug)]
pub(crate) struct Authorizer {
    catalog: Arc<Catalog>,
    // Held for a look-up, never across an await.
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    version: u64,
    held: HashMap<String, Arc<HeldPolicies>>,
    accounts: Option<Arc<Vec<Account>>>,
}

/// The policies of one user or role, parsed.
#[derive(Debug, Default)]
struct HeldPolicies {
    identity: Vec<Held>,
    boundary: Option<Held>,
    tags: Vec<(String, String)>,
    /// True if one of them cannot be read: it might deny anything, so everything is denied.
    unreadable: bool,
}

#[derive(Debug)]
enum Held {
    Own(Box<PolicyDocument>),
    Aws(&'static PolicyDocument),
}

impl Held {
    fn document(&self) -> &PolicyDocument {
        match self {
            Self::Own(document) => document,
            Self::Aws(document) => document,
        }
    }
}

/// Everything that applies to one caller, so that many questions can be asked without waiting.
#[derive(Clone, Debug)]
pub(crate) struct Grants {
    principal: Principal,
    held: Arc<HeldPolicies>,
    session: Option<Arc<SessionPolicies>>,
    keys: ContextKeys,
}

/// The policies that a session was opened with.
#[derive(Debug)]
struct SessionPolicies {
    documents: Vec<PolicyDocument>,
    unreadable: bool,
}

impl SessionPolicies {
    fn read(documents: &[String]) -> Arc<Self> {
        let mut policies = Self {
            documents: Vec::new(),
            unreadable: false,
        };
        for document in documents {
            match PolicyDocument::parse(document, PolicyKind::Identity) {
                Ok(document) => policies.documents.push(document),
                Err(_) => policies.unreadable = true,
            }
        }
        Arc::new(policies)
    }
}

impl Authorizer {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            cache: Mutex::default(),
        }
    }

    /// What applies to `caller` in this call.
    pub(crate) async fn grants(
        &self,
        call: &Call,
        caller: &Caller,
        region: &str,
    ) -> Result<Grants, CatalogError> {
        let held = self.held_by(&caller.principal).await?;
        let mut documents = None;
        if let Some(facts) = caller.session.as_deref().filter(|facts| facts.is_limited()) {
            let mut transaction = self.catalog.read().await?;
            documents = sts::session_policy_documents(&mut transaction, facts).await?;
        }
        Ok(Grants::new(call, caller, region, (held, documents)))
    }

    /// What applies to `caller` in this call as a transaction sees it, whatever is remembered: a change
    /// is decided by what is true when it is committed. None if the credentials that signed the call are
    /// good for nothing any more.
    pub(crate) async fn grants_within(
        call: &Call,
        caller: &Caller,
        region: &str,
        identities: &mut dyn ReadIdentities,
    ) -> Result<Option<Grants>, CatalogError> {
        let mut view = identities.view(caller.account);
        let account = view.account_facts().await?;
        if !account.is_some_and(|account| account.enabled) {
            return Ok(None);
        }
        let identity_id = identity_of(&caller.principal).map(|(_, id)| id);
        if caller.session.is_none() {
            let key = view.access_key(&caller.access_key_id).await?;
            let is_good = |key: &AccessKey| key.active && key.user_id.as_deref() == identity_id;
            if !key.as_ref().is_some_and(is_good) {
                return Ok(None);
            }
        }
        let held = match identity_id {
            None => HeldPolicies::default(),
            Some(id) => match view.snapshot(id).await? {
                Some(snapshot) => HeldPolicies::of(&snapshot),
                None => return Ok(None),
            },
        };
        let mut documents = None;
        if let Some(facts) = &caller.session {
            documents = sts::session_policy_documents(identities, facts).await?;
        }
        let granted = (Arc::new(held), documents);
        Ok(Some(Grants::new(call, caller, region, granted)))
    }

    /// Every account, as of the current version of the identities.
    pub(crate) async fn accounts(&self) -> Result<Arc<Vec<Account>>, CatalogError> {
        let version = self.catalog.identity_version();
        if let Some(accounts) = &self.at(version).accounts {
            return Ok(Arc::clone(accounts));
        }
        let accounts = Arc::new(self.catalog.accounts().await?);
        let mut cache = self.at(version);
        if cache.version == version {
            cache.accounts = Some(Arc::clone(&accounts));
        }
        Ok(accounts)
    }

    async fn held_by(&self, principal: &Principal) -> Result<Arc<HeldPolicies>, CatalogError> {
        let Some((account, id)) = identity_of(principal) else {
            return Ok(Arc::default());
        };
        let version = self.catalog.identity_version();
        if let Some(held) = self.at(version).held.get(id) {
            return Ok(Arc::clone(held));
        }
        // An identity that is gone holds nothing, so it may do nothing.
        let snapshot = self.catalog.identity_snapshot(account, id).await?;
        let held = snapshot.map_or_else(HeldPolicies::default, |snapshot| {
            HeldPolicies::of(&snapshot)
        });
        let held = Arc::new(held);
        let mut cache = self.at(version);
        if cache.version == version {
            cache.held.insert(id.to_owned(), Arc::clone(&held));
        }
        Ok(held)
    }

    /// The cache, emptied of what belongs to another version.
    fn at(&self, version: u64) -> std::sync::MutexGuard<'_, Cache> {
        let mut cache = self.cache.lock().expect("no holder of this lock panics");
        if cache.version < version || cache.held.len() > ENTRIES_MAX {
            *cache = Cache {
                version: version.max(cache.version),
                ..Cache::default()
            };
        }
        cache
    }
}

/// The user or role whose policies apply; none for those who have none of their own.
fn identity_of(principal: &Principal) -> Option<(AccountId, &str)> {
    match principal {
        Principal::User(user) | Principal::UserSession(UserSession { user, .. }) => {
            Some((user.account, &user.id))
        }
        Principal::RoleSession(session) => Some((session.account, &session.role_id)),
        Principal::Root { .. } | Principal::Service { .. } => None,
    }
}

impl HeldPolicies {
    fn of(snapshot: &IdentitySnapshot) -> Self {
        let tags = snapshot.tags.iter();
        let mut held = Self {
            tags: tags
                .map(|tag| (tag.key.clone(), tag.value.clone()))
                .collect(),
            ..Self::default()
        };
        for policy in &snapshot.policies {
            let document = held.read(policy);
            held.identity.extend(document);
        }
        if let Some(boundary) = &snapshot.boundary {
            held.boundary = held.read(boundary);
        }
        held
    }

    fn read(&mut self, policy: &SnapshotPolicy) -> Option<Held> {
        let held = match policy {
            SnapshotPolicy::AwsManaged { arn } => {
                managed_by_arn(arn).map(|policy| Held::Aws(&policy.document))
            }
            SnapshotPolicy::Document { document, .. } => {
                let parsed = PolicyDocument::parse(document, PolicyKind::Identity).ok();
                parsed.map(|document| Held::Own(Box::new(document)))
            }
        };
        self.unreadable |= held.is_none();
        held
    }
}

impl Grants {
    /// From the policies of the caller and the documents that limit its session.
    fn new(
        call: &Call,
        caller: &Caller,
        region: &str,
        (held, session_documents): (Arc<HeldPolicies>, Option<Vec<String>>),
    ) -> Self {
        let facts = call.policy_facts(region);
        Self::with_facts(caller, &facts, (held, session_documents))
    }

    /// What applies to a service that acts by itself, within this process: what policies of resources say of it.
    pub(crate) fn of_service(caller: &Caller, now_ms: i64, region: &str) -> Self {
        let facts = RequestFacts {
            now_ms,
            source_ip: None,
            secure_transport: false,
            user_agent: None,
            referer: None,
            requested_region: region,
        };
        Self::with_facts(caller, &facts, (Arc::default(), None))
    }

    fn with_facts(
        caller: &Caller,
        facts: &RequestFacts<'_>,
        (held, session_documents): (Arc<HeldPolicies>, Option<Vec<String>>),
    ) -> Self {
        let mut keys = ContextKeys::of_call(&caller.principal, facts);
        keys.set_tags("aws:PrincipalTag", borrowed(&held.tags));
        if let Some(facts) = &caller.session {
            keys.set_tags("aws:PrincipalTag", borrowed(&facts.tags));
        }
        // Who a service acts for (SEC-210, SEC-211): no request can say so of itself.
        if let Some(source) = caller
            .session
            .as_ref()
            .and_then(|facts| facts.source.as_ref())
        {
            keys.set("aws:SourceArn", &source.arn);
            keys.set("aws:SourceAccount", source.account.as_str());
        }
        Self {
            principal: caller.principal.clone(),
            held,
            session: session_documents.as_deref().map(SessionPolicies::read),
            keys,
        }
    }

    /// Decides; `Err` is the message that the refused caller sees.
    pub(crate) fn decide(&self, question: &Question<'_>) -> Result<(), String> {
        if sabotage::skips_authorization(question.action) {
            return Ok(());
        }
        let mut keys = self.keys.clone();
        keys.merge(question.keys);
        keys.set("aws:ResourceAccount", question.resource_account.as_str());
        let request = RequestContext {
            action: question.action,
            resource: question.resource,
            principal: &self.principal,
            keys: &keys,
        };
        let of_resource = question
            .resource_policy
            .map(|policy| PolicyDocument::parse(policy.document, policy.kind).ok());
        let unreadable = self.held.unreadable
            || matches!(of_resource, Some(None))
            || self
                .session
                .as_ref()
                .is_some_and(|session| session.unreadable);
        let of_resource = of_resource.flatten();
        let identity: Vec<&PolicyDocument> =
            self.held.identity.iter().map(Held::document).collect();
        let session: Option<Vec<&PolicyDocument>> = self
            .session
            .as_ref()
            .map(|session| session.documents.iter().collect());
        let own_account = self.principal.account() == Some(question.resource_account);
        let sets = PolicySets {
            identity: &identity,
            boundary: self.held.boundary.as_ref().map(Held::document),
            session: session.as_deref(),
            resource: of_resource.as_ref(),
            same_account: own_account || question.resource_agrees,
        };
        let mut decision = evaluate(&request, &sets);
        if unreadable && !self.principal.is_root() {
            tracing::error!(principal = %self.principal.arn(), "a policy cannot be read");
            decision = Decision::ImplicitDeny {
                missing: PolicyLayer::Identity,
            };
        }
        decision.refusal(&request).map_or(Ok(()), Err)
    }

    /// Decides a question of IAM, STS or KMS.
    pub(crate) fn decide_target(&self, target: &AuthorizationTarget) -> Result<(), String> {
        let mut keys = ContextKeys::new();
        let pairs = |tags: &'_ [cairn_catalog::identity::Tag]| -> Vec<(String, String)> {
            tags.iter()
                .map(|tag| (tag.key.clone(), tag.value.clone()))
                .collect()
        };
        let resource_tags = pairs(&target.resource_tags);
        keys.set_tags("aws:ResourceTag", borrowed(&resource_tags));
        if !target.request_tags.is_empty() {
            let request_tags = pairs(&target.request_tags);
            keys.set_request_tags(borrowed(&request_tags));
        }
        if !target.tag_keys.is_empty() {
            keys.set_all("aws:TagKeys", target.tag_keys.iter().map(String::as_str));
        }
        for (name, values) in &target.keys {
            keys.set_all(name, values.iter().map(String::as_str));
        }
        let decided = self.decide(&Question {
            action: &target.action,
            resource: &target.resource,
            resource_account: target.resource_account,
            resource_policy: policy_of(target),
            keys: &keys,
            resource_agrees: false,
        });
        decided.map_err(|message| target.refusal.clone().unwrap_or(message))
    }
}

/// The policy that the resource of a question has.
fn policy_of(target: &AuthorizationTarget) -> Option<ResourcePolicy<'_>> {
    let of_role = target.trust_policy.as_deref();
    let of_role = of_role.map(|document| (PolicyKind::Trust, document));
    let of_key = target.key_policy.as_deref();
    let policy = of_role.or(of_key.map(|document| (PolicyKind::Key, document)));
    policy.map(|(kind, document)| ResourcePolicy { kind, document })
}

fn borrowed(pairs: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

/// Whether a role's own policies, within its boundary, let it do something in its account.
pub(crate) fn role_may(
    role: &IdentitySnapshot,
    principal: &Principal,
    keys: &ContextKeys,
    (action, resource): (&str, &str),
) -> bool {
    let held = HeldPolicies::of(role);
    let mut keys = keys.clone();
    keys.set_tags("aws:PrincipalTag", borrowed(&held.tags));
    keys.set("aws:ResourceAccount", role.account.account.as_str());
    let request = RequestContext {
        action,
        resource,
        principal,
        keys: &keys,
    };
    let identity: Vec<&PolicyDocument> = held.identity.iter().map(Held::document).collect();
    let sets = PolicySets {
        identity: &identity,
        boundary: held.boundary.as_ref().map(Held::document),
        session: None,
        resource: None,
        same_account: true,
    };
    !held.unreadable && evaluate(&request, &sets) == Decision::Allow
}
