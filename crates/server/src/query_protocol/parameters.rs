//! What a parameter may be, and IAM's sentences for what it may not.

use super::error::{QueryError, QueryErrorCode};

/// A row of an operation's table: one parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it may be.
    pub kind: ParameterKind,
    /// Whether it must be there.
    pub required: bool,
}

impl Parameter {
    /// A parameter that must be there.
    pub const fn required(name: &'static str, kind: ParameterKind) -> Self {
        Self {
            name,
            kind,
            required: true,
        }
    }

    /// A parameter that may be left out.
    pub const fn optional(name: &'static str, kind: ParameterKind) -> Self {
        Self {
            name,
            kind,
            required: false,
        }
    }
}

/// What a parameter may be. Lengths are in characters, inclusive.
#[derive(Clone, Copy, Debug)]
pub enum ParameterKind {
    /// A text.
    Text {
        /// The least length.
        min: usize,
        /// The greatest length.
        max: usize,
        /// What it is made of.
        pattern: Pattern,
    },
    /// A text of any length, of which the record keeps size and hash.
    LargeText,
    /// A whole number.
    Number {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// `true` or `false`.
    Flag,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `NAME.member.N.Key` and `.Value`, at most 50.
    Tags,
    /// `NAME.member.N`, at most 50.
    Texts,
    /// `NAME.member.N`, each one of these words.
    EachOneOf(&'static [&'static str]),
    /// `NAME.member.N.arn`, at most 10.
    PolicyArns,
}

/// What a text is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Anything.
    Any,
    /// Letters, digits and `_+=,.@-`.
    Name,
    /// Letters, digits and `_+=,.@:/-`.
    ExternalId,
    /// Letters, digits and underscores.
    Word,
    /// `/` or `/…/`.
    Path,
    /// Begins with `/`.
    PathPrefix,
    /// Printable Latin-1 and line ends.
    Document,
    /// `v` and a number.
    Version,
    /// Small letters, digits and single hyphens inside.
    Alias,
    /// Digits.
    Digits,
}

impl Pattern {
    /// The expression that AWS names when a value does not fit.
    fn expression(self) -> &'static str {
        match self {
            Self::Any => ".*",
            Self::Name => "[\\w+=,.@-]+",
            Self::ExternalId => "[\\w+=,.@:\\/-]*",
            Self::Word => "[\\w]+",
            Self::Path => "(\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)",
            Self::PathPrefix => "\\u002F[\\u0021-\\u007F]*",
            Self::Document => "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
            Self::Version => "v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?",
            Self::Alias => "^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$",
            Self::Digits => "[\\d]*",
        }
    }

    fn admits(self, text: &str) -> bool {
        let all = |extra: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || extra.contains(c))
        };
        match self {
            Self::Any => true,
            Self::Name => all("+=,.@-"),
            Self::ExternalId => all("+=,.@:/-"),
            Self::Word => all(""),
            Self::Path => {
                text == "/"
                    || (text.len() > 2
                        && text.starts_with('/')
                        && text.ends_with('/')
                        && text.bytes().all(|b| (0x21..=0x7e).contains(&b)))
            }
            Self::PathPrefix => {
                text.starts_with('/') && text.bytes().all(|b| (0x21..=0x7f).contains(&b))
            }
            Self::Document => text
                .chars()
                .all(|c| matches!(c, '\t' | '\n' | '\r') || ('\u{20}'..='\u{ff}').contains(&c)),
            Self::Version => text.strip_prefix('v').is_some_and(|number| {
                !number.starts_with('0') && number.parse::<u32>().is_ok_and(|n| n > 0)
            }),
            Self::Alias => {
                let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
                text.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    && ends(text.chars().next())
                    && ends(text.chars().next_back())
                    && !text.contains("--")
            }
            Self::Digits => text.bytes().all(|b| b.is_ascii_digit()),
        }
    }
}

/// What is wrong with one value, in AWS's form.
pub(super) fn complaint(value: Option<&str>, place: &str, constraint: &str) -> QueryError {
    let value = match value {
        None => "null".to_owned(),
        Some(value) => format!("'{value}'"),
    };
    QueryError::new(
        QueryErrorCode::ValidationError,
        format!(
            "1 validation error detected: Value {value} at '{place}' failed to satisfy \
             constraint: {constraint}"
        ),
    )
}

/// Checks a text's length and characters.
pub(crate) fn check_text(
    text: &str,
    place: &str,
    (min, max): (usize, usize),
    pattern: Pattern,
) -> Result<(), QueryError> {
    let length = text.chars().count();
    let constraint = if length < min {
        format!("Member must have length greater than or equal to {min}")
    } else if length > max {
        format!("Member must have length less than or equal to {max}")
    } else if !pattern.admits(text) {
        format!(
            "Member must satisfy regular expression pattern: {}",
            pattern.expression()
        )
    } else {
        return Ok(());
    };
    // A long value would only repeat what was sent.
    let shown: String = text.chars().take(256).collect();
    Err(complaint(Some(&shown), place, &constraint))
}

/// Checks a number's range.
pub(super) fn check_number(
    text: &str,
    place: &str,
    (min, max): (i64, i64),
) -> Result<i64, QueryError> {
    let shown: String = text.chars().take(64).collect();
    let number: i64 = text
        .parse()
        .map_err(|_| complaint(Some(&shown), place, "Member must be a number"))?;
    if number < min {
        let constraint = format!("Member must have value greater than or equal to {min}");
        return Err(complaint(Some(&shown), place, &constraint));
    }
    if number > max {
        let constraint = format!("Member must have value less than or equal to {max}");
        return Err(complaint(Some(&shown), place, &constraint));
    }
    Ok(number)
}
