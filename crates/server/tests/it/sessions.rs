//! Temporary credentials while their holders change, several accounts, and administration.

use cairn_testkit::{Answer, Credentials, SignedClient, TestApp, TestAppBuilder};
use serde_json::{Value, json};

pub(crate) const OTHER: &str = "222233334444";

pub(crate) fn tag(answer: &Answer, name: &str) -> String {
    let text = answer.text();
    let (_, rest) = text
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("{name} is not in {text}"));
    rest.split_once("</").expect("tags are closed").0.to_owned()
}

fn form(pairs: &[(&str, &str)]) -> String {
    use std::fmt::Write;
    let percent = |text: &str| {
        text.bytes().fold(String::new(), |mut encoded, byte| {
            let _ = write!(encoded, "%{byte:02X}");
            encoded
        })
    };
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", percent(value)))
        .collect();
    pairs.join("&")
}

pub(crate) async fn done(client: &SignedClient, service: &str, pairs: &[(&str, &str)]) -> Answer {
    let answer = client.query(service, &form(pairs)).await;
    assert_eq!(answer.status, 200, "{pairs:?}: {}", answer.text());
    answer
}

async fn refused(client: &SignedClient, service: &str, pairs: &[(&str, &str)]) -> String {
    let answer = client.query(service, &form(pairs)).await;
    assert!(
        matches!(answer.status, 400 | 403),
        "{pairs:?}: {}",
        answer.text()
    );
    tag(&answer, "Code")
}

fn temporary(answer: &Answer) -> Credentials {
    Credentials {
        access_key_id: tag(answer, "AccessKeyId"),
        secret: tag(answer, "SecretAccessKey"),
        token: Some(tag(answer, "SessionToken")),
    }
}

/// A user with a key, a client and a policy.
pub(crate) async fn user(app: &TestApp, name: &str, policy: &Value) -> SignedClient {
    let admin = app.client();
    done(
        &admin,
        "iam",
        &[("Action", "CreateUser"), ("UserName", name)],
    )
    .await;
    let document = policy.to_string();
    let put = [
        ("Action", "PutUserPolicy"),
        ("UserName", name),
        ("PolicyName", "p"),
        ("PolicyDocument", &document),
    ];
    done(&admin, "iam", &put).await;
    let key = done(
        &admin,
        "iam",
        &[("Action", "CreateAccessKey"), ("UserName", name)],
    )
    .await;
    app.client_of(Credentials::new(
        &tag(&key, "AccessKeyId"),
        &tag(&key, "SecretAccessKey"),
    ))
}

pub(crate) fn allow(action: &str) -> Value {
    let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn trust(principal: &str, condition: &Value) -> String {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": "sts:AssumeRole",
    });
    if !condition.is_null() {
        statement["Condition"] = condition.clone();
    }
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

async fn role(client: &SignedClient, name: &str, trust: &str) {
    let create = [
        ("Action", "CreateRole"),
        ("RoleName", name),
        ("AssumeRolePolicyDocument", trust),
    ];
    done(client, "iam", &create).await;
    let attach = [
        ("Action", "AttachRolePolicy"),
        ("RoleName", name),
        (
            "PolicyArn",
            "arn:aws:iam::aws:policy/AWSCloudTrail_ReadOnlyAccess",
        ),
    ];
    done(client, "iam", &attach).await;
}

// Proves: SEC-097, R20
#[tokio::test]
async fn a_session_ends_with_its_holder_and_follows_the_holders_new_name() {
    let app = TestApp::start().await;
    let admin = app.client();
    let bob = user(&app, "bob", &allow("cloudtrail:*")).await;
    let session = done(&bob, "sts", &[("Action", "GetSessionToken")]).await;
    let session = app.client_of(temporary(&session));
    let who = [("Action", "GetCallerIdentity")];
    let rename = [
        ("Action", "UpdateUser"),
        ("UserName", "bob"),
        ("NewUserName", "rob"),
    ];
    done(&admin, "iam", &rename).await;
    let told = done(&session, "sts", &who).await;
    assert_eq!(tag(&told, "Arn"), "arn:aws:iam::123456789012:user/rob");
    let lookup = session.cloudtrail("LookupEvents", &json!({})).await;
    assert_eq!(lookup.status, 200, "{}", lookup.text());

    let key_id = bob.credentials.access_key_id.as_str();
    let delete_key = [
        ("Action", "DeleteAccessKey"),
        ("UserName", "rob"),
        ("AccessKeyId", key_id),
    ];
    done(&admin, "iam", &delete_key).await;
    let delete_policy = [
        ("Action", "DeleteUserPolicy"),
        ("UserName", "rob"),
        ("PolicyName", "p"),
    ];
    done(&admin, "iam", &delete_policy).await;
    done(
        &admin,
        "iam",
        &[("Action", "DeleteUser"), ("UserName", "rob")],
    )
    .await;
    // Another user of that name is not the one that the session belongs to.
    user(&app, "rob", &allow("*")).await;
    assert_eq!(session.query("sts", &form(&who)).await.status, 403);
    app.stop().await;
}

