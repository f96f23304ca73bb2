//! KMS as its callers see it: what each operation answers, refuses and leaves in the record.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_testkit::{SignedClient, TestApp};
use serde_json::{Value, json};

use crate::sessions::user;

pub(crate) const ACCOUNT: &str = "123456789012";

pub(crate) async fn does(client: &SignedClient, operation: &str, input: Value) -> Value {
    let answer = client.kms(operation, &input).await;
    assert_eq!(answer.status, 200, "{operation} {input}: {}", answer.text());
    if answer.body.is_empty() {
        return Value::Null;
    }
    answer.json()
}

/// Name and message of the error.
pub(crate) async fn refused(
    client: &SignedClient,
    operation: &str,
    input: Value,
) -> (String, String) {
    let answer = client.kms(operation, &input).await;
    assert_eq!(answer.status, 400, "{operation} {input}: {}", answer.text());
    let body = answer.json();
    let text = |name: &str| body[name].as_str().expect("a text").to_owned();
    assert_eq!(text("__type"), answer.error());
    (text("__type"), text("message"))
}

pub(crate) async fn new_key(client: &SignedClient) -> String {
    let made = does(client, "CreateKey", json!({})).await;
    let arn = made["KeyMetadata"]["Arn"].as_str().expect("an ARN");
    arn.to_owned()
}

/// The newest event of an operation, once there are so many.
pub(crate) async fn event(app: &TestApp, name: &str, count: usize) -> Value {
    let events = app.lookup_until(("EventName", name), count).await;
    assert_eq!(events.len(), count, "{events:?}");
    events.into_iter().next().expect("there is one")
}

