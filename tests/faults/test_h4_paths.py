"""H4: names that try to be paths, at every door that takes a name.

Keys and buckets of the embedded endpoint, its reserved bucket, sources of copies, prefixes of
trails and of access logs. Each is refused or is a literal name; nothing is written outside the
server's own files, and nothing of the disk is read through a name.
"""

import itertools
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ParamValidationError

from harness.raw_http import Answer, send
from harness.results import record
from harness.server import REGION
from harness.signature import Request
from harness.trails import bucket_policy, trail_arn

BUCKET = "names"
#: In every name, so that a file that was made of one is found wherever it lies.
MARK = "escaped"
CANARY = "what nobody may read"
#: Steps that lead out of a folder for somebody.
STEPS = [
    "..", "%2e%2e", "%2E%2e", ".%2e", "..%2f..", "..%5c..", "..\\..", "%252e%252e", "%c0%ae%c0%ae",
    "%ef%bc%8e%ef%bc%8e", "...", ".", "%00", "..%00", "%0a", "%0d%0a", "%1b%5b2J", "%7f", "~",
    "%20..", "..%20", "", "%2f", "//", "C:", "%2fetc", "file:", "arn:aws:s3:::names", "%ff",
    "\u202e",
]  # fmt: skip
#: How a step stands in a name.
FORMS = ["{step}/{mark}", "{step}/{step}/{step}/{step}/{mark}", "a/{step}/{mark}", "{mark}/{step}"]


def key_forms() -> list[str]:
    """Keys as they stand in a request line."""
    keys = [form.format(step=step, mark=MARK) for step in STEPS for form in FORMS]
    longest = [MARK + "k" * (1024 - len(MARK)), "../" * 340 + MARK, MARK + "/k" * 508]
    too_long = [MARK + "k" * 1024, "../" * 400 + MARK]
    return keys + longest + too_long


class Doors:
    """Signed requests whose target is left as it is."""

    def __init__(self, server):
        self.server = server
        given = server.credentials
        self.signer = Credentials(given.access_key_id, given.secret_access_key)
        self.leaks: list[str] = []
        self.failures: list[str] = []
        self.cases = 0

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """One request. An answer that holds what nobody may read is noted."""
        path, _, query = target.partition("?")
        # What is signed is the path in S3's one spelling of it.
        spelled = quote(unquote_to_bytes(path), safe="/-_.~") + (f"?{query}" if query else "")
        url = self.server.bucket_endpoint + spelled
        signed = AWSRequest(method=method, url=url, data=body, headers=headers or {})
        S3SigV4Auth(self.signer, "s3", REGION).add_auth(signed)
        path = path.encode().decode("latin-1")
        host = self.server.bucket_endpoint.removeprefix("http://")
        answer = send(
            self.server.bucket_endpoint,
            Request(method, path, query, [("Host", host), *signed.headers.items()], body),
        )
        self.note(f"{method} {target}", answer)
        return answer

    def note(self, what: str, answer: Answer) -> None:
        """Look for contents of the disk in an answer, and for failures of the server."""
        self.cases += 1
        secrets = (CANARY, self.signer.secret_key)
        if any(secret.encode() in answer.body for secret in secrets):
            self.leaks.append(what)
        if answer.status >= 500 and answer.status != 501:
            self.failures.append(f"{what}: {answer.status}")


def made_of_names(folder: Path) -> list[str]:
    """Files and folders whose own names come from a caller."""
    return [str(path) for path in folder.rglob("*") if MARK in path.name]


def outside(folder: Path, server) -> dict[str, bytes]:
    """What lies beside the server's folder, its log apart."""
    data = server.data_dir
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path): path.read_bytes()
        for path in files
        if data not in path.parents and path != server.log_path
    }


def put_and_read(doors: Doors) -> int:
    """Each key is refused, or gives back what was put under it and nothing else."""
    literal = 0
    for number, key in enumerate(key_forms()):
        body = f"body {number}".encode()
        put = doors.ask("PUT", f"/{BUCKET}/{key}", body)
        got = doors.ask("GET", f"/{BUCKET}/{key}")
        if put.status == 200:
            assert got.status == 200 and got.body == body, key
            literal += 1
        else:
            assert got.body != body
        doors.ask("HEAD", f"/{BUCKET}/{key}")
    return literal


