//! KMS keys used in the name of whoever puts and reads objects, and the events of that use.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cairn_bucket::{EncryptionContext, Gatekeeper, KeyUse, WrappedObjectKey};
use serde_json::{Value, json};

use super::{Fixture, OTHER, OWNER, TRAIL, call, facts};
use crate::keys::{
    KeyFacts, KeyProblem, KeyService, KeyUser, Keys, NewDataKey, OpenedDataKey, PlainDataKey,
};
use crate::query_protocol::Caller;
use crate::trail_destinations::KeyReference;

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";

/// One key, which every caller may use until it is told otherwise.
#[derive(Debug, Default)]
pub(super) struct OneKey {
    problem: Mutex<Option<KeyProblem>>,
    users: Mutex<Vec<String>>,
    arn: Option<&'static str>,
}

impl OneKey {
    /// What comes of every use from now on.
    pub(super) fn set(&self, problem: Option<KeyProblem>) {
        *self.problem.lock().expect("unpoisoned") = problem;
    }

    fn answer(&self, user: KeyUser<'_>) -> Result<String, KeyProblem> {
        let name = user.caller.principal.arn();
        let via = user.via_service.unwrap_or_default();
        let told = format!("{name} {} {via}", user.region);
        self.users.lock().expect("unpoisoned").push(told);
        match &*self.problem.lock().expect("unpoisoned") {
            Some(problem) => Err(problem.clone()),
            None => Ok(self.arn.unwrap_or(KEY).to_owned()),
        }
    }
}

#[async_trait]
impl KeyService for OneKey {
    async fn describe(&self, user: KeyUser<'_>, _: &KeyReference) -> Result<KeyFacts, KeyProblem> {
        Ok(KeyFacts {
            arn: self.answer(user)?,
            is_symmetric: true,
            is_enabled: true,
        })
    }

    async fn generate_data_key(
        &self,
        user: KeyUser<'_>,
        _: &KeyReference,
        _: &EncryptionContext,
    ) -> Result<NewDataKey, KeyProblem> {
        Ok(NewDataKey {
            key_arn: self.answer(user)?,
            plain: PlainDataKey::default(),
            wrapped: b"wrapped".to_vec(),
        })
    }

    async fn decrypt(
        &self,
        user: KeyUser<'_>,
        _: (&[u8], &str),
        _: &EncryptionContext,
    ) -> Result<OpenedDataKey, KeyProblem> {
        Ok(OpenedDataKey {
            key_arn: self.answer(user)?,
            plain: PlainDataKey::default(),
        })
    }
}

impl Fixture {
    pub(super) async fn with_keys(own: Arc<OneKey>, configured: Option<Arc<OneKey>>) -> Self {
        let mut fixture = Self::new().await;
        let server = Arc::get_mut(&mut fixture.gate.server).expect("nobody else has it");
        server.keys = Arc::new(Keys {
            own,
            configured: configured.map(|keys| keys as _),
            doors: Arc::clone(&server.doors),
            waiting_room: Arc::clone(&server.waiting_room),
            clock: Arc::clone(&server.clock),
        });
        fixture
    }

    async fn generate(&self, caller: &Caller, key_id: &str) -> Result<String, &'static str> {
        let visitor = self.visitor(call("PUT", "/logs/x", &[]), caller).await;
        let (bucket, context) = (facts(None), context());
        let used = KeyUse {
            bucket: &bucket,
            context: &context,
        };
        let made = self.gate.new_object_key(&visitor, key_id, used).await;
        made.map(|made| made.key_arn).map_err(|denied| denied.code)
    }

    async fn open_key(&self, caller: &Caller) -> Result<(), &'static str> {
        let visitor = self.visitor(call("GET", "/logs/x", &[]), caller).await;
        let (bucket, context) = (facts(None), context());
        let used = KeyUse {
            bucket: &bucket,
            context: &context,
        };
        let wrapped = WrappedObjectKey {
            key_arn: KEY,
            bytes: b"wrapped",
        };
        let opened = self.gate.open_object_key(&visitor, wrapped, used).await;
        opened.map(drop).map_err(|denied| denied.code)
    }

    async fn key_events(&self) -> Vec<Value> {
        self.events_of("kms.amazonaws.com").await
    }
}

