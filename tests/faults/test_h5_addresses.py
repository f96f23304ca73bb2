"""H5: names of buckets, topics, log groups and keys that try to be addresses, and services that
redirect. The server connects to what the configuration names and to nothing else."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness.moto import write_credentials
from harness.outlets import ROLE_ARN, make_role
from harness.preload import compiled
from harness.results import record
from harness.server import ACCOUNT
from harness.trails import bucket_policy, trail_arn
from harness.waiting import eventually

METADATA = "169.254.169.254"
HOSTS = (METADATA, "evil.example.com", f"user@{METADATA}", "127.0.0.1:1", f"[::ffff:{METADATA}]")
BUCKET, NAME = "logs", "audit-trail"


class Redirecting(ThreadingHTTPServer):
    """A service that sends everybody to the metadata service, and counts who comes."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), RedirectingHandler)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it answers."""
        return self.server_address[1]


class RedirectingHandler(BaseHTTPRequestHandler):
    """One request."""

    server: Redirecting

    def do_POST(self) -> None:
        """Sent elsewhere, in one of the ways in turn."""
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.server.asked.append(f"{self.command} {self.path}")
        status = (301, 302, 307, 308)[len(self.server.asked) % 4]
        self.send_response(status)
        self.send_header("Location", f"http://{METADATA}/latest/meta-data/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_HEAD = do_POST

    def log_message(self, *_arguments) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def shim(tmp_path_factory) -> Path:
    """The compiled preload library."""
    return compiled("connect_shim", tmp_path_factory.mktemp("shim"))


class Watched:
    """A server of whose connections all are written down."""

    def __init__(self, servers, shim: Path, folder: Path, services: str, s3: str | None = None):
        self.log = folder / "connections"
        sections = ("sns", "logs", "eventbridge", "far")
        credentials = write_credentials(folder / "endpoints", *sections)
        environment = {
            "LD_PRELOAD": str(shim),
            "CONNECT_SHIM_LOG": str(self.log),
            "CAIRN_TRAILS_DELIVERY_INTERVAL": "1s",
            "CAIRN_ENDPOINTS_CREDENTIALS_FILE": str(credentials),
            "CAIRN_ENDPOINTS_SNS": services,
            "CAIRN_ENDPOINTS_LOGS": services,
            "CAIRN_ENDPOINTS_EVENTBRIDGE": services,
            # What other clients of AWS would believe.
            "AWS_ENDPOINT_URL_SNS": "http://evil.example.com",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://{METADATA}",
            "HTTP_PROXY": "http://evil.example.com:3128",
            "http_proxy": "http://evil.example.com:3128",
        }
        if s3:
            environment["CAIRN_ENDPOINTS_S3"] = f"far={s3} us-east-1 path far-*"
        self.server = servers.start(environment=environment)
        self.trails = self.server.client("cloudtrail", parameter_validation=False)

    def refused(self, **values) -> bool:
        """Whether a trail cannot be made so."""
        try:
            self.trails.create_trail(**{"Name": NAME, "S3BucketName": BUCKET} | values)
        except ClientError:
            return True
        return False

    def elsewhere(self, *allowed_ports: int) -> list[str]:
        """Connections to other ports than those, and names that were looked up."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        allowed = {f"connect 127.0.0.1 {port}" for port in allowed_ports}
        return [line for line in lines if line not in allowed | {"lookup 127.0.0.1 0"}]


def names() -> list[dict]:
    """Settings of trails, each of which would lead elsewhere if a name were an address."""
    found = []
    for host in HOSTS:
        found += [
            {"S3BucketName": host},
            {"S3BucketName": f"far-{host}"},
            {"S3BucketName": f"http://{host}/"},
            {"SnsTopicName": f"http://{host}/"},
            {"SnsTopicName": f"arn:aws:sns:us-east-1:{ACCOUNT}:topic@{host}"},
            {"SnsTopicName": f"arn:aws:sns:{host}:{ACCOUNT}:topic"},
            {"SnsTopicName": f"arn:aws:sns:us-east-1.{host}/:{ACCOUNT}:topic"},
            {"SnsTopicName": f"arn:{host}:sns:us-east-1:{ACCOUNT}:topic"},
            {"KmsKeyId": f"arn:aws:kms:{host}:{ACCOUNT}:key/a"},
            {"KmsKeyId": f"alias/{host}"},
        ]
        for group in (
            f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:@{host}",
            f"arn:aws:logs:{host}:{ACCOUNT}:log-group:a",
            f"arn:aws:logs:us-east-1@{host}:{ACCOUNT}:log-group:a",
        ):
            found.append(
                {"CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": ROLE_ARN}
            )
    # A Region that nobody has is a name like others: the one address is asked.
    found.append({"SnsTopicName": f"arn:aws:sns:169-254-169-254:{ACCOUNT}:topic"})
    found.append({"SnsTopicName": "topic"})
    found.append({"S3BucketName": "far-away"})
    group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:a"
    found.append({"CloudWatchLogsLogGroupArn": group, "CloudWatchLogsRoleArn": ROLE_ARN})
    return found


# Proves: H5, R22
def test_names_are_no_addresses_and_redirects_are_not_followed(servers, shim, tmp_path):
    service = Redirecting()
    url = f"http://127.0.0.1:{service.port}"
    watched = Watched(servers, shim, tmp_path, url, url)
    server = watched.server
    store = server.client("s3")
    store.create_bucket(Bucket=BUCKET)
    store.put_bucket_policy(Bucket=BUCKET, Policy=bucket_policy(BUCKET, trail_arn(NAME)))
    make_role(server.client("iam"))
    attempts = names()
    let_in = [values for values in attempts if not watched.refused(**values)]
    assert let_in == []
    # The services were asked, and their word that others know better counted for nothing.
    assert len(service.asked) >= 4, service.asked
    # A bus is told without being asked for.
    server.client("cloudtrail").create_trail(Name=NAME, S3BucketName=BUCKET)
    server.client("cloudtrail").start_logging(Name=NAME)
    before = len(service.asked)
    server.client("iam").list_users()
    eventually(lambda: server.metrics()["cairn_outlets_failures"] > 0, 60, "the bus")
    assert len(service.asked) > before
    assert server.stop() == 0
    leaks = watched.elsewhere(service.port, server.bucket_port)
    assert leaks == []
    service.shutdown()
    record("H5", runs=len(attempts), figures={"attempts": len(attempts), "leaks": len(leaks)})


# Proves: H5
def test_control_an_address_that_is_configured_shows(servers, shim, tmp_path):
    watched = Watched(servers, shim, tmp_path, f"http://{METADATA}")
    store = watched.server.client("s3")
    store.create_bucket(Bucket=BUCKET)
    store.put_bucket_policy(Bucket=BUCKET, Policy=bucket_policy(BUCKET, trail_arn(NAME)))
    assert watched.refused(SnsTopicName="topic")
    assert watched.server.stop() == 0
    leaks = watched.elsewhere(watched.server.bucket_port)
    assert f"connect {METADATA} 80" in leaks
    record("H5", controls=1, controls_caught=1)
