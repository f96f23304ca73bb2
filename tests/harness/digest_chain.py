"""Chains of signed digests with their log files, made without the server: what tests of validation
read and tamper with. The stand-in answers DescribeTrails and ListPublicKeys for them.
"""

import base64
import gzip
import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ACCOUNT, REGION, TRAIL = "111111111111", "us-east-1", "management"
FIRST_HOUR = datetime(2026, 1, 1, tzinfo=timezone.utc)


def shown(time: datetime) -> str:
    """As digests write times."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def hour(hours: float) -> datetime:
    """So many hours after the first."""
    return FIRST_HOUR + timedelta(hours=hours)


class SigningKey:
    """A key pair with its public forms."""

    def __init__(self):
        self.private = rsa.generate_private_key(65537, 2048)
        public = self.private.public_key()
        der = serialization.Encoding.DER
        self.pkcs1 = public.public_bytes(der, serialization.PublicFormat.PKCS1)
        self.spki = public.public_bytes(der, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = hashlib.sha256(self.pkcs1).hexdigest()[:32]

    def sign(self, text: str) -> str:
        """The signature in hexadecimal."""
        return self.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()


@dataclass
class StoredObject:
    """An object of the bucket."""

    body: bytes
    metadata: dict[str, str] = field(default_factory=dict)


class Chain:
    """Objects of one trail, account and Region by bucket and key."""

    def __init__(self, bucket: str, key: SigningKey, *, prefix: str = "", organization: str = ""):
        self.bucket = bucket
        self.key = key
        self.prefix = prefix
        self.organization = organization
        self.region = REGION
        self.objects: dict[tuple[str, str], StoredObject] = {}
        #: Keys of digests and of their log files, in order of time.
        self.digests: list[str] = []
        self.logs: dict[str, list[str]] = {}
        self.previous: tuple[str, str, str, str] | None = None

    def folder(self, kind: str, time: datetime) -> str:
        """Where files of that kind and day lie."""
        parts = [self.prefix, "AWSLogs", self.organization, ACCOUNT, kind, self.region]
        return "/".join([part for part in parts if part] + [time.strftime("%Y/%m/%d")])

    def add_log(self, time: datetime, number: int, text: bytes) -> dict:
        """Put a log file; returns its entry in a digest."""
        minute = time.strftime("%Y%m%dT%H%MZ")
        name = f"{ACCOUNT}_CloudTrail_{self.region}_{minute}_{number:016d}.json.gz"
        key = f"{self.folder('CloudTrail', time)}/{name}"
        self.objects[self.bucket, key] = StoredObject(gzip.compress(text, mtime=0))
        return {
            "s3Bucket": self.bucket,
            "s3Object": key,
            "hashValue": hashlib.sha256(text).hexdigest(),
            "hashAlgorithm": "SHA-256",
            "newestEventTime": shown(time),
            "oldestEventTime": shown(time),
        }

    def deliver(self, end: float, logs: int = 0, *, backfill: bool = False, size: int = 0) -> str:
        """Sign and put the digest of the hour that ends at `end`, with that many log files."""
        end_time = hour(end)
        start = end_time - timedelta(hours=1)
        entries = [
            self.add_log(
                start + timedelta(minutes=number),
                number,
                self.log_text(end, number) + b" " * size,
            )
            for number in range(logs)
        ]
        suffix = "_backfill" if backfill else ""
        name = f"{ACCOUNT}_CloudTrail-Digest_{self.region}_{TRAIL}_{REGION}"
        stamp = end_time.strftime("%Y%m%dT%H%M%SZ")
        key = f"{self.folder('CloudTrail-Digest', end_time)}/{name}_{stamp}{suffix}.json.gz"
        previous = self.previous or (None, None, None, None)
        document = {
            "awsAccountId": ACCOUNT,
            "digestStartTime": shown(start),
            "digestEndTime": shown(end_time),
            "digestS3Bucket": self.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": self.key.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": entries[-1]["newestEventTime"] if entries else None,
            "oldestEventTime": entries[0]["oldestEventTime"] if entries else None,
            "previousDigestS3Bucket": previous[0],
            "previousDigestS3Object": previous[1],
            "previousDigestHashValue": previous[2],
            "previousDigestHashAlgorithm": "SHA-256" if self.previous else None,
            "previousDigestSignature": previous[3],
            "logFiles": entries,
        }
        signature = self.put_digest(key, document)
        if backfill:
            metadata = self.objects[self.bucket, key].metadata
            metadata["backfill-generation-timestamp"] = shown(hour(end + 100))
        text = json.dumps(document, separators=(",", ":")).encode()
        self.previous = (self.bucket, key, hashlib.sha256(text).hexdigest(), signature)
        self.digests.append(key)
        self.logs[key] = [entry["s3Object"] for entry in entries]
        return key

    @staticmethod
    def log_text(end: float, number: int) -> bytes:
        """A log file of its own for each hour and number."""
        return json.dumps({"Records": [{"eventID": f"{end}-{number}"}]}).encode()

    def put_digest(self, key: str, document: dict, signer: SigningKey | None = None) -> str:
        """Sign a digest as it stands and put it at `key`."""
        text = json.dumps(document, separators=(",", ":")).encode()
        place = f"{document['digestS3Bucket']}/{document['digestS3Object']}"
        previous = document["previousDigestSignature"] or "null"
        digest_hash = hashlib.sha256(text).hexdigest()
        signed = "\n".join([document["digestEndTime"], place, digest_hash, previous])
        signature = (signer or self.key).sign(signed)
        metadata = {"signature": signature, "signature-algorithm": "SHA256withRSA"}
        self.objects[self.bucket, key] = StoredObject(gzip.compress(text, mtime=0), metadata)
        return signature

    def document(self, key: str) -> dict:
        """What a digest says."""
        return json.loads(gzip.decompress(self.objects[self.bucket, key].body))

    def rewrite(self, key: str, **members) -> None:
        """Change members of a digest and leave its signature."""
        stored = self.objects[self.bucket, key]
        document = self.document(key) | members
        text = json.dumps(document, separators=(",", ":")).encode()
        stored.body = gzip.compress(text, mtime=0)

    def restart(self) -> None:
        """The next digest is a starting one."""
        self.previous = None

    def upload(self, client) -> None:
        """Put all objects, and make their buckets."""
        for bucket in sorted({bucket for bucket, _ in self.objects}):
            client.create_bucket(Bucket=bucket)

        def put(place: tuple[str, str]) -> None:
            stored = self.objects[place]
            client.put_object(
                Bucket=place[0], Key=place[1], Body=stored.body, Metadata=stored.metadata
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, self.objects))


class TrailService:
    """Answers DescribeTrails, ListPublicKeys and DescribeOrganization for chains."""

    def __init__(self):
        self.trail: dict = {}
        self.keys: list[dict] = []
        self.calls: list[tuple[str, dict]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            """One JSON call."""

            def do_POST(self) -> None:
                operation = self.headers["X-Amz-Target"].rsplit(".", 1)[-1]
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = json.dumps(service.answer(operation, json.loads(body))).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def serve(self, chain: Chain) -> None:
        """Answer for the trail of that chain from now on."""
        self.trail = {
            "Name": TRAIL,
            "TrailARN": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{TRAIL}",
            "S3BucketName": chain.bucket,
            "IsOrganizationTrail": bool(chain.organization),
        }
        if chain.prefix:
            self.trail["S3KeyPrefix"] = chain.prefix
        self.organization = chain.organization
        self.keys = [self.public_key(chain.key)]
        self.calls.clear()

    @staticmethod
    def public_key(key: SigningKey, der: bytes | None = None) -> dict:
        """A key as ListPublicKeys gives it."""
        return {
            "Value": base64.b64encode(der or key.pkcs1).decode(),
            "ValidityStartTime": hour(-1000).timestamp(),
            "ValidityEndTime": hour(1000).timestamp(),
            "Fingerprint": key.fingerprint,
        }

    def answer(self, operation: str, request: dict) -> dict:
        """The answer to one call."""
        self.calls.append((operation, request))
        if operation == "DescribeTrails":
            return {"trailList": [self.trail]}
        if operation == "ListPublicKeys":
            return {"PublicKeyList": self.keys}
        assert operation == "DescribeOrganization", operation
        return {"Organization": {"Id": self.organization}}

    def close(self) -> None:
        """Answer no more."""
        self.http.shutdown()
        self.http.server_close()