pub(crate) async fn state(client: &SignedClient, key: &str) -> Value {
    let described = does(client, "DescribeKey", json!({"KeyId": key})).await;
    described["KeyMetadata"]["KeyState"].clone()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

// Proves: R21, QRY-293
#[tokio::test]
async fn a_key_is_made_described_and_recorded_as_kms_does() {
    let app = TestApp::start().await;
    let admin = app.client();
    let tags = json!([{"TagKey": "Team", "TagValue": "audit"}]);
    let input = json!({"Description": "for trails", "Tags": tags, "Unknown": 1});
    let made = does(&admin, "CreateKey", input).await["KeyMetadata"].clone();
    let id = made["KeyId"].as_str().expect("an ID").to_owned();
    let arn = format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{id}");
    assert_eq!(made["Arn"], arn.as_str());
    assert_eq!(made["KeyState"], "Enabled");
    assert_eq!(made["Enabled"], true);
    assert_eq!(made["KeyManager"], "CUSTOMER");
    assert_eq!(made["EncryptionAlgorithms"], json!(["SYMMETRIC_DEFAULT"]));
    for name in [&id, &arn] {
        let described = does(&admin, "DescribeKey", json!({"KeyId": name})).await;
        assert_eq!(described["KeyMetadata"], made);
    }
    let policy = does(&admin, "GetKeyPolicy", json!({"KeyId": id})).await;
    let document: Value =
        serde_json::from_str(policy["Policy"].as_str().expect("a text")).expect("JSON");
    assert_eq!(
        document["Statement"][0]["Sid"],
        "Enable IAM User Permissions"
    );
    let listed = does(&admin, "ListResourceTags", json!({"KeyId": id})).await;
    assert_eq!(listed, json!({"Tags": tags, "Truncated": false}));

    let event = event(&app, "CreateKey", 1).await;
    assert_eq!(event["eventSource"], "kms.amazonaws.com");
    assert_eq!(event["readOnly"], false);
    assert_eq!(event["managementEvent"], true);
    assert_eq!(
        event["requestParameters"],
        json!({"description": "for trails", "tags": [{"tagKey": "Team", "tagValue": "audit"}]})
    );
    let metadata = &event["responseElements"]["keyMetadata"];
    assert_eq!(metadata["aWSAccountId"], ACCOUNT);
    assert_eq!(metadata["arn"], arn.as_str());
    assert!(
        metadata["creationDate"]
            .as_str()
            .expect("a text")
            .ends_with('M')
    );
    let resources = json!([{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": arn}]);
    assert_eq!(event["resources"], resources);
    let described = app.lookup_until(("EventName", "DescribeKey"), 2).await;
    assert_eq!(described[0]["readOnly"], true);
    assert_eq!(described[0]["responseElements"], Value::Null);
    assert_eq!(described[0]["resources"], resources);
    let named = app.lookup_until(("ResourceName", &arn), 4).await;
    assert!(named.len() >= 4, "{named:?}");
}

// Proves: SEC-374, R20
#[tokio::test]
async fn what_is_encrypted_opens_with_its_context_only_and_records_tell_neither() {
    let app = TestApp::start().await;
    let admin = app.client();
    let key = new_key(&admin).await;
    let plain = base64(b"canary-plaintext");
    let context =
        json!({"aws:cloudtrail:arn": "arn:aws:cloudtrail:us-east-1:123456789012:trail/main"});
    let encrypt = json!({"KeyId": key, "Plaintext": plain, "EncryptionContext": context});
    let sealed = does(&admin, "Encrypt", encrypt).await;
    assert_eq!(sealed["KeyId"], key.as_str());
    let blob = sealed["CiphertextBlob"].clone();
    let open = json!({"CiphertextBlob": blob, "EncryptionContext": context});
    let opened = does(&admin, "Decrypt", open.clone()).await;
    assert_eq!(opened["Plaintext"], plain.as_str());
    assert_eq!(opened["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
    let (code, _) = refused(&admin, "Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!(code, "InvalidCiphertextException");
    let (code, _) = refused(
        &admin,
        "Decrypt",
        json!({"CiphertextBlob": base64(b"junk")}),
    )
    .await;
    assert_eq!(code, "InvalidCiphertextException");
    let other = new_key(&admin).await;
    let mut wrong = open.clone();
    wrong["KeyId"] = other.into();
    assert_eq!(
        refused(&admin, "Decrypt", wrong).await.0,
        "IncorrectKeyException"
    );
    let mut dry = open;
    dry["DryRun"] = true.into();
    assert_eq!(
        refused(&admin, "Decrypt", dry).await.0,
        "DryRunOperationException"
    );
    let told = app.lookup_until(("EventName", "Decrypt"), 5).await;
    let oldest = json!({"encryptionContext": context, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"});
    assert_eq!(told[4]["requestParameters"], oldest);
    let failed = told.iter().filter_map(|event| event.get("errorCode"));
    assert_eq!(failed.count(), 4, "{told:?}");
}

// Proves: SEC-374
#[tokio::test]
async fn data_keys_open_again_and_no_record_tells_what_passed() {
    let app = TestApp::start().await;
    let admin = app.client();
    let key = new_key(&admin).await;
    let context = json!({"aws:s3:arn": "arn:aws:s3:::logs/x.json.gz"});
    let plain = base64(b"canary-plaintext");
    let encrypt = json!({"KeyId": key, "Plaintext": plain, "EncryptionContext": context});
    let blob = does(&admin, "Encrypt", encrypt).await["CiphertextBlob"].clone();
    let generate = json!({"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context});
    let data_key = does(&admin, "GenerateDataKey", generate.clone()).await;
    let open = json!({"CiphertextBlob": data_key["CiphertextBlob"], "EncryptionContext": context});
    let opened = does(&admin, "Decrypt", open).await;
    assert_eq!(opened["Plaintext"], data_key["Plaintext"]);
    let bytes = STANDARD.decode(data_key["Plaintext"].as_str().expect("a text"));
    assert_eq!(bytes.expect("base64").len(), 32);
    let without = does(&admin, "GenerateDataKeyWithoutPlaintext", generate).await;
    assert_eq!(without.get("Plaintext"), None);

    let generated = event(&app, "GenerateDataKey", 1).await;
    assert_eq!(
        generated["requestParameters"],
        json!({"keyId": key, "encryptionContext": context, "keySpec": "AES_256"})
    );
    assert_eq!(generated["readOnly"], true);
    assert_eq!(generated["responseElements"], Value::Null);
    assert_eq!(
        generated["resources"],
        json!([{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key}])
    );
    let events = app
        .lookup_until(("EventSource", "kms.amazonaws.com"), 5)
        .await;
    let text = json!(events).to_string();
    let sealed = data_key["CiphertextBlob"].as_str().expect("a text");
    let secret = data_key["Plaintext"].as_str().expect("a text");
    let blob = blob.as_str().expect("a text");
    for secret in [&plain, "canary-plaintext", blob, sealed, secret] {
        assert!(!text.contains(secret), "{secret} is in the records");
    }
}

#[tokio::test]
async fn data_goes_from_key_to_key_without_leaving_the_service() {
    let app = TestApp::start().await;
    let admin = app.client();
    let (old, new) = (new_key(&admin).await, new_key(&admin).await);
    let encrypt = json!({"KeyId": old, "Plaintext": base64(b"x"), "EncryptionContext": {"a": "1"}});
    let sealed = does(&admin, "Encrypt", encrypt).await;
    let moved = json!({
        "CiphertextBlob": sealed["CiphertextBlob"],
        "SourceEncryptionContext": {"a": "1"},
        "DestinationKeyId": new,
        "DestinationEncryptionContext": {"b": "2"},
    });
    let moved = does(&admin, "ReEncrypt", moved).await;
    assert_eq!(moved["SourceKeyId"], old.as_str());
    assert_eq!(moved["KeyId"], new.as_str());
    let open = json!({"CiphertextBlob": moved["CiphertextBlob"], "EncryptionContext": {"b": "2"}, "KeyId": new});
    assert_eq!(
        does(&admin, "Decrypt", open).await["Plaintext"],
        base64(b"x").as_str()
    );
    let event = event(&app, "ReEncrypt", 1).await;
    let listed: Vec<&Value> = event["resources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|resource| &resource["ARN"])
        .collect();
    assert_eq!(listed, [old.as_str(), new.as_str()]);
}

#[tokio::test]
async fn aliases_name_keys_move_and_go() {
    let app = TestApp::start().await;
    let admin = app.client();
    let (first, second) = (new_key(&admin).await, new_key(&admin).await);
    let name = "alias/trails/main";
    let alias = |target: &str| json!({"AliasName": name, "TargetKeyId": target});
    assert_eq!(
        does(&admin, "CreateAlias", alias(&first)).await,
        Value::Null
    );
    let (code, message) = refused(&admin, "CreateAlias", alias(&second)).await;
    let arn = format!("arn:aws:kms:us-east-1:{ACCOUNT}:{name}");
    assert_eq!(code, "AlreadyExistsException");
    assert_eq!(
        message,
        format!("An alias with the name {arn} already exists")
    );
    for by in [name, arn.as_str()] {
        let described = does(&admin, "DescribeKey", json!({"KeyId": by})).await;
        assert_eq!(described["KeyMetadata"]["Arn"], first.as_str());
    }
    does(&admin, "UpdateAlias", alias(&second)).await;
    let listed = does(&admin, "ListAliases", json!({"KeyId": second})).await;
    assert_eq!(listed["Aliases"][0]["AliasArn"], arn.as_str());
    let none = does(&admin, "ListAliases", json!({"KeyId": first})).await;
    assert_eq!(none["Aliases"], json!([]));
    let (code, _) = refused(&admin, "DisableKey", json!({"KeyId": name})).await;
    assert_eq!(code, "NotFoundException");
    for (bad, code) in [
        ("trails", "InvalidAliasNameException"),
        ("alias/aws/s3", "InvalidAliasNameException"),
        ("alias/awsfoo", "InvalidAliasNameException"),
        ("alias/a b", "ValidationException"),
    ] {
        let input = json!({"AliasName": bad, "TargetKeyId": first});
        assert_eq!(refused(&admin, "CreateAlias", input).await.0, code, "{bad}");
    }
    does(&admin, "DeleteAlias", json!({"AliasName": name})).await;
    let (code, message) = refused(&admin, "DescribeKey", json!({"KeyId": name})).await;
    assert_eq!(code, "NotFoundException");
    assert_eq!(message, format!("Alias {arn} is not found."));
    let event = event(&app, "UpdateAlias", 1).await;
    assert_eq!(event["responseElements"], json!({"keyId": second}));
    assert_eq!(
        event["resources"].as_array().map(Vec::len),
        Some(3),
        "{event}"
    );
}

// An alias is authorized on the key behind it, whatever its name begins with.
#[tokio::test]
async fn an_alias_is_changed_by_those_alone_who_may_change_its_own_key() {
    let app = TestApp::start().await;
    let admin = app.client();
    let (theirs, ours, next) = (
        new_key(&admin).await,
        new_key(&admin).await,
        new_key(&admin).await,
    );
    for (name, key) in [("alias/x", &ours), ("alias/alias/x", &theirs)] {
        let alias = json!({"AliasName": name, "TargetKeyId": key});
        does(&admin, "CreateAlias", alias).await;
    }
    let statement = json!({
        "Effect": "Allow",
        "Action": ["kms:DeleteAlias", "kms:UpdateAlias"],
        "Resource": [ours, next, "arn:aws:kms:us-east-1:123456789012:alias/*"],
    });
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
    let user = user(&app, "keeper", &policy).await;
    let update = |name: &str| json!({"AliasName": name, "TargetKeyId": next});
    for (operation, input) in [
        ("UpdateAlias", update("alias/alias/x")),
        ("DeleteAlias", json!({"AliasName": "alias/alias/x"})),
    ] {
        let (code, message) = refused(&user, operation, input).await;
        assert_eq!(code, "AccessDeniedException");
        assert!(message.contains(&theirs), "{message}");
    }
    does(&user, "UpdateAlias", update("alias/x")).await;
    does(&user, "DeleteAlias", json!({"AliasName": "alias/x"})).await;
}

// Proves: SEC-321, SEC-323
#[tokio::test]
async fn a_disabled_key_and_one_that_waits_for_its_end_do_nothing() {
    let app = TestApp::start().await;
    let admin = app.client();
    let key = new_key(&admin).await;
    let this = || json!({"KeyId": key});
    let encrypt = || json!({"KeyId": key, "Plaintext": base64(b"x")});
    let sealed = does(&admin, "Encrypt", encrypt()).await["CiphertextBlob"].clone();
    does(&admin, "DisableKey", this()).await;
    assert_eq!(state(&admin, &key).await, "Disabled");
    let disabled = (
        "DisabledException".to_owned(),
        format!("{key} is disabled."),
    );
    assert_eq!(refused(&admin, "Encrypt", encrypt()).await, disabled);
    let open = || json!({"CiphertextBlob": sealed});
    assert_eq!(refused(&admin, "Decrypt", open()).await, disabled);
    does(&admin, "EnableKey", this()).await;
    does(&admin, "Decrypt", open()).await;
    let window = json!({"KeyId": key, "PendingWindowInDays": 6});
    let (code, _) = refused(&admin, "ScheduleKeyDeletion", window).await;
    assert_eq!(code, "ValidationException");
    let scheduled = does(&admin, "ScheduleKeyDeletion", this()).await;
    assert_eq!(scheduled["KeyState"], "PendingDeletion");
    assert_eq!(scheduled["PendingWindowInDays"], 30);
    let pending = (
        "KMSInvalidStateException".to_owned(),
        format!("{key} is pending deletion."),
    );
    for operation in [
        "EnableKey",
        "DisableKey",
        "ScheduleKeyDeletion",
        "EnableKeyRotation",
    ] {
        assert_eq!(
            refused(&admin, operation, this()).await,
            pending,
            "{operation}"
        );
    }
    assert_eq!(refused(&admin, "Decrypt", open()).await, pending);
    does(&admin, "CancelKeyDeletion", this()).await;
    assert_eq!(state(&admin, &key).await, "Disabled");
    let (code, message) = refused(&admin, "CancelKeyDeletion", this()).await;
    assert_eq!(code, "KMSInvalidStateException");
    assert_eq!(message, format!("{key} is not pending deletion."));
}

#[tokio::test]
async fn what_kms_has_and_this_service_has_not_is_refused_by_name() {
    let app = TestApp::start().await;
    let admin = app.client();
    for input in [
        json!({"MultiRegion": true}),
        json!({"KeySpec": "RSA_2048"}),
        json!({"KeyUsage": "SIGN_VERIFY"}),
        json!({"Origin": "EXTERNAL"}),
        json!({"CustomKeyStoreId": "cks-1"}),
    ] {
        let (code, _) = refused(&admin, "CreateKey", input.clone()).await;
        assert_eq!(code, "UnsupportedOperationException", "{input}");
    }
    let (code, message) = refused(&admin, "CreateGrant", json!({"KeyId": "x"})).await;
    assert_eq!(code, "UnsupportedOperationException");
    assert_eq!(
        message,
        "The operation CreateGrant is not supported by this version of Cairn."
    );
    assert_eq!(
        refused(&admin, "NoSuch", json!({})).await.0,
        "UnknownOperationException"
    );
    let told = event(&app, "CreateGrant", 1).await;
    assert_eq!(told["errorCode"], "UnsupportedOperationException");
}

#[tokio::test]
async fn wrong_members_are_refused_in_kms_s_words() {
    let app = TestApp::start().await;
    let admin = app.client();
    let key = new_key(&admin).await;
    for (operation, input, expected) in [
        (
            "DescribeKey",
            json!({}),
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
        ),
        (
            "ListKeys",
            json!({"Limit": 1001}),
            "1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000",
        ),
        (
            "GenerateDataKey",
            json!({"KeyId": key}),
            "Please specify either number of bytes or key spec.",
        ),
    ] {
        let (code, message) = refused(&admin, operation, input).await;
        assert_eq!(code, "ValidationException");
        assert_eq!(message, expected);
    }
    for (input, code) in [
        (json!({"KeyId": 1}), "SerializationException"),
        (json!({"KeyId": "no-key"}), "NotFoundException"),
        (json!({"KeyId": "arn:aws:s3:::x"}), "InvalidArnException"),
        (
            json!({"KeyId": key.replace("us-east-1", "eu-west-1")}),
            "NotFoundException",
        ),
        (
            json!({"KeyId": key, "GrantTokens": ["x"]}),
            "InvalidGrantTokenException",
        ),
    ] {
        assert_eq!(
            refused(&admin, "DescribeKey", input.clone()).await.0,
            code,
            "{input}"
        );
    }
    // Keys are of one Region.
    let elsewhere = app.client().in_region("eu-west-1");
    assert_eq!(
        does(&elsewhere, "ListKeys", json!({})).await["Keys"],
        json!([])
    );
}

#[tokio::test]
async fn lists_come_in_pages() {
    let app = TestApp::start().await;
    let admin = app.client();
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(new_key(&admin).await);
    }
    made.sort();
    let mut listed = Vec::new();
    let mut input = json!({"Limit": 2});
    loop {
        let page = does(&admin, "ListKeys", input.clone()).await;
        let keys = page["Keys"].as_array().expect("a list");
        let arn = |key: &Value| key["KeyArn"].as_str().expect("a text").to_owned();
        listed.extend(keys.iter().map(arn));
        assert_eq!(
            page["Truncated"].as_bool(),
            Some(page.get("NextMarker").is_some())
        );
        match page.get("NextMarker") {
            Some(marker) => input["Marker"] = marker.clone(),
            None => break,
        }
    }
    assert_eq!(listed, made);
    let (code, _) = refused(&admin, "ListKeys", json!({"Marker": "%"})).await;
    assert_eq!(code, "InvalidMarkerException");
    let tags: Vec<Value> = (0..50)
        .map(|n| json!({"TagKey": n.to_string(), "TagValue": ""}))
        .collect();
    let tag = |tags: &Value| json!({"KeyId": made[0], "Tags": tags});
    does(&admin, "TagResource", tag(&json!(tags))).await;
    let one_more = json!([{"TagKey": "more", "TagValue": ""}]);
    assert_eq!(
        refused(&admin, "TagResource", tag(&one_more)).await.0,
        "LimitExceededException"
    );
    let own = json!([{"TagKey": "AWS:x", "TagValue": ""}]);
    assert_eq!(
        refused(&admin, "TagResource", tag(&own)).await.0,
        "TagException"
    );
    let keys: Vec<String> = (1..50).map(|n| n.to_string()).collect();
    does(
        &admin,
        "UntagResource",
        json!({"KeyId": made[0], "TagKeys": keys}),
    )
    .await;
    let left = does(&admin, "ListResourceTags", json!({"KeyId": made[0]})).await;
    assert_eq!(left["Tags"], json!([{"TagKey": "0", "TagValue": ""}]));
}
