"""`cairn validate-logs` beside `aws cloudtrail validate-logs`: the same bucket, the same lines, the
same exit code, for chains that are whole and for every way of tampering (S4). Buckets are
SeaweedFS's.
"""

import gzip
import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest

from harness.digest_chain import (
    ACCOUNT,
    REGION,
    TRAIL,
    Chain,
    SigningKey,
    TrailService,
    hour,
    shown,
)
from harness.results import record
from harness.seaweed import ACCESS_KEY, SECRET_KEY, Seaweed

ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{TRAIL}"
AWS = Path(__file__).parents[2] / ".venv/bin/aws"
AWS_V2 = Path(__file__).parents[2] / ".venv/aws-cli-v2/dist/aws"
BUCKETS = itertools.count(1)
KEY = SigningKey()


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory):
    """One SeaweedFS for the tests of this module."""
    running = Seaweed(tmp_path_factory.mktemp("seaweed"))
    yield running.start()
    running.stop()


@pytest.fixture(scope="module")
def service():
    """What answers for CloudTrail."""
    running = TrailService()
    yield running
    running.close()


class Bench:
    """Runs both commands on one chain."""

    def __init__(self, binary: Path, seaweed: Seaweed, service: TrailService, folder: Path):
        self.binary = binary
        self.seaweed = seaweed
        self.service = service
        self.buckets: set[str] = set()
        config = folder / "config"
        config.write_text("[default]\ns3 =\n  addressing_style = path\n")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.environment = clean | {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
            "AWS_ENDPOINT_URL_S3": seaweed.endpoint,
            "AWS_ENDPOINT_URL_CLOUDTRAIL": service.endpoint,
            "AWS_ENDPOINT_URL_ORGANIZATIONS": service.endpoint,
        }

    def chain(self, **values) -> Chain:
        """A new chain in a bucket of its own."""
        return Chain(f"audit-{next(BUCKETS)}", KEY, **values)

    def serve(self, chain: Chain) -> None:
        """Upload a chain and answer for its trail."""
        self.buckets |= {bucket for bucket, _ in chain.objects}
        chain.upload(self.seaweed.client())
        self.service.serve(chain)

    def close(self) -> None:
        """Take the buckets away: SeaweedFS has room for some dozens of them."""
        for bucket in self.buckets:
            self.seaweed.client().delete_bucket(Bucket=bucket)

    def run(self, command: list, *options: str, span: tuple = (0, 30)) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        times = []
        if not any(option.startswith("--start-time") for option in options):
            times = ["--start-time", shown(hour(span[0])), "--end-time", shown(hour(span[1]))]
        ran = subprocess.run(
            [*map(str, command), "--trail-arn", ARN, *times, *options],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return ran.returncode, ran.stdout, ran.stderr

    def cairn(self, *options: str, **values) -> tuple[int, str, str]:
        """Our command alone."""
        return self.run([self.binary, "validate-logs"], *options, **values)

    def both(self, *options: str, aws: Path = AWS, **values) -> tuple[int, str, str]:
        """Run both, which must agree in every character."""
        ours = self.cairn(*options, **values)
        theirs = self.run([aws, "cloudtrail", "validate-logs"], *options, **values)
        assert ours == theirs
        return ours


@pytest.fixture
def bench(binary, seaweed, service, tmp_path):
    """Both commands."""
    made = Bench(binary, seaweed, service, tmp_path)
    yield made
    made.close()


def day(chain: Chain) -> Chain:
    """Digests that end at hours 1 to 5 with log files, some without."""
    for end in range(1, 6):
        chain.deliver(end, logs=0 if end == 2 else 2)
    return chain


@pytest.mark.parametrize("aws", [AWS, AWS_V2], ids=["v1", "v2"])
@pytest.mark.parametrize("options", [(), ("--verbose",)], ids=["brief", "verbose"])
# Proves: REC-241, REC-271, REC-276, REC-281, REC-283, REC-286, REC-288
def test_a_whole_chain_is_valid(bench, aws, options):
    bench.serve(day(bench.chain()))
    code, output, error = bench.both(*options, aws=aws)
    assert (code, error) == (0, "")
    assert "5/5 digest files valid\n8/8 log files valid\n" in output
    assert output.count("\tvalid\n") == (13 if options else 0)


# Proves: REC-238, REC-240, REC-272, REC-274
@pytest.mark.parametrize(
    "values",
    [{"prefix": "audit/cloud"}, {"organization": "o-example"}],
    ids=["prefix", "organization"],
)
def test_files_lie_where_the_trail_says(bench, values):
    chain = day(bench.chain(**values))
    bench.serve(chain)
    options = ("--account-id", ACCOUNT) if chain.organization else ()
    code, output, _ = bench.both("--verbose", *options)
    assert code == 0 and "5/5 digest files valid" in output
    if chain.prefix:
        elsewhere = ("--s3-bucket", chain.bucket, "--s3-prefix", chain.prefix)
        assert bench.both(*elsewhere)[0] == 0
        assert "No digests found" in bench.both("--s3-bucket", chain.bucket)[1]
    else:
        code, _, error = bench.cairn()
        assert code == 255 and "Missing required parameter" in error


# Proves: REC-273, REC-280, REC-282, REC-287
@pytest.mark.parametrize(
    "span", [(0, 30), (2, 3), (1.5, 2.25), (3, 3), (6, 9), (-20, -10)], ids=lambda span: str(span)
)
def test_the_digest_that_covers_the_end_is_taken_in(bench, span):
    bench.serve(day(bench.chain()))
    bench.both("--verbose", span=span)


# Proves: REC-239, REC-256, REC-272
def test_gaps_regions_buckets_and_backfill(bench):
    chain = bench.chain()
    chain.deliver(1, logs=1)
    chain.deliver(2, logs=1)
    chain.restart()
    chain.deliver(6, logs=1)
    older = chain.bucket
    chain.bucket = f"{older}-newer"
    chain.deliver(7, logs=2)
    chain.deliver(8)
    last = chain.previous
    chain.restart()
    chain.deliver(3, logs=1, backfill=True)
    chain.deliver(4, logs=1, backfill=True)
    chain.previous = last
    chain.region = "eu-west-1"
    chain.restart()
    chain.deliver(8, logs=1)
    bench.serve(chain)
    code, output, error = bench.both("--verbose")
    assert code == 0, output
    assert "No log files were delivered by CloudTrail between 2026-01-01T02:00:00Z" in error
    assert "2/2 backfill digest files valid" in output and "5/5 digest files valid" in output
    code, output, _ = bench.both("--verbose", "--region", "eu-west-1")
    assert code == 0 and "1/1 digest files valid" in output
    place = (chain.bucket, chain.digests[-2])
    metadata = chain.objects[place].metadata
    for value in (None, "soon"):
        changed = {k: v for k, v in metadata.items() if not k.startswith("backfill")}
        if value:
            changed["backfill-generation-timestamp"] = value
        put(bench, place[0], place[1], chain.objects[place].body, changed)
        code, _, error = bench.both("--verbose")
        assert code == 1 and "(backfill) Digest file" in error


def put(bench, bucket: str, key: str, body: bytes, metadata: dict | None = None) -> None:
    """Replace an object."""
    client = bench.seaweed.client()
    client.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata or {})


