//! The two routes that need no credentials: health and, within limits, metrics (A6).

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
use http::StatusCode;

use super::{Call, Server};
use crate::http::Answer;

/// Headers by which proxies tell whom they speak for.
const FORWARDING_HEADERS: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// The answer, if the request is for one of the open routes.
pub(super) async fn answer(server: &Server, call: &Call) -> Option<Answer> {
    match (call.method.as_str(), call.path.as_str()) {
        ("GET" | "HEAD", "/healthz") => Some(health(server).await),
        ("GET" | "HEAD", "/metrics") => Some(metrics(server, call).await),
        _ => None,
    }
}

async fn health(server: &Server) -> Answer {
    match server.not_ready().await {
        None if server.lake.lake().is_none() => {
            Answer::text(StatusCode::OK, "ok, but the lake's tables cannot be read\n")
        }
        None => Answer::text(StatusCode::OK, "ok\n"),
        Some(reason) => {
            let body = Bytes::from(format!("{reason}\n"));
            Answer::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain; charset=utf-8",
                body,
            )
        }
    }
}

async fn metrics(server: &Server, call: &Call) -> Answer {
    if !may_see_metrics(server, call) {
        return Answer::text(StatusCode::FORBIDDEN, "metrics need the configured token\n");
    }
    server.refresh_gauges().await;
    let body = Bytes::from(server.metrics.write());
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Answer::new(StatusCode::OK, content_type, body)
}

/// With a token, who knows it; without, loopback peers of a loopback listener. A proxy is such a peer,
/// whoever stands behind it, so what came through one needs the token.
fn may_see_metrics(server: &Server, call: &Call) -> bool {
    let Some(token) = &server.config.http.metrics_token else {
        let is_local = |address: IpAddr| address.to_canonical().is_loopback();
        let is_proxied = server.config.http.trusted_proxies.contains(call.peer_ip)
            || FORWARDING_HEADERS
                .iter()
                .any(|name| call.header(name).is_some());
        return is_local(server.config.listen.ip()) && is_local(call.peer_ip) && !is_proxied;
    };
    let given = call
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    let token = token.expose().as_bytes();
    given.is_some_and(|given| verify_slices_are_equal(given.as_bytes(), token).is_ok())
}
