"""AWS Signature Version 4, written from its public description.

Independent of the server's code and of botocore, and pliable: the negative tests change one part of
a correct request at a time.
"""

import hashlib
import hmac
import urllib.parse
from dataclasses import dataclass, field
from datetime import datetime, timezone

UNRESERVED = "-_.~"


@dataclass(frozen=True)
class Credentials:
    """One access key, with its session token if it is temporary."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass
class Request:
    """A request before it is sent. Headers keep their order and may repeat."""

    method: str
    path: str
    query: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first value of a header, by name in any case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def target(self) -> str:
        """Path and query as they stand in the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


def amz_date(moment: datetime | None = None) -> str:
    """The basic ISO form that X-Amz-Date takes."""
    moment = moment or datetime.now(timezone.utc)
    return moment.strftime("%Y%m%dT%H%M%SZ")


def sha256_hex(data: bytes) -> str:
    """Lower-case hex of the SHA-256 of the data."""
    return hashlib.sha256(data).hexdigest()


def canonical_query(query: str) -> str:
    """Parameters decoded, encoded again in AWS's way, and sorted."""
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        pairs.append(
            tuple(
                urllib.parse.quote(urllib.parse.unquote(text), safe=UNRESERVED)
                for text in (name, value)
            )
        )
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def canonical_request(request: Request, signed: list[str], payload_hash: str) -> str:
    """The canonical request, for services that encode the path twice."""
    path = urllib.parse.quote(request.path, safe="/" + UNRESERVED)
    lines = []
    for name in signed:
        values = [
            " ".join(value.split()) for key, value in request.headers if key.lower() == name
        ]
        lines.append(f"{name}:{','.join(values)}\n")
    return "\n".join(
        [
            request.method,
            path,
            canonical_query(request.query),
            "".join(lines),
            ";".join(signed),
            payload_hash,
        ]
    )


def signature(secret: str, date: str, region: str, service: str, canonical: str) -> str:
    """The signature over a canonical request."""
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, sha256_hex(canonical.encode())])
    key = b"AWS4" + secret.encode()
    for part in (date[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


@dataclass(frozen=True)
class Scope:
    """Where a signature is meant to hold."""

    region: str = "us-east-1"
    service: str = "cloudtrail"


def sign(
    request: Request,
    credentials: Credentials,
    scope: Scope = Scope(),
    *,
    date: str | None = None,
    unsigned: frozenset[str] = frozenset(),
    payload_hash: str | None = None,
) -> Request:
    """Add date, token and Authorization to the request; `unsigned` headers are left out."""
    date = date or request.header("x-amz-date") or amz_date()
    if request.header("x-amz-date") is None:
        request.headers.append(("X-Amz-Date", date))
    if credentials.session_token is not None and request.header("x-amz-security-token") is None:
        request.headers.append(("X-Amz-Security-Token", credentials.session_token))
    names = sorted({key.lower() for key, _ in request.headers} - unsigned)
    canonical = canonical_request(request, names, payload_hash or sha256_hex(request.body))
    value = signature(
        credentials.secret_access_key, date, scope.region, scope.service, canonical
    )
    request.headers.append(
        (
            "Authorization",
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{date[:8]}/{scope.region}/"
            f"{scope.service}/aws4_request, SignedHeaders={';'.join(names)}, Signature={value}",
        )
    )
    return request


def presign(
    request: Request,
    credentials: Credentials,
    scope: Scope,
    *,
    expires: str = "300",
    date: str | None = None,
) -> Request:
    """Put the signature into the query instead."""
    date = date or amz_date()
    signed = sorted({key.lower() for key, _ in request.headers})
    parameters = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": (
            f"{credentials.access_key_id}/{date[:8]}/{scope.region}/{scope.service}/aws4_request"
        ),
        "X-Amz-Date": date,
        "X-Amz-Expires": expires,
        "X-Amz-SignedHeaders": ";".join(signed),
    }
    if credentials.session_token is not None:
        parameters["X-Amz-Security-Token"] = credentials.session_token
    added = "&".join(
        f"{name}={urllib.parse.quote(value, safe=UNRESERVED)}"
        for name, value in parameters.items()
    )
    request.query = f"{request.query}&{added}" if request.query else added
    canonical = canonical_request(request, signed, sha256_hex(request.body))
    value = signature(
        credentials.secret_access_key, date, scope.region, scope.service, canonical
    )
    request.query += f"&X-Amz-Signature={value}"
    return request
