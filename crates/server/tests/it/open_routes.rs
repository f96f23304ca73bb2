//! What answers without credentials, and nothing else does.

use cairn_testkit::{TestApp, TestAppBuilder};

use super::raw_http::exchange;

// Proves: A6
#[tokio::test]
async fn only_health_and_loopback_metrics_answer_without_credentials() {
    let app = TestApp::start().await;
    let client = app.client();
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/", 400),
        ("POST", "/", 400),
        ("POST", "/events", 403),
        ("POST", "/PutAuditEvents", 403),
        ("POST", "/healthz", 403),
        ("POST", "/metrics", 403),
        ("GET", "/metrics/", 403),
        ("GET", "/debug/pprof", 403),
        ("OPTIONS", "/", 400),
        ("DELETE", "/anything", 403),
    ] {
        let answer = client.unsigned(method, path).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert!(
            answer.header("x-amzn-requestid").is_some(),
            "{method} {path}"
        );
        if status != 200 {
            assert_eq!(
                answer.error(),
                "MissingAuthenticationTokenException",
                "{method} {path}"
            );
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_configured_token_guards_the_metrics() {
    let app = TestAppBuilder::default()
        .with("http.metrics_token", "canary")
        .start()
        .await;
    let answer = app.client().unsigned("GET", "/metrics").await;
    assert_eq!(answer.status, 403);
    assert!(!answer.text().contains("canary"));
    app.stop().await;
}

// Proves: A6
#[tokio::test]
async fn metrics_are_not_for_those_behind_a_proxy() {
    let proxied = TestAppBuilder::default()
        .with("http.trusted_proxies", "127.0.0.0/8")
        .start()
        .await;
    let answer = proxied.client().unsigned("GET", "/metrics").await;
    assert_eq!(answer.status, 403);
    proxied.stop().await;
    let app = TestApp::start().await;
    for header in [
        "X-Forwarded-For: 198.51.100.7",
        "Forwarded: for=198.51.100.7",
    ] {
        let request =
            format!("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n\r\n");
        let answer = exchange(app.address(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{header}: {answer}");
    }
    app.stop().await;
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let app = TestApp::start().await;
    let client = app.client();
    client
        .cloudtrail("LookupEvents", &serde_json::json!({}))
        .await;
    client.unsigned("POST", "/").await;
    let text = client.unsigned("GET", "/metrics").await.text();
    for line in [
        "cairn_requests_total{service=\"cloudtrail\",operation=\"LookupEvents\",code=\"ok\"} 1",
        "cairn_authentication_failures_total{reason=\"missing\"} 1",
        "cairn_log_poisoned 0",
        "cairn_log_end 1",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in:\n{text}"
        );
    }
    for name in [
        "cairn_log_reader_lag",
        "cairn_store_position",
        "cairn_append_seconds_bucket",
    ] {
        assert!(text.contains(name), "{name} is not in:\n{text}");
    }
    app.stop().await;
}
