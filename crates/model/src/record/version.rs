//! The version of a record's layout.

use std::str::FromStr;

/// `eventVersion`: two numbers, compared as numbers, so that 1.10 is newer than 1.9 (REC-004).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventVersion {
    major: u16,
    minor: u16,
}

impl EventVersion {
    /// From here on events have a maximum size (REC-054).
    pub const WITH_SIZE_LIMIT: Self = Self { major: 1, minor: 5 };
    /// From here on events may carry `managementEvent` (REC-032).
    pub const WITH_MANAGEMENT_EVENT: Self = Self { major: 1, minor: 6 };
    /// From here on events carry `eventCategory` (REC-041).
    pub const WITH_EVENT_CATEGORY: Self = Self { major: 1, minor: 7 };

    /// Whether this build understands records of this version: the same major, any minor version (REC-007).
    pub fn is_readable(self) -> bool {
        self.major == 1
    }
}

/// A text that is not two numbers with a dot between them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event version is two numbers with a dot between them")]
pub struct EventVersionError;

impl FromStr for EventVersion {
    type Err = EventVersionError;

    /// Real records write the minor part with a leading zero (1.08), so zeroes are read.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |digits: &str| -> Result<u16, EventVersionError> {
            if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit())
            {
                return Err(EventVersionError);
            }
            digits.parse().map_err(|_| EventVersionError)
        };
        let (major, minor) = text.split_once('.').ok_or(EventVersionError)?;
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}
