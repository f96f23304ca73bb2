//! The client against SeaweedFS, a server that is not ours: what it stores, and what it says of failures.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use cairn_platform::{
    Clock as _, NewObject, ObjectBody, ObjectEncryption, PutOutcome, S3Client, S3CredentialSource,
    S3Credentials, S3EndpointConfig, S3Failure, S3Purpose, S3Timeouts, SystemClock,
};

use super::{config, object};

const READY_SECONDS: u64 = 60;
const LAUNCHES: usize = 3;
const PORTS: [&str; 10] = [
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
];
const SETTINGS: &str = r#"{
    "identities": [{
        "name": "admin",
        "credentials": [{"accessKey": "AKIASEAWEED", "secretKey": "seaweed-secret"}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"]
    }],
    "kms": {
        "default_provider": "local",
        "providers": {"local": {"type": "local", "enableOnDemandCreate": true}}
    }
}"#;

/// One running SeaweedFS, ended when it is dropped.
struct Seaweed {
    process: Child,
    endpoint: String,
    folder: tempfile::TempDir,
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Seaweed {
    /// Starts one, and once more if another process was quicker to take a port.
    async fn start() -> Self {
        for _ in 0..LAUNCHES {
            let mut launched = Self::launch();
            if launched.create_bucket("audit").await {
                return launched;
            }
        }
        panic!("SeaweedFS ended {LAUNCHES} times before it was ready");
    }

    fn launch() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/weed");
        assert!(program.exists(), "SeaweedFS is not installed: make python");
        let program = program.canonicalize().expect("it exists");
        let folder = tempfile::tempdir().expect("a folder");
        let settings = folder.path().join("s3.json");
        std::fs::write(&settings, SETTINGS).expect("a file");
        // All at once, so that no two are the same.
        let listeners = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let ports = listeners.map(|free| free.local_addr().expect("bound").port());
        let mut command = Command::new(program);
        command
            .args([
                "mini",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-webdav=false",
            ])
            .args(["-admin.ui=false", "-s3.autoCreateBucket=false"])
            // What is not needed would take ports of its own.
            .args(["-s3.port.lance=0", "-s3.port.iceberg=0"])
            .arg(format!("-dir={}", folder.path().display()))
            .arg(format!("-s3.config={}", settings.display()))
            .args(
                PORTS
                    .iter()
                    .zip(ports)
                    .map(|(name, port)| format!("-{name}={port}")),
            )
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().expect("SeaweedFS starts");
        Self {
            process,
            endpoint: format!("http://127.0.0.1:{}", ports[6]),
            folder,
        }
    }

    /// Tries until it answers: the bucket is there then. False if the process has ended.
    async fn create_bucket(&mut self, bucket: &str) -> bool {
        let credentials = aws_credential_types::Credentials::new(
            "AKIASEAWEED",
            "seaweed-secret",
            None,
            None,
            "test",
        );
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .endpoint_url(&self.endpoint)
            .force_path_style(true)
            .credentials_provider(credentials)
            .build();
        let client = aws_sdk_s3::Client::from_conf(config);
        let clock = SystemClock::new();
        let deadline = clock.monotonic() + Duration::from_secs(READY_SECONDS);
        while let Err(error) = client.create_bucket().bucket(bucket).send().await {
            assert!(
                clock.monotonic() < deadline,
                "no bucket in {:?}: {error:?}",
                self.folder
            );
            if self.process.try_wait().expect("our child").is_some() {
                return false;
            }
            clock.sleep(Duration::from_millis(100)).await;
        }
        true
    }

    fn client(&self, secret: &str) -> S3Client {
        S3Client::new(S3EndpointConfig {
            region: "us-east-1".to_owned(),
            credentials: S3CredentialSource::Static(S3Credentials {
                access_key_id: "AKIASEAWEED".to_owned(),
                secret: secret.to_owned().into(),
                session_token: None,
            }),
            timeouts: S3Timeouts::default(),
            ..config(&self.endpoint)
        })
        .expect("a client")
    }
}

