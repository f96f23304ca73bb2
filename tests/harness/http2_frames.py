"""HTTP/2 frames, made by hand so that they can be sent as no library would send them."""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header field without indexing; lengths below 127 or as one continued integer."""
    return b"\0" + text(name) + text(value)


def text(value: bytes) -> bytes:
    """A string literal, not compressed."""
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, length = len(value) - 127, b"\x7f"
    while rest >= 128:
        length += bytes([rest % 128 | 128])
        rest //= 128
    return length + bytes([rest]) + value


def head(path: bytes = b"/events", *extra: bytes) -> bytes:
    """The header block of a POST."""
    named = literal(b":path", path) + literal(b":authority", b"cairn")
    return b"\x83\x86" + named + b"".join(extra)


def connect(target: tuple[str, int]) -> socket.socket:
    """A connection that has said hello."""
    connection = socket.create_connection(target, timeout=10)
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
    return connection
