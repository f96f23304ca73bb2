//! The table, and local keys as the rest of the node uses them. The API is tested with a whole server
//! (`tests/it/keys.rs`).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use cairn_access::policy::default_key_policy;
use cairn_api::Protocol;
use cairn_catalog::keys::KmsKey;
use cairn_model::Region;

use super::local_keys::LocalKeys;
use super::operation::Run;
use super::{OPERATIONS, material};
use crate::authorize::{Authorizer, Grants};
use crate::keys::{EncryptionContext, KeyProblem, KeyService, KeyUser};
use crate::pipeline::Call;
use crate::query_protocol::tests::{Fixture as Identities, NOW_MS, account};
use crate::query_protocol::{Caller, World};
use crate::sts::{ServiceSession, ServiceSource, open_token, service_credentials};
use crate::trail_destinations::KeyReference;

const OWNER: &str = "123456789012";
const KEY_ID: &str = "01234567-89ab-cdef-0123-456789abcdef";
const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main";

/// What CloudTrail's documentation gives the service, and readers in the account.
fn trail_policy() -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[
        {{"Effect":"Allow","Principal":{{"Service":"cloudtrail.amazonaws.com"}},"Action":"kms:GenerateDataKey*",
          "Resource":"*","Condition":{{"StringEquals":{{"aws:SourceArn":"{TRAIL}"}},
          "StringLike":{{"kms:EncryptionContext:aws:cloudtrail:arn":"arn:aws:cloudtrail:*:{OWNER}:trail/*"}}}}}},
        {{"Effect":"Allow","Principal":{{"Service":"cloudtrail.amazonaws.com"}},"Action":"kms:DescribeKey","Resource":"*"}},
        {{"Effect":"Allow","Principal":{{"AWS":"*"}},"Action":"kms:Decrypt","Resource":"*",
          "Condition":{{"StringEquals":{{"kms:CallerAccount":"{OWNER}","kms:ViaService":"s3.us-east-1.amazonaws.com"}},
          "Null":{{"kms:EncryptionContext:aws:cloudtrail:arn":"false"}}}}}}]}}"#
    )
}

struct Fixture {
    identities: Identities,
    world: Arc<World>,
    keys: LocalKeys,
    region: Region,
}

impl Fixture {
    async fn new() -> Self {
        let identities = Identities::new().await;
        let world = Arc::new(identities.world.clone());
        let fixture = Self {
            keys: LocalKeys::new(Arc::clone(&world)),
            world,
            region: "us-east-1".parse().expect("a Region"),
            identities,
        };
        let mut transaction = fixture.world.catalog.begin().await.expect("begins");
        let key = fixture.key();
        transaction.insert_kms_key(&key).await.expect("is new");
        let made = material::make(&fixture.world, &mut transaction, &key, false).await;
        made.expect("is made");
        transaction.commit().await.expect("commits");
        fixture
    }

    fn key(&self) -> KmsKey {
        KmsKey {
            account: account(OWNER),
            region: self.region.clone(),
            id: KEY_ID.to_owned(),
            created_ms: NOW_MS,
            description: String::new(),
            policy: trail_policy(),
            is_enabled: true,
            version: 1,
            deletion: None,
            rotation: None,
        }
    }

    async fn put(&self, change: impl FnOnce(&mut KmsKey)) {
        let mut key = self.key();
        change(&mut key);
        let mut transaction = self.world.catalog.begin().await.expect("begins");
        transaction.put_kms_key(&key).await.expect("is there");
        transaction.commit().await.expect("commits");
    }

    /// CloudTrail, acting for a trail.
    fn cloudtrail(&self, trail: &str) -> Caller {
        let session = ServiceSession {
            name: "cloudtrail.amazonaws.com".to_owned(),
            source: ServiceSource {
                arn: trail.to_owned(),
                account: account(OWNER),
            },
            expires_ms: NOW_MS + 60_000,
        };
        let world = &self.world;
        let credentials = service_credentials(&world.master_key, world.entropy.as_ref(), &session);
        let facts = open_token(&world.master_key, &credentials.session_token).expect("opens");
        Caller {
            principal: facts.principal.clone(),
            account: account(OWNER),
            account_alias: None,
            access_key_id: credentials.access_key_id,
            session: Some(Arc::new(facts)),
        }
    }

