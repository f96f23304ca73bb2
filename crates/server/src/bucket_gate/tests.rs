//! The gate in front of buckets that the tests invent, in a server without listeners.

/// Who may do what, by the policies of callers and buckets.
mod decisions;
/// Whose KMS keys they are.
mod key_keepers;
/// KMS keys used in callers' names.
mod object_keys;
/// What requests leave in the log.
mod records;
/// Sessions of services, and what else is let in.
mod sessions;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use cairn_access::{Principal, User};
use cairn_api::Protocol;
use cairn_bucket::{
    Access, BucketFacts, Caller as BucketCaller, Demand, Denied, Gatekeeper, Outcome,
};
use cairn_catalog::identity::{IdPrefix, IdentityKind, NewAccount, NewIdentity, new_unique_id};
use cairn_eventlog::EventLog;
use cairn_model::{AccountId, RoutingHeader, Sequence};
use cairn_platform::{RealDisk, SystemClock, SystemEntropy};
use http::{HeaderMap, Method};
use serde_json::Value;

use super::{Arrival, BucketGate, SelectsData, Visitor};
use crate::config::{Config, Layers};
use crate::doors::PARTITION;
use crate::lifecycle::{Addresses, Parts, Surroundings};
use crate::pipeline::{Call, ConnectionCount, Server};
use crate::query_protocol::Caller;
use crate::sts::{
    ServiceCredentials, ServiceSession, ServiceSource, open_token, service_credentials,
};

/// Owns the bucket.
const OWNER: &str = "123456789012";
const OTHER: &str = "210987654321";
const TRAIL: &str = "arn:aws:cloudtrail:us-east-1:123456789012:trail/main";
const ADMINISTRATOR_ACCESS: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
const OBJECT: &str = "arn:aws:s3:::logs/AWSLogs/x";
const BUCKET: &str = "arn:aws:s3:::logs";

/// Wants every data event.
#[derive(Debug)]
struct All;

impl SelectsData for All {
    fn selects(&self, _: &RoutingHeader<'_>) -> bool {
        true
    }
}

struct Fixture {
    gate: BucketGate,
    _folder: tempfile::TempDir,
}

impl Fixture {
    /// A server with the account that owns the bucket and another.
    async fn new() -> Self {
        Self::with_selection(None).await
    }

