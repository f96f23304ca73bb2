//! The static form of the models' shapes: what a member may hold. The tables are generated; `validate` walks them,
//! and recording reads them for what is sensitive.

use std::fmt;
use std::sync::OnceLock;

use regex::Regex;

/// A shape of the model.
#[derive(Debug)]
pub struct Shape {
    /// AWS's name of the shape.
    pub name: &'static str,
    /// Whether values must never be shown.
    pub sensitive: bool,
    /// What it holds.
    pub kind: Kind,
}

/// What a shape holds, with its constraints.
#[derive(Debug)]
pub enum Kind {
    /// A JSON object with known members. Unknown ones are ignored.
    Structure(&'static [Member]),
    /// A JSON array.
    List {
        /// What each element holds.
        element: &'static Shape,
        /// How many elements there may be.
        length: Bounds,
    },
    /// A JSON object whose keys are data.
    Map {
        /// What each key holds.
        key: &'static Shape,
        /// What each value holds.
        value: &'static Shape,
        /// How many entries there may be.
        length: Bounds,
    },
    /// A JSON string.
    String(StringShape),
    /// A number without fraction, 32 bits.
    Integer(Bounds),
    /// A number without fraction, 64 bits.
    Long(Bounds),
    /// A number.
    Float,
    /// A number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// Seconds since 1970 as a number, with fraction.
    Timestamp,
    /// Bytes as base64 text.
    Blob,
}

/// The constraints of a string.
#[derive(Debug)]
pub struct StringShape {
    /// Characters.
    pub length: Bounds,
    /// A pattern that the whole value matches.
    pub pattern: Option<Pattern>,
    /// The only values allowed; empty when any is.
    pub values: &'static [&'static str],
}

/// Inclusive limits on a value or a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The least allowed.
    pub min: Option<i64>,
    /// The greatest allowed.
    pub max: Option<i64>,
}

impl Bounds {
    /// No limits.
    pub const NONE: Self = Self {
        min: None,
        max: None,
    };
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// AWS's name of the member, as it stands on the wire.
    pub name: &'static str,
    /// What it holds.
    pub shape: &'static Shape,
    /// Whether a request without it is refused.
    pub required: bool,
    /// Where a request carries it.
    pub location: Location,
    /// Whether AWS advises against it.
    pub deprecated: bool,
}

/// Where a request carries a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the JSON body.
    Body,
    /// In the query string, under this name.
    Query(&'static str),
}

/// A pattern of the model: AWS's own spelling for messages, and a translation that is compiled when first needed.
///
/// Both are constants of the program, so the compiled form is no state that calls could share or change.
pub struct Pattern {
    modelled: &'static str,
    translated: &'static str,
    compiled: OnceLock<Regex>,
}

impl Pattern {
    pub(crate) const fn new(modelled: &'static str, translated: &'static str) -> Self {
        Self {
            modelled,
            translated,
            compiled: OnceLock::new(),
        }
    }

    /// The pattern as the model spells it.
    pub fn as_modelled(&self) -> &'static str {
        self.modelled
    }

    /// Whether the whole of `text` matches. Time is linear in the text's length.
    pub fn matches(&self, text: &str) -> bool {
        self.compiled
            .get_or_init(|| {
                Regex::new(self.translated).expect("a test compiles every generated pattern")
            })
            .is_match(text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.modelled).finish()
    }
}

impl Shape {
    /// The members of a structure; none for every other kind.
    pub fn members(&self) -> &'static [Member] {
        match self.kind {
            Kind::Structure(members) => members,
            _ => &[],
        }
    }

    /// A member of a structure by its name on the wire.
    pub fn member(&self, name: &str) -> Option<&'static Member> {
        self.members().iter().find(|member| member.name == name)
    }
}
