//! A server without listeners, whose operations are partly the test's own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use cairn_access::{Principal, User};
use cairn_api::{ApiError, ErrorCode, Operation, OperationId, Protocol, Service};
use cairn_catalog::identity::IdentityKind;
use cairn_eventlog::EventLog;
use cairn_model::{Region, Sequence};
use cairn_platform::{Clock, ManualClock, RealDisk, SystemClock, SystemEntropy};
use serde_json::json;
use tokio::sync::watch;

use super::super::{ConnectionCount, json_calls, query_calls};
use super::*;
use crate::config::{Config, Layers};
use crate::doors::PARTITION;
use crate::http::Answer;
use crate::lifecycle::{Addresses, Parts, Surroundings};
use crate::operations::{Dispatch, Request};
use crate::query_protocol::QueryService;

const ACCOUNT: &str = "123456789012";
const ADMINISTRATOR_ACCESS: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// `CreateTrail` notes the trail's name in a setting; every other operation is not built.
#[derive(Debug)]
struct OneChange;

#[async_trait]
impl Dispatch for OneChange {
    fn is_built(&self, operation: &Operation) -> bool {
        operation.id == OperationId::CreateTrail
    }

    async fn run(
        &self,
        operation: &Operation,
        request: Request<'_>,
        work: Work<'_>,
    ) -> Result<Vec<u8>, ApiError> {
        let Work::Change(transaction) = work else {
            return Err(ApiError::not_built(operation.name));
        };
        let name = request.input["Name"].as_str().expect("it is required");
        let stored = transaction.put_setting("trail", name.as_bytes()).await;
        stored.map_err(ApiError::from_catalog)?;
        match name {
            "taken" => Err(ApiError::new(
                ErrorCode::TrailAlreadyExistsException,
                "Trail taken already exists",
            )),
            "broken" => panic!("a broken operation"),
            _ => {
                let arn = format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/{name}");
                let output = json!({"Name": name, "TrailARN": arn, "IsMultiRegionTrail": false});
                Ok(output.to_string().into_bytes())
            }
        }
    }
}

struct Fixture {
    server: Arc<Server>,
    region: Region,
    admin: Caller,
    _folder: tempfile::TempDir,
    stop: watch::Sender<bool>,
}

impl Fixture {
    async fn new() -> Self {
        let fixture = Self::idle(Arc::new(SystemClock::new())).await;
        let (server, stopped) = (Arc::clone(&fixture.server), fixture.stop.subscribe());
        tokio::spawn(async move { server.outbox.run(stopped).await });
        fixture
    }

    /// A server whose outbox nobody drains.
    async fn idle(clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut layers = Layers::default();
        let data_dir = folder.path().join("data").display().to_string();
        for (name, value) in [
            ("server.data_dir", data_dir.as_str()),
            ("eventlog.free_bytes_min", "0"),
            ("eventlog.preallocate_bytes", "64KiB"),
            ("eventlog.reserve_bytes", "0"),
        ] {
            layers.apply_flag("a test", name, value.to_owned());
        }
        let config = Config::resolve(&layers).expect("the settings are valid");
        let surroundings = Surroundings {
            clock,
            entropy: Arc::new(SystemEntropy::new()),
            disk: Arc::new(RealDisk),
        };
        let address = "127.0.0.1:1".parse().expect("an address");
        let parts = Parts::open(config, surroundings, Addresses::one(address)).await;
        let connections = ConnectionCount(Box::new(|| 0));
        let mut server = parts.expect("opens").server(connections);
        server.operations = Box::new(OneChange);
        let admin = caller(&server, "admin").await;
        Self {
            server: Arc::new(server),
            region: "us-east-1".parse().expect("a Region"),
            admin,
            _folder: folder,
            stop: watch::channel(false).0,
        }
    }

    async fn create_trail(&self, caller: &Caller, name: &str) -> Answer {
        let mut call = call(Protocol::AwsJson);
        let target = ("x-amz-target", "CloudTrail_20131101.CreateTrail");
        for (name, value) in [target, ("content-type", "application/x-amz-json-1.1")] {
            call.headers.push((name.to_owned(), value.to_owned()));
        }
        let body = json!({"Name": name, "S3BucketName": "a-bucket"}).to_string();
        let request = (Service::CloudTrail, Bytes::from(body));
        json_calls::answer(&self.server, &call, caller, &self.region, request)
            .await
            .0
    }

    async fn put_audit_events(&self) -> Answer {
        let mut call = call(Protocol::RestJson);
        "/PutAuditEvents".clone_into(&mut call.path);
        call.query = format!("channelArn={}", channel().replace('/', "%2F"));
        let body = json!({"auditEvents": [{"id": "1", "eventData": "{\"canary\":1}"}]});
        let request = (Service::CloudTrailData, Bytes::from(body.to_string()));
        json_calls::answer(&self.server, &call, &self.admin, &self.region, request)
            .await
            .0
    }

