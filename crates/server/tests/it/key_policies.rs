//! Who may use a KMS key, and who hears of it.

use cairn_testkit::{Credentials, SignedClient, TestApp};
use serde_json::{Value, json};

use crate::keys::{ACCOUNT, base64, does, new_key, refused};
use crate::sessions::{OTHER, allow, done, tag, user};

fn only(principal: &str, action: &str) -> Value {
    let statement = json!({
        "Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, "Resource": "*",
    });
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

// Proves: SEC-340, R20, R21
#[tokio::test]
async fn the_key_s_policy_decides_who_may_use_it_and_locks_nobody_out_by_mistake() {
    let app = TestApp::start().await;
    let admin = app.client();
    let key = new_key(&admin).await;
    let nobody = user(&app, "nobody", &allow("cloudtrail:*")).await;
    let all = user(&app, "all", &allow("kms:*")).await;
    let encrypt = || json!({"KeyId": key, "Plaintext": base64(b"x")});
    let (code, message) = refused(&nobody, "Encrypt", encrypt()).await;
    assert_eq!(code, "AccessDeniedException");
    assert_eq!(
        message,
        format!(
            "User: arn:aws:iam::{ACCOUNT}:user/nobody is not authorized to perform: kms:Encrypt on resource: {key} \
             because no identity-based policy allows the kms:Encrypt action"
        )
    );
    does(&all, "Encrypt", encrypt()).await;
    let put = |policy: &Value| json!({"KeyId": key, "Policy": policy.to_string()});
    let for_nobody = only(
        &format!("arn:aws:iam::{ACCOUNT}:user/nobody"),
        "kms:Encrypt",
    );
    let (code, message) = refused(&admin, "PutKeyPolicy", put(&for_nobody)).await;
    assert_eq!(code, "MalformedPolicyDocumentException");
    assert_eq!(
        message,
        "The new key policy will not allow you to update the key policy in the future."
    );
    let (code, _) = refused(&admin, "PutKeyPolicy", put(&json!({"Statement": []}))).await;
    assert_eq!(code, "MalformedPolicyDocumentException");
    let mut bypass = put(&for_nobody);
    bypass["BypassPolicyLockoutSafetyCheck"] = true.into();
    does(&admin, "PutKeyPolicy", bypass).await;
    // Now the key's policy alone counts, whatever the account's own policies say.
    does(&nobody, "Encrypt", encrypt()).await;
    for client in [&all, &admin] {
        let (code, message) = refused(client, "Encrypt", encrypt()).await;
        assert_eq!(code, "AccessDeniedException");
        assert!(
            message.ends_with("because no resource-based policy allows the kms:Encrypt action")
        );
    }
    let denied = app.lookup_until(("EventName", "Encrypt"), 5).await;
    assert_eq!(denied[0]["errorCode"], "AccessDenied");
    assert_eq!(denied[0].get("resources"), None);
}

// Proves: SEC-341, REC-062, REC-064
#[tokio::test]
async fn a_key_of_another_account_is_used_by_its_arn_and_both_accounts_know() {
    let app = TestApp::start().await;
    let admin = app.client();
    let create = [("Action", "CreateAccount"), ("AccountId", OTHER)];
    let made = done(&admin, "cairn", &create).await;
    let theirs = Credentials::new(&tag(&made, "AccessKeyId"), &tag(&made, "SecretAccessKey"));
    let theirs = app.client_of(theirs);
    let key = new_key(&theirs).await;
    let encrypt = || json!({"KeyId": key, "Plaintext": base64(b"x")});
    let (code, message) = refused(&admin, "Encrypt", encrypt()).await;
    assert_eq!(code, "AccessDeniedException");
    let foreign = "because the resource does not exist in this Region, no resource-based policies allow access, or a \
                   resource-based policy explicitly denies access";
    assert!(message.ends_with(foreign), "{message}");
    let absent = key.replace(
        key.rsplit('/').next().expect("an ID"),
        "01234567-89ab-cdef-0123-456789abcdef",
    );
    let (code, message) = refused(&admin, "DescribeKey", json!({"KeyId": absent})).await;
    assert_eq!(code, "AccessDeniedException");
    assert!(message.ends_with(foreign), "{message}");
    let mut policy = only(&format!("arn:aws:iam::{ACCOUNT}:root"), "kms:*");
    let own = only(&format!("arn:aws:iam::{OTHER}:root"), "kms:*")["Statement"][0].clone();
    policy["Statement"]
        .as_array_mut()
        .expect("a list")
        .push(own);
    let put = json!({"KeyId": key, "Policy": policy.to_string()});
    does(&theirs, "PutKeyPolicy", put).await;
    does(&admin, "Encrypt", encrypt()).await;
    let nobody = user(&app, "nobody", &allow("cloudtrail:*")).await;
    assert_eq!(
        refused(&nobody, "Encrypt", encrypt()).await.0,
        "AccessDeniedException"
    );
    // What governs a key stays with its account.
    let (code, _) = refused(&admin, "DisableKey", json!({"KeyId": key})).await;
    assert_eq!(code, "AccessDeniedException");

    let ours = app.lookup_until(("EventName", "Encrypt"), 3).await;
    let ours = ours.iter().find(|event| event.get("errorCode").is_none());
    let shared = ours.expect("one succeeded")["sharedEventID"].clone();
    assert!(shared.is_string());
    let mut copies: Vec<String> = Vec::new();
    app.eventually("the owner sees it", async || {
        let answer = theirs.lookup(("EventName", "Encrypt")).await.json();
        let events = answer["Events"].as_array().expect("a list");
        let text = |event: &Value| {
            event["CloudTrailEvent"]
                .as_str()
                .expect("a text")
                .to_owned()
        };
        copies = events.iter().map(text).collect();
        !copies.is_empty()
    })
    .await;
    let copy: Value = serde_json::from_str(&copies[0]).expect("JSON");
    assert_eq!(
        copies.len(),
        1,
        "refused calls are the caller's alone: {copies:?}"
    );
    assert_eq!(copy["sharedEventID"], shared);
    assert_eq!(copy["recipientAccountId"], OTHER);
    assert_eq!(copy["userIdentity"]["type"], "AWSAccount");
    assert_eq!(copy["userIdentity"]["accountId"], ACCOUNT);
}

/// A client of another account's root.
async fn account(app: &TestApp, number: &str) -> SignedClient {
    let create = [("Action", "CreateAccount"), ("AccountId", number)];
    let made = done(&app.client(), "cairn", &create).await;
    app.client_of(Credentials::new(
        &tag(&made, "AccessKeyId"),
        &tag(&made, "SecretAccessKey"),
    ))
}

/// Lets another account use a key beside its own.
async fn share(owner: (&SignedClient, &str), key: &str, with: &str) {
    let mut policy = only(&format!("arn:aws:iam::{}:root", owner.1), "kms:*");
    let more = only(&format!("arn:aws:iam::{with}:root"), "kms:*")["Statement"][0].clone();
    policy["Statement"]
        .as_array_mut()
        .expect("a list")
        .push(more);
    let put = json!({"KeyId": key, "Policy": policy.to_string()});
    does(owner.0, "PutKeyPolicy", put).await;
}

// Proves: R20
#[tokio::test]
async fn nobody_can_tell_which_keys_and_aliases_another_account_has() {
    let app = TestApp::start().await;
    let admin = app.client();
    let theirs = account(&app, OTHER).await;
    let key = new_key(&theirs).await;
    let alias = json!({"AliasName": "alias/there", "TargetKeyId": key});
    does(&theirs, "CreateAlias", alias).await;
    // An explicit denial has words of its own within an account.
    let mut policy = only(&format!("arn:aws:iam::{OTHER}:root"), "kms:*");
    let mut denial = only("*", "kms:Encrypt")["Statement"][0].clone();
    denial["Effect"] = "Deny".into();
    denial["Condition"] = json!({"StringEquals": {"kms:CallerAccount": ACCOUNT}});
    policy["Statement"]
        .as_array_mut()
        .expect("a list")
        .push(denial);
    let put = json!({"KeyId": key, "Policy": policy.to_string()});
    does(&theirs, "PutKeyPolicy", put).await;
    let id = key.rsplit('/').next().expect("an ID");
    let absent_key = key.replace(id, "01234567-89ab-cdef-0123-456789abcdef");
    let alias = |name: &str| format!("arn:aws:kms:us-east-1:{OTHER}:alias/{name}");
    let nobody = user(&app, "nobody", &allow("cloudtrail:*")).await;
    for client in [&admin, &nobody] {
        for operation in ["Encrypt", "DescribeKey"] {
            for (there, absent) in [
                (key.clone(), absent_key.clone()),
                (alias("there"), alias("absent")),
            ] {
                let mut told = Vec::new();
                for named in [&there, &absent] {
                    let mut input = json!({"KeyId": named});
                    if operation == "Encrypt" {
                        input["Plaintext"] = base64(b"x").into();
                    }
                    let (code, message) = refused(client, operation, input).await;
                    told.push((code, message.replace(named.as_str(), "NAMED")));
                }
                assert_eq!(told[0], told[1], "{operation} {there}");
                assert!(!told[0].1.contains(id), "{told:?}");
            }
        }
    }
}

// Proves: REC-062, REC-064
#[tokio::test]
async fn both_owners_learn_when_a_third_account_re_encrypts_from_one_key_to_the_other() {
    const THIRD: &str = "333344445555";
    let app = TestApp::start().await;
    let admin = app.client();
    let (one, two) = (account(&app, OTHER).await, account(&app, THIRD).await);
    let (from, to) = (new_key(&one).await, new_key(&two).await);
    share((&one, OTHER), &from, ACCOUNT).await;
    share((&two, THIRD), &to, ACCOUNT).await;
    let encrypt = json!({"KeyId": from, "Plaintext": base64(b"x")});
    let sealed = does(&admin, "Encrypt", encrypt).await["CiphertextBlob"].clone();
    let again = json!({"CiphertextBlob": sealed, "DestinationKeyId": to});
    does(&admin, "ReEncrypt", again).await;
    let mut shared = Vec::new();
    for client in [&admin, &one, &two] {
        let mut found = Vec::new();
        app.eventually("the account sees it", async || {
            let answer = client.lookup(("EventName", "ReEncrypt")).await.json();
            let events = answer["Events"].as_array().cloned().unwrap_or_default();
            found = events;
            !found.is_empty()
        })
        .await;
        assert_eq!(found.len(), 1, "{found:?}");
        let text = found[0]["CloudTrailEvent"].as_str().expect("a text");
        let event: Value = serde_json::from_str(text).expect("JSON");
        shared.push(event["sharedEventID"].clone());
    }
    assert!(shared[0].is_string());
    assert!(shared.iter().all(|id| *id == shared[0]), "{shared:?}");
}
