//! Whose keys they are: this node's, those of the configured KMS, another account's; and a log that takes nothing.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use cairn_bucket::{EncryptionContext, Gatekeeper, KeyUse, WrappedObjectKey};
use cairn_catalog::identity::IdentityKind;
use cairn_platform::{S3Credentials, S3Timeouts, ServiceAddress, ServiceConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::object_keys::OneKey;
use super::{Fixture, OTHER, OWNER, account, call, facts};
use crate::doors::waiting_room::tests::full_doors;
use crate::keys::{KeyProblem, KeyService, Keys, configured_at};
use crate::kms::LocalKeys;
use crate::query_protocol::Caller;

const ID: &str = "11111111-2222-3333-4444-555555555555";
const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555";
const OTHER_KEY: &str =
    "arn:aws:kms:eu-west-1:123456789012:key/99999999-2222-3333-4444-555555555555";

/// A KMS that gives each connection the next answer, and remembers what it was asked.
struct FakeKms {
    service: Arc<dyn KeyService>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl FakeKms {
    async fn start(answers: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&asked);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let request = read_body(&mut stream).await;
                remembered.lock().expect("unpoisoned").push(request);
                let body = answer.to_string();
                let text = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.1\r\n\
                     Content-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let sent = stream.write_all(text.as_bytes()).await;
                sent.expect("the client listens");
                stream.shutdown().await.expect("open until now");
            }
        });
        let service = configured_at(&ServiceConfig {
            name: "kms".to_owned(),
            addresses: vec![ServiceAddress { region: None, url }],
            credentials: S3Credentials {
                access_key_id: "AKIATEST".to_owned(),
                secret: "secret".to_owned().into(),
                session_token: None,
            },
            ca_file: None,
            timeouts: S3Timeouts::default(),
        });
        Self {
            service: service.expect("a client"),
            asked,
        }
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().expect("unpoisoned").clone()
    }
}

async fn read_body(stream: &mut TcpStream) -> Value {
    let mut received = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.expect("readable");
        assert!(count > 0, "the request was cut short");
        received.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&received);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        if let Ok(body) = serde_json::from_str(body) {
            return body;
        }
    }
}

fn data_key(key_arn: &str) -> Value {
    let plain = format!("{}=", "A".repeat(43));
    json!({"KeyId": key_arn, "Plaintext": plain, "CiphertextBlob": "AAAA"})
}

impl Fixture {
    /// The keys of this node, and those of another KMS.
    async fn beside(kms: &FakeKms) -> Self {
        let mut fixture = Self::new().await;
        let server = Arc::get_mut(&mut fixture.gate.server).expect("nobody else has it");
        server.keys = Arc::new(Keys {
            own: Arc::new(LocalKeys::new(Arc::clone(&server.world))),
            configured: Some(Arc::clone(&kms.service)),
            doors: Arc::clone(&server.doors),
            waiting_room: Arc::clone(&server.waiting_room),
            clock: Arc::clone(&server.clock),
        });
        fixture
    }

    async fn made(&self, caller: &Caller, key_id: &str) -> Result<String, (&'static str, String)> {
        let visitor = self.visitor(call("PUT", "/logs/x", &[]), caller).await;
        let (bucket, context) = (facts(None), context());
        let used = KeyUse {
            bucket: &bucket,
            context: &context,
        };
        let made = self.gate.new_object_key(&visitor, key_id, used).await;
        made.map(|made| made.key_arn)
            .map_err(|denied| (denied.code, denied.message))
    }

    async fn opened(&self, caller: &Caller, bytes: &[u8]) -> Result<(), &'static str> {
        let visitor = self.visitor(call("GET", "/logs/x", &[]), caller).await;
        let (bucket, context) = (facts(None), context());
        let used = KeyUse {
            bucket: &bucket,
            context: &context,
        };
        let wrapped = WrappedObjectKey {
            key_arn: KEY,
            bytes,
        };
        let opened = self.gate.open_object_key(&visitor, wrapped, used).await;
        opened.map(drop).map_err(|denied| denied.code)
    }
}

fn context() -> EncryptionContext {
    [("aws:s3:arn".to_owned(), "arn:aws:s3:::logs/x".to_owned())].into()
}

// Proves: SEC-374
#[tokio::test]
async fn nobody_gets_a_key_on_a_record_that_may_be_lost() {
    let keys = Arc::new(OneKey::default());
    let (log, doors) = full_doors();
    let mut aws = Fixture::new().await;
    let server = Arc::get_mut(&mut aws.gate.server).expect("nobody else has it");
    server.keys = Arc::new(Keys {
        own: Arc::clone(&keys) as _,
        configured: None,
        doors: Arc::new(doors),
        waiting_room: Arc::clone(&server.waiting_room),
        clock: Arc::clone(&server.clock),
    });
    let waiting = Arc::clone(&server.waiting_room);
    let bob = aws.user(OWNER, "Bob", false).await;
    assert_eq!(
        aws.opened(&bob, b"wrapped").await,
        Err("ServiceUnavailable")
    );
    let made = aws.made(&bob, KEY).await.map_err(|(code, _)| code);
    assert_eq!(made, Err("ServiceUnavailable"));
    assert_eq!(waiting.len(), 0, "nothing happened, so nothing is recorded");
    // A refusal gives nothing away, so its record may wait.
    let denied = KeyProblem::Disabled {
        key: KEY.to_owned(),
    };
    keys.set(Some(denied));
    let refused = aws.opened(&bob, b"wrapped").await;
    assert_eq!(refused, Err("KMS.DisabledException"));
    assert_eq!(waiting.len(), 1);
    keys.set(None);
    log.full.store(false, Ordering::Relaxed);
    assert_eq!(aws.opened(&bob, b"wrapped").await, Ok(()));
}

