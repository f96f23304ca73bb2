"""A TCP proxy that misbehaves on demand: delays, resets, truncates, swallows, drops answers."""

import enum
import random
import socket
import struct
import threading
from dataclasses import dataclass

from .raw_http import address


class Fault(enum.Enum):
    """What happens to one connection's exchange."""

    NONE = "none"
    #: The request arrives; the connection ends before the answer does.
    DROP_ANSWER = "drop answer"
    #: The connection is reset while the request is on its way.
    RESET = "reset"
    #: Part of the answer arrives, then the connection ends.
    TRUNCATE = "truncate"
    #: Nothing comes back at all until the client gives up.
    BLACK_HOLE = "black hole"
    #: The answer comes late.
    DELAY = "delay"


@dataclass
class Plan:
    """Which fault strikes how often. Repeatable by its seed."""

    seed: int
    share: float
    faults: tuple[Fault, ...] = (Fault.DROP_ANSWER,)
    delay_seconds: float = 0.2


class FaultProxy:
    """Listens on a free loopback port and passes connections on to the endpoint."""

    def __init__(self, target: str, plan: Plan):
        self.target = address(target)
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.lock = threading.Lock()
        self.struck: dict[Fault, int] = dict.fromkeys(Fault, 0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.closing = False
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    @property
    def endpoint(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def choose(self) -> Fault:
        """The fault of the next exchange."""
        with self.lock:
            strikes = self.random.random() < self.plan.share
            fault = self.random.choice(self.plan.faults) if strikes else Fault.NONE
            self.struck[fault] += 1
            return fault

    def accept(self) -> None:
        """Serve until closed."""
        while not self.closing:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """One client connection: each request gets its own fault."""
        with client, socket.create_connection(self.target) as server:
            while True:
                data = receive(client)
                if not data:
                    return
                fault = self.choose()
                if fault is Fault.RESET:
                    server.sendall(data[: len(data) // 2])
                    abort(client)
                    return
                try:
                    server.sendall(self.whole_request(client, data))
                    answer = whole_message(server, receive(server))
                except OSError:
                    return
                if not self.answer(client, answer, fault):
                    return

    def answer(self, client: socket.socket, answer: bytes, fault: Fault) -> bool:
        """Pass the answer on, or not; returns whether the connection goes on."""
        if fault is Fault.DROP_ANSWER:
            abort(client)
            return False
        if fault is Fault.BLACK_HOLE:
            receive(client)
            return False
        if fault is Fault.TRUNCATE:
            client.sendall(answer[: len(answer) // 2])
            abort(client)
            return False
        if fault is Fault.DELAY:
            threading.Event().wait(self.plan.delay_seconds)
        try:
            client.sendall(answer)
        except OSError:
            return False
        return bool(answer)

    @staticmethod
    def whole_request(client: socket.socket, data: bytes) -> bytes:
        """Read on until the request is complete."""
        return whole_message(client, data)

    def close(self) -> None:
        """Stop listening."""
        self.closing = True
        self.listener.close()


def whole_message(source: socket.socket, data: bytes) -> bytes:
    """Read on until head and body (by Content-Length) are complete."""
    while b"\r\n\r\n" not in data:
        part = receive(source)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        part = receive(source)
        if not part:
            break
        data += part
        body += part
    return data


def receive(source: socket.socket) -> bytes:
    """Bytes, or nothing when the peer has gone."""
    try:
        return source.recv(1 << 20)
    except OSError:
        return b""


def abort(connection: socket.socket) -> None:
    """End the connection with a reset instead of a farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