fn other_bytes(key: &str) -> NewObject {
    let body = b"other bytes";
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    NewObject {
        key: key.to_owned(),
        body: ObjectBody::Bytes(Bytes::from_static(body)),
        sha256: hash.as_ref().try_into().expect("32 bytes"),
        ..object()
    }
}

/// Puts one object for each kind of encryption, `managed` and `kms`, and reads it back.
async fn put_encrypted(client: &S3Client) {
    let purpose = S3Purpose::Command;
    for (key, encryption) in [
        ("managed", ObjectEncryption::Managed),
        (
            "kms",
            ObjectEncryption::Kms {
                key_id: "alias/trail".to_owned(),
                context: Vec::new(),
            },
        ),
    ] {
        let encrypted = NewObject {
            encryption: Some(encryption),
            ..other_bytes(key)
        };
        assert_eq!(
            client.put_new(&encrypted, &purpose).await,
            Ok(PutOutcome::Created),
            "{key}"
        );
        let found = client.get("audit", key, &purpose).await.expect("found");
        assert_eq!(
            found.read_all(100).await.as_deref(),
            Ok(b"other bytes".as_slice()),
            "{key}"
        );
    }
}

// Proves: R14, REC-257, TRL-142
#[tokio::test]
async fn a_foreign_server_stores_what_is_put_and_keeps_what_is_there() {
    let seaweed = Seaweed::start().await;
    let client = seaweed.client("seaweed-secret");
    let purpose = S3Purpose::Command;
    let first = object();
    assert_eq!(
        client.put_new(&first, &purpose).await,
        Ok(PutOutcome::Created)
    );
    assert_eq!(
        client.put_new(&first, &purpose).await,
        Ok(PutOutcome::AlreadyThere)
    );
    let other = other_bytes(&first.key);
    assert_eq!(
        client.put_new(&other, &purpose).await,
        Ok(PutOutcome::AlreadyThere)
    );
    let found = client
        .get("audit", &first.key, &purpose)
        .await
        .expect("found");
    assert_eq!(found.head.metadata["signature"], "00ff");
    assert_eq!(
        found.read_all(100).await.as_deref(),
        Ok(b"the bytes".as_slice())
    );
    let head = client
        .head("audit", &first.key, &purpose)
        .await
        .expect("found");
    assert_eq!(
        (head.length, head.metadata["signature"].as_str()),
        (9, "00ff")
    );
    put_encrypted(&client).await;
    let region = client.bucket_location("audit", &purpose).await;
    assert_eq!(region.as_deref(), Ok("us-east-1"));
    let page = client
        .list("audit", "", Some("b"), &purpose)
        .await
        .expect("a page");
    let keys: Vec<&str> = page
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    assert_eq!((keys, page.next_marker), (vec!["kms", "managed"], None));
}

// Proves: R15
#[tokio::test]
async fn a_foreign_server_says_what_is_wrong() {
    let seaweed = Seaweed::start().await;
    let client = seaweed.client("seaweed-secret");
    let purpose = S3Purpose::Command;
    let failure = |failure: S3Failure| (failure.code, failure.http_status);
    let elsewhere = NewObject {
        bucket: "nowhere".to_owned(),
        ..object()
    };
    let refused = client
        .put_new(&elsewhere, &purpose)
        .await
        .expect_err("no bucket");
    assert_eq!(failure(refused), ("NoSuchBucket".to_owned(), Some(404)));
    let missing = client
        .get("audit", "nothing", &purpose)
        .await
        .expect_err("no object");
    assert!(missing.is_no_such_key(), "{missing}");
    let missing = client
        .head("audit", "nothing", &purpose)
        .await
        .expect_err("no object");
    assert_eq!(failure(missing), ("NotFound".to_owned(), Some(404)));
    let stranger = seaweed.client("wrong");
    let refused = stranger
        .put_new(&object(), &purpose)
        .await
        .expect_err("unsigned");
    assert_eq!(
        failure(refused),
        ("SignatureDoesNotMatch".to_owned(), Some(403))
    );
    let empty = client
        .list("audit", "", None, &purpose)
        .await
        .expect("a page");
    assert!(empty.objects.is_empty(), "{empty:?}");
}
