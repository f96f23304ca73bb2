//! One statement: read from JSON, and whether it applies to a request.

use super::arn_pattern::ArnPattern;
use super::condition::{Condition, parse_conditions};
use super::document::{Effect, PolicyKind};
use super::evaluate::RequestContext;
use super::json::Json;
use super::principal_clause::{Grant, PrincipalClause};
use super::template::{Marks, Template, matches};
use super::value::Match;
use super::{ContextKeys, PolicyError};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    principals: Option<PrincipalClause>,
    actions: Clause<ActionPattern>,
    /// Absent in trust policies, whose resource is the role they hang on.
    resources: Option<Clause<ArnPattern>>,
    conditions: Vec<Condition>,
}

/// A list that names what is meant, or (negated) what is not.
#[derive(Clone, Debug, PartialEq)]
struct Clause<T> {
    negated: bool,
    patterns: Vec<T>,
}

/// What a statement is read from; every element at most once.
#[derive(Default)]
struct Elements {
    sid: Option<Json>,
    effect: Option<Json>,
    principal: Option<Json>,
    not_principal: Option<Json>,
    action: Option<Json>,
    not_action: Option<Json>,
    resource: Option<Json>,
    not_resource: Option<Json>,
    condition: Option<Json>,
}

impl Elements {
    fn parse(json: Json) -> Result<Self, PolicyError> {
        let mut elements = Self::default();
        for (name, value) in json.into_object("Statement")? {
            let place = match name.as_str() {
                "Sid" => &mut elements.sid,
                "Effect" => &mut elements.effect,
                "Principal" => &mut elements.principal,
                "NotPrincipal" => &mut elements.not_principal,
                "Action" => &mut elements.action,
                "NotAction" => &mut elements.not_action,
                "Resource" => &mut elements.resource,
                "NotResource" => &mut elements.not_resource,
                "Condition" => &mut elements.condition,
                _ => return Err(PolicyError::UnknownElement { name }),
            };
            *place = Some(value);
        }
        Ok(elements)
    }
}

impl Statement {
    pub(super) fn parse(
        json: Json,
        kind: PolicyKind,
        variables: bool,
    ) -> Result<Self, PolicyError> {
        let elements = Elements::parse(json)?;
        let effect = match elements.effect {
            None => return Err(PolicyError::MissingElement { name: "Effect" }),
            Some(effect) => Effect::parse(effect)?,
        };
        let actions = one_of(elements.action, elements.not_action, "Action")?
            .ok_or(PolicyError::MissingElement { name: "Action" })?
            .try_map(|text| ActionPattern::parse(&text))?;
        let resources = match one_of(elements.resource, elements.not_resource, "Resource")? {
            Some(_) if kind == PolicyKind::Trust => {
                return Err(PolicyError::ProhibitedElement { name: "Resource" });
            }
            None if kind != PolicyKind::Trust => {
                return Err(PolicyError::MissingElement { name: "Resource" });
            }
            texts => texts.map(|texts| texts.try_map(|text| parse_resource(text, variables))),
        }
        .transpose()?;
        Ok(Self {
            sid: elements.sid.map(|sid| parse_sid(sid, kind)).transpose()?,
            effect,
            principals: parse_principals(elements.principal, elements.not_principal, kind, effect)?,
            actions,
            resources,
            conditions: match elements.condition {
                Some(conditions) => parse_conditions(conditions, variables)?,
                None => Vec::new(),
            },
        })
    }

    /// Whether the statement applies, and, if it names principals, how far it reaches.
    pub(super) fn applies(&self, request: &RequestContext<'_>) -> Option<Grant> {
        let named = self
            .actions
            .patterns
            .iter()
            .any(|pattern| pattern.matches(request.action));
        if named == self.actions.negated || !self.covers(request.resource, request.keys) {
            return None;
        }
        let grant = match &self.principals {
            Some(clause) => clause.grant(request.principal)?,
            None => Grant::Direct,
        };
        let holds = |condition: &Condition| condition.holds(request.keys, self.effect);
        self.conditions.iter().all(holds).then_some(grant)
    }

