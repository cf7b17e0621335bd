"""What a service manager sees of the daemon, on a socket that plays its part."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Daemon, Daemons

QUICK = {"notifiers": [{"name": "console", "type": "log"}], "routes": [{"name": "all", "notify": ["console"]}]}


class Manager:
    """A service manager's end of `$NOTIFY_SOCKET`; `said` holds the assignments in the order they came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self._news = threading.Condition()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        while message := self.socket.recv(4096):
            with self._news:
                self.said += message.decode().splitlines()
                self._news.notify_all()

    def wait(self, assignment: str, count: int = 1) -> None:
        """Return once this was said so many times."""
        with self._news:
            heard = self._news.wait_for(lambda: self.said.count(assignment) >= count, 30.0)
        assert heard, f"{assignment} not in {self.said}"

    def close(self) -> None:
        """Hang up."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self._listener.join(30.0)
        self.socket.close()


@pytest.fixture
def manager(home: Path) -> Iterator[Manager]:
    manager = Manager(home / "notify")
    yield manager
    manager.close()


@pytest.fixture
def served(make_daemon: Daemons, manager: Manager) -> Daemon:
    return make_daemon(NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="1000000").configure(**QUICK)


def test_ready_is_said_once_the_first_pass_is_done(served: Daemon, manager: Manager) -> None:
    gate = served.directory / "gate"
    served.configure(**QUICK, plugins=served.hold_start(gate)).spawn()
    served.log.wait("api_started")
    manager.wait("EXTEND_TIMEOUT_USEC=30000000")
    assert served.json("status")["why"] == "starting"
    assert "READY=1" not in manager.said
    gate.touch()
    manager.wait("READY=1")
    assert manager.said.count("READY=1") == 1


def test_signs_of_life_are_given_within_each_interval(served: Daemon, manager: Manager) -> None:
    served.start()
    manager.wait("WATCHDOG=1", count=4)


@pytest.mark.parametrize("way", ["signal", "command"])
def test_a_reload_is_announced_and_its_end_too(served: Daemon, manager: Manager, way: str) -> None:
    served.start()
    if way == "signal":
        served.send(signal.SIGHUP)
    else:
        served.cli("config", "reload")
    manager.wait("RELOADING=1")
    manager.wait("READY=1", count=2)
    assert any(one.startswith("MONOTONIC_USEC=") for one in manager.said)


def test_a_reload_that_fails_ends_too_and_the_daemon_goes_on(served: Daemon, manager: Manager) -> None:
    served.start()
    served.config.write_text("syncs: 7\n")
    refused = served.run("config", "reload")
    assert (refused.returncode, f"{served.config}:1:8" in refused.stdout + refused.stderr) == (78, True)
    manager.wait("READY=1", count=2)
    assert served.alerts() == [("komodod", "reload_failed")]


def test_the_stop_is_announced(served: Daemon, manager: Manager) -> None:
    served.start()
    assert served.end() == 0
    manager.wait("STOPPING=1")


def test_a_configuration_that_is_not_valid_ends_with_78(daemon: Daemon) -> None:
    daemon.configure(syncs=[{"name": "web", "sorce": {}}])
    done = daemon.run("run", "--config", str(daemon.config))
    assert done.returncode == 78
    assert "did you mean 'source'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_that_cannot_be_made_ends_with_78(daemon: Daemon) -> None:
    place = daemon.directory / "nowhere" / "komodod.sock"
    daemon.configure(api={"socket": str(place)})
    done = daemon.run("run", "--config", str(daemon.config))
    assert done.returncode == 78
    assert f"cannot listen on '{place}'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("matches", [True, False])
def test_lines_have_a_priority_where_journald_reads_them(make_daemon: Daemons, *, matches: bool) -> None:
    ours, its = os.pipe()
    status = os.fstat(its)
    stream = f"{status.st_dev}:{status.st_ino if matches else status.st_ino + 1}"
    daemon = make_daemon(JOURNAL_STREAM=stream).configure(**QUICK).spawn(its)
    os.close(its)
    with os.fdopen(ours) as lines:
        starting = next(line for line in lines if '"starting"' in line)
        assert starting.startswith("<6>{" if matches else "{")
        daemon.until(lambda: daemon.run("status").returncode == 0)
        assert daemon.end() == 0


def test_the_directories_of_the_unit_are_used(make_daemon: Daemons, home: Path) -> None:
    state, runtime = home / "lib", home / "run"
    state.mkdir()
    runtime.mkdir()
    daemon = make_daemon(STATE_DIRECTORY=str(state), RUNTIME_DIRECTORY=str(runtime))
    daemon.config.write_text("syncs: []\n")
    daemon.start()
    assert (state / "komodod.db").exists()
    assert (runtime / "komodod.sock").is_socket()
    assert daemon.end() == 0


def test_a_credential_of_the_unit_is_found_by_its_name(make_daemon: Daemons, home: Path) -> None:
    credentials = home / "credentials"
    credentials.mkdir()
    (credentials / "hook-secret").write_text("only the unit knows\n")
    daemon = make_daemon(CREDENTIALS_DIRECTORY=str(credentials))
    hook = {"name": "ops", "type": "webhook", "url": "http://127.0.0.1:9/", "secret_file": "hook-secret"}
    daemon.configure(notifiers=[hook], routes=[{"name": "all", "notify": ["ops"]}]).start()
    assert daemon.end() == 0
    assert not any("only the unit knows" in line for line in daemon.log.lines)