def edited_log(chain, digest, log):
    chain.objects[log].body = gzip.compress(b'{"Records":[]}')


def log_that_is_no_gzip(chain, digest, log):
    chain.objects[log].body = b'{"Records":[]}'


def cut_log(chain, digest, log):
    chain.objects[log].body = chain.objects[log].body[:-15]


def lengthened_log(chain, digest, log):
    chain.objects[log].body += b"more"


def second_member_in_log(chain, digest, log):
    chain.objects[log].body += gzip.compress(b"")


def deleted_log(chain, digest, log):
    del chain.objects[log]


def renamed_log(chain, digest, log):
    chain.objects[log[0], log[1] + ".moved.gz"] = chain.objects.pop(log)


def replayed_log(chain, digest, log):
    other = chain.logs[chain.digests[0]][0]
    chain.objects[log].body = chain.objects[log[0], other].body


def edited_digest(chain, digest, log):
    chain.rewrite(digest[1], logFiles=[])


def digest_that_is_no_json(chain, digest, log):
    chain.objects[digest].body = gzip.compress(b"{")


def cut_digest(chain, digest, log):
    chain.objects[digest].body = chain.objects[digest].body[:-15]


def digest_without_a_member(chain, digest, log):
    document = chain.document(digest[1])
    del document["previousDigestSignature"]
    chain.objects[digest].body = gzip.compress(json.dumps(document).encode())


