//! ARNs with wildcards. Each of an ARN's first five parts is matched by itself, the rest as one text;
//! a pattern with fewer parts must end in `*`, which then takes everything that follows. Letters count
//! as written. (SEC-114)

use super::template::{Marks, Template, matches};
use super::value::Match;
use super::{ContextKeys, PolicyError};

const PARTS: usize = 6;

/// `*`, or an ARN with wildcards and variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArnPattern {
    Everything,
    Parts(Vec<Template>),
}

impl ArnPattern {
    /// Reads a pattern; `None` when it has not the form of an ARN.
    pub(super) fn parse(text: &str, variables: bool) -> Result<Option<Self>, PolicyError> {
        if !text.is_empty() && text.bytes().all(|byte| byte == b'*') {
            return Ok(Some(Self::Everything));
        }
        let marks = Marks {
            wildcards: true,
            variables,
        };
        let parts: Vec<Template> = split_parts(text, variables)
            .into_iter()
            .map(|part| Template::parse(part, marks))
            .collect::<Result<_, _>>()?;
        let arn = parts.first().is_some_and(|first| first.is_literal("arn"));
        let whole = parts.len() == PARTS || parts.last().is_some_and(Template::ends_open);
        Ok((arn && whole).then_some(Self::Parts(parts)))
    }

    /// Matches a resource. `*` as a resource stands for no particular one: only `*` matches it.
    /// (SEC-128)
    pub(super) fn matches(&self, arn: &str, keys: &ContextKeys) -> Match {
        let Self::Parts(patterns) = self else {
            return Match::Yes;
        };
        let parts: Vec<&str> = arn.splitn(patterns.len(), ':').collect();
        let mut found = Match::of(parts.len() == patterns.len());
        for (pattern, part) in patterns.iter().zip(parts) {
            match pattern.resolve(keys) {
                None => return Match::Unresolved,
                Some(units) if !matches(&units, part) => found = Match::No,
                Some(_) => {}
            }
        }
        found
    }
}

/// Splits at the first five colons that are not inside a variable.
fn split_parts(text: &str, variables: bool) -> Vec<&str> {
    let mut parts = Vec::with_capacity(PARTS);
    let (mut start, mut inside) = (0, false);
    for (index, character) in text.char_indices() {
        match character {
            '{' if variables && text[..index].ends_with('$') => inside = true,
            '}' => inside = false,
            ':' if !inside && parts.len() < PARTS - 1 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
