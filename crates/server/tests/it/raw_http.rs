//! Requests that no HTTP library would send.

use std::net::SocketAddr;

use cairn_testkit::{TestApp, TestAppBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends bytes and reads until the server closes the connection.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    stream.write_all(bytes).await.expect("the server reads");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .await
        .expect("the server answers and closes");
    String::from_utf8_lossy(&answer).into_owned()
}

// Proves: A3
#[tokio::test]
async fn requests_with_two_readings_get_400_and_an_end() {
    let app = TestApp::start().await;
    let second = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for (name, request) in [
        (
            "length and chunked",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked and length",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "bad chunk size",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
        ),
        (
            "two codings",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n",
        ),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n",
        ),
        (
            "list of lengths",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0, 5\r\n\r\n",
        ),
        (
            "signed length",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +0\r\n\r\n",
        ),
        (
            "folded header",
            "POST / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "space before colon",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length : 0\r\n\r\n",
        ),
        ("two hosts", "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        (
            "absolute target",
            "GET http://y/ HTTP/1.1\r\nhost: x\r\n\r\n",
        ),
        (
            "bare carriage return",
            "GET / HTTP/1.1\r\nhost: x\r\na: b\rc\r\n\r\n",
        ),
        (
            "nul in a header",
            "GET / HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n",
        ),
    ] {
        let answer = exchange(app.address(), format!("{request}{second}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{name}: nothing after it is answered"
        );
    }
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let app = TestAppBuilder::default()
        .with("http.header_bytes_max", "16KiB")
        .start()
        .await;
    let long = format!(
        "GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n",
        "b".repeat(20_000)
    );
    let answer = exchange(app.address(), long.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = format!(
        "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "a: b\r\n".repeat(200)
    );
    let answer = exchange(app.address(), many.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn idle_connections_make_room_for_others() {
    let app = TestAppBuilder::default()
        .with("http.connections_max", "3")
        .start()
        .await;
    let mut idle = Vec::new();
    for _ in 0..10 {
        idle.push(
            TcpStream::connect(app.address())
                .await
                .expect("the server listens"),
        );
    }
    let answer = exchange(
        app.address(),
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    app.stop().await;
}

// Proves: R18
#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let app = TestAppBuilder::default()
        .with("http.header_read_timeout", "200ms")
        .start()
        .await;
    let answer = exchange(app.address(), b"GET / HTTP/1.1\r\nhost: x\r\na: ").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
        "{answer}"
    );
    app.stop().await;
}

// Proves: A3
#[tokio::test]
async fn heads_that_are_refused_get_the_error_of_a_service_with_its_request_id() {
    let app = TestApp::start().await;
    let two_hosts = b"GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n";
    let answer = exchange(app.address(), two_hosts).await;
    let message = r#""message":"more than one Host""#;
    assert!(
        answer.contains("__type") && answer.contains(message),
        "{answer}"
    );
    assert!(answer.contains("\r\nx-amzn-requestid: "), "{answer}");
    let answer = exchange(app.bucket_address(), two_hosts).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("<Code>InvalidRequest</Code>"), "{answer}");
    assert!(answer.contains("\r\nx-amz-request-id: "), "{answer}");
    app.stop().await;
}

// Proves: A3
#[tokio::test]
async fn the_s3_endpoint_takes_bodies_in_chunks_of_known_data_and_closes_behind_them() {
    let app = TestApp::start().await;
    let second = "GET /cairn-lake HTTP/1.1\r\nhost: x\r\n\r\n";
    let chunked = "PUT /b/k HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n";
    for (name, head, code) in [
        (
            "no length of the data",
            chunked.to_owned(),
            "MissingContentLength",
        ),
        (
            "a length of the data",
            format!("{chunked}x-amz-decoded-content-length: 0\r\n"),
            "AccessDenied",
        ),
        (
            "two lengths",
            format!("{chunked}content-length: 5\r\nx-amz-decoded-content-length: 0\r\n"),
            "AccessDenied",
        ),
        (
            "two codings",
            format!("{chunked}transfer-encoding: chunked\r\n"),
            "InvalidRequest",
        ),
    ] {
        let request = format!("{head}\r\n0\r\n\r\n{second}");
        let answer = exchange(app.bucket_address(), request.as_bytes()).await;
        assert!(
            answer.contains(&format!("<Code>{code}</Code>")),
            "{name}: {answer}"
        );
        assert!(answer.contains("connection: close"), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_spoil_the_next_request() {
    let app = TestApp::start().await;
    let body = "x".repeat(300_000);
    let length = body.len();
    let first = format!("PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    let second = "GET /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(app.bucket_address(), format!("{first}{second}").as_bytes()).await;
    assert_eq!(
        answer.matches("<Code>AccessDenied</Code>").count(),
        2,
        "{answer}"
    );
    // Whoever waits for leave to send is answered without it.
    let waits = "PUT /b/k HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    let answer = exchange(app.bucket_address(), waits.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    app.stop().await;
}
