//! Calls of users, roles and strangers, and the records that they leave.

use cairn_testkit::{Answer, Credentials, TestApp, TestAppBuilder};
use serde_json::{Value, json};

const NOW: &str = "2026-11-21T00:00:00Z";

/// The text between two tags of an XML answer.
fn tag(answer: &Answer, name: &str) -> String {
    let text = answer.text();
    let (_, rest) = text
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("{name} is not in {text}"));
    rest.split_once("</").expect("tags are closed").0.to_owned()
}

async fn create_user(app: &TestApp, name: &str) -> Credentials {
    let admin = app.client();
    let answer = admin
        .query("iam", &format!("Action=CreateUser&UserName={name}"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let key = admin
        .query("iam", &format!("Action=CreateAccessKey&UserName={name}"))
        .await;
    assert_eq!(key.status, 200, "{}", key.text());
    Credentials::new(&tag(&key, "AccessKeyId"), &tag(&key, "SecretAccessKey"))
}

async fn event(app: &TestApp, name: &str) -> Value {
    let mut events = app.lookup_until(("EventName", name), 1).await;
    events.remove(0)
}

// Proves: SEC-019, SEC-023, SEC-024, SEC-025, R21
#[tokio::test]
async fn a_mutation_is_recorded_with_its_answer_and_without_secrets() {
    let app = TestApp::start().await;
    let credentials = create_user(&app, "Mary").await;
    let created = event(&app, "CreateUser").await;
    assert_eq!(created["eventSource"], "iam.amazonaws.com");
    assert_eq!(created["awsRegion"], "us-east-1");
    assert_eq!(created["readOnly"], false);
    assert_eq!(created["requestParameters"], json!({"userName": "Mary"}));
    let user = &created["responseElements"]["user"];
    assert_eq!(user["arn"], "arn:aws:iam::123456789012:user/Mary");
    assert_eq!(created["userIdentity"]["userName"], "admin");
    assert_eq!(created["sourceIPAddress"], "127.0.0.1");
    let key = event(&app, "CreateAccessKey").await;
    assert!(!key.to_string().contains(&credentials.secret), "{key}");
    let key_id = &key["responseElements"]["accessKey"]["accessKeyId"];
    assert_eq!(*key_id, credentials.access_key_id);
    app.stop().await;
}

// Proves: SEC-102, SEC-027, R20
#[tokio::test]
async fn a_user_without_permission_is_refused_and_the_refusal_recorded() {
    let app = TestApp::start().await;
    let mary = app.client_of(create_user(&app, "Mary").await);
    let answer = mary
        .cloudtrail("LookupEvents", &json!({"MaxResults": 3}))
        .await;
    assert_eq!(
        (answer.status, answer.error().as_str()),
        (400, "AccessDeniedException")
    );
    let message = "User: arn:aws:iam::123456789012:user/Mary is not authorized to perform: \
                   cloudtrail:LookupEvents because no identity-based policy allows the \
                   cloudtrail:LookupEvents action";
    assert_eq!(answer.json()["message"], message);
    let refused = &app.lookup_until(("Username", "Mary"), 1).await[0];
    assert_eq!(refused["eventName"], "LookupEvents");
    assert_eq!(refused["errorCode"], "AccessDenied");
    assert_eq!(refused["errorMessage"], message);
    assert_eq!(refused["requestParameters"], json!({"maxResults": 3}));
    assert_eq!(refused["responseElements"], Value::Null);
    assert_eq!(
        refused["requestID"],
        answer
            .header("x-amzn-requestid")
            .expect("every answer has one")
    );

    let answer = mary.query("iam", "Action=CreateUser&UserName=Eve").await;
    assert_eq!(answer.status, 403);
    assert_eq!(tag(&answer, "Code"), "AccessDenied");
    let users = app.client().query("iam", "Action=ListUsers").await;
    assert!(
        !users.text().contains("Eve"),
        "a refused call changes nothing"
    );
    let refused = app.lookup_until(("EventName", "CreateUser"), 2).await;
    let of_mary = refused
        .iter()
        .find(|event| event["userIdentity"]["userName"] == "Mary");
    assert_eq!(
        of_mary.expect("it is recorded")["errorCode"],
        "AccessDenied"
    );
    app.stop().await;
}

// Proves: SEC-103, SEC-114
#[tokio::test]
async fn a_policy_takes_effect_at_once_and_a_deactivated_key_loses_it_at_once() {
    let app = TestApp::start().await;
    let credentials = create_user(&app, "Mary").await;
    let mary = app.client_of(credentials.clone());
    let policy = "arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAWSCloudTrail_ReadOnlyAccess";
    let attach = format!("Action=AttachUserPolicy&UserName=Mary&PolicyArn={policy}");
    let answer = app.client().query("iam", &attach).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = mary.cloudtrail("LookupEvents", &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = &credentials.access_key_id;
    let off = format!("Action=UpdateAccessKey&UserName=Mary&AccessKeyId={id}&Status=Inactive");
    assert_eq!(app.client().query("iam", &off).await.status, 200);
    let answer = mary.cloudtrail("LookupEvents", &json!({})).await;
    assert_eq!(answer.error(), "UnrecognizedClientException");
    app.stop().await;
}

// Proves: REC-110, REC-118, REC-119, REC-120
#[tokio::test]
async fn a_role_session_acts_under_its_roles_policies_and_is_recorded_as_one() {
    let app = TestApp::start().await;
    let admin = app.client();
    let trust = percent(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:SetSourceIdentity"],"Principal":{"AWS":"arn:aws:iam::123456789012:root"}}]}"#,
    );
    let create = format!("Action=CreateRole&RoleName=Auditor&AssumeRolePolicyDocument={trust}");
    assert_eq!(admin.query("iam", &create).await.status, 200);
    let policy = "arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAWSCloudTrail_ReadOnlyAccess";
    let attach = format!("Action=AttachRolePolicy&RoleName=Auditor&PolicyArn={policy}");
    assert_eq!(admin.query("iam", &attach).await.status, 200);
    let assume = "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FAuditor\
                  &RoleSessionName=night&SourceIdentity=mary";
    let answer = admin.query("sts", assume).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let session = Credentials {
        access_key_id: tag(&answer, "AccessKeyId"),
        secret: tag(&answer, "SecretAccessKey"),
        token: Some(tag(&answer, "SessionToken")),
    };
    let auditor = app.client_of(session.clone());
    let answer = auditor.cloudtrail("LookupEvents", &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = auditor.query("iam", "Action=ListUsers").await;
    assert_eq!(tag(&answer, "Code"), "AccessDenied");

    let events = app
        .lookup_until(("AccessKeyId", &session.access_key_id), 2)
        .await;
    let lookup = events
        .iter()
        .find(|event| event["eventName"] == "LookupEvents");
    let identity = &lookup.expect("it is recorded")["userIdentity"];
    assert_eq!(identity["type"], "AssumedRole");
    assert_eq!(
        identity["arn"],
        "arn:aws:sts::123456789012:assumed-role/Auditor/night"
    );
    assert_eq!(identity["sessionContext"]["sourceIdentity"], "mary");
    assert_eq!(
        identity["sessionContext"]["sessionIssuer"]["userName"],
        "Auditor"
    );
    let assumed = event(&app, "AssumeRole").await;
    assert_eq!(assumed["requestParameters"]["sourceIdentity"], "mary");
    assert!(!assumed.to_string().contains(&session.secret));
    assert!(
        assumed.get("sharedEventID").is_none(),
        "one account, one event"
    );
    app.stop().await;
}

async fn other_account(app: &TestApp) -> Credentials {
    let answer = app
        .client()
        .query("cairn", "Action=CreateAccount&AccountId=999999999999")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Credentials::new(
        &tag(&answer, "AccessKeyId"),
        &tag(&answer, "SecretAccessKey"),
    )
}

// Proves: REC-062, REC-064, REC-065, SEC-106
#[tokio::test]
async fn a_role_assumed_across_accounts_is_recorded_in_both_under_one_shared_id() {
    let app = TestApp::start().await;
    let admin = app.client();
    let stranger = app.client_of(other_account(&app).await);
    let trust = percent(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::999999999999:root"}}]}"#,
    );
    let create = format!("Action=CreateRole&RoleName=Guest&AssumeRolePolicyDocument={trust}");
    assert_eq!(admin.query("iam", &create).await.status, 200);
    let assume = "Action=AssumeRole&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FGuest\
                  &RoleSessionName=visit";
    let answer = stranger.query("sts", assume).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let owners = event(&app, "AssumeRole").await;
    assert_eq!(owners["recipientAccountId"], "123456789012");
    assert_eq!(owners["userIdentity"]["type"], "AWSAccount");
    assert_eq!(owners["userIdentity"]["accountId"], "999999999999");
    let callers = loop {
        let page = stranger.lookup(("EventName", "AssumeRole")).await.json();
        if let Some(found) = page["Events"][0]["CloudTrailEvent"].as_str() {
            break serde_json::from_str::<Value>(found).expect("records are JSON");
        }
    };
    assert_eq!(callers["recipientAccountId"], "999999999999");
    assert_eq!(callers["userIdentity"]["type"], "IAMUser");
    assert_eq!(callers["sharedEventID"], owners["sharedEventID"]);
    assert_ne!(callers["eventID"], owners["eventID"]);
    app.stop().await;
}

// Proves: R21
#[tokio::test]
async fn an_attempt_to_write_for_another_account_is_recorded_once_a_call() {
    let app = TestApp::start().await;
    let stranger = app.client_of(other_account(&app).await);
    let mut batch = Vec::new();
    for number in 0..7 {
        let mut event = cairn_testkit::management_event(&format!("forged-{number}"), NOW);
        event["awsRegion"] = if number < 4 { "us-east-1" } else { "eu-west-1" }.into();
        batch.push(event.to_string());
    }
    let mut own = cairn_testkit::management_event("own", NOW);
    own["recipientAccountId"] = "999999999999".into();
    batch.push(own.to_string());
    let answer = stranger.put_events(batch.join("\n").as_bytes()).await;
    assert_eq!(answer.json()["accepted"], 1, "{}", answer.text());
    let page = loop {
        let page = stranger.lookup(("EventName", "PutEvents")).await.json();
        if page["Events"][0].is_object() {
            break page;
        }
    };
    assert_eq!(page["Events"].as_array().map(Vec::len), Some(1));
    let text = page["Events"][0]["CloudTrailEvent"].as_str();
    let record: Value = serde_json::from_str(text.expect("a record")).expect("JSON");
    assert_eq!(record["eventSource"], "cairn.amazonaws.com");
    assert_eq!(record["errorCode"], "AccessDenied");
    assert_eq!(
        record["errorMessage"],
        answer.json()["refused"][0]["message"]
    );
    assert_eq!(record["recipientAccountId"], "999999999999");
    assert_eq!(record["userIdentity"]["accountId"], "999999999999");
    let place = |region: &str, count: u64| {
        json!({
            "accountId": "123456789012",
            "region": region,
            "errorCode": "AccessDenied",
            "eventCount": count,
        })
    };
    assert_eq!(
        record["requestParameters"],
        json!({
            "refusedEventCount": 7,
            "refusedPlaceCount": 2,
            "refused": [place("us-east-1", 4), place("eu-west-1", 3)],
        })
    );
    app.stop().await;
}

#[tokio::test]
async fn an_administrator_of_one_account_writes_and_reads_no_events_of_another() {
    let app = TestApp::start().await;
    let stranger = app.client_of(other_account(&app).await);
    let mut event = cairn_testkit::management_event("forged", "2026-11-21T00:00:00Z");
    let answer = stranger.put_events(event.to_string().as_bytes()).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["refused"][0]["code"], "AccessDenied");
    event["recipientAccountId"] = "999999999999".into();
    assert_eq!(
        stranger
            .put_events(event.to_string().as_bytes())
            .await
            .status,
        200
    );
    let users = stranger.query("iam", "Action=ListUsers").await;
    assert!(users.text().contains("999999999999") && !users.text().contains("123456789012"));
    let page = stranger
        .cloudtrail("LookupEvents", &json!({"MaxResults": 50}))
        .await
        .json();
    assert!(
        !page.to_string().contains("CreateAccount"),
        "that was the operator's call"
    );
    // The operator's account may write for any account, if its policies allow it.
    event["eventID"] = "by the operator".into();
    let answer = app.client().put_events(event.to_string().as_bytes()).await;
    assert_eq!(answer.json()["accepted"], 1, "{}", answer.text());
    app.stop().await;
}

#[tokio::test]
async fn who_am_i_is_never_refused() {
    let app = TestApp::start().await;
    let mary = app.client_of(create_user(&app, "Mary").await);
    let answer = mary.query("sts", "Action=GetCallerIdentity").await;
    assert_eq!(answer.status, 200);
    assert_eq!(tag(&answer, "Arn"), "arn:aws:iam::123456789012:user/Mary");
    assert_eq!(
        event(&app, "GetCallerIdentity").await["eventSource"],
        "sts.amazonaws.com"
    );
    app.stop().await;
}

fn percent(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}

// Proves: C6, R21
#[tokio::test]
async fn without_room_in_the_log_a_change_is_refused_before_it_is_made() {
    let app = TestAppBuilder::default()
        .with("eventlog.free_bytes_min", "1024GiB")
        .start()
        .await;
    let create = "Action=CreateUser&UserName=late";
    let answer = app.client().query("iam", create).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    let users = app.client().query("iam", "Action=ListUsers").await;
    assert_eq!(users.status, 200, "reads go on: {}", users.text());
    assert!(!users.text().contains("late"), "{}", users.text());
    let app = app.restart_with("eventlog.free_bytes_min", "0").await;
    let answer = app.client().query("iam", create).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    app.stop().await;
}