def deleted_digest(chain, digest, log):
    del chain.objects[digest]


def renamed_digest(chain, digest, log):
    renamed = digest[1].replace("T030000Z", "T033000Z")
    chain.objects[digest[0], renamed] = chain.objects.pop(digest)


def replayed_digest(chain, digest, log):
    chain.objects[digest] = chain.objects[digest[0], chain.digests[0]]


def cut_chain(chain, digest, log):
    nothing = dict.fromkeys(
        name for name in chain.document(digest[1]) if name.startswith("previousDigest")
    )
    chain.rewrite(digest[1], **nothing)


def wrong_key(chain, digest, log):
    chain.put_digest(digest[1], chain.document(digest[1]), signer=SigningKey())


def unknown_key(chain, digest, log):
    document = chain.document(digest[1]) | {"digestPublicKeyFingerprint": "0123"}
    chain.put_digest(digest[1], document)


def missing_signature(chain, digest, log):
    del chain.objects[digest].metadata["signature"]


def missing_algorithm(chain, digest, log):
    del chain.objects[digest].metadata["signature-algorithm"]


def forged_signature(chain, digest, log):
    chain.objects[digest].metadata["signature"] = "00" * 256


def short_signature(chain, digest, log):
    chain.objects[digest].metadata["signature"] = "abcd"


def odd_signature(chain, digest, log):
    chain.objects[digest].metadata["signature"] = "abc"


def signature_that_is_no_hex(chain, digest, log):
    chain.objects[digest].metadata["signature"] = "xyzt"


HASH = "INVALID: hash value doesn't match"
FORMAT = "INVALID: invalid format"
MISSING = "INVALID: not found"
SIGNATURE = "INVALID: signature verification failed"
MOVED = "INVALID: has been moved from its original location"
TRAILING = "INVALID: unexpected data after end of compressed stream"
TAMPERINGS = [
    (edited_log, HASH),
    (log_that_is_no_gzip, FORMAT),
    (cut_log, HASH),
    (lengthened_log, TRAILING),
    (second_member_in_log, TRAILING),
    (deleted_log, MISSING),
    (renamed_log, MISSING),
    (replayed_log, HASH),
    (edited_digest, SIGNATURE),
    (digest_that_is_no_json, FORMAT),
    (cut_digest, FORMAT),
    (digest_without_a_member, FORMAT),
    (deleted_digest, MISSING),
    (renamed_digest, MISSING),
    (replayed_digest, MOVED),
    (cut_chain, SIGNATURE),
    (wrong_key, SIGNATURE),
    (unknown_key, "INVALID: public key not found in region us-east-1 for fingerprint 0123"),
    (missing_signature, SIGNATURE),
    (missing_algorithm, SIGNATURE),
    (forged_signature, SIGNATURE),
    (short_signature, SIGNATURE),
    (odd_signature, "INVALID: Odd-length string"),
    (signature_that_is_no_hex, "INVALID: Non-hexadecimal digit found"),
]


# Proves: S4, REC-227, REC-251, REC-279, REC-282, REC-284, REC-285
@pytest.mark.parametrize(
    "tampering, word", TAMPERINGS, ids=lambda value: getattr(value, "__name__", "")
)
def test_each_tampering_has_the_line_of_the_aws_cli(bench, tampering, word):
    chain = day(bench.chain())
    digest = (chain.bucket, chain.digests[2])
    log = (chain.bucket, chain.logs[chain.digests[2]][0])
    tampering(chain, digest, log)
    bench.serve(chain)
    kind, place = ("Log file", log) if "log" in tampering.__name__ else ("Digest file", digest)
    expected = f"{kind}\ts3://{place[0]}/{place[1]}\t{word}\n"
    code, output, error = bench.both("--verbose")
    assert code == 1 and expected in error, output + error
    code, _, brief = bench.both()
    assert code == 1 and expected in brief