    async fn grants(&self, caller: &Caller) -> Grants {
        let authorizer = Authorizer::new(Arc::clone(&self.world.catalog));
        let grants = authorizer.grants(&call(), caller, "us-east-1").await;
        grants.expect("the catalog answers")
    }

    fn user<'a>(&'a self, caller: &'a Caller, grants: &'a Grants) -> KeyUser<'a> {
        KeyUser {
            caller,
            grants,
            region: &self.region,
            via_service: Some("s3.us-east-1.amazonaws.com"),
        }
    }

    fn reference(&self) -> KeyReference {
        KeyReference::read(KEY_ID, account(OWNER), &self.region).expect("an ID")
    }
}

fn call() -> Call {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Call {
        request_id: "the-request".to_owned(),
        began: Duration::ZERO,
        received_ms: NOW_MS,
        method: "PUT".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        peer_ip: local,
        source_ip: local,
        client_host: None,
        tls: None,
        protocol: Protocol::AwsJson,
    }
}

fn context(trail: &str) -> EncryptionContext {
    let object = "arn:aws:s3:::logs/AWSLogs/x.json.gz";
    let entries = [("aws:cloudtrail:arn", trail), ("aws:s3:arn", object)];
    let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
    entries.into_iter().collect()
}

#[test]
fn every_operation_stands_once_and_asks_for_what_it_does() {
    let mut names = BTreeSet::new();
    for operation in OPERATIONS {
        assert!(
            names.insert(operation.name),
            "{} stands twice",
            operation.name
        );
        let changes = matches!(operation.run, Run::Change(_));
        let is_absent = matches!(operation.run, Run::NotBuilt);
        assert!(
            is_absent || changes != operation.read_only,
            "{}",
            operation.name
        );
        let asks = operation.asks != super::asking::Asks::Nothing;
        assert_eq!(asks, !is_absent, "{}", operation.name);
    }
    assert_eq!(names.len(), 56);
    let sorted: Vec<&str> = names.into_iter().collect();
    let listed: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(listed, sorted);
}