def other_doors(doors: Doors) -> None:
    """Names in buckets, sources, lists, uploads and the reserved bucket."""
    disk = ["credentials", "master.key", "catalog.sqlite", f"../{CANARY}.txt"]
    for step, form in itertools.product(STEPS, FORMS):
        name = form.format(step=step, mark=MARK)
        doors.ask("PUT", f"/{step}{MARK}")
        doors.ask("GET", f"/{step}/{name}")
        source = {"x-amz-copy-source": f"/{BUCKET}/{name}".encode().decode("latin-1")}
        doors.ask("PUT", f"/{BUCKET}/copy", headers=source)
        doors.ask("POST", f"/{BUCKET}/{name}?uploads")
        doors.ask("GET", f"/cairn-lake/{name}")
    for step, file in itertools.product(STEPS, disk):
        for deep in (1, 2, 4):
            doors.ask("GET", f"/cairn-lake/{'/'.join([step] * deep)}/{file}")
            doors.ask("GET", f"/{BUCKET}/{'/'.join([step] * deep)}/{file}")
    named = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in ("../x", "/etc/passwd"))
    doors.ask("POST", f"/{BUCKET}?delete", f"<Delete>{named}</Delete>".encode())


def trail_prefixes(server) -> int:
    """Prefixes of trails: refused, or taken as they are."""
    trails, store = server.client("cloudtrail"), server.client("s3")
    store.put_bucket_policy(Bucket=BUCKET, Policy=bucket_policy(BUCKET, trail_arn("*")))
    prefixes = [
        f"../{MARK}", f"a/../../{MARK}", f"/{MARK}", f"{MARK}/..", f"..\\{MARK}", f"%2e%2e/{MARK}",
        f"{MARK}\n", f"arn:aws:s3:::{MARK}", f"{MARK}//x", MARK + "p" * 200, f"{MARK}\x00",
    ]  # fmt: skip
    for number, prefix in enumerate(prefixes):
        name = f"prefix-{number}"
        try:
            trails.create_trail(Name=name, S3BucketName=BUCKET, S3KeyPrefix=prefix)
        except (ClientError, ParamValidationError):
            continue
        assert trails.get_trail(Name=name)["Trail"]["S3KeyPrefix"] == prefix
        trails.delete_trail(Name=name)
    return len(prefixes)


# Proves: H4, R24
def test_no_name_is_a_path(servers, tmp_path):
    (tmp_path / f"{CANARY}.txt").write_text(CANARY)
    server = servers.start()
    server.client("s3").create_bucket(Bucket=BUCKET)
    before = outside(tmp_path, server)
    doors = Doors(server)
    literal = put_and_read(doors)
    other_doors(doors)
    prefixes = trail_prefixes(server)
    assert literal > 100, "names that are only odd are names"
    assert doors.failures == []
    assert doors.leaks == []
    assert outside(tmp_path, server) == before
    assert made_of_names(tmp_path) == []
    assert server.stop() == 0
    assert server.error_lines() == []
    record(
        "H4",
        runs=doors.cases + prefixes,
        figures={"escapes": 0, "literal keys": literal},
    )


def test_the_harness_sees_a_file_outside_and_a_leak(servers, tmp_path):
    """Controls: what an escape would leave behind is found."""
    server = servers.new()
    before = outside(tmp_path, server)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / f"{MARK}.gz").write_text("planted")
    assert outside(tmp_path, server) != before
    assert len(made_of_names(tmp_path)) == 1
    server.start()
    doors = Doors(server)
    doors.note("planted", Answer(200, {}, CANARY.encode()))
    doors.note("planted", Answer(500, {}, b""))
    assert doors.leaks == ["planted"] and len(doors.failures) == 1
    record("H4", controls=2, controls_caught=2)
