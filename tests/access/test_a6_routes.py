"""A6: without credentials only health answers, and metrics on a loopback listener."""

import pytest

from harness.raw_http import address, exchange, wire_form
from harness.results import record
from harness.signature import Request

OPEN = {("GET", "/healthz"), ("GET", "/metrics"), ("HEAD", "/healthz"), ("HEAD", "/metrics")}
PATHS = [
    "/",
    "/healthz",
    "/healthz/",
    "/metrics",
    "/metrics/x",
    "/events",
    "/PutAuditEvents",
    "/debug",
    "/debug/pprof",
    "/admin",
    "/console",
    "/favicon.ico",
    "/../healthz/../events",
    "/%2e%2e/metrics",
    "/healthz%2f..%2fevents",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]


# Proves: A6, R20
@pytest.mark.parametrize("method", METHODS)
def test_every_route_without_credentials(server, method):
    host, port = address(server.endpoint)
    for path in PATHS:
        request = Request(method, path, "", [("Host", f"{host}:{port}")])
        answer = exchange(server.endpoint, wire_form(request))
        assert answer is not None
        if (method, path) in OPEN:
            assert answer.status == 200, (method, path, answer)
        else:
            assert 400 <= answer.status < 500, (method, path, answer)


# Proves: A6
def test_the_bucket_endpoint_answers_nobody_without_credentials(server):
    host, port = address(server.bucket_endpoint)
    for method in METHODS[:5]:
        for path in ("/", "/cairn-lake", "/cairn-lake/event-history/", "/cairn-lake?list-type=2"):
            request = Request(method, path, "", [("Host", f"{host}:{port}")])
            answer = exchange(server.bucket_endpoint, wire_form(request))
            assert answer is not None
            assert answer.status >= 400, (method, path, answer)
            assert answer.status < 500 or answer.status == 501, (method, path, answer)


# Proves: A6
def test_metrics_need_a_token_where_others_can_connect(servers):
    server = servers.start(environment={"CAIRN_HTTP_METRICS_TOKEN": "a-token-of-the-test"})
    host, port = address(server.endpoint)
    bare = Request("GET", "/metrics", "", [("Host", f"{host}:{port}")])
    assert exchange(server.endpoint, wire_form(bare)).status in (401, 403)
    headers = [("Host", f"{host}:{port}"), ("Authorization", "Bearer a-token-of-the-test")]
    given = Request("GET", "/metrics", "", headers)
    assert exchange(server.endpoint, wire_form(given)).status == 200
    assert server.stop() == 0
    record("A6", runs=len(PATHS) * len(METHODS), figures={"open": "health, metrics on loopback"})
