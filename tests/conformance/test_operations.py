"""Every operation of botocore's models: each constraint is kept, and every answer parses."""

import pytest
from conformance import model
from conformance.caller import Caller

OPERATIONS = model.operations()
IDS = [name for _, name in OPERATIONS]


@pytest.fixture(scope="module")
def caller(server) -> Caller:
    return Caller(server)


def check_answer(service: str, name: str, outcome) -> None:
    """The model allows it: a success without unknown members, or an error that it lists."""
    operation = model.operation(service, name)
    assert outcome.headers.get("x-amzn-requestid"), "every answer has a request ID"
    if outcome.code is None:
        assert outcome.status == 200
        assert model.unknown_members(operation.output_shape, outcome.json) == []
        return
    known = {shape.error_code for shape in operation.error_shapes}
    known |= {shape.name for shape in operation.error_shapes} | {"ValidationException"}
    assert outcome.code in known, f"{outcome.code}: {outcome.message}"
    assert outcome.status == 400
    assert outcome.message


def test_the_models_are_whole():
    assert len(OPERATIONS) == 61


@pytest.mark.parametrize("every", [False, True], ids=["required", "all-members"])
@pytest.mark.parametrize("service,name", OPERATIONS, ids=IDS)
def test_a_valid_request_is_answered(caller, service, name, every):
    request = model.sample(model.operation(service, name).input_shape, every=every)
    outcome = caller.call(service, name, request)
    check_answer(service, name, outcome)
    # A request that keeps every constraint is not refused for breaking one.
    assert "failed to satisfy constraint" not in outcome.message


@pytest.mark.parametrize("service,name", OPERATIONS, ids=IDS)
def test_a_broken_constraint_is_refused(caller, service, name):
    refused = 0
    for broken in model.breaks(model.operation(service, name).input_shape):
        outcome = caller.call(service, name, broken.request)
        check_answer(service, name, outcome)
        assert outcome.code not in (None, "UnsupportedOperationException"), broken.label
        member = broken.member[0].lower() + broken.member[1:]
        assert f"at '{member}" in outcome.message, f"{broken.label}: {outcome.message}"
        assert "failed to satisfy constraint" in outcome.message
        refused += 1
    constrained = any(True for _ in model.breaks(model.operation(service, name).input_shape))
    assert refused > 0 or not constrained


# Proves: OVR-084
def test_lookup_pages_hold_one_to_fifty(caller):
    for count, code in [(0, "InvalidMaxResultsException"), (51, "InvalidMaxResultsException")]:
        outcome = caller.call("cloudtrail", "LookupEvents", {"MaxResults": count})
        assert (outcome.code, outcome.status) == (code, 400)
    for count in (1, 50):
        assert caller.call("cloudtrail", "LookupEvents", {"MaxResults": count}).code is None


# Proves: OVR-075, OVR-077, OVR-081, OVR-250
@pytest.mark.parametrize(
    "request_,code",
    [
        (
            {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "a"}] * 2},
            "InvalidLookupAttributesException",
        ),
        (
            {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "_" * 1001}]},
            "InvalidLookupAttributesException",
        ),
        ({"StartTime": 2, "EndTime": 1}, "InvalidTimeRangeException"),
        (
            {
                "EventCategory": "insight",
                "LookupAttributes": [{"AttributeKey": "Username", "AttributeValue": "a"}],
            },
            "InvalidLookupAttributesException",
        ),
        ({"EventCategory": "management"}, "InvalidEventCategoryException"),
    ],
    ids=["two-attributes", "heavy-value", "backwards", "insight-key", "category"],
)
def test_lookups_are_refused_under_their_own_exceptions(caller, request_, code):
    outcome = caller.call("cloudtrail", "LookupEvents", request_)
    assert (outcome.code, outcome.status) == (code, 400)
