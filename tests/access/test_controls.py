"""Controls: the access tests find a signature compared by its beginning only, and an operation
without authorization. A harness that does not find them proves nothing."""

import pytest

from harness.raw_http import send
from harness.results import record
from harness.signature import sign
from test_a2_signatures import flipped, lookup, replaced
from test_a4_matrix import CallerOfMatrix, Channel, Identities, judge


def flipped_signature(server) -> int:
    """The status of a request whose signature's last digit is wrong, as A2 makes it."""
    signed = sign(lookup(server), server.credentials)
    prefix, _, value = signed.header("authorization").rpartition("Signature=")
    text = f"{prefix}Signature={flipped(value, len(value) - 1)}"
    return send(server.endpoint, replaced(signed, "authorization", text)).status


def unauthorized_problem(server) -> str | None:
    """What the matrix says about StopLogging by a user without any policy."""
    _, credentials = Identities(server).user()
    caller = CallerOfMatrix("no policy", "none", credentials, ((),))
    return judge(caller, "StopLogging", *Channel(server).call("StopLogging", credentials))


# Proves: A2, A4
def test_the_shipped_server_passes_both(server):
    assert flipped_signature(server) == 400
    assert unauthorized_problem(server) is None


@pytest.fixture
def sabotaged(servers, sabotaged_binary, request):
    """A server with the fault that the test names."""
    environment = {"CAIRN_SABOTAGE": request.param}
    return servers.start(binary=sabotaged_binary, environment=environment)


@pytest.mark.parametrize("sabotaged", ["signature-prefix"], indirect=True)
def test_a_compared_prefix_is_found(sabotaged):
    assert flipped_signature(sabotaged) == 200, "the planted fault did not take"
    record("A2", controls=1, controls_caught=1)


@pytest.mark.parametrize("sabotaged", ["skip-authorization"], indirect=True)
def test_a_missing_authorization_is_found(sabotaged):
    problem = unauthorized_problem(sabotaged)
    assert problem is not None and problem.startswith("allowed"), problem
    record("A4", controls=1, controls_caught=1)
