"""A daemon that answers as it is told, over real HTTP on a real Unix socket; and the command line beside it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from komodod.cli import main

AT = "2026-01-02T03:04:05Z"
LIMIT = 20.0
"""Seconds after which a command in a process of its own counts as hung."""


# --- the daemon ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Any
    headers: Mapping[str, str]

    @property
    def line(self) -> str:
        """`POST /syncs/web/check`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Raw:
    """An answer that is no JSON: bytes after the head, or instead of one."""

    data: bytes
    head: bool = True
    media_type: str = "text/event-stream"


@dataclass
class Daemon:
    """Answers from `answers`: by request line, a body for 200, a pair of status and body, a `Raw`, or a function of the
    request that returns one of them; a list is used up until its last."""

    socket: Path
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def lines(self) -> list[str]:
        return [request.line for request in self.asked]

    def answer(self, request: Asked) -> Any:
        self.asked.append(request)
        found = self.answers.get(request.line, (404, {"detail": f"nothing at {request.line}", "status": 404}))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        return found(request) if callable(found) else found

    def refuse(self, line: str, status: int, detail: str, *problems: Any) -> None:
        body = {"type": "about:blank", "title": "no", "status": status, "detail": detail}
        self.answers[line] = (status, {**body, **({"problems": problems} if problems else {})})


class Handler(BaseHTTPRequestHandler):
    """One request of one connection."""

    protocol_version = "HTTP/1.1"
    daemon: Daemon

    def _handle(self) -> None:
        url = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        assert url.path.startswith("/api/v1")
        path, query = url.path.removeprefix("/api/v1"), parse_qs(url.query)
        body = json.loads(data) if data else None
        answer = self.daemon.answer(Asked(self.command, path, query, body, dict(self.headers)))
        if isinstance(answer, Raw):
            self._raw(answer)
        else:
            status, body = answer if isinstance(answer, tuple) else (200, answer)
            self._send(status, json.dumps(body).encode())

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _raw(self, answer: Raw) -> None:
        if answer.head:
            self.send_response(200)
            self.send_header("Content-Type", answer.media_type)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(answer.data), answer.data))
        else:
            self.wfile.write(answer.data)
        self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815  names that the base class looks for

    def address_string(self) -> str:
        return "a Unix socket"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture(scope="session")
def raw() -> type[Raw]:
    return Raw


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="kd-") as made:
        yield Path(made)


