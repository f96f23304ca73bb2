//! How much memory requests may hold, and that those who are not believed yet keep nobody out.

use std::net::{Ipv4Addr, SocketAddr};

use cairn_testkit::{TestApp, TestAppBuilder, management_event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The head of a batch of `bytes`, signed by nobody with the key that everyone can read in events.
fn announced(app: &TestApp, bytes: usize) -> String {
    let credentials = app.read("credentials");
    let key = credentials
        .lines()
        .find_map(|line| line.strip_prefix("aws_access_key_id = "));
    let key = key.expect("the file has a key");
    let now_ms = cairn_platform::Clock::now_ms(&cairn_platform::SystemClock::new());
    let now = chrono::DateTime::from_timestamp_millis(now_ms).expect("now is a time");
    let (day, time) = (now.format("%Y%m%d"), now.format("%Y%m%dT%H%M%SZ"));
    format!(
        "POST /events HTTP/1.1\r\nhost: x\r\nx-amz-date: {time}\r\ncontent-length: {bytes}\r\n\
         authorization: AWS4-HMAC-SHA256 \
         Credential={key}/{day}/us-east-1/cloudtrail-data/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={}\r\n\r\n",
        "0".repeat(64)
    )
}

/// The value of a metric; zero if it has not been counted yet.
async fn metric(app: &TestApp, name: &str) -> f64 {
    let page = app.client().unsigned("GET", "/metrics").await;
    assert_eq!(page.status, 200, "whoever is believed is let in");
    let text = page.text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

const HELD: &str = "cairn_in_flight_bytes";
const TURNED_AWAY: &str = "cairn_not_admitted_total{reason=\"no-memory\"}";

// Proves: R18, L2
#[tokio::test]
async fn a_body_that_is_announced_and_not_sent_takes_no_room() {
    let app = TestAppBuilder::default()
        .with("http.in_flight_bytes_max", "2MiB")
        .start()
        .await;
    let head = announced(&app, 1_500_000);
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(app.address()).await.expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        silent.push(stream);
    }
    // Their heads are there; an announced body would be much more.
    let held = 4.0 * 200.0;
    while metric(&app, HELD).await < held {
        tokio::task::yield_now().await;
    }
    let mut event = management_event("large", "2026-01-01T00:00:00Z");
    event["requestParameters"] = serde_json::json!({"text": "x".repeat(600_000)});
    let answer = app.client().put_events(event.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    drop(silent);
    app.stop().await;
}

/// A connection from another address of this machine.
async fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(from).expect("an address of this machine");
    socket.connect(to).await.expect("it listens")
}

/// Sends all of a batch but its end, again and again, until the server turns it away. Gives the
/// connections that hold what they sent.
async fn fill(app: &TestApp, last: u8, bytes: usize) -> Vec<TcpStream> {
    let mut holding = Vec::new();
    loop {
        let (held, turned_away) = (metric(app, HELD).await, metric(app, TURNED_AWAY).await);
        let mut stream = connect_from(last, app.address()).await;
        let head = announced(app, bytes);
        // Whoever is turned away may find the connection closed.
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&vec![b'x'; bytes - 1]).await;
        let taken = f64::from(u32::try_from(bytes).expect("a small number"));
        while metric(app, HELD).await < held + taken {
            if metric(app, TURNED_AWAY).await > turned_away {
                return holding;
            }
            tokio::task::yield_now().await;
        }
        holding.push(stream);
    }
}

// Proves: R18, L2
#[tokio::test]
async fn strangers_from_many_addresses_leave_room_for_whoever_is_known() {
    let app = TestAppBuilder::default()
        .with("http.in_flight_bytes_max", "4MiB")
        .with("http.header_bytes_max", "8KiB")
        .with("http.api_body_bytes_max", "64KiB")
        .with("ingest.body_bytes_max", "256KiB")
        .start()
        .await;
    let put = async |id: &str, bytes: usize| {
        let mut event = management_event(id, "2026-01-01T00:00:00Z");
        event["requestParameters"] = serde_json::json!({"text": "x".repeat(bytes)});
        app.client().put_events(event.to_string().as_bytes()).await
    };
    assert_eq!(put("first", 10).await.status, 200);
    let mut holding = Vec::new();
    for address in 2..10 {
        for bytes in [200_000, 50_000, 10_000, 1_000] {
            holding.push(fill(&app, address, bytes).await);
        }
    }
    assert!(!holding[0].is_empty(), "one stranger alone is let in");
    let held = metric(&app, HELD).await;
    assert!(held < 2.5 * 1024.0 * 1024.0, "strangers hold {held} bytes");
    // Their heads have no more room at the S3 endpoint.
    let mut stream = connect_from(2, app.bucket_address()).await;
    let padding = "p".repeat(6_000);
    let head = format!("GET /cairn-lake/x HTTP/1.1\r\nhost: x\r\na: {padding}\r\n\r\n");
    let written = stream.write_all(head.as_bytes()).await;
    written.expect("it reads");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    read.expect("it answers and closes");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("<Code>SlowDown</Code>"), "{answer}");
    // The one who has been believed before works on.
    let answer = put("second", 200_000).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bucket = app.bucket_client_of(app.client().credentials);
    assert_eq!(bucket.s3("GET", "/cairn-lake/x", &[]).await.status, 404);
    drop(holding);
    app.stop().await;
}

// Proves: R18, L2
#[tokio::test]
async fn nothing_is_held_while_an_unwanted_body_is_thrown_away() {
    let app = TestApp::start().await;
    let mut stream = TcpStream::connect(app.address()).await.expect("it listens");
    let padding = "p".repeat(40_000);
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\na: {padding}\r\ncontent-length: 9\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let refused = "cairn_authentication_failures_total{reason=\"missing\"}";
    while metric(&app, refused).await < 1.0 || metric(&app, HELD).await > 20_000.0 {
        tokio::task::yield_now().await;
    }
    let mut answer = [0; 1];
    let early = stream.try_read(&mut answer);
    assert!(
        early.is_err(),
        "the body is awaited for seconds, then comes the answer"
    );
    stream.write_all(b"123456789").await.expect("it reads on");
    stream.read_exact(&mut answer).await.expect("it answers");
    app.stop().await;
}
