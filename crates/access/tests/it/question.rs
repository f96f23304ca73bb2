//! A question to the evaluator, with everything defaulted that a test does not care about.

use cairn_access::Principal;
use cairn_access::policy::{
    ContextKeys, Decision, PolicyDocument, PolicyKind, PolicyLayer, PolicySets, RequestContext,
    evaluate,
};

use crate::principals::alice;

pub(crate) const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main";

pub(crate) const BY_IDENTITY: Decision = Decision::ImplicitDeny {
    missing: PolicyLayer::Identity,
};
pub(crate) const DENIED_BY_IDENTITY: Decision = Decision::ExplicitDeny {
    layer: PolicyLayer::Identity,
};

pub(crate) fn missing(missing: PolicyLayer) -> Decision {
    Decision::ImplicitDeny { missing }
}

pub(crate) fn denied(layer: PolicyLayer) -> Decision {
    Decision::ExplicitDeny { layer }
}

/// May this principal do this to that?
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) principal: Principal,
    pub(crate) keys: ContextKeys,
    identity: Vec<PolicyDocument>,
    boundary: Option<PolicyDocument>,
    session: Option<Vec<PolicyDocument>>,
    resource_policy: Option<PolicyDocument>,
    same_account: bool,
}

pub(crate) fn may(action: &str, resource: &str) -> Question {
    Question {
        action: action.to_owned(),
        resource: resource.to_owned(),
        principal: alice(),
        keys: ContextKeys::new(),
        identity: Vec::new(),
        boundary: None,
        session: None,
        resource_policy: None,
        same_account: true,
    }
}

impl Question {
    pub(crate) fn by(mut self, principal: Principal) -> Self {
        self.principal = principal;
        self
    }

    pub(crate) fn key(mut self, name: &str, value: &str) -> Self {
        self.keys.set(name, value);
        self
    }

    pub(crate) fn values(mut self, name: &str, values: &[&str]) -> Self {
        self.keys.set_all(name, values.iter().copied());
        self
    }

    /// An identity policy with these statements.
    pub(crate) fn policy(mut self, statements: &str) -> Self {
        self.identity
            .push(document(statements, PolicyKind::Identity));
        self
    }

    pub(crate) fn boundary(mut self, statements: &str) -> Self {
        self.boundary = Some(document(statements, PolicyKind::Identity));
        self
    }

    pub(crate) fn session(mut self, statements: &str) -> Self {
        let policy = document(statements, PolicyKind::Identity);
        self.session.get_or_insert_default().push(policy);
        self
    }

    pub(crate) fn resource_policy(mut self, statements: &str) -> Self {
        self.resource_policy = Some(document(statements, PolicyKind::Resource));
        self
    }

    pub(crate) fn trust(mut self, statements: &str) -> Self {
        self.resource_policy = Some(document(statements, PolicyKind::Trust));
        self
    }

    pub(crate) fn key_policy(mut self, statements: &str) -> Self {
        self.resource_policy = Some(document(statements, PolicyKind::Key));
        self
    }

    pub(crate) fn across_accounts(mut self) -> Self {
        self.same_account = false;
        self
    }

    pub(crate) fn answer(&self) -> Decision {
        self.ask().0
    }

    pub(crate) fn refusal(&self) -> Option<String> {
        self.ask().1
    }

    fn ask(&self) -> (Decision, Option<String>) {
        let request = RequestContext {
            action: &self.action,
            resource: &self.resource,
            principal: &self.principal,
            keys: &self.keys,
        };
        let identity: Vec<&PolicyDocument> = self.identity.iter().collect();
        let session: Option<Vec<&PolicyDocument>> = self
            .session
            .as_ref()
            .map(|policies| policies.iter().collect());
        let sets = PolicySets {
            identity: &identity,
            boundary: self.boundary.as_ref(),
            session: session.as_deref(),
            resource: self.resource_policy.as_ref(),
            same_account: self.same_account,
        };
        let decision = evaluate(&request, &sets);
        (decision, decision.refusal(&request))
    }
}

/// A document of version 2012-10-17 from the inside of its statement list.
pub(crate) fn document(statements: &str, kind: PolicyKind) -> PolicyDocument {
    let json = format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#);
    PolicyDocument::parse(&json, kind).unwrap_or_else(|error| panic!("{json}\n{error}"))
}
