//! A server within the test's process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cairn_platform::{Clock, ManualClock, RealDisk, SystemClock, SystemEntropy};
use cairn_server::config::{Config, Layers};
use cairn_server::{RunningServer, Surroundings};
use tempfile::TempDir;

use crate::client::{Answer, Credentials, SignedClient};

/// How long a test waits for what the server does in the background.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which clock the server lives by.
#[derive(Clone, Debug)]
pub enum Instant {
    /// The machine's.
    Now,
    /// One that stands still until the test moves it.
    At(ManualClock),
}

/// Settings of a server to start.
#[derive(Clone, Debug)]
pub struct TestAppBuilder {
    settings: Vec<(String, String)>,
    clock: Instant,
}

/// A running server. Dropping it leaves the server's tasks to the runtime; `stop` ends it in order.
#[derive(Debug)]
pub struct TestApp {
    server: Option<RunningServer>,
    folder: Arc<TempDir>,
    builder: TestAppBuilder,
    credentials: Credentials,
}

impl Default for TestAppBuilder {
    /// Settings that keep tests from waiting for limits meant for people and disks.
    fn default() -> Self {
        let settings = [
            ("server.listen", "127.0.0.1:0"),
            ("server.s3_listen", "127.0.0.1:0"),
            ("server.shutdown_timeout", "20s"),
            ("lookup.requests_per_second", "100000"),
            ("eventlog.free_bytes_min", "0"),
            ("eventlog.preallocate_bytes", "64KiB"),
            ("eventlog.reserve_bytes", "0"),
            ("lake.hot_interval", "10ms"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            settings: settings.to_vec(),
            clock: Instant::Now,
        }
    }
}

impl TestAppBuilder {
    /// Sets `section.key`, as in the configuration file.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the server a clock that the test moves.
    #[must_use]
    pub fn at(mut self, clock: ManualClock) -> Self {
        self.clock = Instant::At(clock);
        self
    }

    /// Starts a server over a new folder.
    pub async fn start(self) -> TestApp {
        let folder = TempDir::new().expect("a temporary folder can be made");
        self.start_in(Arc::new(folder)).await
    }

    async fn start_in(self, folder: Arc<TempDir>) -> TestApp {
        let data_dir = folder.path().join("data");
        let mut layers = Layers::default();
        layers.apply_flag("a test", "server.data_dir", data_dir.display().to_string());
        for (name, value) in &self.settings {
            layers.apply_flag("a test", name, value.clone());
        }
        let config = Config::resolve(&layers).expect("the test's settings are valid");
        let clock: Arc<dyn Clock> = match &self.clock {
            Instant::Now => Arc::new(SystemClock::new()),
            Instant::At(clock) => Arc::new(clock.clone()),
        };
        let surroundings = Surroundings {
            clock,
            entropy: Arc::new(SystemEntropy::new()),
            disk: Arc::new(RealDisk),
        };
        let server = RunningServer::start(config, surroundings)
            .await
            .expect("the server starts");
        let credentials = Credentials::of_file(&data_dir.join("credentials"));
        TestApp {
            server: Some(server),
            folder,
            builder: self,
            credentials,
        }
    }
}

impl TestApp {
    /// A server with the settings that tests like.
    pub async fn start() -> Self {
        TestAppBuilder::default().start().await
    }

    /// The API's address.
    pub fn address(&self) -> SocketAddr {
        self.running().address()
    }

    /// The S3 endpoint's address.
    pub fn bucket_address(&self) -> SocketAddr {
        self.running().bucket_address()
    }

    /// DATA_DIR.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// The administrator's client.
    pub fn client(&self) -> SignedClient {
        self.client_of(self.credentials.clone())
    }

    /// A client with other credentials.
    pub fn client_of(&self, credentials: Credentials) -> SignedClient {
        let manual = match &self.builder.clock {
            Instant::Now => None,
            Instant::At(clock) => Some(clock.clone()),
        };
        SignedClient::new(self.address(), credentials, manual)
    }

    /// A client of the S3 endpoint.
    pub fn bucket_client_of(&self, credentials: Credentials) -> SignedClient {
        let manual = match &self.builder.clock {
            Instant::Now => None,
            Instant::At(clock) => Some(clock.clone()),
        };
        SignedClient::new(self.bucket_address(), credentials, manual)
    }

    /// The administrator's client, living by another clock than the server.
    pub fn client_at(&self, clock: ManualClock) -> SignedClient {
        SignedClient::new(self.address(), self.credentials.clone(), Some(clock))
    }

    /// Ends the server as SIGTERM does.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Ends the server and starts another over the same folder.
    pub async fn restart(self) -> Self {
        self.restart_after(async |_| {}).await
    }

    /// As `restart`, with `section.key` set to something else.
    pub async fn restart_with(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.with(name, value);
        self.restart().await
    }

    /// As `restart`; what `meanwhile` does to DATA_DIR happens while no server runs.
    pub async fn restart_after(mut self, meanwhile: impl AsyncFnOnce(&Path)) -> Self {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        meanwhile(&self.data_dir()).await;
        self.builder
            .clone()
            .start_in(Arc::clone(&self.folder))
            .await
    }

    /// The events of LookupEvents under one attribute, asked for until there are `count` of them.
    pub async fn lookup_until(
        &self,
        attribute: (&str, &str),
        count: usize,
    ) -> Vec<serde_json::Value> {
        let client = self.client();
        let mut events = Vec::new();
        let what = format!("{count} events with {attribute:?}");
        self.eventually(&what, async || {
            events = events_of(&client.lookup(attribute).await);
            events.len() >= count
        })
        .await;
        events
    }

    /// Asks until it is so. A clock that the test moves goes on meanwhile.
    pub async fn eventually(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let begun = SystemClock::new();
        while !is_so().await {
            assert!(
                begun.monotonic() < PATIENCE,
                "not after {PATIENCE:?}: {what}"
            );
            if let Instant::At(clock) = &self.builder.clock {
                clock.advance(Duration::from_millis(250));
            }
            begun.sleep(Duration::from_millis(10)).await;
        }
    }

    /// A file of DATA_DIR.
    pub fn read(&self, name: &str) -> String {
        read(&self.data_dir().join(name))
    }

    fn running(&self) -> &RunningServer {
        self.server
            .as_ref()
            .expect("the server runs until it is stopped")
    }
}

/// The records of a LookupEvents answer.
fn events_of(answer: &Answer) -> Vec<serde_json::Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let events = body["Events"]
        .as_array()
        .expect("LookupEvents answers events");
    events
        .iter()
        .map(|event| {
            let text = event["CloudTrailEvent"]
                .as_str()
                .expect("every event has its record");
            serde_json::from_str(text).expect("records are JSON")
        })
        .collect()
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
