//! Properties that hold for every policy and request.

use cairn_access::policy::{Decision, PolicyDocument, PolicyKind};
use proptest::prelude::*;

use crate::policy_differential::{Asked, arbitrary_request, arbitrary_statement};
use crate::principals::session;
use crate::question::{Question, may};

fn ask(asked: &Asked) -> Question {
    let question = may(&asked.action, &asked.resource).by(session());
    asked.keys.iter().fold(question, |question, (name, value)| {
        question.key(name, value)
    })
}

fn with_all(question: Question, statements: &[String]) -> Question {
    statements
        .iter()
        .fold(question, |question, statement| question.policy(statement))
}

fn is_explicit(decision: Decision) -> bool {
    matches!(decision, Decision::ExplicitDeny { .. })
}

const DENY_ALL: &str = r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#;
const ALLOW_ALL: &str = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    // Proves: SEC-107
    #[test]
    fn a_deny_dominates_wherever_it_stands(
        asked in arbitrary_request(),
        statements in proptest::collection::vec(arbitrary_statement(), 0..4),
    ) {
        let question = with_all(ask(&asked), &statements).session(ALLOW_ALL).boundary(ALLOW_ALL);
        prop_assert!(is_explicit(question.clone().policy(DENY_ALL).answer()));
        prop_assert!(is_explicit(question.clone().boundary(DENY_ALL).answer()));
        prop_assert!(is_explicit(question.session(DENY_ALL).answer()));
    }

    // Proves: SEC-102
    #[test]
    fn one_more_allow_never_takes_away_and_one_more_deny_never_gives(
        asked in arbitrary_request(),
        statements in proptest::collection::vec(arbitrary_statement(), 0..4),
        more in arbitrary_statement(),
    ) {
        let before = with_all(ask(&asked), &statements);
        let after = before.clone().policy(&more);
        if more.contains(r#""Effect":"Allow""#) {
            prop_assert!(!before.answer().is_allowed() || after.answer().is_allowed());
        } else {
            prop_assert!(before.answer().is_allowed() || !after.answer().is_allowed());
        }
    }

    // Proves: SEC-107, SEC-110
    #[test]
    fn boundary_and_session_policies_only_ever_narrow(
        asked in arbitrary_request(),
        statements in proptest::collection::vec(arbitrary_statement(), 0..4),
        limit in arbitrary_statement(),
    ) {
        let free = with_all(ask(&asked), &statements);
        for limited in [free.clone().boundary(&limit), free.clone().session(&limit)] {
            prop_assert!(free.answer().is_allowed() || !limited.answer().is_allowed());
        }
        let opened = free.clone().boundary(ALLOW_ALL).session(ALLOW_ALL);
        prop_assert_eq!(opened.answer().is_allowed(), free.answer().is_allowed());
    }

    // Proves: R24
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}", inner in "[\\[\\]{}:,\"a-zA-Z*$ ]{0,80}") {
        for kind in [PolicyKind::Identity, PolicyKind::Resource, PolicyKind::Trust] {
            prop_assert!(PolicyDocument::parse(&text, kind).is_err());
            let json = format!(r#"{{"Version":"2012-10-17","Statement":{inner}}}"#);
            prop_assert!(PolicyDocument::parse(&json, kind).is_err());
        }
    }

    #[test]
    fn a_text_with_its_marks_escaped_matches_itself_alone(text in "[a-z*?$]{0,12}", other in "[a-z*?$]{0,12}") {
        let escaped: String = text
            .chars()
            .map(|c| if "*?$".contains(c) { format!("${{{c}}}") } else { c.to_string() })
            .collect();
        let policy = format!(
            r#"{{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::{escaped}"}}"#
        );
        let asks = |name: &str| {
            may("s3:GetObject", &format!("arn:aws:s3:::{name}")).policy(&policy).answer().is_allowed()
        };
        prop_assert!(asks(&text));
        prop_assert_eq!(asks(&other), text == other);
    }
}
