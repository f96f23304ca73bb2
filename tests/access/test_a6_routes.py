"""A6: without credentials only health answers, and metrics on a loopback listener.

The paths are every path that the server's own code writes down, so that a new route cannot be
forgotten here, and variants that a router might take for one of them.
"""

import re
from pathlib import Path

from harness.raw_http import address, exchange, wire_form
from harness.results import record
from harness.signature import Request

SOURCE = Path(__file__).parents[2] / "crates" / "server" / "src"
#: A text in the code that begins like a path of a request.
PATH_TEXT = re.compile(r'"(/[A-Za-z0-9_./-]*)"')
OPEN = {("GET", "/healthz"), ("GET", "/metrics"), ("HEAD", "/healthz"), ("HEAD", "/metrics")}
KNOWN = {"/", "/healthz", "/metrics", "/events"}
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]


def paths_in_code() -> set[str]:
    """The paths of the router: it, and what it calls, is code that takes requests."""
    files = [SOURCE / "pipeline.rs", SOURCE / "http.rs", SOURCE / "bucket_gate.rs"]
    for folder in ("pipeline", "http", "operations", "query_protocol", "iam", "sts"):
        files += (SOURCE / folder).rglob("*.rs")
    found = set()
    for file in files:
        if file.name != "tests.rs":
            found |= set(PATH_TEXT.findall(file.read_text()))
    return found


def variants(path: str) -> set[str]:
    """Spellings that a router might take for the path."""
    return {
        path,
        path + "/",
        path + "/x",
        "/x/.." + path,
        "/%2e%2e" + path,
        path.replace("/", "%2f"),
        "/" + path,
        path.upper(),
        path + ";a=b",
        path + "?x=1",
    }


def refused(endpoint: str, method: str, path: str) -> bool:
    """Whether the request, without credentials, gets a client's error."""
    host, port = address(endpoint)
    target, _, query = path.partition("?")
    request = Request(method, target, query, [("Host", f"{host}:{port}")])
    answer = exchange(endpoint, wire_form(request))
    assert answer is not None, (method, path)
    return 400 <= answer.status < 500 or answer.status == 501


# Proves: A6, R20
def test_every_route_without_credentials(server):
    paths = paths_in_code() | {"/PutAuditEvents", "/debug/pprof", "/admin", "/console"}
    assert KNOWN <= paths, "the router's paths are no longer found in its code"
    spellings = sorted(spelling for path in paths for spelling in variants(path))
    opened = {
        (method, path.split("?")[0])
        for method in METHODS
        for path in spellings
        if not refused(server.endpoint, method, path)
    }
    assert opened == OPEN
    figures = {"paths": len(spellings), "open": "health, metrics on loopback"}
    record("A6", runs=len(spellings) * len(METHODS), figures=figures)


# Proves: A6
def test_the_bucket_endpoint_answers_nobody_without_credentials(server):
    places = ("/", "/cairn-lake", "/cairn-lake/event-history/", "/cairn-lake?list-type=2")
    spellings = sorted(spelling for path in places for spelling in variants(path))
    for method in METHODS:
        for path in spellings:
            assert refused(server.bucket_endpoint, method, path), (method, path)


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
