"""A client hangs up in the middle of a mutation: change, effect and event still go together."""

import json
import socket
import threading
import time
import uuid

from botocore.exceptions import ClientError

from harness.fault_proxy import abort
from harness.raw_http import address, wire_form
from harness.results import amount
from harness.signature import Credentials, Request, Scope, sign

RUNS = amount(usual=30, full=500)
#: Within this time the log must hold what the catalog holds.
PATIENCE_SECONDS = 10


def deactivation(server, user: str, key_id: str) -> bytes:
    """The signed bytes of UpdateAccessKey."""
    form = (
        f"Action=UpdateAccessKey&Version=2010-05-08&UserName={user}&AccessKeyId={key_id}"
        "&Status=Inactive"
    )
    headers = [
        ("Host", server.endpoint.removeprefix("http://")),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ]
    request = Request("POST", "/", headers=headers, body=form.encode())
    return wire_form(sign(request, server.credentials, Scope(service="iam")))


def still_works(server, credentials: Credentials) -> bool:
    """Whether the key is taken."""
    try:
        server.client("sts", credentials).get_caller_identity()
    except ClientError as refused:
        assert refused.response["Error"]["Code"] in ("InvalidClientTokenId", "AccessDenied")
        return False
    return True


def recorded(server, user: str) -> list[dict]:
    """The UpdateAccessKey events about the user."""
    pages = server.client("cloudtrail").get_paginator("lookup_events")
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "UpdateAccessKey"}]
    events = [
        json.loads(event["CloudTrailEvent"])
        for page in pages.paginate(LookupAttributes=wanted)
        for event in page["Events"]
    ]
    return [event for event in events if event["requestParameters"]["userName"] == user]


# Proves: R21
def test_a_mutation_whose_client_hangs_up_is_whole_or_not_at_all(servers):
    server = servers.start(
        environment={
            "CAIRN_LOOKUP_REQUESTS_PER_SECOND": "1000",
            "CAIRN_API_REQUESTS_PER_SECOND": "1000",
            "CAIRN_API_REQUESTS_BURST": "1000",
        }
    )
    iam = server.client("iam")
    changed = 0
    for run in range(RUNS):
        user = f"hasty-{uuid.uuid4().hex[:8]}"
        iam.create_user(UserName=user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
        assert still_works(server, credentials)
        data = deactivation(server, user, key["AccessKeyId"])
        connection = socket.create_connection(address(server.endpoint))
        connection.sendall(data)
        # The moments sweep over the whole call: before, in and after its commit.
        threading.Event().wait(run % 15 * 0.0004)
        abort(connection)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            status = iam.list_access_keys(UserName=user)["AccessKeyMetadata"][0]["Status"]
            works, events = still_works(server, credentials), recorded(server, user)
            is_whole = (
                works and not events if status == "Active" else not works and len(events) == 1
            )
            if is_whole:
                break
            assert time.monotonic() < deadline, (
                f"run {run}: the catalog says {status}, the key works: {works}, events: {events}"
            )
        changed += status == "Inactive"
    assert changed > 0, "every client hung up before its call began: the moments miss the commit"
