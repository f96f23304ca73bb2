//! Large answers of the S3 endpoint to clients that take their time, or take nothing.

use std::time::Duration;

use cairn_access::SecretKey;
use cairn_access::sigv4::{self, RequestParts, ServiceRules, SigningRequest, sha256_hex, sign};
use cairn_platform::{Clock, SystemClock};
use cairn_testkit::{TestApp, TestAppBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Beyond what sockets of this machine buffer.
const OBJECT_BYTES: usize = 24 << 20;
/// Longer than a machine with much to do stops for.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

async fn start(setting: (&str, &str)) -> TestApp {
    let app = TestAppBuilder::default()
        .with(setting.0, setting.1)
        .start()
        .await;
    let file = app.data_dir().join("lake/large");
    std::fs::write(file, vec![7; OBJECT_BYTES]).expect("a file");
    app
}

/// A connection on which the large object has been asked for.
async fn ask(app: &TestApp) -> TcpStream {
    let credentials = app.client().credentials;
    let headers = [("host".to_owned(), app.bucket_address().to_string())];
    let signing = SigningRequest {
        request: RequestParts {
            method: "GET",
            path: "/cairn-lake/large",
            query: "",
            headers: &headers,
            now_ms: SystemClock::new().now_ms(),
        },
        payload_hash: &sha256_hex(b""),
        region: "us-east-1",
        service: "s3",
        rules: ServiceRules::S3,
    };
    let secret = SecretKey::new(credentials.secret);
    let credentials = sigv4::Credentials {
        access_key_id: &credentials.access_key_id,
        secret: &secret,
        security_token: None,
    };
    let signed = sign(&signing, &credentials).expect("a time that can be written");
    let mut request = "GET /cairn-lake/large HTTP/1.1\r\n".to_owned();
    for (name, value) in headers.iter().chain(&signed) {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    let mut stream = TcpStream::connect(app.bucket_address())
        .await
        .expect("a listener");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the server reads");
    stream
}

// Proves: R18
#[tokio::test]
async fn a_download_that_moves_is_not_idle_however_long_it_takes() {
    let app = start(("http.idle_timeout", "2s")).await;
    let mut stream = ask(&app).await;
    let clock = SystemClock::new();
    let mut buffer = vec![0; 128 << 10];
    let mut received = 0;
    while clock.monotonic() < IDLE_TIMEOUT * 3 / 2 {
        // A client's pace, not a wait for something to happen.
        clock.sleep(Duration::from_millis(40)).await;
        received += stream.read(&mut buffer).await.expect("no reset");
    }
    assert!(received < OBJECT_BYTES / 2, "the object is too small");
    received += rest_of(&mut stream, received).await;
    assert!(received >= OBJECT_BYTES, "cut off after {received} bytes");
    app.stop().await;
}

/// Reads the answer to its end, or to where it is cut off.
async fn rest_of(stream: &mut TcpStream, received: usize) -> usize {
    let mut buffer = vec![0; 1 << 20];
    let mut rest = 0;
    while received + rest < OBJECT_BYTES {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(bytes) => rest += bytes,
        }
    }
    rest
}

// Proves: R18, L2
#[tokio::test]
async fn downloads_at_the_limit_of_connections_come_whole() {
    let app = start(("http.connections_max", "2")).await;
    let mut downloads = [ask(&app).await, ask(&app).await];
    for stream in &mut downloads {
        stream.readable().await.expect("the answer has begun");
    }
    let mut third = TcpStream::connect(app.bucket_address())
        .await
        .expect("the system takes it");
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let written = third.write_all(request.as_bytes()).await;
    written.expect("the system takes it");
    for stream in &mut downloads {
        let received = rest_of(stream, 0).await;
        assert!(received >= OBJECT_BYTES, "cut off after {received} bytes");
    }
    // Whoever has got everything makes room.
    let mut answer = String::new();
    let read = third.read_to_string(&mut answer).await;
    read.expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    app.stop().await;
}

// Proves: R18, L2
#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let app = start(("http.idle_timeout", "2s")).await;
    let mut stream = ask(&app).await;
    let (client, clock) = (app.client(), SystemClock::new());
    loop {
        let metrics = client.unsigned("GET", "/metrics").await.text();
        let open = metrics
            .lines()
            .find_map(|line| line.strip_prefix("cairn_connections "))
            .expect("it is there")
            .parse::<u64>()
            .expect("a number");
        // Only the connection that asks for metrics is left then.
        if open <= 1 && clock.monotonic() > IDLE_TIMEOUT {
            break;
        }
        assert!(
            clock.monotonic() < Duration::from_secs(20),
            "{open} are open"
        );
        clock.sleep(Duration::from_millis(20)).await;
    }
    let mut received = Vec::new();
    // A reset is as good an end as any.
    let _ = stream.read_to_end(&mut received).await;
    assert!(received.len() < OBJECT_BYTES);
    app.stop().await;
}