    fn covers(&self, resource: &str, keys: &ContextKeys) -> bool {
        let Some(clause) = &self.resources else {
            return true;
        };
        let found = Match::any(
            clause
                .patterns
                .iter()
                .map(|pattern| pattern.matches(resource, keys)),
        );
        match found {
            Match::Yes => !clause.negated,
            Match::No => clause.negated,
            // "All but ${nothing}" allows nothing and denies everything.
            Match::Unresolved => clause.negated && self.effect == Effect::Deny,
        }
    }
}

impl Clause<String> {
    fn try_map<T>(
        self,
        parse: impl FnMut(String) -> Result<T, PolicyError>,
    ) -> Result<Clause<T>, PolicyError> {
        let patterns = self
            .patterns
            .into_iter()
            .map(parse)
            .collect::<Result<_, _>>()?;
        Ok(Clause {
            negated: self.negated,
            patterns,
        })
    }
}

/// Takes the element or its negation, never both.
fn one_of(
    plain: Option<Json>,
    negated: Option<Json>,
    name: &'static str,
) -> Result<Option<Clause<String>>, PolicyError> {
    let (json, negated) = match (plain, negated) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(PolicyError::ProhibitedElement { name }),
        (Some(json), None) => (json, false),
        (None, Some(json)) => (json, true),
    };
    let patterns = json.into_texts(name)?;
    if patterns.is_empty() {
        return Err(PolicyError::MissingElement { name });
    }
    Ok(Some(Clause { negated, patterns }))
}

fn parse_resource(found: String, variables: bool) -> Result<ArnPattern, PolicyError> {
    ArnPattern::parse(&found, variables)?.ok_or(PolicyError::Resource { found })
}

fn parse_sid(json: Json, kind: PolicyKind) -> Result<String, PolicyError> {
    let sid = json.into_text("Sid")?;
    // Only IAM's own policies are that strict; the manual's bucket policies are not.
    if kind == PolicyKind::Identity && !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(PolicyError::StatementId);
    }
    Ok(sid)
}

fn parse_principals(
    plain: Option<Json>,
    negated: Option<Json>,
    kind: PolicyKind,
    effect: Effect,
) -> Result<Option<PrincipalClause>, PolicyError> {
    match (kind, plain, negated) {
        (PolicyKind::Identity, None, None) => Ok(None),
        (PolicyKind::Identity, ..) => Err(PolicyError::PrincipalInIdentityPolicy),
        (_, None, None) => Err(PolicyError::MissingElement { name: "Principal" }),
        (_, Some(principal), None) => PrincipalClause::parse(principal, false).map(Some),
        (PolicyKind::Resource | PolicyKind::Key, None, Some(principal))
            if effect == Effect::Deny =>
        {
            PrincipalClause::parse(principal, true).map(Some)
        }
        // IAM knows NotPrincipal only to deny, and not in trust policies.
        (_, _, Some(_)) => Err(PolicyError::ProhibitedElement {
            name: "NotPrincipal",
        }),
    }
}

/// `*`, or `service:name` with wildcards in the name. Letters fold case. (SEC-114)
#[derive(Clone, Debug, PartialEq, Eq)]
struct ActionPattern {
    /// The service in lower case; none for every service.
    service: Option<String>,
    name: Template,
}

impl ActionPattern {
    fn parse(text: &str) -> Result<Self, PolicyError> {
        let marks = Marks {
            wildcards: true,
            variables: false,
        };
        let lower = text.to_ascii_lowercase();
        if !lower.is_empty() && lower.bytes().all(|byte| byte == b'*') {
            return Ok(Self {
                service: None,
                name: Template::parse("*", marks)?,
            });
        }
        let (service, name) = lower.split_once(':').ok_or(PolicyError::Vendor)?;
        let vendor = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if service.is_empty() || !service.bytes().all(vendor) {
            return Err(PolicyError::VendorName {
                vendor: service.to_owned(),
            });
        }
        let service = Some(service.to_owned());
        Ok(Self {
            service,
            name: Template::parse(name, marks)?,
        })
    }

    fn matches(&self, action: &str) -> bool {
        let Some(service) = &self.service else {
            return true;
        };
        let Some((called_service, name)) = action.split_once(':') else {
            return false;
        };
        let units = self.name.resolve(&ContextKeys::new());
        service.eq_ignore_ascii_case(called_service)
            && units.is_some_and(|units| matches(&units, &name.to_ascii_lowercase()))
    }
}