    async fn iam(&self, caller: &Caller, form: &str) -> Answer {
        let form = Bytes::from(format!("{form}&Version=2010-05-08"));
        let request = (QueryService::Iam, form);
        query_calls::answer(
            &self.server,
            &call(Protocol::Query),
            caller,
            &self.region,
            request,
        )
        .await
        .0
    }

    /// A user who may do everything until its policy is taken away.
    async fn mary(&self) -> Caller {
        for form in [
            "Action=CreateUser&UserName=Mary".to_owned(),
            "Action=CreateAccessKey&UserName=Mary".to_owned(),
            format!("Action=AttachUserPolicy&UserName=Mary&PolicyArn={ADMINISTRATOR_ACCESS}"),
        ] {
            let answer = self.iam(&self.admin, &form).await;
            assert_eq!(answer.status, 200, "{form}");
        }
        caller(&self.server, "Mary").await
    }

    /// Runs `call` while another change is under way, which is committed once the call waits for it.
    async fn overtaken(
        &self,
        mut change: WriteTransaction,
        detach: impl AsyncFnOnce(&mut WriteTransaction),
        call: impl Future<Output = Answer>,
    ) -> Answer {
        let catalog = &self.server.world.catalog;
        detach(&mut change).await;
        let commit = async {
            while catalog.changes_waiting() == 0 {
                tokio::task::yield_now().await;
            }
            change.commit().await.expect("commits");
        };
        let (answer, ()) = tokio::join!(call, commit);
        answer
    }

    /// Every event of the log.
    async fn events(&self) -> Vec<Value> {
        let log = &self.server.log;
        let records = log.read(PARTITION, Sequence(0), usize::MAX).await;
        let records = records.expect("the log is whole");
        let parsed = records
            .iter()
            .map(|record| serde_json::from_slice(&record.record.body).expect("an event"));
        parsed.collect()
    }

    async fn last_event(&self) -> Value {
        self.events().await.pop().expect("there is an event")
    }

    async fn setting(&self) -> Option<Vec<u8>> {
        let setting = self.server.world.catalog.setting("trail").await;
        setting.expect("reads")
    }
}

fn channel() -> String {
    format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT}:channel/01234567-89ab-cdef-0123-456789abcdef")
}

fn call(protocol: Protocol) -> Call {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Call {
        request_id: "the-request".to_owned(),
        began: Duration::ZERO,
        received_ms: 0,
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        peer_ip: local,
        source_ip: local,
        client_host: None,
        tls: None,
        protocol,
    }
}

async fn caller(server: &Server, name: &str) -> Caller {
    let account = ACCOUNT.parse().expect("twelve digits");
    let mut read = server.world.catalog.read().await.expect("begins");
    let mut view = read.identities(account);
    let user = view.find_identity(IdentityKind::User, name).await;
    let user = user.expect("reads").expect("the user exists");
    let keys = view.access_keys(Some(&user.id)).await.expect("reads");
    Caller {
        principal: Principal::User(User {
            account,
            name: user.name,
            path: user.path,
            id: user.id,
        }),
        account,
        account_alias: None,
        access_key_id: keys[0].key_id.clone(),
        session: None,
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.to_vec()).expect("answers are text")
}

// Proves: R21, REC-024, SEC-029
#[tokio::test]
async fn a_json_change_is_committed_with_its_event_and_recorded_with_its_answer() {
    let fixture = Fixture::new().await;
    let answer = fixture.create_trail(&fixture.admin, "new").await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
    assert_eq!(fixture.setting().await, Some(b"new".to_vec()));
    let event = fixture.last_event().await;
    assert_eq!(event["eventName"], "CreateTrail");
    assert_eq!(event["readOnly"], false);
    assert_eq!(event["managementEvent"], true);
    let parameters = json!({"name": "new", "s3BucketName": "a-bucket"});
    assert_eq!(event["requestParameters"], parameters);
    let arn = format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/new");
    let elements = json!({"name": "new", "trailARN": arn, "isMultiRegionTrail": false});
    assert_eq!(event["responseElements"], elements);
    assert_eq!(event["requestID"], "the-request");
    assert_eq!(event.get("errorCode"), None);
}

// Proves: R21, SEC-027
#[tokio::test]
async fn a_refused_json_change_leaves_its_event_only() {
    let fixture = Fixture::new().await;
    let answer = fixture.create_trail(&fixture.admin, "taken").await;
    assert_eq!(answer.error_type, Some("TrailAlreadyExistsException"));
    assert_eq!(fixture.setting().await, None);
    let event = fixture.last_event().await;
    assert_eq!(event["errorCode"], "TrailAlreadyExistsException");
    assert_eq!(event["errorMessage"], "Trail taken already exists");
    assert_eq!(event["responseElements"], Value::Null);
}

