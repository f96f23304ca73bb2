"""Signed links: the signature and the call in the query, as boto3 makes them."""

import json
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

import pytest

from harness.server import ACCOUNT


def fetch(link: str) -> tuple[int, bytes]:
    """Status and body of a plain GET."""
    try:
        with urllib.request.urlopen(link, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def test_a_link_to_the_callers_identity(server):
    link = server.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    status, body = fetch(link)
    assert status == 200, body
    elements = ElementTree.fromstring(body).iter()
    found = {element.tag.split("}")[-1]: element.text for element in elements}
    assert found["Account"] == ACCOUNT
    assert found["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"


def test_a_link_with_parameters(server):
    link = server.client("iam").generate_presigned_url(
        "get_user", Params={"UserName": "admin"}, HttpMethod="GET"
    )
    status, body = fetch(link)
    assert status == 200, body
    assert b"<UserName>admin</UserName>" in body


@pytest.mark.parametrize(
    ("signed", "sent"),
    [("UserName=admin", "UserName=other"), ("Action=GetUser", "Action=DeleteUser")],
)
def test_a_changed_link_is_refused(server, signed, sent):
    link = server.client("iam").generate_presigned_url(
        "get_user", Params={"UserName": "admin"}, HttpMethod="GET"
    )
    assert signed in link
    status, body = fetch(link.replace(signed, sent))
    assert status == 403, body
    assert b"<Code>SignatureDoesNotMatch</Code>" in body
    assert json.loads(server.aws("iam", "get-user").stdout)["User"]["UserName"] == "admin"