def swapped_bucket(chain, digest, log):
    """The whole chain in another bucket, which is then said to be the trail's."""
    copy = f"{chain.bucket}-copy"
    chain.objects |= {(copy, key): stored for (_, key), stored in chain.objects.items()}
    return ("--s3-bucket", copy)


def added_log(chain, digest, log):
    """What no digest lists, and so no validator of chains sees: the control."""
    chain.add_log(hour(2.5), 99, b"{}")


#: The twelve kinds of the fault plan, with what must be told of them.
KINDS = [
    *((kind, word) for kind, word in TAMPERINGS if kind in (
        edited_log, deleted_log, renamed_log, replayed_log, edited_digest, deleted_digest,
        renamed_digest, replayed_digest, cut_chain, wrong_key, forged_signature,
    )),
    (swapped_bucket, MOVED),
]  # fmt: skip


def tells(bench, aws: Path, tampering, word: str) -> bool:
    """Whether the AWS CLI, and our command in the same words, tell of a chain so tampered with."""
    chain = day(bench.chain())
    digest = (chain.bucket, chain.digests[2])
    options = tampering(chain, digest, (chain.bucket, chain.logs[digest[1]][0])) or ()
    bench.serve(chain)
    code, _, error = bench.both("--verbose", *options, aws=aws)
    bench.close()
    bench.buckets.clear()
    return code == 1 and word in error


# Proves: S4
def test_the_kinds_of_tampering_are_caught_by_both_versions_of_the_aws_cli(bench):
    assert len(KINDS) == 12
    figures = {}
    for version, aws in (("v1", AWS), ("v2", AWS_V2)):
        caught = [kind.__name__ for kind, word in KINDS if tells(bench, aws, kind, word)]
        missed = {kind.__name__ for kind, _ in KINDS} - set(caught)
        assert missed == set(), f"AWS CLI {version}"
        assert not tells(bench, aws, added_log, "INVALID"), "the control is not caught"
        figures[f"caught by the AWS CLI {version} and by cairn"] = f"{len(caught)}/{len(KINDS)}"
    record("S4", runs=2 * len(KINDS), controls=2, controls_caught=2, figures=figures)


# Proves: REC-269, REC-284
def test_a_key_in_another_wrapping_cannot_be_loaded(bench):
    chain = day(bench.chain())
    bench.serve(chain)
    bench.service.keys = [TrailService.public_key(KEY, KEY.spki)]
    code, _, error = bench.both()
    assert code == 1
    assert f"Unable to load PKCS #1 key with fingerprint {KEY.fingerprint}" in error


# Proves: S4, REC-277, REC-293
def test_a_chain_in_another_bucket_has_been_moved(bench):
    chain = day(bench.chain())
    copy = f"{chain.bucket}-copy"
    chain.objects |= {(copy, key): stored for (_, key), stored in chain.objects.items()}
    bench.serve(chain)
    code, output, error = bench.both("--s3-bucket", copy)
    assert code == 1 and error.count(MOVED) == 5
    assert "No valid digests found in range" in output


# Proves: REC-280
def test_what_no_digest_names_is_told_only_if_asked_for(bench):
    chain = day(bench.chain())
    added = chain.add_log(hour(2.5), 99, b"{}")["s3Object"]
    newest = chain.digests.pop()
    del chain.objects[chain.bucket, newest]
    bench.serve(chain)
    code, _, error = bench.both("--verbose", span=(0, 4))
    assert (code, error) == (0, ""), "the documented silence"
    code, output, error = bench.cairn("--unlisted", span=(0, 4))
    assert code == 1
    place = f"s3://{chain.bucket}/{added}"
    assert error == f"Log file\t{place}\tUNLISTED: no valid digest file lists it\n\n"
    assert output.endswith("1 log files UNLISTED\n")
    code, _, error = bench.cairn("--unlisted", span=(0, 7))
    assert code == 1
    assert "No valid digest file covers 2026-01-01T04:00:00Z to 2026-01-01T07:00:00Z" in error
    for key in (added, *chain.logs[newest]):
        assert f"{key}\tUNLISTED" in error
    assert error.count("UNLISTED") == 3
    whole = day(bench.chain())
    bench.serve(whole)
    assert bench.cairn("--unlisted", span=(0, 6))[0] == 0


