//! Why an event is refused at the door.

use crate::json::JsonError;

use super::EVENT_BYTES_MAX;

/// What is wrong with an event. Texts name the member and the limit; [`RecordError::code`] is stable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are not acceptable JSON.
    #[error("the event is not acceptable JSON: {0}")]
    Json(JsonError),
    /// The bytes are JSON, but not an object.
    #[error("the event is not a JSON object")]
    NotAnObject,
    /// The event, completed, is larger than [`EVENT_BYTES_MAX`].
    #[error("the event has {bytes} bytes; the limit is {EVENT_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A member that every event of this kind has is missing.
    #[error("the member {member} is missing")]
    Missing {
        /// The member, with dots for nesting.
        member: &'static str,
    },
    /// A member is of another JSON type than its definition says.
    #[error("the member {member} must be {expected}")]
    WrongType {
        /// The member, with dots for nesting.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A member has the right type but a value that it cannot have.
    #[error("the member {member} must be {expected}")]
    InvalidValue {
        /// The member, with dots for nesting.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A member that names or identifies something is longer than any name is.
    #[error("the member {member} is longer than {limit} bytes")]
    TooLong {
        /// The member, with dots for nesting.
        member: &'static str,
        /// Its limit.
        limit: usize,
    },
    /// Two members cannot both be true.
    #[error("the members {first} and {second} contradict each other")]
    Contradiction {
        /// The member that decides.
        first: &'static str,
        /// The member that does not fit to it.
        second: &'static str,
    },
}

impl RecordError {
    /// The error's name for programs; never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "InvalidEventJson",
            Self::NotAnObject => "InvalidEventNotAnObject",
            Self::TooLarge { .. } => "InvalidEventTooLarge",
            Self::Missing { .. } => "InvalidEventMissingMember",
            Self::WrongType { .. } => "InvalidEventMemberType",
            Self::InvalidValue { .. } => "InvalidEventMemberValue",
            Self::TooLong { .. } => "InvalidEventMemberTooLong",
            Self::Contradiction { .. } => "InvalidEventContradiction",
        }
    }

    /// Always false: the same event is refused again.
    pub fn is_retryable(&self) -> bool {
        false
    }
}