// Proves: SEC-106, SEC-097, REC-062, REC-063, REC-064, REC-065, REC-122
#[tokio::test]
async fn a_role_of_another_account_needs_both_sides_and_is_recorded_in_both_accounts() {
    let app = TestApp::start().await;
    let admin = app.client();
    let create = [("Action", "CreateAccount"), ("AccountId", OTHER)];
    let made = done(&admin, "cairn", &create).await;
    let owner = Credentials::new(&tag(&made, "AccessKeyId"), &tag(&made, "SecretAccessKey"));
    let owner = app.client_of(owner);
    let condition = json!({"StringEquals": {"sts:ExternalId": "x-1"}});
    role(&owner, "Auditor", &trust("123456789012", &condition)).await;
    let arn = format!("arn:aws:iam::{OTHER}:role/Auditor");
    let assume = [
        ("Action", "AssumeRole"),
        ("RoleArn", &arn),
        ("RoleSessionName", "night"),
    ];
    let mut with_id = assume.to_vec();
    with_id.push(("ExternalId", "x-1"));
    let nobody = user(&app, "nobody", &allow("cloudtrail:*")).await;
    assert_eq!(refused(&nobody, "sts", &with_id).await, "AccessDenied");
    let bob = user(&app, "bob", &allow("sts:AssumeRole")).await;
    assert_eq!(refused(&bob, "sts", &assume).await, "AccessDenied");
    let session = temporary(&done(&bob, "sts", &with_id).await);

    let auditor = app.client_of(session.clone());
    let who = done(&auditor, "sts", &[("Action", "GetCallerIdentity")]).await;
    assert_eq!(tag(&who, "Account"), OTHER);
    let copy = async |client: &SignedClient| loop {
        let answer = client.lookup(("EventName", "AssumeRole")).await.json();
        let events = answer["Events"].as_array().expect("a list").clone();
        let texts = events
            .iter()
            .filter_map(|event| event["CloudTrailEvent"].as_str());
        let mut events = texts.map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
        if let Some(event) = events.find(|event| event.get("errorCode").is_none()) {
            break event;
        }
        tokio::task::yield_now().await;
    };
    let (ours, theirs) = (copy(&admin).await, copy(&owner).await);
    assert_eq!(ours["userIdentity"]["type"], "IAMUser");
    assert_eq!(theirs["userIdentity"]["type"], "AWSAccount");
    let members = theirs["userIdentity"]
        .as_object()
        .expect("an object")
        .keys();
    assert_eq!(
        members.collect::<Vec<_>>(),
        ["type", "principalId", "accountId"]
    );
    assert_eq!(ours["sharedEventID"], theirs["sharedEventID"]);
    assert_ne!(ours["eventID"], theirs["eventID"]);
    assert_eq!(ours["recipientAccountId"], "123456789012");
    assert_eq!(theirs["recipientAccountId"], OTHER);
    assert!(!theirs.to_string().contains(&session.secret));
    app.stop().await;
}

// Proves: SEC-107, SEC-110
#[tokio::test]
async fn boundaries_and_session_policies_take_away_and_never_give() {
    let app = TestApp::start().await;
    let admin = app.client();
    let bob = user(&app, "bob", &allow("*")).await;
    let may_look = async |client: &SignedClient| {
        client
            .cloudtrail("LookupEvents", &json!({"MaxResults": 1}))
            .await
            .status
            == 200
    };
    assert!(may_look(&bob).await);
    let bound = [
        ("Action", "PutUserPermissionsBoundary"),
        ("UserName", "bob"),
        (
            "PermissionsBoundary",
            "arn:aws:iam::aws:policy/IAMReadOnlyAccess",
        ),
    ];
    done(&admin, "iam", &bound).await;
    assert!(!may_look(&bob).await);
    done(&bob, "iam", &[("Action", "ListUsers")]).await;
    let unbound = [
        ("Action", "DeleteUserPermissionsBoundary"),
        ("UserName", "bob"),
    ];
    done(&admin, "iam", &unbound).await;
    assert!(may_look(&bob).await);

    role(
        &admin,
        "Auditor",
        &trust("arn:aws:iam::123456789012:user/bob", &Value::Null),
    )
    .await;
    let narrow = allow("cloudtrail:GetTrailStatus").to_string();
    let assume = [
        ("Action", "AssumeRole"),
        ("RoleArn", "arn:aws:iam::123456789012:role/Auditor"),
        ("RoleSessionName", "night"),
        ("Policy", &narrow),
    ];
    let limited = app.client_of(temporary(&done(&bob, "sts", &assume).await));
    assert!(!may_look(&limited).await);
    let whole = app.client_of(temporary(&done(&bob, "sts", &assume[..3]).await));
    assert!(may_look(&whole).await);
    app.stop().await;
}