@pytest.fixture
def mirror(bench, tmp_path):
    """A chain copied into a folder with its public keys, as `aws s3 sync` does: no metadata."""
    chain = day(bench.chain())
    bench.serve(chain)
    keys, folder = tmp_path / "keys.json", tmp_path / "mirror"
    times = ("--start-time", shown(hour(0)))
    assert bench.cairn("--export-public-keys", str(keys), *times) == (0, "", "")
    operation, request = bench.service.calls[-1]
    assert operation == "ListPublicKeys" and request["StartTime"] == hour(0).timestamp()
    for (_, key), stored in chain.objects.items():
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(stored.body)
    options = ("--offline", str(folder), "--public-keys", str(keys), "--s3-bucket", chain.bucket)
    bench.service.calls.clear()
    bench.environment |= {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_CLOUDTRAIL": "http://127.0.0.1:1",
    }
    yield chain, folder, options
    assert bench.service.calls == [], "offline means offline"


# Proves: REC-292, REC-294, REC-295, REC-296
def test_offline_the_newest_digest_stays_unchecked_without_its_metadata(bench, mirror):
    chain, folder, options = mirror
    code, output, error = bench.cairn("--verbose", *options)
    newest = f"Digest file\ts3://{chain.bucket}/{chain.digests[-1]}\tNOT CHECKED"
    assert code == 0 and newest in error
    assert "4/4 digest files valid\n6/6 log files valid\n1 digest files NOT CHECKED\n" in output
    log = folder / chain.logs[chain.digests[3]][0]
    log.write_bytes(gzip.compress(b"{}"))
    (folder / chain.digests[1]).unlink()
    code, _, error = bench.cairn(*options)
    assert code == 1
    assert f"{chain.logs[chain.digests[3]][0]}\t{HASH}" in error
    assert f"{chain.digests[1]}\t{MISSING}" in error


# Proves: REC-294
@pytest.mark.parametrize("is_answer", [False, True], ids=["metadata", "head-object"])
def test_offline_with_metadata_everything_is_checked(bench, mirror, is_answer):
    chain, folder, options = mirror
    for key in chain.digests:
        metadata = chain.objects[chain.bucket, key].metadata
        sidecar = {"ContentLength": 1, "Metadata": metadata} if is_answer else metadata
        (folder / f"{key}.metadata.json").write_text(json.dumps(sidecar))
    code, output, error = bench.cairn("--verbose", "--unlisted", *options, span=(0, 6))
    assert (code, error) == (0, ""), output
    assert "5/5 digest files valid\n8/8 log files valid\n" in output
    metadata = chain.objects[chain.bucket, chain.digests[-1]].metadata
    forged = metadata | {"signature": "00" * 256}
    (folder / f"{chain.digests[-1]}.metadata.json").write_text(json.dumps(forged))
    code, _, error = bench.cairn(*options)
    assert code == 1 and f"{chain.digests[-1]}\t{SIGNATURE}" in error


# Proves: REC-275
@pytest.mark.parametrize(
    "options, message",
    [
        (("--start-time", "yesterday"), "Unable to parse date value: yesterday"),
        (
            ("--start-time", "2026-01-02", "--end-time", "2026-01-01"),
            "Invalid time range specified: start-time must occur before end-time",
        ),
    ],
    ids=["malformed", "backwards"],
)
def test_mistakes_are_named_in_the_same_words(bench, options, message):
    bench.serve(day(bench.chain()))
    code, output, error = bench.cairn(*options)
    theirs = bench.run([AWS, "cloudtrail", "validate-logs"], *options)
    assert (code, output) == (255, "") and theirs[0] == 255
    assert message in error and message in theirs[2]


def test_what_cannot_be_read_is_no_verdict(bench):
    chain = day(bench.chain())
    bench.serve(chain)
    bench.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
    code, output, error = bench.cairn()
    assert code == 255 and "INVALID" not in error
    assert "SignatureDoesNotMatch" in error or "AccessDenied" in error
