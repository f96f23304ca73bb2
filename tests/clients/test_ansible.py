"""Ansible's modules for trails, as a playbook uses them: tests/clients/ansible/trail.yml."""

import json
from pathlib import Path

import pytest

from harness.server import ACCOUNT
from harness.tools import program, run
from harness.trails import bucket_policy, key_policy, trail_arn

PLAYBOOK = Path(__file__).parent / "ansible" / "trail.yml"
BUCKET, NAME, KEY_ALIAS = "ansible-logs", "by-ansible", "alias/ansible-logs"
MADE = {
    "name": NAME,
    "trail_arn": trail_arn(NAME),
    "home_region": "us-east-1",
    "s3_bucket_name": BUCKET,
    "s3_key_prefix": "payroll",
    "include_global_service_events": True,
    "is_multi_region_trail": True,
    "is_organization_trail": False,
    "log_file_validation_enabled": True,
    "has_custom_event_selectors": False,
    "has_insight_selectors": False,
    "is_logging": True,
    "tags": {"Team": "audit", "environment": "dev"},
}
CHANGED = MADE | {
    "s3_key_prefix": "audit",
    "is_multi_region_trail": False,
    "log_file_validation_enabled": False,
    "is_logging": False,
    "tags": {"Team": "audit"},
}


@pytest.fixture(scope="module")
def played(server, tmp_path_factory):
    """What the modules answered, by task."""
    store = server.client("s3")
    store.create_bucket(Bucket=BUCKET)
    policy = json.loads(bucket_policy(BUCKET, trail_arn(NAME)))
    # The trail changes its prefix, so its policy names both folders.
    write = policy["Statement"][1]
    folders = ("payroll", "audit")
    write["Resource"] = [f"arn:aws:s3:::{BUCKET}/{f}/AWSLogs/{ACCOUNT}/*" for f in folders]
    store.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    keys = server.client("kms")
    key = keys.create_key(Policy=key_policy(trail_arn(NAME)))["KeyMetadata"]["Arn"]
    keys.create_alias(AliasName=KEY_ALIAS, TargetKeyId=key)
    home = tmp_path_factory.mktemp("ansible")
    answers = home / "answers.json"
    values = {
        "ansible_python_interpreter": str(program("ansible", "python")),
        "cloudtrail_endpoint": server.endpoint,
        "bucket": BUCKET,
        "key_alias": KEY_ALIAS,
        "answers": str(answers),
    }
    command = [str(program("ansible", "ansible-playbook")), "--inventory", "localhost,"]
    done = run(server, home, [*command, "--extra-vars", json.dumps(values), str(PLAYBOOK)])
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(answers.read_text())


def of_trail(answer: dict) -> dict:
    """The settings that a module tells of, without those that are not set."""
    return {name: value for name, value in answer["trail"].items() if value is not None}


# Proves: TRL-048, TRL-050, TRL-051, TRL-061
def test_a_play_makes_a_trail_and_finds_nothing_to_do_the_second_time(played):
    assert played["foreseen"]["changed"] and played["foreseen"]["trail"]["name"] == NAME
    assert played["created"]["changed"]
    assert of_trail(played["created"]) == MADE
    assert not played["repeated"]["changed"]
    assert of_trail(played["repeated"]) == MADE


# Proves: TRL-039, TRL-053, TRL-054, TRL-058, TRL-062
def test_a_play_changes_settings_tags_and_logging_once(played):
    assert played["changed"]["changed"]
    assert of_trail(played["changed"]) == CHANGED
    assert not played["kept"]["changed"]
    assert of_trail(played["kept"]) == CHANGED


# Proves: TRL-055, TRL-143, SEC-361, SEC-366
def test_a_play_encrypts_by_an_alias_once(server, played):
    (alias,) = [
        alias
        for alias in server.client("kms").list_aliases()["Aliases"]
        if alias["AliasName"] == KEY_ALIAS
    ]
    assert played["encrypted"]["changed"]
    key = of_trail(played["encrypted"])["kms_key_id"]
    assert key.endswith(f":key/{alias['TargetKeyId']}")
    for again in ("encrypted_still", "encrypted_foreseen"):
        assert not played[again]["changed"], again
    assert played["plain"]["changed"]
    assert of_trail(played["plain"]) == CHANGED


# Proves: TRL-071, TRL-083
def test_the_module_of_facts_finds_the_trail_by_listing_and_by_name(played):
    for answer in (played["listed"], played["looked_at"]):
        (found,) = answer["trail_list"]
        assert {name: found[name] for name in CHANGED} == CHANGED
        assert found["resource_id"] == trail_arn(NAME)
        assert found["time_logging_stopped"] and found["stop_logging_time"]


# Proves: TRL-049, TRL-065
def test_refusals_reach_the_play_and_deletion_ends_the_trail(played):
    error = played["refused"]["error"]
    assert error["code"] == "S3BucketDoesNotExistException"
    assert played["deleted"]["changed"] and not played["deleted"]["exists"]
    assert not played["absent"]["changed"] and not played["absent"]["exists"]
    assert played["emptied"]["trail_list"] == []
