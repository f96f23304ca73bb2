//! Policies: a text is refused with a sentence or read, and what is read decides every request, a deny
//! before any allow.
#![no_main]

use cairn_access::policy::{
    ContextKeys, Decision, PolicyDocument, PolicyKind, PolicySets, RequestContext, evaluate,
};
use cairn_access::{Principal, User};
use libfuzzer_sys::fuzz_target;

const ALLOW_ALL: &str = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
const DENY_ALL: &str = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

// The input is a resource, an end of line, and a policy.
fuzz_target!(|text: &str| {
    let (resource, json) = text.split_once('\n').unwrap_or(("*", text));
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
    let request = RequestContext {
        action: "s3:GetObject",
        resource,
        principal: &principal,
        keys: &keys,
    };
    let read = |json| PolicyDocument::parse(json, PolicyKind::Identity).expect("a policy");
    let (allow, deny) = (read(ALLOW_ALL), read(DENY_ALL));
    for kind in [
        PolicyKind::Identity,
        PolicyKind::Resource,
        PolicyKind::Trust,
    ] {
        let policy = match PolicyDocument::parse(json, kind) {
            Ok(policy) => policy,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                continue;
            }
        };
        let hangs_on_resource = kind != PolicyKind::Identity;
        let decide = |other: &PolicyDocument| {
            let sets = PolicySets {
                identity: if hangs_on_resource {
                    &[other]
                } else {
                    &[&policy, other]
                },
                boundary: None,
                session: None,
                resource: hangs_on_resource.then_some(&policy),
                same_account: true,
            };
            evaluate(&request, &sets)
        };
        decide(&allow);
        assert!(matches!(decide(&deny), Decision::ExplicitDeny { .. }));
    }
});