    async fn with_selection(selection: Option<Arc<dyn SelectsData>>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut layers = Layers::default();
        let data_dir = folder.path().join("data").display().to_string();
        for (name, value) in [
            ("server.data_dir", data_dir.as_str()),
            ("account.default_id", OWNER),
            ("eventlog.free_bytes_min", "0"),
            ("eventlog.preallocate_bytes", "64KiB"),
            ("eventlog.reserve_bytes", "0"),
        ] {
            layers.apply_flag("a test", name, value.to_owned());
        }
        let config = Config::resolve(&layers).expect("the settings are valid");
        let surroundings = Surroundings {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy::new()),
            disk: Arc::new(RealDisk),
        };
        let address = "127.0.0.1:1".parse().expect("an address");
        let parts = Parts::open(config, surroundings, Addresses::one(address)).await;
        let connections = ConnectionCount(Box::new(|| 0));
        let mut server = parts.expect("opens").server(connections);
        if let Some(selection) = selection {
            server.selects_data = selection;
        }
        let new = NewAccount {
            account: account(OTHER),
            name: "other".to_owned(),
        };
        let mut change = server.world.catalog.begin().await.expect("begins");
        change.create_account(new).await.expect("is new");
        change.commit().await.expect("commits");
        let gate = BucketGate {
            server: Arc::new(server),
            lake_bucket: "cairn-lake",
        };
        Self {
            gate,
            _folder: folder,
        }
    }

    fn server(&self) -> &Server {
        &self.gate.server
    }

    fn now_ms(&self) -> i64 {
        self.server().clock.now_ms()
    }

    /// A new user; one with every permission if `is_admin`.
    async fn user(&self, number: &str, name: &str, is_admin: bool) -> Caller {
        let world = &self.server().world;
        let id = new_unique_id(IdPrefix::User, world.entropy.as_ref());
        let mut change = world.catalog.begin().await.expect("begins");
        let mut identities = change.identities(account(number));
        let new = NewIdentity {
            id: id.clone(),
            kind: IdentityKind::User,
            name: name.to_owned(),
            path: "/".to_owned(),
            boundary_arn: None,
            role: None,
            tags: Vec::new(),
        };
        let identity = identities.create_identity(new).await.expect("is new");
        if is_admin {
            let attached = identities.attach_policy(&identity, ADMINISTRATOR_ACCESS);
            attached.await.expect("is attached");
        }
        change.commit().await.expect("commits");
        caller(Principal::User(User {
            account: account(number),
            name: name.to_owned(),
            path: "/".to_owned(),
            id,
        }))
    }

    fn service(&self, source_arn: &str, lifetime_ms: i64) -> ServiceCredentials {
        let world = &self.server().world;
        let session = ServiceSession {
            name: "cloudtrail.amazonaws.com".to_owned(),
            source: ServiceSource {
                arn: source_arn.to_owned(),
                account: account(OWNER),
            },
            expires_ms: self.now_ms() + lifetime_ms,
        };
        service_credentials(&world.master_key, world.entropy.as_ref(), &session)
    }

    /// The service as authentication makes a caller of it.
    fn service_caller(&self, source_arn: &str) -> Caller {
        let credentials = self.service(source_arn, 60_000);
        let key = &self.server().world.master_key;
        let facts = open_token(key, &credentials.session_token).expect("opens");
        Caller {
            principal: facts.principal.clone(),
            account: account(OWNER),
            account_alias: None,
            access_key_id: credentials.access_key_id,
            session: Some(Arc::new(facts)),
        }
    }

    async fn visitor(&self, call: Call, caller: &Caller) -> BucketCaller {
        let authorizer = &self.server().authorizer;
        let grants = authorizer.grants(&call, caller, "us-east-1").await;
        BucketCaller::new(Visitor {
            arrival: Arc::new(Arrival {
                call,
                extended_id: "the-extended-id".to_owned(),
            }),
            caller: caller.clone(),
            region: "us-east-1".parse().expect("a Region"),
            grants: grants.expect("the catalog answers"),
        })
    }

    /// May the caller do this to the bucket with this policy?
    async fn may(
        &self,
        caller: &Caller,
        (action, resource_arn): (&'static str, &str),
        policy: Option<&str>,
    ) -> Result<(), Denied> {
        let bucket = facts(policy);
        let demand = Demand {
            action,
            resource_arn,
            bucket: Some(&bucket),
            keys: &[("s3:x-amz-acl", "bucket-owner-full-control".to_owned())],
        };
        let visitor = self.visitor(call("GET", "/logs", &[]), caller).await;
        self.gate.authorize(&visitor, demand).await
    }

    /// Takes note of a request to the bucket; the outcome is a success unless an error is given.
    async fn witness(
        &self,
        caller: &Caller,
        (method, path, headers): (&str, &str, &[(&str, &str)]),
        error: Option<(&str, &str)>,
    ) {
        let uri = path.parse().expect("a URI");
        let method_of_request: Method = method.parse().expect("a method");
        let access = Access::of(&method_of_request, &uri, &HeaderMap::new());
        let outcome = Outcome {
            status: if error.is_some() { 403 } else { 200 },
            error: error.map(|(code, message)| (code.to_owned(), message.to_owned())),
            received_bytes: 5,
            body_bytes: 0,
            encryption: None,
            defect: None,
        };
        let visitor = self.visitor(call(method, path, headers), caller).await;
        let bucket = facts(None);
        let noted = self
            .gate
            .witness(&visitor, access.as_ref(), Some(&bucket), &outcome);
        noted.await.expect("is recorded");
    }

    /// Every event of S3's in the log.
    async fn events(&self) -> Vec<Value> {
        self.events_of("s3.amazonaws.com").await
    }

    async fn events_of(&self, source: &str) -> Vec<Value> {
        let records = self.server().log.read(PARTITION, Sequence(0), usize::MAX);
        let records = records.await.expect("the log is whole");
        let bodies = records.iter().map(|record| &record.record.body);
        let events = bodies.map(|body| serde_json::from_slice(body).expect("an event"));
        events
            .filter(|event: &Value| event["eventSource"] == source)
            .collect()
    }
}

fn account(text: &str) -> AccountId {
    text.parse().expect("twelve digits")
}

fn caller(principal: Principal) -> Caller {
    Caller {
        account: principal.account().expect("has an account"),
        principal,
        account_alias: None,
        access_key_id: "AKIAEXAMPLE".to_owned(),
        session: None,
    }
}

fn root(number: &str) -> Caller {
    caller(Principal::Root {
        account: account(number),
    })
}

fn facts(policy: Option<&str>) -> BucketFacts {
    BucketFacts {
        name: "logs".to_owned(),
        owner: account(OWNER),
        region: "eu-west-1".parse().expect("a Region"),
        policy: policy.map(str::to_owned),
    }
}

fn call(method: &str, path: &str, headers: &[(&str, &str)]) -> Call {
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1).ip();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let signed = [("authorization", "AWS4-HMAC-SHA256 …")];
    let headers = headers.iter().chain(&signed);
    Call {
        request_id: "THE0REQUEST".to_owned(),
        began: std::time::Duration::ZERO,
        received_ms: 0,
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        peer_ip: local,
        source_ip: local,
        client_host: Some("127.0.0.1:4511".to_owned()),
        tls: None,
        protocol: Protocol::Query,
    }
}