// Proves: R21
#[tokio::test]
async fn the_answer_to_a_change_waits_until_the_log_holds_its_event() {
    let clock = ManualClock::at(1_700_000_000_000);
    let fixture = Fixture::idle(Arc::new(clock.clone())).await;
    let catalog = &fixture.server.world.catalog;
    let patience_ends = async {
        while catalog.outbox_depth().await.expect("counts") == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(fixture.events().await, [] as [Value; 0]);
        // The commit is seen before the call that made it has begun to wait.
        while clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        clock.advance(LOG_PATIENCE);
    };
    let call = fixture.create_trail(&fixture.admin, "late");
    let (answer, ()) = tokio::join!(call, patience_ends);
    assert_eq!(answer.error_type, Some("ServiceUnavailable"));
    assert!(text(&answer).contains("not recorded yet"));
    assert_eq!(fixture.setting().await, Some(b"late".to_vec()));
    assert_eq!(fixture.server.outbox.drain_all().await, Ok(1));
    let events = fixture.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].get("errorCode"), None);
}

// Proves: R20, R21
#[tokio::test]
async fn a_policy_that_goes_before_the_commit_allows_nothing() {
    let fixture = Fixture::new().await;
    let mary = fixture.mary().await;
    let change = fixture.server.world.catalog.begin().await.expect("begins");
    let detach = async |change: &mut WriteTransaction| {
        let mut edit = change.identities(mary.account);
        let user = edit.find_identity(IdentityKind::User, "Mary").await;
        let user = user.expect("reads").expect("the user exists");
        let detached = edit.detach_policy(&user, ADMINISTRATOR_ACCESS).await;
        detached.expect("detaches");
    };
    let call = fixture.iam(&mary, "Action=CreateUser&UserName=Eve");
    let answer = fixture.overtaken(change, detach, call).await;
    assert_eq!(answer.error_type, Some("AccessDenied"), "{}", text(&answer));
    let users = fixture.iam(&fixture.admin, "Action=ListUsers").await;
    assert!(!text(&users).contains("Eve"));
    let events = fixture.events().await;
    let denied = events
        .iter()
        .find(|event| event["requestParameters"]["userName"] == "Eve");
    assert_eq!(denied.expect("it is recorded")["errorCode"], "AccessDenied");
}

// Proves: R20, R21
#[tokio::test]
async fn a_key_that_is_turned_off_before_the_commit_changes_nothing() {
    let fixture = Fixture::new().await;
    let mary = fixture.mary().await;
    let change = fixture.server.world.catalog.begin().await.expect("begins");
    let turn_off = async |change: &mut WriteTransaction| {
        let Principal::User(user) = &mary.principal else {
            unreachable!("Mary is a user");
        };
        let mut edit = change.identities(mary.account);
        let set = edit
            .set_key_active(Some(&user.id), &mary.access_key_id, false)
            .await;
        set.expect("sets");
    };
    let call = fixture.create_trail(&mary, "hers");
    let answer = fixture.overtaken(change, turn_off, call).await;
    assert_eq!(answer.error_type, Some("AccessDeniedException"));
    assert_eq!(fixture.setting().await, None);
    assert_eq!(fixture.last_event().await["errorCode"], "AccessDenied");
}

// Proves: R24
#[tokio::test]
async fn a_panic_in_an_operation_is_a_recorded_failure_without_effect() {
    let fixture = Fixture::new().await;
    let answer = fixture.create_trail(&fixture.admin, "broken").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.error_type, Some("InternalFailure"));
    assert_eq!(fixture.setting().await, None);
    assert_eq!(fixture.last_event().await["errorCode"], "InternalFailure");
    assert_eq!(fixture.server.metrics.panics.get(), 1);
    let answer = fixture.create_trail(&fixture.admin, "next").await;
    assert_eq!(answer.status, 200, "{}", text(&answer));
}

#[tokio::test]
async fn a_query_service_is_called_by_get_or_post_on_its_root_only() {
    let fixture = Fixture::new().await;
    for (method, path, status) in [
        ("POST", "/", 200),
        ("POST", "/elsewhere", 400),
        ("POST", "", 400),
        ("PUT", "/", 400),
        ("DELETE", "/", 400),
    ] {
        let mut call = call(Protocol::Query);
        (call.method, call.path) = (method.to_owned(), path.to_owned());
        let form = Bytes::from_static(b"Action=ListUsers&Version=2010-05-08");
        let request = (QueryService::Iam, form);
        let (server, admin) = (&fixture.server, &fixture.admin);
        let (answer, ..) =
            query_calls::answer(server, &call, admin, &fixture.region, request).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
}

// Proves: REC-034
#[tokio::test]
async fn a_data_event_lists_its_resource_though_the_call_is_refused() {
    let fixture = Fixture::new().await;
    let answer = fixture.put_audit_events().await;
    assert_eq!(answer.error_type, Some("UnsupportedOperationException"));
    let event = fixture.last_event().await;
    assert_eq!(event["eventCategory"], "Data");
    assert_eq!(event["managementEvent"], false);
    let resource = json!({
        "accountId": ACCOUNT,
        "type": "AWS::CloudTrail::Channel",
        "ARN": channel(),
    });
    assert_eq!(event["resources"], json!([resource]));
    assert!(!event.to_string().contains("canary"), "{event}");
}