fn context() -> EncryptionContext {
    let pairs = [("aws:s3:arn", "arn:aws:s3:::logs/x"), ("team", "blue")];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

// Proves: SEC-374, SEC-375, REC-015, REC-017, REC-105
#[tokio::test]
async fn a_delivery_uses_the_key_in_the_services_name() {
    let keys = Arc::new(OneKey::default());
    let aws = Fixture::with_keys(Arc::clone(&keys), None).await;
    let service = aws.service_caller(TRAIL);
    assert_eq!(aws.generate(&service, KEY).await, Ok(KEY.to_owned()));
    let events = aws.key_events().await;
    let [event] = events.as_slice() else {
        panic!("one use is one event: {events:?}");
    };
    let service = "cloudtrail.amazonaws.com";
    let identity = json!({"type": "AWSService", "invokedBy": service});
    assert_eq!(event["userIdentity"], identity);
    assert_eq!(event["eventName"], "GenerateDataKey");
    assert_eq!(event["awsRegion"], "eu-west-1");
    assert_eq!(event["sourceIPAddress"], service);
    assert_eq!(event["userAgent"], service);
    let parameters = json!({"keySpec": "AES_256", "keyId": KEY, "encryptionContext": context()});
    assert_eq!(event["requestParameters"], parameters);
    assert_eq!(event["responseElements"], Value::Null);
    let key = json!({"accountId": OWNER, "type": "AWS::KMS::Key", "ARN": KEY});
    assert_eq!(event["resources"], json!([key]));
    assert_eq!(event["readOnly"], true);
    assert_eq!(event["managementEvent"], true);
    assert_eq!(event["eventCategory"], "Management");
    assert_eq!(event["recipientAccountId"], OWNER);
    assert!(event["sharedEventID"].is_string());
}

// Proves: SEC-373, SEC-374, SEC-376
#[tokio::test]
async fn a_read_uses_the_key_in_the_readers_name() {
    let keys = Arc::new(OneKey::default());
    let aws = Fixture::with_keys(Arc::clone(&keys), None).await;
    let bob = aws.user(OWNER, "Bob", false).await;
    assert_eq!(aws.open_key(&bob).await, Ok(()));
    let users = keys.users.lock().expect("unpoisoned").clone();
    let expected = format!(
        "{} eu-west-1 s3.eu-west-1.amazonaws.com",
        bob.principal.arn()
    );
    assert_eq!(users, [expected]);
    let events = aws.key_events().await;
    let [event] = events.as_slice() else {
        panic!("one use is one event: {events:?}");
    };
    assert_eq!(event["eventName"], "Decrypt");
    assert_eq!(event["userIdentity"]["userName"], "Bob");
    assert_eq!(event["userIdentity"]["invokedBy"], "AWS Internal");
    assert_eq!(event["sourceIPAddress"], "AWS Internal");
    assert_eq!(event["userAgent"], "AWS Internal");
    let parameters = json!({
        "encryptionContext": context(),
        "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
    });
    assert_eq!(event["requestParameters"], parameters);
    assert_eq!(event["resources"][0]["ARN"], KEY);
    assert_eq!(event["sharedEventID"], Value::Null);
}

// Proves: REC-062, REC-063, REC-064
#[tokio::test]
async fn callers_and_keys_account_learn_of_a_use_across_accounts() {
    let aws = Fixture::with_keys(Arc::default(), None).await;
    let eve = aws.user(OTHER, "Eve", false).await;
    assert_eq!(aws.open_key(&eve).await, Ok(()));
    let events = aws.key_events().await;
    let [theirs, ours] = events.as_slice() else {
        panic!("a copy for each account: {events:?}");
    };
    assert_eq!(theirs["recipientAccountId"], OTHER);
    assert_eq!(theirs["userIdentity"]["userName"], "Eve");
    assert_eq!(ours["recipientAccountId"], OWNER);
    assert_eq!(ours["userIdentity"]["type"], "AWSAccount");
    assert_eq!(ours["userIdentity"]["invokedBy"], "AWS Internal");
    assert!(ours["sharedEventID"].is_string());
    assert_eq!(ours["sharedEventID"], theirs["sharedEventID"]);
}

// Proves: SEC-320, SEC-321
#[tokio::test]
async fn refused_uses_are_told_in_s3s_words_and_recorded() {
    let keys = Arc::new(OneKey::default());
    let aws = Fixture::with_keys(Arc::clone(&keys), None).await;
    let bob = aws.user(OWNER, "Bob", false).await;
    let key = || KEY.to_owned();
    let message = "no".to_owned();
    for (problem, code, recorded) in [
        (
            KeyProblem::Disabled { key: key() },
            "KMS.DisabledException",
            "DisabledException",
        ),
        (
            KeyProblem::PendingDeletion { key: key() },
            "KMS.KMSInvalidStateException",
            "KMSInvalidStateException",
        ),
        (
            KeyProblem::NotFound { key: key() },
            "KMS.NotFoundException",
            "NotFoundException",
        ),
        (
            KeyProblem::Denied { message },
            "AccessDenied",
            "AccessDenied",
        ),
        (
            KeyProblem::Unavailable,
            "ServiceUnavailable",
            "KMSInternalException",
        ),
    ] {
        *keys.problem.lock().expect("unpoisoned") = Some(problem);
        assert_eq!(aws.open_key(&bob).await, Err(code));
        let event = aws.key_events().await.pop().expect("it is recorded");
        assert_eq!(event["errorCode"], recorded);
    }
    let other_region = KEY.replace("eu-west-1", "us-east-1");
    for wrong in [other_region.as_str(), "alias/aws/s3", "none"] {
        let answer = aws.generate(&bob, wrong).await;
        assert_eq!(answer, Err("KMS.NotFoundException"), "{wrong}");
    }
}

#[tokio::test]
async fn the_configured_kms_is_asked_for_what_is_not_here() {
    let own = Arc::new(OneKey::default());
    let elsewhere = OneKey {
        arn: Some("arn:aws:kms:eu-west-1:999999999999:key/99999999-2222-3333-4444-555555555555"),
        ..OneKey::default()
    };
    let elsewhere = Arc::new(elsewhere);
    let aws = Fixture::with_keys(Arc::clone(&own), Some(Arc::clone(&elsewhere))).await;
    let bob = aws.user(OWNER, "Bob", false).await;
    assert_eq!(aws.generate(&bob, "alias/a").await, Ok(KEY.to_owned()));
    assert!(elsewhere.users.lock().expect("unpoisoned").is_empty());
    let missing = KeyProblem::NotFound { key: String::new() };
    *own.problem.lock().expect("unpoisoned") = Some(missing);
    let foreign = elsewhere.arn.expect("it has one");
    let made = aws.generate(&bob, "alias/a").await;
    assert_eq!(made, Ok(foreign.to_owned()));
    let events = aws.key_events().await;
    let event = events.last().expect("it is recorded");
    assert_eq!(events.len(), 2, "the KMS elsewhere tells its own account");
    assert_eq!(event["resources"][0]["ARN"], foreign);
    assert_eq!(event["recipientAccountId"], OWNER);
    // What opens must have been wrapped by the key that the object names.
    let answer = aws.open_key(&bob).await;
    assert_eq!(answer, Err("KMS.InvalidCiphertextException"));
    // A refusal here is the last word.
    let denied = KeyProblem::Denied {
        message: "no".to_owned(),
    };
    *own.problem.lock().expect("unpoisoned") = Some(denied);
    assert_eq!(aws.generate(&bob, KEY).await, Err("AccessDenied"));
    assert_eq!(aws.generate(&bob, foreign).await, Err("AccessDenied"));
}