// Proves: SEC-320, SEC-332, SEC-333, SEC-335, SEC-338, SEC-351
#[tokio::test]
async fn cloudtrail_encrypts_by_the_key_s_policy_and_readers_decrypt() {
    let fixture = Fixture::new().await;
    let key = fixture.reference();
    let cloudtrail = fixture.cloudtrail(TRAIL);
    let grants = fixture.grants(&cloudtrail).await;
    let user = fixture.user(&cloudtrail, &grants);
    let made = fixture
        .keys
        .generate_data_key(user, &key, &context(TRAIL))
        .await;
    let made = made.expect("the policy lets CloudTrail in");
    assert_eq!(made.key_arn, fixture.key().arn());
    assert!(
        !made
            .wrapped
            .windows(32)
            .any(|bytes| bytes == made.plain.as_slice())
    );
    assert!(!format!("{made:?}").contains("plain"));

    let mary = &fixture.identities.mary;
    let grants = fixture.grants(mary).await;
    let reader = fixture.user(mary, &grants);
    let opened = fixture
        .keys
        .decrypt(reader, (&made.wrapped, &made.key_arn), &context(TRAIL))
        .await;
    let opened = opened.expect("the policy lets readers in");
    assert_eq!(opened.plain, made.plain);
    assert_eq!(opened.key_arn, made.key_arn);
    let other = "arn:aws:cloudtrail:us-east-1:123456789012:trail/other";
    let wrong = fixture
        .keys
        .decrypt(reader, (&made.wrapped, &made.key_arn), &context(other))
        .await;
    assert_eq!(wrong.err(), Some(KeyProblem::InvalidCiphertext));
    let without = EncryptionContext::new();
    let refused = fixture
        .keys
        .decrypt(reader, (&made.wrapped, &made.key_arn), &without)
        .await;
    assert!(
        matches!(refused, Err(KeyProblem::Denied { .. })),
        "{refused:?}"
    );
    let directly = KeyUser {
        via_service: None,
        ..reader
    };
    let refused = fixture
        .keys
        .decrypt(directly, (&made.wrapped, &made.key_arn), &context(TRAIL))
        .await;
    assert!(
        matches!(refused, Err(KeyProblem::Denied { .. })),
        "{refused:?}"
    );
    // CloudTrail may encrypt only.
    let refused = fixture
        .keys
        .decrypt(user, (&made.wrapped, &made.key_arn), &context(TRAIL))
        .await;
    assert!(
        matches!(refused, Err(KeyProblem::Denied { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn another_trail_s_session_or_context_is_refused() {
    let fixture = Fixture::new().await;
    let key = fixture.reference();
    let other = "arn:aws:cloudtrail:us-east-1:999999999999:trail/other";
    for (source, bound) in [(other, TRAIL), (TRAIL, other)] {
        let caller = fixture.cloudtrail(source);
        let grants = fixture.grants(&caller).await;
        let user = fixture.user(&caller, &grants);
        let made = fixture
            .keys
            .generate_data_key(user, &key, &context(bound))
            .await;
        let Err(KeyProblem::Denied { message }) = made else {
            panic!("{source} for {bound}: {made:?}");
        };
        assert_eq!(
            message,
            format!(
                "User: cloudtrail.amazonaws.com is not authorized to perform: kms:GenerateDataKey on resource: {} \
                 because no resource-based policy allows the kms:GenerateDataKey action",
                fixture.key().arn()
            )
        );
    }
}

// Proves: SEC-321, SEC-323
#[tokio::test]
async fn a_key_that_is_disabled_or_waits_for_its_end_is_not_used() {
    let fixture = Fixture::new().await;
    let key = fixture.reference();
    let caller = fixture.cloudtrail(TRAIL);
    let grants = fixture.grants(&caller).await;
    let user = fixture.user(&caller, &grants);
    let arn = fixture.key().arn();
    fixture.put(|key| key.is_enabled = false).await;
    let facts = fixture.keys.describe(user, &key).await.expect("is there");
    assert!(!facts.is_enabled);
    assert_eq!(facts.arn, arn);
    let used = fixture
        .keys
        .generate_data_key(user, &key, &context(TRAIL))
        .await;
    assert_eq!(used.err(), Some(KeyProblem::Disabled { key: arn.clone() }));
    let deletion = cairn_catalog::keys::KeyDeletion {
        due_ms: NOW_MS,
        window_days: 7,
    };
    fixture.put(|key| key.deletion = Some(deletion)).await;
    let facts = fixture.keys.describe(user, &key).await.expect("is there");
    assert!(!facts.is_enabled);
    let used = fixture
        .keys
        .generate_data_key(user, &key, &context(TRAIL))
        .await;
    assert_eq!(used.err(), Some(KeyProblem::PendingDeletion { key: arn }));
    let mut other = key.clone();
    other.region = "eu-west-1".parse().expect("a Region");
    let missing = fixture.keys.describe(user, &other).await;
    assert_eq!(
        missing.err(),
        Some(KeyProblem::NotFound { key: other.arn() })
    );
}

#[tokio::test]
async fn material_lies_sealed_in_the_catalog_and_opens_for_its_key_only() {
    use cairn_catalog::keys::ReadKeys;
    let fixture = Fixture::new().await;
    let mut reading = fixture.world.catalog.read().await.expect("begins");
    let key = fixture.key();
    let sealed = reading.keys().material(&key, 1).await.expect("reads");
    let sealed = sealed.expect("is there");
    let opened = material::open(&fixture.world, &mut reading.keys(), &key, 1).await;
    let digits = opened.expect("opens").to_hex();
    let held = |bytes: &[u8], part: &str| bytes.windows(part.len()).any(|w| w == part.as_bytes());
    assert!(!held(&sealed, &digits));
    let other = KmsKey {
        id: "ffffffff-89ab-cdef-0123-456789abcdef".to_owned(),
        policy: default_key_policy(account(OWNER)),
        ..key
    };
    let context = other.material_context(1);
    assert!(fixture.world.master_key.open(&context, &sealed).is_err());
}
