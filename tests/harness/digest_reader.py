"""A validator of one's own, as the manual says that anyone can write one (REC-289): it knows the
bucket, the public keys and the register's steps, and nothing of the server."""

import gzip
import hashlib
import json
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

#: rsaEncryption with no parameters, which X.509 puts before a PKCS #1 key.
RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")


def der(tag: int, content: bytes) -> bytes:
    """One element of DER."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def public_key(pkcs1: bytes):
    """The key in X.509's form, which libraries read."""
    return serialization.load_der_public_key(der(0x30, RSA_ALGORITHM + der(0x03, b"\0" + pkcs1)))


@dataclass
class Found:
    """What a walk along a chain found. `problems` names objects, each with what is wrong."""

    digests: list[dict] = field(default_factory=list)
    files: dict[str, list[dict]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class DigestReader:
    """Walks a chain of digests from its newest back to its first."""

    def __init__(self, store, trails):
        self.store = store
        self.trails = trails

    def walk(self, bucket: str, newest: str) -> Found:
        """Check the digest at a key, its log files, and all digests before it."""
        found = Found()
        answer = self.store.get_object(Bucket=bucket, Key=newest)
        signature, content = answer["Metadata"]["signature"], unzip(answer)
        key = newest
        while True:
            digest = json.loads(content)
            problem = self.digest_problem(bucket, key, digest, content, signature)
            if problem:
                found.problems.append(f"{key}: {problem}")
                return found
            found.digests.append(digest)
            for entry in digest["logFiles"]:
                self.check_file(found, entry)
            bucket, key = digest["previousDigestS3Bucket"], digest["previousDigestS3Object"]
            if key is None:
                return found
            # Of an earlier digest the later one knows signature and hash.
            signature = digest["previousDigestSignature"]
            content = unzip(self.store.get_object(Bucket=bucket, Key=key))
            if hashlib.sha256(content).hexdigest() != digest["previousDigestHashValue"]:
                found.problems.append(f"{key}: another hash than the next digest says")
                return found

    def digest_problem(
        self, bucket: str, key: str, digest: dict, content: bytes, signature: str
    ) -> str | None:
        """What is wrong with a digest (REC-290)."""
        if (digest["digestS3Bucket"], digest["digestS3Object"]) != (bucket, key):
            return "it was moved"
        keys = self.trails.list_public_keys(
            StartTime=digest["digestStartTime"], EndTime=digest["digestEndTime"]
        )["PublicKeyList"]
        named = [one for one in keys if one["Fingerprint"] == digest["digestPublicKeyFingerprint"]]
        if len(named) != 1:
            return "no key has that fingerprint"
        signed = "\n".join(
            [
                digest["digestEndTime"],
                f"{bucket}/{key}",
                hashlib.sha256(content).hexdigest(),
                digest["previousDigestSignature"] or "null",
            ]
        )
        # botocore gives the bytes of the key.
        verifier = public_key(named[0]["Value"])
        try:
            verifier.verify(
                bytes.fromhex(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return "the signature is not the key's"
        return None

    def check_file(self, found: Found, entry: dict) -> None:
        """Compare a log file with what its digest says (REC-291)."""
        key = entry["s3Object"]
        try:
            content = unzip(self.store.get_object(Bucket=entry["s3Bucket"], Key=key))
        except self.store.exceptions.NoSuchKey:
            found.problems.append(f"{key}: not there")
            return
        assert entry["hashAlgorithm"] == "SHA-256"
        if hashlib.sha256(content).hexdigest() != entry["hashValue"]:
            found.problems.append(f"{key}: another hash than its digest says")
            return
        found.files[key] = json.loads(content)["Records"]


def unzip(answer: dict) -> bytes:
    """What an object holds."""
    return gzip.decompress(answer["Body"].read())
