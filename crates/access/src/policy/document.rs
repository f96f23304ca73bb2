//! A policy document as a value: what it says, checked once when it is read. (SEC-104, SEC-105)

use std::collections::BTreeSet;

use super::PolicyError;
use super::evaluate::RequestContext;
use super::json::Json;
use super::principal_clause::Grant;
use super::statement::Statement;

/// The longest document that any of IAM's operations takes.
const DOCUMENT_LENGTH_MAX: usize = 131_072;

/// All inline policies of one user together, in characters without white space.
pub const USER_INLINE_SIZE_MAX: usize = 2_048;
/// All inline policies of one group together.
pub const GROUP_INLINE_SIZE_MAX: usize = 5_120;
/// All inline policies of one role together.
pub const ROLE_INLINE_SIZE_MAX: usize = 10_240;
/// One managed policy.
pub const MANAGED_SIZE_MAX: usize = 6_144;
/// One trust policy.
pub const TRUST_SIZE_MAX: usize = 2_048;
/// The session policy of one `AssumeRole` call, in characters.
pub const SESSION_SIZE_MAX: usize = 2_048;

/// The characters of a document that count towards IAM's limits: all but white space.
pub fn policy_size(json: &str) -> usize {
    json.chars()
        .filter(|character| !character.is_whitespace())
        .count()
}

/// What a policy hangs on, which decides the elements it must and must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// On a user, group, role or session, or as a permissions boundary: no principals.
    Identity,
    /// On a resource: principals are required.
    Resource,
    /// On a role: principals are required, resources forbidden.
    Trust,
    /// On a KMS key: as on any resource, and without it nobody may use the key, not even its account.
    Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

impl Effect {
    pub(super) fn parse(json: Json) -> Result<Self, PolicyError> {
        match json.into_text("Effect")?.as_str() {
            "Allow" => Ok(Self::Allow),
            "Deny" => Ok(Self::Deny),
            found => Err(PolicyError::Effect {
                found: found.to_owned(),
            }),
        }
    }
}

/// A policy that has been read and found well formed.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyDocument {
    kind: PolicyKind,
    id: Option<String>,
    statements: Vec<Statement>,
}

impl PolicyDocument {
    /// Reads a document. Unknown elements, and any element twice, are errors (R24).
    pub fn parse(json: &str, kind: PolicyKind) -> Result<Self, PolicyError> {
        if json.len() > DOCUMENT_LENGTH_MAX {
            return Err(PolicyError::TooLong {
                limit: DOCUMENT_LENGTH_MAX,
            });
        }
        let (mut variables, mut id, mut written) = (false, None, None);
        for (name, value) in Json::parse(json)?.into_object("policy")? {
            match name.as_str() {
                // Policy variables came with the second version; in the first `${` is plain text.
                "Version" => {
                    variables = match value.into_text("Version")?.as_str() {
                        "2012-10-17" => true,
                        "2008-10-17" => false,
                        _ => return Err(PolicyError::Version),
                    };
                }
                "Id" => id = Some(value.into_text("Id")?),
                "Statement" => written = Some(value),
                _ => return Err(PolicyError::UnknownElement { name }),
            }
        }
        let written = match written {
            None => return Err(PolicyError::MissingElement { name: "Statement" }),
            Some(Json::List(statements)) => statements,
            Some(statement) => vec![statement],
        };
        let statements: Vec<Statement> = written
            .into_iter()
            .map(|statement| Statement::parse(statement, kind, variables))
            .collect::<Result<_, _>>()?;
        if statements.is_empty() {
            return Err(PolicyError::MissingElement { name: "Statement" });
        }
        let mut names = BTreeSet::new();
        let mut named = statements
            .iter()
            .filter_map(|statement| statement.sid.as_ref());
        if !named.all(|sid| sid.is_empty() || names.insert(sid)) {
            return Err(PolicyError::RepeatedStatementId);
        }
        Ok(Self {
            kind,
            id,
            statements,
        })
    }

    /// What the policy hangs on.
    pub fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// The document's `Id`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether the policy by itself lets the request through, be it by leaving the decision to the principal's
    /// account. A key's policy must not lock out who sets it.
    pub fn lets_in(&self, request: &RequestContext<'_>) -> bool {
        self.allows(request).is_some() && !self.denies(request)
    }

    /// Whether a Deny statement applies.
    pub(super) fn denies(&self, request: &RequestContext<'_>) -> bool {
        self.grant_of(Effect::Deny, request).is_some()
    }

    /// Whether an Allow statement applies, and how far it reaches.
    pub(super) fn allows(&self, request: &RequestContext<'_>) -> Option<Grant> {
        self.grant_of(Effect::Allow, request)
    }

    fn grant_of(&self, effect: Effect, request: &RequestContext<'_>) -> Option<Grant> {
        self.statements
            .iter()
            .filter(|statement| statement.effect == effect)
            .filter_map(|statement| statement.applies(request))
            .max()
    }
}
