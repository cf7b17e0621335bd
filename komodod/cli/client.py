"""HTTP over the daemon's Unix socket.

On the standard library's `http.client`: 20 ms more to import than a client of our own, for chunks, headers and
half-closed connections that were right long before komodod. A connection serves one request: a new one costs less than
a tenth of a millisecond, and none can be found closed by the daemon after a person took a minute to say yes.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from komodod.cli import places
from komodod.cli.faults import AnswerError, UnreachableError
from komodod.errors import UsageError

if TYPE_CHECKING:
    from komodod.model import Json

PREFIX: Final = "/api/v1"
PATIENCE: Final = 60.0
"""Seconds without a byte after which an ordinary request counts as unanswered."""
QUEUE: Final = 10
"""Seconds to wait for a place in the queue of a daemon that many call at once."""
PAGE: Final = 500
"""Items of a page; the API's most."""

Query = Mapping[str, Any]
"""None leaves a parameter out; a list repeats it."""


class Connection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Connect, waiting for a place in the daemon's queue where a socket with a time-out would be refused."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", QUEUE, 0))
            self.sock.connect(str(self.path))
        except OSError as error:
            self.sock.close()
            raise UnreachableError(places.explain(self.path, error)) from error
        self.sock.settimeout(self.timeout)


class Client:
    """The API of one daemon. Every method raises UnreachableError if nobody answers, AnswerError for a refusal."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, path: str, query: Query | None = None) -> Json:
        """Return what stands at a path."""
        return self.send("GET", path, query)

    def send(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Json = None,
        *,
        timeout: float | None = PATIENCE,
        op_id: str | None = None,
    ) -> Json:
        """Make a request and return the answer.

        Args:
            method: the HTTP method.
            path: below the API's prefix, with a leading slash; parts of it made by `part`.
            query: its parameters.
            body: what is sent as JSON; None sends nothing.
            timeout: seconds without a byte of answer; None waits for ever.
            op_id: the id that the operation is to have.
        """
        with self.ask(method, path, query, body, timeout=timeout, op_id=op_id) as response:
            data = response.read()
        return _read(data) if data else None

    def pages(self, path: str, query: Query | None = None, limit: int | None = None) -> Iterator[Json]:
        """Yield the items of a list, page after page; at most `limit` of them."""
        after, left = None, limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self.get(path, {**(query or {}), "limit": size, **({"after": after} if after else {})})
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            after = page["next"]
            if after is None:
                return

    @contextmanager
    def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Json = None,
        *,
        timeout: float | None = PATIENCE,
        op_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Make a request and give the answer to be read, a refusal excepted; what fails while it is read counts too."""
        connection = Connection(self.path, timeout)
        sent = {"Connection": "close", "Accept": "application/json", **(headers or {})}
        sent |= {"X-Op-Id": op_id} if op_id else {}
        sent |= {} if body is None else {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        try:
            connection.connect()
            connection.request(method, PREFIX + path + _encode(query), data, sent)
            response = connection.getresponse()
            if response.status >= 300:
                raise _refusal(response.status, response.read())
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(self._silence(method, error, op_id)) from error
        finally:
            connection.close()

    def _silence(self, method: str, error: Exception, op_id: str | None) -> str:
        """Say that there was no answer. What was asked is then unknown: neither done nor not done."""
        what = "did not answer in time" if isinstance(error, TimeoutError) else "went away before it had answered"
        doubt = "" if method == "GET" else "; what was asked may have been done"
        trace = f", `komodod event list` shows it under op_id {op_id}" if op_id else ""
        return f"the daemon at {self.path} {what} ({str(error) or type(error).__name__}){doubt}{trace}"


def part(name: str) -> str:
    """Return a name as one part of a path.

    Raises:
        UsageError: it is empty, and would name another resource.
    """
    if not name:
        raise UsageError("an empty name or id names nothing; is a variable in the command not set?")
    return quote(name, safe="")


def _encode(query: Query | None) -> str:
    given = {key: _spell(value) for key, value in (query or {}).items() if value is not None}
    return "?" + urlencode(given, doseq=True) if given else ""


def _spell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _read(data: bytes) -> Json:
    try:
        return json.loads(data)
    except ValueError as error:
        raise UnreachableError(f"what answered is no komodod: not JSON but {data[:40]!r}") from error


def _refusal(status: int, data: bytes) -> AnswerError:
    try:
        problem = json.loads(data)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return AnswerError(status, f"the daemon answered {status}: {data[:200].decode('utf-8', 'replace').strip()!r}")
    detail = problem.get("detail") or problem.get("title") or f"the daemon answered {status}"
    return AnswerError(status, str(detail), problem.get("problems") or ())
