"""HTTP over a bare socket, so that a test decides every byte of the request."""

import json
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from .signature import Request

TIMEOUT_SECONDS = 10.0


@dataclass
class Answer:
    """A parsed answer; `closed` tells whether the server ended the connection after it."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool = False

    @property
    def error_code(self) -> str:
        """The modelled error, from wherever the protocol puts it."""
        kind = self.headers.get("x-amzn-errortype", "")
        if not kind and self.body[:1] == b"{":
            kind = json.loads(self.body).get("__type", "")
        if not kind and b"<Code>" in self.body:
            kind = self.body.split(b"<Code>")[1].split(b"</Code>")[0].decode()
        return kind.split("#")[-1].split(":")[0]


def address(endpoint: str) -> tuple[str, int]:
    """Host and port of an endpoint URL."""
    parts = urlsplit(endpoint)
    return parts.hostname or "127.0.0.1", parts.port or 80


def wire_form(request: Request) -> bytes:
    """The request's bytes; Content-Length is added unless the request states its own framing."""
    headers = list(request.headers)
    framing = {"content-length", "transfer-encoding"}
    if not any(name.lower() in framing for name, _ in headers):
        headers.append(("Content-Length", str(len(request.body))))
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body


def exchange(endpoint: str, data: bytes) -> Answer | None:
    """Send the bytes on a new connection and read one answer; None if the server just closed."""
    with socket.create_connection(address(endpoint), timeout=TIMEOUT_SECONDS) as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer to a refused head may come before the body is through
        return read_answer(connection, not data.startswith(b"HEAD "), watch_end=False)


def send(endpoint: str, request: Request) -> Answer:
    """Send a request that must be answered."""
    answer = exchange(endpoint, wire_form(request))
    assert answer is not None, "the server closed the connection without an answer"
    return answer


def read_answer(
    connection: socket.socket, has_body: bool = True, watch_end: bool = True
) -> Answer | None:
    """One answer from the socket, and, if it is watched, whether the connection ends behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = receive(connection)
        if not part:
            return None
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1])
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0")) if has_body else 0
    while len(rest) < length:
        part = receive(connection)
        if not part:
            break
        rest += part
    closed = headers.get("connection", "").lower() == "close"
    closed = closed or (watch_end and ended(connection))
    return Answer(status, headers, rest[:length], closed)


def receive(connection: socket.socket) -> bytes:
    """Bytes, or nothing when the peer has gone."""
    try:
        return connection.recv(65536)
    except (ConnectionResetError, BrokenPipeError):
        return b""


def ended(connection: socket.socket) -> bool:
    """Whether the peer closes without being asked."""
    connection.settimeout(0.5)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except (ConnectionResetError, BrokenPipeError):
        return True
