//! The operations on trails, run as the pipeline runs them: validated, prepared, in a transaction that is committed.

mod changing;
mod creating;
mod reading;
mod tagging;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cairn_access::Principal;
use cairn_api::{ApiError, ErrorCode, Service, find};
use cairn_catalog::OutboxEntry;
use cairn_model::{LogGroup, SnsTopic, Trail};
use cairn_platform::{ManualClock, RealDisk, SystemEntropy};
use serde_json::{Value, json};

use super::Request;
use crate::config::{Config, Layers};
use crate::lifecycle::{Addresses, Parts, Surroundings};
use crate::pipeline::{ConnectionCount, Server, Work};
use crate::query_protocol::Caller;
use crate::trail_destinations::{DestinationProblem, Destinations, KeyReference};

const ACCOUNT: &str = "123456789012";
const NOW_MS: i64 = 1_700_000_000_000;
const KEY_ID: &str = "12345678-1234-1234-1234-123456789012";

/// Destinations that refuse what is in the list, and note what they were asked.
#[derive(Debug, Default)]
struct FakeDestinations {
    refused: Mutex<Vec<DestinationProblem>>,
    asked: Mutex<Vec<String>>,
    silent: Mutex<bool>,
}

impl FakeDestinations {
    fn refuse(&self, problem: DestinationProblem) {
        *self.refused.lock().expect("not poisoned") = vec![problem];
    }

    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().expect("not poisoned"))
    }

    async fn answer(
        &self,
        asked: String,
        is_mine: fn(&DestinationProblem) -> bool,
    ) -> Result<(), DestinationProblem> {
        self.asked.lock().expect("not poisoned").push(asked);
        let is_silent = *self.silent.lock().expect("not poisoned");
        if is_silent {
            std::future::pending::<()>().await;
        }
        let refused = self.refused.lock().expect("not poisoned");
        match refused.iter().find(|problem| is_mine(problem)) {
            Some(problem) => Err(problem.clone()),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Destinations for FakeDestinations {
    async fn resolve_key(
        &self,
        _: &Trail,
        key: &KeyReference,
    ) -> Result<String, DestinationProblem> {
        use DestinationProblem as P;
        let is_mine = |problem: &P| matches!(problem, P::NoSuchKey { .. } | P::UnusableKey { .. });
        self.answer(format!("key {}", key.arn()), is_mine).await?;
        // The one key that every alias stands for.
        Ok(format!(
            "arn:aws:kms:{}:{}:key/{KEY_ID}",
            key.region, key.account
        ))
    }

    async fn check_bucket(&self, trail: &Trail) -> Result<(), DestinationProblem> {
        use DestinationProblem as P;
        let is_mine = |problem: &P| {
            matches!(
                problem,
                P::NoSuchBucket { .. } | P::BucketPolicy { .. } | P::KeyPolicy { .. }
            )
        };
        let settings = &trail.settings;
        let prefix = settings.key_prefix.as_deref().unwrap_or_default();
        let asked = format!("bucket {}/{prefix} for {}", settings.bucket, trail.arn());
        self.answer(asked, is_mine).await
    }

    async fn check_topic(&self, _: &Trail, topic: &SnsTopic) -> Result<(), DestinationProblem> {
        let is_mine = |problem: &DestinationProblem| *problem == DestinationProblem::Topic;
        self.answer(format!("topic {}", topic.arn), is_mine).await
    }

    async fn check_log_group(&self, _: &Trail, group: &LogGroup) -> Result<(), DestinationProblem> {
        use DestinationProblem as P;
        let is_mine = |problem: &P| {
            matches!(
                problem,
                P::NoSuchLogGroup | P::LogGroupDenied | P::RoleDenied | P::LogsUnavailable
            )
        };
        self.answer(format!("log group {}", group.arn), is_mine)
            .await
    }
}

struct Fixture {
    server: Arc<Server>,
    caller: Caller,
    clock: ManualClock,
    destinations: Arc<FakeDestinations>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
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
        let clock = ManualClock::at(NOW_MS);
        let surroundings = Surroundings {
            clock: Arc::new(clock.clone()),
            entropy: Arc::new(SystemEntropy::new()),
            disk: Arc::new(RealDisk),
        };
        let address = "127.0.0.1:1".parse().expect("an address");
        let parts = Parts::open(config, surroundings, Addresses::one(address)).await;
        let mut parts = parts.expect("opens");
        let destinations: Arc<FakeDestinations> = Arc::default();
        parts.destinations = Arc::clone(&destinations) as Arc<dyn Destinations>;
        let server = parts.server(ConnectionCount(Box::new(|| 0)));
        let account = ACCOUNT.parse().expect("an account");
        let caller = Caller {
            principal: Principal::Root { account },
            account,
            account_alias: None,
            access_key_id: "AKIA".to_owned(),
            session: None,
        };
        Self {
            server: Arc::new(server),
            caller,
            clock,
            destinations,
            _folder: folder,
        }
    }

    /// Calls an operation in us-east-1.
    async fn call(&self, operation: &str, input: Value) -> Result<Value, ApiError> {
        self.call_in("us-east-1", operation, input).await
    }

    async fn call_in(
        &self,
        region: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, ApiError> {
        let operation = find(Service::CloudTrail, operation).expect("it is in the table");
        assert!(operation.built, "{}", operation.name);
        cairn_api::validate(operation, &input)?;
        let region = region.parse().expect("a Region");
        let mut request = Request {
            caller: &self.caller,
            region: &region,
            input: &input,
            preparation: None,
        };
        let operations = &self.server.operations;
        let body = if operation.is_change() {
            let preparation = operations.prepare(operation, request).await?;
            request.preparation = preparation.as_ref();
            let begun = self.server.world.catalog.begin().await;
            let mut transaction = begun.expect("begins");
            let work = Work::Change(&mut transaction);
            let body = operations.run(operation, request, work).await?;
            let enqueued = transaction.enqueue(OutboxEntry::default()).await;
            enqueued.expect("enqueues");
            transaction.commit().await.expect("commits");
            body
        } else {
            operations.run(operation, request, Work::Read).await?
        };
        Ok(serde_json::from_slice(&body).expect("answers are JSON"))
    }

    /// A trail of us-east-1.
    async fn create(&self, name: &str) -> Value {
        let input = json!({"Name": name, "S3BucketName": "a-bucket"});
        self.call("CreateTrail", input).await.expect("is made")
    }

    async fn create_everywhere(&self, name: &str) -> Value {
        let input = json!({
            "Name": name,
            "S3BucketName": "a-bucket",
            "IsMultiRegionTrail": true,
        });
        self.call("CreateTrail", input).await.expect("is made")
    }

    /// How many versions of trails there are.
    async fn version(&self, name: &str) -> u64 {
        use cairn_catalog::trails::ReadTrails;
        let mut read = self.server.world.catalog.read().await.expect("begins");
        let region = "us-east-1".parse().expect("a Region");
        let mut trails = read.trails();
        let found = trails.find(self.caller.account, &region, name).await;
        found.expect("reads").expect("it is there").version
    }

    async fn refused(&self, operation: &str, input: Value, code: ErrorCode) -> String {
        self.refused_in("us-east-1", operation, input, code).await
    }

    async fn refused_in(
        &self,
        region: &str,
        operation: &str,
        input: Value,
        code: ErrorCode,
    ) -> String {
        let refused = self.call_in(region, operation, input.clone()).await;
        let error = refused.expect_err(&format!("{operation} {input}"));
        assert_eq!(error.code, code, "{operation} {input}: {}", error.message);
        let operation = find(Service::CloudTrail, operation).expect("it is in the table");
        let is_common = matches!(
            code,
            ErrorCode::ValidationException | ErrorCode::ServiceUnavailable
        );
        assert!(
            is_common || operation.errors.contains(&code),
            "{} does not list {code}",
            operation.name
        );
        error.message
    }
}

fn arn(name: &str) -> String {
    arn_in("us-east-1", name)
}

fn arn_in(region: &str, name: &str) -> String {
    format!("arn:aws:cloudtrail:{region}:{ACCOUNT}:trail/{name}")
}

/// The names of a list of trails.
fn names(list: &Value) -> BTreeSet<&str> {
    let list = list.as_array().expect("a list");
    list.iter()
        .map(|trail| trail["Name"].as_str().expect("a name"))
        .collect()
}
