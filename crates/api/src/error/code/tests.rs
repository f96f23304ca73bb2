//! Codes, statuses and names as clients read them.

use std::collections::BTreeSet;

use super::{ErrorCode, Protocol};

#[test]
fn names_are_unambiguous_under_every_protocol() {
    for protocol in [Protocol::AwsJson, Protocol::RestJson, Protocol::Query] {
        let names: BTreeSet<&str> = ErrorCode::ALL
            .iter()
            .map(|code| code.wire_name(protocol))
            .collect();
        assert_eq!(names.len(), ErrorCode::ALL.len(), "{protocol:?}");
    }
}

#[test]
fn statuses_are_what_aws_sends() {
    use ErrorCode as E;
    for (code, aws_json, rest_json, query) in [
        (E::InvalidMaxResultsException, 400, 400, 400),
        (E::TrailNotFoundException, 400, 400, 400),
        (E::ValidationException, 400, 400, 400),
        (E::SerializationException, 400, 400, 400),
        (E::UnsupportedOperationException, 400, 400, 400),
        (E::AccessDeniedException, 400, 403, 403),
        (E::UnrecognizedClientException, 400, 403, 403),
        (E::InvalidSignatureException, 400, 403, 403),
        (E::MissingAuthenticationTokenException, 400, 403, 403),
        (E::ExpiredTokenException, 400, 403, 403),
        (E::ThrottlingException, 400, 429, 400),
        (E::UnknownOperationException, 400, 404, 400),
        (E::RequestEntityTooLargeException, 413, 413, 413),
        (E::InternalFailure, 500, 500, 500),
        (E::ServiceUnavailable, 503, 503, 503),
    ] {
        assert_eq!(code.http_status(Protocol::AwsJson), aws_json, "{code}");
        assert_eq!(code.http_status(Protocol::RestJson), rest_json, "{code}");
        assert_eq!(code.http_status(Protocol::Query), query, "{code}");
    }
}

#[test]
fn only_failures_of_ours_have_statuses_from_500_and_all_of_them_can_be_retried() {
    for code in ErrorCode::ALL {
        for protocol in [Protocol::AwsJson, Protocol::RestJson, Protocol::Query] {
            let status = code.http_status(protocol);
            assert_eq!(status >= 500, !code.is_callers_fault(), "{code}");
            assert!(status < 500 || code.is_retryable(), "{code}");
        }
    }
    assert!(ErrorCode::ThrottlingException.is_retryable());
    assert!(!ErrorCode::AccessDeniedException.is_retryable());
}

#[test]
fn query_services_keep_their_older_names() {
    let query = |code: ErrorCode| code.wire_name(Protocol::Query);
    assert_eq!(query(ErrorCode::AccessDeniedException), "AccessDenied");
    assert_eq!(
        query(ErrorCode::UnrecognizedClientException),
        "InvalidClientTokenId"
    );
    assert_eq!(
        query(ErrorCode::InvalidSignatureException),
        "SignatureDoesNotMatch"
    );
    assert_eq!(query(ErrorCode::ThrottlingException), "Throttling");
}
