//! What LookupEvents shows and finds beyond the record's own members: who acted, with which key, on what.
//!
//! AWS documents the attributes (OVR-076, OVR-086) but not how they are filled. The rules here follow what its answers
//! show; `docs/lookup-attributes.md` lists them.

use std::borrow::Cow;

use crate::json::Value;

mod resource_rules;
mod resources;

pub(crate) use resources::{ResourceSources, resources};

/// The parts of `userIdentity` that lookups name.
#[derive(Debug, Default)]
pub(crate) struct Identity<'a> {
    kind: Option<Cow<'a, str>>,
    principal_id: Option<Cow<'a, str>>,
    user_name: Option<Cow<'a, str>>,
    /// `arn`, unless empty.
    pub(crate) arn: Option<Cow<'a, str>>,
    /// `accessKeyId`, unless empty, as it is for signing in at the console (REC-097).
    pub(crate) access_key_id: Option<Cow<'a, str>>,
}

impl<'a> Identity<'a> {
    pub(crate) fn read(user_identity: Option<Value<'_, 'a>>) -> Self {
        let mut identity = Self::default();
        for member in user_identity.iter().flat_map(Value::members) {
            let place = match &*member.name() {
                "type" => &mut identity.kind,
                "principalId" => &mut identity.principal_id,
                "userName" => &mut identity.user_name,
                "arn" => &mut identity.arn,
                "accessKeyId" => &mut identity.access_key_id,
                _ => continue,
            };
            *place = member.value.as_str().filter(|text| !text.is_empty());
        }
        identity
    }

    /// The event's `Username`: `root` for the root user (OVR-089), the session's name for temporary credentials,
    /// else `userName`. Calls that a service made in its own name have none, nor have callers of other accounts.
    pub(crate) fn user_name(&self) -> Option<Cow<'a, str>> {
        match self.kind.as_deref() {
            Some("Root") => Some(Cow::Borrowed("root")),
            Some("AssumedRole" | "FederatedUser") => {
                self.session_name().or_else(|| self.user_name.clone())
            }
            Some("IAMUser" | "Role") => self
                .user_name
                .clone()
                .or_else(|| self.arn.as_ref().and_then(|arn| after_last(arn, '/'))),
            _ => self.user_name.clone(),
        }
    }

    /// The last part of `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`, or else of `ROLEID:SESSION` (REC-110).
    fn session_name(&self) -> Option<Cow<'a, str>> {
        let of_arn = self.arn.as_ref().and_then(|arn| after_last(arn, '/'));
        of_arn.or_else(|| {
            self.principal_id
                .as_ref()
                .and_then(|id| after_last(id, ':'))
        })
    }
}

fn after_last<'a>(text: &Cow<'a, str>, separator: char) -> Option<Cow<'a, str>> {
    let part = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.rsplit_once(separator)?.1),
        Cow::Owned(text) => Cow::Owned(text.rsplit_once(separator)?.1.to_owned()),
    };
    if part.is_empty() { None } else { Some(part) }
}

#[cfg(test)]
mod tests;