@pytest.fixture
def daemon(short: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon that the command line finds by $KOMODOD_SOCKET."""
    made = Daemon(short / "komodod.sock")
    handler = type("Bound", (Handler,), {"daemon": made})
    with Server(str(made.socket), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("KOMODOD_SOCKET", str(made.socket))
        yield made
        server.shutdown()
        thread.join()


# --- the command line ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty directory, a home of its own, a known time zone, no variables of ours."""
    for name in ("KOMODOD_SOCKET", "KOMODOD_CONFIG", "NO_COLOR", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "Europe/Paris")
    monkeypatch.chdir(tmp_path)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def komodod(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process, off a terminal."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(arguments)
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return run


@pytest.fixture
def process() -> Callable[..., Result]:
    """Run a command line in a process of its own, off a terminal."""

    def run(*arguments: str, stdin: str = "", **environ: str) -> Result:
        command = [sys.executable, "-m", "komodod.cli", *arguments]
        done = subprocess.run(
            command,
            env={**os.environ, **environ},
            input=stdin,
            text=True,
            capture_output=True,
            timeout=LIMIT,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def terminal() -> Callable[..., Result]:
    """Run a command line on a terminal of 120 columns; each of `typed` is a text to wait for and what to type then."""

    def run(*arguments: str, typed: tuple[tuple[str, str], ...] = (), **environ: str) -> Result:
        master, slave = pty.openpty()
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environ}
        command = ["setsid", "--ctty", sys.executable, "-m", "komodod.cli", *arguments]  # so that Ctrl-C is a signal
        with subprocess.Popen(command, env=env, stdin=slave, stdout=slave, stderr=slave) as running:
            os.close(slave)
            try:
                seen = _converse(master, list(typed))
                code = running.wait(LIMIT)
            finally:
                running.kill()
                os.close(master)
        return Result(code, seen.replace("\r\n", "\n"), "")

    return run


def _converse(master: int, typed: list[tuple[str, str]]) -> str:
    """Read until the far side closes the terminal, typing what is to be typed when its turn has come.

    Ctrl-C is typed again after a while: one that comes in the instant before Python blocks in `input` waits there.
    """
    seen, answered, last, end = "", 0, "", time.monotonic() + LIMIT
    while time.monotonic() < end:
        if not select.select([master], [], [], 1.0)[0]:
            if last == "\x03":
                os.write(master, b"\x03")
            continue
        try:
            seen += os.read(master, 65536).decode(errors="replace")
        except OSError:  # EIO: nobody has the terminal open any more
            break
        if typed and typed[0][0] in seen[answered:]:
            answered, last = len(seen), typed.pop(0)[1]
            os.write(master, last.encode())
    assert not typed, f"never saw {typed[0][0]!r} in {seen!r}"
    return seen


@pytest.fixture
def plain() -> Callable[[str], str]:
    """Take the colours out of what a terminal got."""
    return lambda text: re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


# --- what the API answers --------------------------------------------------------------------------------------------


class Make:
    """The nouns as the API spells them."""

    def sync(self, name: str = "website", state: str = "ok", **fields: Any) -> dict[str, Any]:
        return {
            "id": f"id-of-{name}",
            "name": name,
            "state": state,
            "origin": "api",
            "declared": None,
            "source": {"type": "directory", "from": "/site", "to": "/srv/www"},
            "every": 300.0,
            "cron": None,
            "timezone": None,
            "apply": "manual",
            "severity": "warning",
            "labels": {"team": "web"},
            "fail_after": 2,
            "timeout": 300.0,
            "diff": "text",
            "generation": 1,
            "paused": False,
            "pending": 0,
            "revision": "r1",
            "headline": [],
            "conditions": [],
            "failures": 0,
            "error": None,
            "checked_at": AT,
            "next_check_at": "2026-01-02T03:09:05Z",
            "requests": 0,
            "requests_seen": 0,
            "apply_request": None,
            "applied_at": None,
            "apply_error": None,
            "created_at": AT,
            "updated_at": AT,
            "alerts": [],
            **fields,
        }

    def pending(self, name: str = "website", **fields: Any) -> dict[str, Any]:
        headline = [{"action": "update", "kind": "file", "name": "index.html", "diff": None}]
        return self.sync(name, "pending", pending=3, headline=headline, **fields)

    def alert(self, **fields: Any) -> dict[str, Any]:
        return {
            "id": "a1",
            "sync": "website",
            "sync_id": "id-of-website",
            "kind": "pending",
            "severity": "warning",
            "summary": "3 changes pending",
            "labels": {"team": "web"},
            "changes": 3,
            "headline": [{"action": "update", "kind": "file", "name": "index.html", "diff": None}],
            "paused": False,
            "opened_at": AT,
            "updated_at": AT,
            "resolved_at": None,
            "resolution": None,
            "reason": None,
            **fields,
        }

    def notification(self, **fields: Any) -> dict[str, Any]:
        return {
            "id": "n1",
            "notifier": "ops",
            "group": "id-of-website",
            "sync": "website",
            "wanted": True,
            "state": "shown",
            "version": 1,
            "observed": 1,
            "attempts": 0,
            "last_error": None,
            "dead": False,
            "stranded": False,
            "waiting": None,
            "retry_at": None,
            "due_at": None,
            "shown_since": AT,
            "key": "k1",
            "doubts": [],
            "ledger": [],
            "repeats": 0,
            "abandoned": 0,
            **fields,
        }

    def event(self, cursor: int = 1, kind: str = "sync_created", **fields: Any) -> dict[str, Any]:
        return {
            "id": f"e{cursor}",
            "cursor": cursor,
            "at": AT,
            "kind": kind,
            "sync": "website",
            "sync_id": "id-of-website",
            "actor": "ada",
            "op_id": f"op{cursor}",
            "reason": None,
            "data": {},
            "alerts": [],
            **fields,
        }

    def hook_call(self, **fields: Any) -> dict[str, Any]:
        return {
            "id": "h1",
            "event_id": "e1",
            "plugin": "git",
            "hook": "on_sync_deleted",
            "sync": "website",
            "state": "dead",
            "attempts": 12,
            "excused": 0,
            "last_error": "no such directory",
            "created_at": AT,
            "due_at": None,
            "finished_at": None,
            "present": True,
            **fields,
        }

    def report(self, **fields: Any) -> dict[str, Any]:
        line = {"name": "open-alert-has-sync", "checked": 4, "found": 0, "repaired": 0, "skipped": 0, "seconds": 0.25}
        return {
            "dry_run": False,
            "forced": False,
            "trigger": "hand",
            "started_at": AT,
            "seconds": 0.5,
            "braked": [],
            "invariants": [{**line, "why": None, "error": None, "findings": [], **fields.pop("line", {})}],
            **fields,
        }

    def status(self, **fields: Any) -> dict[str, Any]:
        counts = {
            "syncs": {"ok": 2, "pending": 1},
            "paused": 1,
            "open_alerts": {"pending": 1},
            "shown": 1,
            "dirty": 0,
            "in_doubt": 0,
            "dead_notifications": 0,
            "stranded": 0,
            "waiting_hook_calls": 0,
            "dead_hook_calls": 0,
        }
        return {
            "version": "0.1.0",
            "pid": 4711,
            "started_at": AT,
            "socket": "/run/komodod/komodod.sock",
            "ready": True,
            "why": None,
            "config": {"file": "/etc/komodod/komodod.yaml", "loaded_at": AT, "error": None, "restart_needed": []},
            "counts": {**counts, **fields.pop("counts", {})},
            "next_due": None,
            "last_pass": self.report(),
            "notifiers": [
                {
                    "name": "ops",
                    "type": "webhook",
                    "class": "A",
                    "withdrawal": "says resolved",
                    "parked": None,
                    "failures": 0,
                }
            ],
            "plugins": {"broken": {}, "wedged": []},
            "storage": {"type": "sqlite", "error": None},
            **fields,
        }

    def page(self, *items: Any, after: str | None = None) -> dict[str, Any]:
        return {"items": list(items), "next": after}


@pytest.fixture(scope="session")
def make() -> Make:
    return Make()