#[tokio::test]
async fn the_configured_kms_opens_with_the_objects_key_and_for_those_alone_who_may() {
    let kms = FakeKms::start(vec![data_key(KEY), data_key(OTHER_KEY)]).await;
    let aws = Fixture::beside(&kms).await;
    let bob = aws.user(OWNER, "Bob", false).await;
    assert_eq!(aws.opened(&bob, b"theirs").await, Err("AccessDenied"));
    assert_eq!(kms.asked(), [] as [Value; 0], "it was decided before");
    let carol = aws.user(OWNER, "Carol", true).await;
    assert_eq!(aws.opened(&carol, b"theirs").await, Ok(()));
    assert_eq!(kms.asked()[0]["KeyId"], KEY);
    // It opened with another key than it was told to.
    let opened = aws.opened(&carol, b"theirs").await;
    assert_eq!(opened, Err("ServiceUnavailable"));
}

#[tokio::test]
async fn what_was_wrapped_here_is_asked_of_no_other_kms() {
    let kms = FakeKms::start(Vec::new()).await;
    let aws = Fixture::beside(&kms).await;
    let carol = aws.user(OWNER, "Carol", true).await;
    let opened = aws.opened(&carol, b"CKMS\x01damaged").await;
    assert_eq!(opened, Err("KMS.InvalidCiphertextException"));
    // Whether it answers is all the same to a blob of ours; theirs needs it.
    let opened = aws.opened(&carol, b"theirs").await;
    assert_eq!(opened, Err("ServiceUnavailable"));
}

#[tokio::test]
async fn a_kms_that_uses_or_tells_of_another_key_is_not_believed() {
    let told = |arn: &str| json!({"KeyMetadata": {"KeyId": ID, "Arn": arn, "Enabled": true}});
    let elsewhere = KEY.replace("eu-west-1", "us-east-1");
    let foreign = KEY.replace(OWNER, "999999999999");
    let answers = vec![
        data_key(KEY),
        data_key(OTHER_KEY),
        told(&elsewhere),
        told(&foreign),
        told("none"),
    ];
    let kms = FakeKms::start(answers).await;
    let aws = Fixture::beside(&kms).await;
    let carol = aws.user(OWNER, "Carol", true).await;
    assert_eq!(aws.made(&carol, KEY).await, Ok(KEY.to_owned()));
    let made = aws.made(&carol, KEY).await.map_err(|(code, _)| code);
    assert_eq!(made, Err("ServiceUnavailable"));
    for asked in 3..=5 {
        let made = aws.made(&carol, "alias/a").await.map_err(|(code, _)| code);
        assert_eq!(made, Err("ServiceUnavailable"));
        assert_eq!(kms.asked().len(), asked);
    }
}

#[tokio::test]
async fn callers_policies_see_what_is_known_of_a_key_elsewhere() {
    let told = json!({"KeyMetadata": {"KeyId": ID, "Arn": KEY, "Enabled": true}});
    let kms = FakeKms::start(vec![told.clone(), data_key(KEY), told]).await;
    let aws = Fixture::beside(&kms).await;
    let bob = aws.user(OWNER, "Bob", false).await;
    let known = json!({
        "kms:RequestAlias": "alias/a",
        "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "kms:KeySpec": "SYMMETRIC_DEFAULT",
        "kms:KeyUsage": "ENCRYPT_DECRYPT",
        "kms:CallerAccount": OWNER,
        "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::logs/x",
    });
    let statement = json!({
        "Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": KEY,
        "Condition": {"StringEquals": known},
    });
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let mut change = aws.server().world.catalog.begin().await.expect("begins");
    let mut identities = change.identities(account(OWNER));
    let found = identities.identity(IdentityKind::User, "Bob").await;
    let identity = found.expect("is there");
    let put = identities.put_inline_policy(&identity, "p", &policy);
    put.await.expect("is stored");
    change.commit().await.expect("commits");
    assert_eq!(aws.made(&bob, "alias/a").await, Ok(KEY.to_owned()));
    let made = aws.made(&bob, "alias/b").await.map_err(|(code, _)| code);
    assert_eq!(made, Err("AccessDenied"));
}

#[tokio::test]
async fn no_other_kms_speaks_for_an_account_of_this_node() {
    let stranger = KEY.replace(OWNER, "999999999999");
    let kms = FakeKms::start(vec![data_key(&stranger)]).await;
    let aws = Fixture::beside(&kms).await;
    let carol = aws.user(OWNER, "Carol", true).await;
    let made = aws.made(&carol, &KEY.replace(OWNER, OTHER)).await;
    assert_eq!(made.map_err(|(code, _)| code), Err("AccessDenied"));
    assert!(kms.asked().is_empty());
    assert_eq!(aws.made(&carol, &stranger).await, Ok(stranger.clone()));
}

// Proves: R20
#[tokio::test]
async fn an_object_s_writer_cannot_tell_which_keys_another_account_has() {
    let keys = Arc::new(OneKey::default());
    let aws = Fixture::with_keys(Arc::clone(&keys), None).await;
    let eve = aws.user(OTHER, "Eve", false).await;
    let alias = "arn:aws:kms:eu-west-1:123456789012:alias/theirs";
    for named in [KEY, alias] {
        let mut told = Vec::new();
        for problem in [
            KeyProblem::NotFound {
                key: named.to_owned(),
            },
            KeyProblem::Denied {
                message: format!("not {OTHER_KEY}"),
            },
        ] {
            keys.set(Some(problem));
            told.push(aws.made(&eve, named).await);
        }
        let Err((code, message)) = &told[0] else {
            panic!("{told:?}");
        };
        assert_eq!(*code, "AccessDenied");
        assert!(message.contains(named), "{message}");
        assert_eq!(told[0], told[1]);
    }
}
