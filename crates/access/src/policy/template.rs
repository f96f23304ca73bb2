//! Texts with wildcards and policy variables, and how they match. A variable's value is matched
//! letter for letter: a `*` in a user's tag is no wildcard.

use std::borrow::Cow;

use super::{ContextKeys, PolicyError};

/// One thing to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Char(char),
    AnyOne,
    AnyMany,
}

impl Unit {
    /// The same unit with its letter folded.
    pub(super) fn fold_case(self) -> Self {
        match self {
            Self::Char(letter) => Self::Char(fold_case(letter)),
            other => other,
        }
    }
}

/// Folds one letter to one letter, so that both sides of a comparison fold alike.
pub(super) fn fold_case(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Unit(Unit),
    Variable {
        key: String,
        default: Option<String>,
    },
}

/// A text as a policy writes it, read once when the policy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Template {
    Plain(Vec<Unit>),
    WithVariables(Vec<Piece>),
}

/// Which marks of the language count in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Whether `*` and `?` are wildcards.
    pub(super) wildcards: bool,
    /// Whether `${…}` is a variable: in version 2012-10-17 only.
    pub(super) variables: bool,
}

impl Template {
    pub(super) fn parse(text: &str, marks: Marks) -> Result<Self, PolicyError> {
        let malformed = || PolicyError::Variable {
            found: text.to_owned(),
        };
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if let (true, Some(inner)) = (marks.variables, rest.strip_prefix("${")) {
                let (body, after) = inner.split_once('}').ok_or_else(malformed)?;
                pieces.push(parse_variable(body).ok_or_else(malformed)?);
                rest = after;
                continue;
            }
            pieces.push(Piece::Unit(match character {
                '*' if marks.wildcards => Unit::AnyMany,
                '?' if marks.wildcards => Unit::AnyOne,
                other => Unit::Char(other),
            }));
            rest = &rest[character.len_utf8()..];
        }
        let plain = pieces.iter().map(|piece| match piece {
            Piece::Unit(unit) => Some(*unit),
            Piece::Variable { .. } => None,
        });
        Ok(plain
            .collect::<Option<_>>()
            .map_or_else(|| Self::WithVariables(pieces), Self::Plain))
    }

    /// The units to match, with variables replaced; `None` when one has no value. A key with several
    /// values has no value here.
    pub(super) fn resolve(&self, keys: &ContextKeys) -> Option<Cow<'_, [Unit]>> {
        let pieces = match self {
            Self::Plain(units) => return Some(Cow::Borrowed(units)),
            Self::WithVariables(pieces) => pieces,
        };
        let mut units = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Unit(unit) => units.push(*unit),
                Piece::Variable { key, default } => {
                    let value = match keys.get(key) {
                        [value] => value,
                        _ => default.as_ref()?,
                    };
                    units.extend(value.chars().map(Unit::Char));
                }
            }
        }
        Some(Cow::Owned(units))
    }

    /// Whether the text ends in `*`.
    pub(super) fn ends_open(&self) -> bool {
        match self {
            Self::Plain(units) => units.last() == Some(&Unit::AnyMany),
            Self::WithVariables(pieces) => pieces.last() == Some(&Piece::Unit(Unit::AnyMany)),
        }
    }

    /// Whether the text is exactly `literal`, without marks.
    pub(super) fn is_literal(&self, literal: &str) -> bool {
        matches!(self, Self::Plain(units) if units.iter().copied().eq(literal.chars().map(Unit::Char)))
    }
}

/// Reads `*`, `?`, `$`, `key` or `key, 'default'`.
fn parse_variable(body: &str) -> Option<Piece> {
    if let "*" | "?" | "$" = body {
        return body.chars().next().map(|c| Piece::Unit(Unit::Char(c)));
    }
    let (key, default) = match body.split_once(',') {
        None => (body, None),
        Some((key, quoted)) => {
            let inner = quoted
                .trim_matches(' ')
                .strip_prefix('\'')?
                .strip_suffix('\'')?;
            (key, Some(inner.to_owned()))
        }
    };
    let key = key.trim_end_matches(' ');
    let valid = key.contains(':') && !key.contains([' ', '$', '{', '\'']);
    valid.then(|| Piece::Variable {
        key: key.to_lowercase(),
        default,
    })
}

/// Whether the units match the whole text. Linear but for the distance between wildcards: after a
/// mismatch only the latest `*` has to take one more character.
pub(super) fn matches(units: &[Unit], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at_unit, mut at_char) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at_char < text.len() {
        match units.get(at_unit) {
            Some(Unit::AnyMany) => {
                retry = Some((at_unit + 1, at_char));
                at_unit += 1;
            }
            Some(Unit::AnyOne) => {
                at_unit += 1;
                at_char += 1;
            }
            Some(Unit::Char(expected)) if *expected == text[at_char] => {
                at_unit += 1;
                at_char += 1;
            }
            _ => {
                let Some((after_star, taken)) = retry else {
                    return false;
                };
                retry = Some((after_star, taken + 1));
                at_unit = after_star;
                at_char = taken + 1;
            }
        }
    }
    units[at_unit..].iter().all(|unit| *unit == Unit::AnyMany)
}
