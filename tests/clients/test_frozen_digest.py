"""The digest that the integrity crate keeps as it is, checked by others' code: the AWS CLI's own
verifier and a cryptographic library. Not for chains: test_validate_logs.py walks those.
"""

import base64
import gzip
import hashlib
import json
import pathlib

import pytest
from awscli.customizations.cloudtrail import validation
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

FIXTURES = pathlib.Path(__file__).parents[2] / "crates/integrity/tests/fixtures"
DIGEST = gzip.decompress((FIXTURES / "digest-v1.json.gz").read_bytes())
FACTS = json.loads((FIXTURES / "digest-v1.facts.json").read_text())


# Proves: REC-258, REC-259, REC-265
def test_a_cryptographic_library_verifies_the_signature():
    der = (FIXTURES / "signing-key.pk8.der").read_bytes()
    private = serialization.load_der_private_key(der, None)
    public = private.public_key()
    signature = bytes.fromhex(FACTS["signature"])
    signed = FACTS["signing_string"].encode()
    public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    pkcs1 = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    assert base64.b64encode(pkcs1).decode() == FACTS["public_key_pkcs1_base64"]


def verify_as_the_aws_cli(digest: bytes) -> None:
    document = json.loads(digest)
    document["_signature"] = FACTS["signature"]
    validation.Sha256RSADigestValidator().validate(
        document["digestS3Bucket"],
        document["digestS3Object"],
        FACTS["public_key_pkcs1_base64"],
        document,
        digest,
    )


# Proves: REC-257, REC-259, REC-261
def test_the_aws_cli_accepts_it_and_no_change_of_it():
    assert hashlib.sha256(DIGEST).hexdigest() == FACTS["sha256"]
    verify_as_the_aws_cli(DIGEST)
    for changed in (DIGEST.replace(b"T0105Z", b"T0106Z"), DIGEST + b" "):
        with pytest.raises(validation.DigestSignatureError):
            verify_as_the_aws_cli(changed)
