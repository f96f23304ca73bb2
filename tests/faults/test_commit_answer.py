"""The catalog makes a change but its answer is lost: nobody is told that it was refused."""

import json
import threading

import pytest
from botocore.exceptions import ClientError

from harness.waiting import eventually


def recorded(server, name: str) -> list[dict]:
    """The events of that name."""
    wanted = [{"AttributeKey": "EventName", "AttributeValue": name}]
    pages = server.client("cloudtrail").get_paginator("lookup_events")
    found = [event for page in pages.paginate(LookupAttributes=wanted) for event in page["Events"]]
    return [json.loads(event["CloudTrailEvent"]) for event in found]


# Proves: R21, R12
def test_a_change_whose_commit_seems_to_fail_is_told_and_recorded_as_made(
    servers, sabotaged_binary
):
    server = servers.start(
        binary=sabotaged_binary, environment={"CAIRN_SABOTAGE": "lost-commit-answer"}
    )
    iam = server.client("iam")
    users = [f"made-{number}" for number in range(20)]
    callers = [threading.Thread(target=iam.create_user, kwargs={"UserName": u}) for u in users]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    with pytest.raises(ClientError) as refused:
        iam.create_user(UserName=users[0])
    assert refused.value.response["Error"]["Code"] == "EntityAlreadyExists"
    assert {user["UserName"] for user in iam.list_users()["Users"]} >= set(users)
    eventually(lambda: len(recorded(server, "CreateUser")) > len(users), what="every record")
    events = recorded(server, "CreateUser")
    made = [event for event in events if "errorCode" not in event]
    assert sorted(event["requestParameters"]["userName"] for event in made) == sorted(users)
    refusals = [event["errorCode"] for event in events if "errorCode" in event]
    assert refusals == ["EntityAlreadyExistsException"]
    assert server.metrics()["cairn_outbox_entries"] == 0
