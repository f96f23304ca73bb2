//! How records write the times of requests and answers: in English, in UTC, for people. Not the time of
//! the event itself, which is ISO 8601.

use chrono::{DateTime, Utc};

/// The services' two forms, as their real records show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeForm {
    /// IAM: `Jul 19, 2023 9:25:09 PM` (SEC-024).
    Iam,
    /// STS and CloudTrail: `Jul 19, 2023, 9:25:09 PM`.
    Others,
}

impl TimeForm {
    /// A time in this form.
    pub(crate) fn write(self, time: DateTime<Utc>) -> String {
        let form = match self {
            Self::Iam => "%b %-d, %Y %-I:%M:%S %p",
            Self::Others => "%b %-d, %Y, %-I:%M:%S %p",
        };
        time.format(form).to_string()
    }
}