// Proves: R20, R21
#[tokio::test]
async fn an_administrator_of_another_account_administers_nothing_and_a_closed_account_is_out() {
    let app = TestApp::start().await;
    let admin = app.client();
    let create = [("Action", "CreateAccount"), ("AccountId", OTHER)];
    let made = done(&admin, "cairn", &create).await;
    let owner = Credentials::new(&tag(&made, "AccessKeyId"), &tag(&made, "SecretAccessKey"));
    let owner = app.client_of(owner);
    let close = [("Action", "DisableAccount"), ("AccountId", "123456789012")];
    assert_eq!(refused(&owner, "cairn", &close).await, "AccessDenied");
    let bob = user(&app, "bob", &allow("iam:*")).await;
    assert_eq!(refused(&bob, "cairn", &create).await, "AccessDenied");
    let session = done(&owner, "sts", &[("Action", "GetSessionToken")]).await;
    let session = app.client_of(temporary(&session));
    let who = form(&[("Action", "GetCallerIdentity")]);
    assert_eq!(session.query("sts", &who).await.status, 200);
    done(
        &admin,
        "cairn",
        &[("Action", "DisableAccount"), ("AccountId", OTHER)],
    )
    .await;
    assert_eq!(owner.query("sts", &who).await.status, 403);
    assert_eq!(session.query("sts", &who).await.status, 403);
    done(
        &admin,
        "cairn",
        &[("Action", "EnableAccount"), ("AccountId", OTHER)],
    )
    .await;
    assert_eq!(session.query("sts", &who).await.status, 200);
    let events = app.lookup_until(("EventName", "DisableAccount"), 1).await;
    assert_eq!(events[0]["requestParameters"], json!({"accountId": OTHER}));
    assert_eq!(events[0]["eventSource"], "cairn.amazonaws.com");
    app.stop().await;
}

// Proves: SEC-102
#[tokio::test]
async fn whoever_renames_a_user_must_be_allowed_to_touch_the_new_name_too() {
    let app = TestApp::start().await;
    let mut policy = allow("iam:Update*");
    policy["Statement"][0]["Resource"] = json!([
        "arn:aws:iam::123456789012:user/dev/*",
        "arn:aws:iam::123456789012:group/dev/*",
    ]);
    let helper = user(&app, "helper", &policy).await;
    let create = [
        ("Action", "CreateUser"),
        ("UserName", "bob"),
        ("Path", "/dev/"),
    ];
    done(&app.client(), "iam", &create).await;
    let create = [
        ("Action", "CreateGroup"),
        ("GroupName", "crew"),
        ("Path", "/dev/"),
    ];
    done(&app.client(), "iam", &create).await;
    let bob = [("Action", "UpdateUser"), ("UserName", "bob")];
    let crew = [("Action", "UpdateGroup"), ("GroupName", "crew")];
    for (call, more) in [
        (bob, ("NewPath", "/")),
        (bob, ("NewPath", "/ops/")),
        (crew, ("NewPath", "/ops/")),
    ] {
        let [action, name] = call;
        let code = refused(&helper, "iam", &[action, name, more]).await;
        assert_eq!(code, "AccessDenied", "{more:?}");
    }
    for (call, more) in [
        (bob, ("NewPath", "/dev/night/")),
        (bob, ("NewUserName", "rob")),
        (crew, ("NewGroupName", "troop")),
    ] {
        let [action, name] = call;
        done(&helper, "iam", &[action, name, more]).await;
    }
    let get = [("Action", "GetUser"), ("UserName", "rob")];
    let found = done(&app.client(), "iam", &get).await;
    assert_eq!(
        tag(&found, "Arn"),
        "arn:aws:iam::123456789012:user/dev/night/rob"
    );
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn a_role_has_one_rate_however_many_names_its_sessions_have() {
    let app = TestAppBuilder::default()
        .with("s3.requests_per_second", "1")
        .with("s3.requests_burst", "3")
        .start()
        .await;
    role(
        &app.client(),
        "Reader",
        &trust("123456789012", &Value::Null),
    )
    .await;
    let bob = user(&app, "bob", &allow("sts:AssumeRole")).await;
    let arn = "arn:aws:iam::123456789012:role/Reader";
    let mut sessions = Vec::new();
    for name in ["one", "two", "three", "four"] {
        let assume = [
            ("Action", "AssumeRole"),
            ("RoleArn", arn),
            ("RoleSessionName", name),
        ];
        let session = temporary(&done(&bob, "sts", &assume).await);
        sessions.push(app.bucket_client_of(session));
    }
    let mut statuses = Vec::new();
    for _ in 0..3 {
        for session in &sessions {
            let answer = session.s3("GET", "/cairn-lake/x", &[]).await;
            statuses.push(answer.status);
        }
    }
    // Each session alone would stay within the burst.
    assert!(statuses.contains(&503), "{statuses:?}");
    app.stop().await;
}
