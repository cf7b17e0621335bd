"""The installed `komodod` as a subprocess, driven only through its command line, signals and files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any, Self

import pytest
import yaml

from komodod.testing.sink import Sink

KOMODOD = Path(sys.executable).with_name("komodod")
PATIENCE = 30.0
"""Seconds after which something that should happen counts as not happening."""


HOLDS = """
import asyncio
import pathlib

import komodod
from komodod.invariant import Invariant
from komodod.storage import Census, Page


class Holds(Invariant):
    name = "holds"

    async def census(self, storage):
        while not pathlib.Path({gate!r}).exists():
            await asyncio.sleep(0.05)
        return Census(0, 0)

    async def findings(self, storage, after, limit):
        return Page(())

    async def repair(self, finding, storage):
        return None


@komodod.hookimpl
def register_invariants():
    return {{"holds": Holds}}
"""
"""A plugin that keeps a pass waiting until a file is there."""


class Log:
    """The lines that a daemon wrote, as they come."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = stream is None
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        if stream is not None:
            self._reader.start()

    def close(self) -> None:
        """Return when everything was read; the writer must have ended."""
        if self._reader.ident is not None:
            self._reader.join(PATIENCE)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._news:
                    self.lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait(self, event: str, count: int = 1, **keys: object) -> dict[str, Any]:
        """Return the `count`-th line of this event and these keys, as soon as it is there."""
        with self._news:
            self._news.wait_for(lambda: self._ended or len(self.find(event, **keys)) >= count, PATIENCE)
            found = self.find(event, **keys)
        assert len(found) >= count, f"no {event} {keys} in the log:\n" + "".join(self.lines[-30:])
        return found[count - 1]

    def wait_text(self, text: str) -> None:
        """Return as soon as a line with this text is there."""
        with self._news:
            self._news.wait_for(lambda: self._ended or any(text in line for line in self.lines), PATIENCE)
        assert any(text in line for line in self.lines), f"no {text!r} in:\n" + "".join(self.lines[-30:])

    def find(self, event: str, **keys: object) -> list[dict[str, Any]]:
        """Return the lines of this event and these keys."""
        parsed = (json.loads(line) for line in self.lines if line.startswith("{"))
        return [one for one in parsed if one["event"] == event and keys.items() <= one.items()]


class Daemon:
    """One configuration and state directory, and the process that runs with it at the moment."""

    def __init__(self, directory: Path, environ: dict[str, str] | None = None) -> None:
        self.directory = directory
        self.config = directory / "komodod.yaml"
        self.state = directory / "state"
        self.socket = self.state / "komodod.sock"
        self.environ = {**os.environ, "KOMODOD_SOCKET": str(self.socket), **(environ or {})}
        self.process: subprocess.Popen[str] | None = None
        self.prefix: list[str] = []
        self.log = Log()

    def configure(self, **sections: Any) -> Self:
        """Write the configuration."""
        whole = {"state_dir": str(self.state), **sections}
        self.config.write_text(yaml.dump(whole, Dumper=yaml.CSafeDumper, sort_keys=False))
        return self

    def include(self, name: str, **sections: Any) -> None:
        """Write a file for `include: [conf.d/*.yaml]`."""
        (self.directory / "conf.d" / f"{name}.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))

    def plugin(self, name: str, source: str) -> dict[str, Any]:
        """Write a plugin, and return the section that has it loaded."""
        folder = self.directory / "plugins"
        folder.mkdir(mode=0o755, exist_ok=True)
        (folder / f"{name}.py").write_text(source)
        return {"path": [str(folder)]}

    def hold_start(self, gate: Path) -> dict[str, Any]:
        """Return the section that keeps the start pass from ending before this file is there."""
        return self.plugin("holds", HOLDS.format(gate=str(gate)))

    def spawn(self, stderr: int = subprocess.PIPE) -> Self:
        """Start the process and return at once; without another `stderr`, `log` has what it says."""
        command = [*self.prefix, str(KOMODOD), "run", "--config", str(self.config)]
        self.process = subprocess.Popen(command, stderr=stderr, text=True, env=self.environ)
        self.log = Log(self.process.stderr)
        return self

    def start(self) -> Self:
        """Start the process and return when it is ready."""
        self.spawn().log.wait("ready")
        return self

    def drop_rights(self) -> Self:
        """Let the process run without root's rights over files; what belongs to root is its own."""
        if os.geteuid() == 0:
            self.prefix = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        return self

    def memory(self) -> float:
        """Return the process's resident memory, in MiB."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def send(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        assert self.process is not None
        self.send(number)
        status = self.process.wait(PATIENCE)
        self.log.close()
        return status

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.end(signal.SIGKILL) == -signal.SIGKILL

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command line client."""
        return subprocess.run(
            [KOMODOD, *arguments], capture_output=True, text=True, env=self.environ, timeout=PATIENCE * 2, check=False
        )

    @contextmanager
    def follow(self, *arguments: str) -> Iterator[Log]:
        """Run a command line client that goes on, and give what it prints; it is ended afterwards."""
        command = [str(KOMODOD), *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=self.environ) as follower:
            printed = Log(follower.stdout)
            try:
                yield printed
            finally:
                follower.terminate()
                printed.close()

    def cli(self, *arguments: str, code: int = 0) -> str:
        """Run the command line client and return what it printed; its exit status must be `code`."""
        done = self.run(*arguments)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run the command line client and return the JSON it printed."""
        return json.loads(self.cli(*arguments, "-o", "json", code=code))

    def alerts(self) -> list[tuple[str, str]]:
        """Return sync and kind of the open alerts."""
        return sorted((alert["sync"], alert["kind"]) for alert in self.json("alert", "list"))

    def dump(self) -> list[str]:
        """Return everything that the store holds, as SQL."""
        with closing(sqlite3.connect(f"file:{self.state}/komodod.db?mode=ro", uri=True)) as connection:
            return list(connection.iterdump())

    def until(self, condition: Callable[[], object]) -> None:
        """Return when the condition holds; it is looked at again and again."""
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.1)):
            if condition():
                return
            pause.wait(0.1)
        raise AssertionError("it did not come to hold:\n" + "".join(self.log.lines[-30:]))


Daemons = Callable[..., Daemon]


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: the kernel takes 107 bytes for a socket's."""
    path = Path(tempfile.mkdtemp(prefix="kmd"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def make_daemon(home: Path) -> Iterator[Daemons]:
    with ExitStack() as stack:

        def make(name: str = "a", **environ: str) -> Daemon:
            directory = home / name
            directory.mkdir()
            daemon = Daemon(directory, environ)
            stack.callback(_end, daemon)
            return daemon

        yield make


def _end(daemon: Daemon) -> None:
    if daemon.process is not None and daemon.process.poll() is None:
        daemon.end(signal.SIGKILL)


@pytest.fixture
def daemon(make_daemon: Daemons) -> Daemon:
    return make_daemon()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def site(home: Path) -> Path:
    """A directory with two files, to keep another one in step with."""
    site = home / "site"
    site.mkdir()
    (site / "index.html").write_text("hello\n")
    (site / "robots.txt").write_text("User-agent: *\n")
    return site
