//! Which exception answers a broken constraint.
//!
//! CloudTrail's models list exceptions for particular members: `InvalidMaxResultsException`,
//! `InvalidLookupAttributesException` and so on. For each member this module names the exceptions that fit, best
//! first; the operation answers with the first that its own model lists, and with `ValidationException` when it lists
//! none or the member is required and missing.

use crate::error::ErrorCode;
use crate::operations::Operation;

/// The error that answers a broken constraint at or below a member of the request.
pub fn refusal(operation: &Operation, member: &str, is_missing: bool) -> ErrorCode {
    if is_missing {
        return ErrorCode::ValidationException;
    }
    fitting(operation, member)
        .iter()
        .copied()
        .find(|code| operation.errors.contains(code))
        .unwrap_or(ErrorCode::ValidationException)
}

/// The exceptions that fit a member, best first.
fn fitting(operation: &Operation, member: &str) -> &'static [ErrorCode] {
    use ErrorCode as E;
    match (operation.name, member) {
        // Where one name means different things.
        (
            "CreateTrail" | "UpdateTrail" | "DeleteTrail" | "GetTrail" | "GetTrailStatus"
            | "StartLogging" | "StopLogging",
            "Name",
        )
        | (_, "TrailName") => &[E::InvalidTrailNameException],
        ("StartImport", "Destinations")
        | ("ListImports", "Destination")
        | (_, "EventDataStore" | "EventDataStores" | "InsightsDestination") => &[
            E::EventDataStoreARNInvalidException,
            E::InvalidParameterException,
        ],
        (_, "MaxResults" | "MaxQueryResults") => {
            &[E::InvalidMaxResultsException, E::InvalidParameterException]
        }
        (_, "NextToken") => &[
            E::InvalidNextTokenException,
            E::InvalidTokenException,
            E::InvalidParameterException,
        ],
        (_, "LookupAttributes") => &[E::InvalidLookupAttributesException],
        (_, "EventCategory") => &[E::InvalidEventCategoryException],
        (_, "StartTime" | "EndTime") => &[
            E::InvalidTimeRangeException,
            E::InvalidDateRangeException,
            E::InvalidParameterException,
        ],
        (_, "AdvancedEventSelectors" | "EventSelectors") => &[E::InvalidEventSelectorsException],
        (_, "InsightSelectors") => &[E::InvalidInsightSelectorsException],
        (_, "QueryStatement" | "Widgets") => &[
            E::InvalidQueryStatementException,
            E::InvalidParameterException,
        ],
        (_, "QueryStatus") => &[E::InvalidQueryStatusException, E::InvalidParameterException],
        (_, "Tags" | "TagsList") => &[E::InvalidTagParameterException],
        (_, "KmsKeyId") => &[E::InvalidKmsKeyIdException],
        (_, "Source") => &[E::InvalidSourceException, E::InvalidParameterException],
        (_, "ImportSource") => &[
            E::InvalidImportSourceException,
            E::InvalidParameterException,
        ],
        (_, "Channel") => &[E::ChannelARNInvalidException],
        (_, "channelArn") => &[E::InvalidChannelARN],
        (_, "ResourceArn") => &[E::ResourceARNNotValidException],
        (_, "ResourcePolicy") => &[E::ResourcePolicyNotValidException],
        _ => &[E::InvalidParameterException],
    }
}
