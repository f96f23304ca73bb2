"""A3: requests that two parsers could read differently are answered 400 and the connection ends."""

import socket

import pytest

from harness.raw_http import address, ended, read_answer
from harness.results import record

SECOND = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def head(*lines: str, start: str = "POST /events HTTP/1.1") -> bytes:
    """A request head with the given header lines."""
    return "\r\n".join([start, *lines]).encode("latin-1") + b"\r\n\r\n"


HOST = "Host: cairn"
CASES = {
    "length and chunks": head(HOST, "Content-Length: 4", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n",
    "chunks and length": head(HOST, "Transfer-Encoding: chunked", "Content-Length: 4")
    + b"0\r\n\r\n",
    "two lengths": head(HOST, "Content-Length: 4", "Content-Length: 5") + b"abcd",
    "list of lengths": head(HOST, "Content-Length: 4, 5") + b"abcd",
    "signed length": head(HOST, "Content-Length: +4") + b"abcd",
    "negative length": head(HOST, "Content-Length: -1"),
    "length with text": head(HOST, "Content-Length: 4x") + b"abcd",
    "huge length": head(HOST, "Content-Length: 99999999999999999999999"),
    "folded header": b"POST /events HTTP/1.1\r\nHost: cairn\r\nX-A: 1\r\n 2\r\n\r\n",
    "space before colon": head(HOST, "Content-Length : 4") + b"abcd",
    "bad chunk size": head(HOST, "Transfer-Encoding: chunked") + b"xyz\r\nabc\r\n0\r\n\r\n",
    "negative chunk size": head(HOST, "Transfer-Encoding: chunked") + b"-1\r\n\r\n",
    "overflowing chunk size": head(HOST, "Transfer-Encoding: chunked")
    + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "chunk without line end": head(HOST, "Transfer-Encoding: chunked") + b"3\r\nabcd\r\n0\r\n\r\n",
    "unknown coding": head(HOST, "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "doubled coding": head(HOST, "Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n",
    "chunks not last": head(HOST, "Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
    "two hosts": head(HOST, "Host: other", "Content-Length: 0"),
    "no host": head("Content-Length: 0"),
    "absolute address of another host": head(
        HOST, "Content-Length: 0", start="POST http://other/events HTTP/1.1"
    ),
    "NUL in a header": b"POST /events HTTP/1.1\r\nHost: cairn\r\nX-A: a\x00b\r\n\r\n",
    "bare return in a header": b"POST /events HTTP/1.1\r\nHost: cairn\r\nX-A: a\rb\r\n\r\n",
    "header without name": b"POST /events HTTP/1.1\r\nHost: cairn\r\n: value\r\n\r\n",
    "unknown version": head(HOST, start="POST /events HTTP/9.9"),
    "space in the target": head(HOST, start="POST /events /more HTTP/1.1"),
    "lower-case method": head(HOST, "Content-Length: 0", start="post /events HTTP/1.1"),
    "chunks in version 1.0": head(
        HOST, "Transfer-Encoding: chunked", start="POST /events HTTP/1.0"
    )
    + b"0\r\n\r\n",
}
#: Two parsers agree on these; they need an error, not the end of the connection.
HARMLESS = {"lower-case method"}


# Proves: A3
@pytest.mark.parametrize("name", CASES)
def test_ambiguous_requests_are_refused_and_nothing_behind_them_is_read(server, name):
    with socket.create_connection(address(server.endpoint), timeout=10) as connection:
        connection.sendall(CASES[name] + SECOND)
        answer = read_answer(connection)
        if answer is None:
            return  # closed at once
        assert 400 <= answer.status < 500 or answer.status == 505, answer
        if name in HARMLESS:
            return
        assert answer.closed, f"{name}: {answer} and the connection goes on"
        assert b"200 OK" not in answer.body


# Proves: A3
def test_the_second_of_two_honest_requests_is_answered(server):
    """Control: pipelining as such works, so the silence above is a refusal."""
    with socket.create_connection(address(server.endpoint), timeout=10) as connection:
        connection.sendall(SECOND)
        first = connection.recv(65536)
        connection.sendall(SECOND)
        second = connection.recv(65536)
        assert first.startswith(b"HTTP/1.1 200") and second.startswith(b"HTTP/1.1 200")
        assert not ended(connection)
    record("A3", runs=len(CASES), figures={"desynchronized": 0})
