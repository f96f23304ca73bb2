"""A handler panics: its caller hears of it, it is recorded, everybody else goes on."""

import json

import pytest
from botocore.exceptions import ClientError

from harness.waiting import eventually


def refused(call, **arguments) -> dict:
    """The answer to a call that fails."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response


def recorded(server, name: str) -> list[dict]:
    """The events of that name."""
    wanted = [{"AttributeKey": "EventName", "AttributeValue": name}]
    page = server.client("cloudtrail").lookup_events(LookupAttributes=wanted)
    return [json.loads(event["CloudTrailEvent"]) for event in page["Events"]]


# Proves: R21, R24
def test_a_panic_fails_one_call_and_no_other(servers, sabotaged_binary):
    server = servers.start(
        binary=sabotaged_binary, environment={"CAIRN_SABOTAGE": "panic-in-operation"}
    )
    iam = server.client("iam")
    tags = [{"Key": "a", "Value": "b"}]
    answers = {
        "DescribeTrails": refused(server.client("cloudtrail").describe_trails),
        "TagUser": refused(iam.tag_user, UserName="admin", Tags=tags),
    }
    codes = {"DescribeTrails": "InternalFailure", "TagUser": "ServiceFailure"}
    for name, answer in answers.items():
        assert answer["Error"]["Code"] == codes[name]
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 500
        event = eventually(lambda n=name: recorded(server, n))[0]
        assert event["requestID"] == answer["ResponseMetadata"]["RequestId"]
        assert event["errorCode"].startswith(codes[name])
        assert event["responseElements"] is None
    assert iam.list_user_tags(UserName="admin")["Tags"] == []
    assert iam.create_user(UserName="next")["User"]["UserName"] == "next"
    assert server.metrics()["cairn_panics_total"] == len(answers)
