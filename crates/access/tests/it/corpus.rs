//! The seeds of the fuzz targets `policy_parse`, `signature_parse` and `aws_chunked`, and what once found a
//! fault, replayed.

use std::path::Path;

use cairn_access::policy::{
    ContextKeys, Decision, PolicyDocument, PolicyKind, PolicySets, RequestContext, evaluate,
};
use cairn_access::sigv4::{ChunkedForm, RequestParts, ServiceRules, parse, sha256_hex};
use cairn_access::{Principal, SecretKey, User};

use crate::chunked_client::{Upload, rule_of};

const DENY_ALL: &str = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
/// 2015-08-30T12:36:00Z, the time of the seeds.
const NOW_MS: i64 = 1_440_938_160_000;

fn inputs(target: &str) -> Vec<String> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let entries = std::fs::read_dir(corpus.join(target)).expect("every target has a corpus");
    entries
        .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file"))
        .filter_map(|bytes| String::from_utf8(bytes).ok())
        .collect()
}

// Proves: R24
#[test]
fn policies_are_refused_or_decide_with_a_deny_first() {
    let user = User {
        account: "123456789012".parse().expect("an account"),
        name: "alice".to_owned(),
        path: "/".to_owned(),
        id: "AIDAALICE".to_owned(),
    };
    let principal = Principal::User(user);
    let mut keys = ContextKeys::new();
    keys.set("aws:username", "alice");
    keys.set("aws:SourceIp", "203.0.113.9");
    keys.set_all("aws:TagKeys", ["stage", "team"]);
    let deny = PolicyDocument::parse(DENY_ALL, PolicyKind::Identity).expect("a policy");
    let mut read = 0;
    for text in inputs("policy_parse") {
        let (resource, json) = text.split_once('\n').unwrap_or(("*", &text));
        let request = RequestContext {
            action: "s3:GetObject",
            resource,
            principal: &principal,
            keys: &keys,
        };
        for kind in [
            PolicyKind::Identity,
            PolicyKind::Resource,
            PolicyKind::Trust,
        ] {
            let policy = match PolicyDocument::parse(json, kind) {
                Ok(policy) => policy,
                Err(error) => {
                    assert!(!error.to_string().is_empty(), "{json}");
                    continue;
                }
            };
            read += 1;
            let of_identity = kind == PolicyKind::Identity;
            let both = [&policy, &deny];
            let sets = PolicySets {
                identity: if of_identity { &both } else { &both[1..] },
                boundary: None,
                session: None,
                resource: (!of_identity).then_some(&policy),
                same_account: true,
            };
            let decision = evaluate(&request, &sets);
            assert!(matches!(decision, Decision::ExplicitDeny { .. }), "{json}");
        }
    }
    assert!(read >= 3, "the seeds are policies");
}

// Proves: R24
#[test]
fn signatures_are_refused_or_pass_with_the_secret_only() {
    let mut well_formed = 0;
    for text in inputs("signature_parse") {
        let mut lines = text.split('\n');
        let mut next = || lines.next().unwrap_or_default();
        let (method, path, query) = (next(), next(), next());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let request = RequestParts {
            method,
            path,
            query,
            headers: &headers,
            now_ms: NOW_MS,
        };
        for rules in [ServiceRules::STANDARD, ServiceRules::S3] {
            let Ok(signed) = parse(&request, &rules) else {
                continue;
            };
            well_formed += 1;
            let secret = SecretKey::new("a secret that no input knows".to_owned());
            assert!(
                signed.verify(&secret, Some(&sha256_hex(b""))).is_err(),
                "{text}"
            );
            assert!(
                signed.signed_headers().iter().any(|name| name == "host"),
                "{text}"
            );
        }
    }
    assert!(well_formed >= 4, "the seeds are signed requests");
}

#[test]
fn bodies_in_chunks_pass_unsigned_or_with_the_key_only() {
    let mut passed = 0;
    for text in inputs("aws_chunked") {
        let [form, step, declared, body @ ..] = text.as_bytes() else {
            continue;
        };
        let form = match form % 3 {
            0 => ChunkedForm::Signed,
            1 => ChunkedForm::SignedTrailer,
            _ => ChunkedForm::UnsignedTrailer,
        };
        let upload = Upload::new(form, &[]);
        let (wire, _) = upload.request_of_length(usize::from(*declared));
        let mut reader = rule_of(&wire).reader().expect("a rule");
        let mut length = 0;
        let mut read = || {
            for mut piece in body.chunks(usize::from(*step).max(1)) {
                while !piece.is_empty() {
                    let taken = reader.take(piece).ok()?;
                    length += taken.data.len();
                    piece = &piece[taken.consumed..];
                }
            }
            Some(())
        };
        if read().is_some() && reader.finish().is_ok() {
            passed += 1;
            assert_eq!(form, ChunkedForm::UnsignedTrailer);
            assert_eq!(length, usize::from(*declared));
        }
    }
    assert!(passed >= 2, "some seeds are right bodies");
}
