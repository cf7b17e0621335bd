"""A webhook receiver on loopback: a real HTTP server in a thread, which answers, or fails to, as it is told."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

PATIENCE: Final = 20.0
"""Seconds that a test waits for something to happen before it fails."""


class Fault(StrEnum):
    """What may go wrong after a request was read: its effect is there, and the sender does not know."""

    HANG = "hang"
    """No answer until the sink is closed."""
    RESET = "reset"
    """The connection is reset instead of an answer."""
    HALF = "half"
    """An answer that ends before its announced length."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a request is answered."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fault: Fault | None = None

    @property
    def accepts(self) -> bool:
        """Whether the receiver acts on the request, whatever the sender gets to know of it."""
        return self.fault is not None or 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Request:
    """What was received; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    reply: Reply

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


class Sink:
    """A receiver, alive inside `with`. `requests` holds what came, oldest first."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._always = Reply()
        self._next: deque[Reply] = deque()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), name="sink", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, status: int = 204, body: bytes = b"", *, fault: Fault | None = None, **headers: str) -> None:
        """Answer every request so from now on. `retry_after="5"` is the header `Retry-After: 5`."""
        self._always = _reply(status, body, fault, headers)

    def answer_next(self, status: int = 204, body: bytes = b"", *, fault: Fault | None = None, **headers: str) -> None:
        """Answer one request so, after those already planned; then go back to what `answer` said."""
        self._next.append(_reply(status, body, fault, headers))

    def wait(self, condition: Callable[[Sink], object], seconds: float = PATIENCE) -> None:
        """Return once the condition holds; it is looked at whenever a request came in.

        Raises:
            TimeoutError: it did not in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), seconds):
                raise TimeoutError(f"after {seconds:g} s and {len(self.requests)} requests it still does not hold")

    def standing(self) -> dict[str, Any]:
        """Return what a receiver shows by now: the data of each key's event of the highest sequence, unless withdrawn.

        Only CloudEvents that were accepted count; late and repeated ones change nothing, as the sequence tells.
        """
        latest: dict[str, Any] = {}
        for event in (request.json() for request in list(self.requests) if request.reply.accepts):
            known = latest.get(event["data"]["key"])
            if known is None or known["data"]["sequence"] < event["data"]["sequence"]:
                latest[event["data"]["key"]] = event
        return {key: event["data"] for key, event in latest.items() if not event["type"].endswith(".withdrawn")}

    def receive(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Take note of a request and return how to answer it."""
        with self._changed:
            reply = self._next.popleft() if self._next else self._always
            self.requests.append(Request(method, path, headers, body, reply))
            self._changed.notify_all()
        return reply

    def rest(self) -> None:
        """Wait until the sink is closed."""
        self._closed.wait()


def _reply(status: int, body: bytes, fault: Fault | None, headers: Mapping[str, str]) -> Reply:
    if fault is Fault.HALF and status == 204:
        status = 200  # which has a body to cut
    return Reply(status, {name.replace("_", "-").title(): value for name, value in headers.items()}, body, fault)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.sink.receive(self.command, self.path, headers, body)
        if reply.fault is None:
            self._answer(reply, len(reply.body))
            return
        self.close_connection = True
        if reply.fault is Fault.HANG:
            self.server.sink.rest()
        elif reply.fault is Fault.HALF:
            self._answer(reply, len(reply.body) + 100)
        else:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _answer(self, reply: Reply, length: int) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if length or reply.status not in (204, 304):
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's name
        """Say nothing; the tests look at `requests`."""
