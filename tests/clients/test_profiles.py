"""The AWS CLI's own profiles: keys, role_arn with source_profile, and sessions."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from harness.server import ACCOUNT, REGION
from harness.signature import Credentials
from test_own_calls import make_role


def test_the_files_of_the_first_start_work_as_they_are(server):
    identity = json.loads(server.aws("sts", "get-caller-identity").stdout)
    assert identity["Account"] == ACCOUNT
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/admin"
    for name in ("credentials", "config", "master.key"):
        assert (server.data_dir / name).stat().st_mode & 0o777 == 0o600, name


@pytest.fixture
def profiles(server, tmp_path):
    """A configuration file with a role profile beside what the first start wrote."""
    name = f"operator-{uuid.uuid4().hex[:6]}"
    arn = make_role(server, name, f"arn:aws:iam::{ACCOUNT}:user/admin")
    config = tmp_path / "config"
    config.write_text(
        (server.data_dir / "config").read_text()
        + f"\n[profile operator]\nrole_arn = {arn}\nsource_profile = default\n"
        f"role_session_name = shift\nregion = {REGION}\n"
        f"endpoint_url = {server.endpoint}\n"
    )
    return name, {"AWS_CONFIG_FILE": str(config), "HOME": str(tmp_path)}


def test_a_profile_with_a_role(server, profiles):
    name, environment = profiles
    found = server.aws("sts", "get-caller-identity", "--profile", "operator", **environment)
    arn = json.loads(found.stdout)["Arn"]
    assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/shift"
    server.aws(
        "cloudtrail", "lookup-events", "--max-items", "1", "--profile", "operator", **environment
    )


def test_a_role_that_does_not_trust_the_caller(server, profiles, tmp_path):
    _, environment = profiles
    name = f"closed-{uuid.uuid4().hex[:6]}"
    arn = make_role(server, name, f"arn:aws:iam::{ACCOUNT}:role/nobody-has-this")
    refused = server.aws(
        "sts",
        "assume-role",
        "--role-arn",
        arn,
        "--role-session-name",
        "visitor",
        check=False,
        **environment,
    )
    assert refused.returncode != 0
    assert "(AccessDenied)" in refused.stderr


def test_a_session_token(server):
    sts = server.client("sts")
    given = sts.get_session_token(DurationSeconds=900)["Credentials"]
    session = Credentials(
        given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    )
    assert server.client("cloudtrail", session).lookup_events(MaxResults=1)
    arn = server.client("sts", session).get_caller_identity()["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:user/admin"
    with pytest.raises(ClientError) as refused:
        server.client("iam", session).list_users()
    assert refused.value.response["Error"]["Code"] == "InvalidClientTokenId"
    with pytest.raises(ClientError) as refused:
        server.client("sts", session).get_access_key_info(AccessKeyId=session.access_key_id)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
