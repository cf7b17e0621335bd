"""Three installed daemons over one PostgreSQL database: whoever is asked, whoever works, whoever dies."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from komodod.engine.leases import LEASE
from komodod.testing.sink import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from komodod.testing.sink import Sink
    from tests.acceptance.conftest import Daemon, Daemons

ORPHANS = "SELECT id FROM komodod.alerts WHERE resolved_at IS NULL AND sync_id NOT IN (SELECT id FROM komodod.syncs)"
SYNCS = 12


@pytest.fixture
def replicas(make_daemon: Daemons, databases: Any, sink: Sink) -> list[Daemon]:
    """Start three daemons at once on an empty database, with one configuration."""
    url = databases.create("template0")
    found = [make_daemon(name) for name in "abc"]
    for daemon in found:
        daemon.configure(
            storage={"type": "postgres", "url": url},
            limits={"backoff_max": "1s"},
            notifiers=[{"name": "ops", "type": "webhook", "url": sink.url, "timeout": "2s"}],
            routes=[{"name": "all", "notify": ["ops"]}],
        ).spawn()
    for daemon in found:
        daemon.log.wait("ready")
    return found


def create(daemon: Daemon, site: Path, name: str) -> None:
    target = site.with_name(name)
    daemon.cli("sync", "create", name, "--source", "directory", "--set", f"from={site}", "--set", f"to={target}")


def everywhere(replicas: list[Daemon], act: Callable[[Daemon, str], object]) -> None:
    """Do something to each sync, through one replica after the other, three at a time."""
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda number: act(replicas[number % 3], f"web-{number}"), range(SYNCS)))


@pytest.mark.timeout(300)
def test_what_one_makes_the_others_show_check_and_delete(
    replicas: list[Daemon], databases: Any, site: Path, sink: Sink
) -> None:
    everywhere(replicas, lambda daemon, name: create(daemon, site, name))
    sink.wait(lambda sink: len(sink.standing()) == SYNCS)
    shown = [daemon.alerts() for daemon in replicas]
    assert len(shown[0]) == SYNCS
    assert shown[0] == shown[1] == shown[2]
    everywhere(replicas[::-1], lambda daemon, name: daemon.cli("sync", "delete", name, "--yes"))
    sink.wait(lambda sink: not sink.standing())
    ids = [request.headers["webhook-id"] for request in sink.requests]
    assert len(ids) == len(set(ids)) == 2 * SYNCS, "nobody died, so nothing was said twice"
    assert [daemon.alerts() for daemon in replicas] == [[], [], []]
    assert databases.execute(databases.locate(databases.made[-1]), ORPHANS) == []


@pytest.mark.timeout(300)
def test_the_work_of_the_killed_goes_on_elsewhere(replicas: list[Daemon], site: Path, sink: Sink) -> None:
    sink.answer_next(fault=Fault.HANG)
    create(replicas[0], site, "web")
    sink.wait(lambda sink: sink.standing())
    holder = _holder(replicas)
    holder.kill()
    killed = time.monotonic()
    survivor = next(daemon for daemon in replicas if daemon is not holder)
    survivor.cli("sync", "delete", "web", "--yes")
    sink.wait(lambda sink: not sink.standing(), LEASE + 15)
    assert time.monotonic() - killed < LEASE + 5
    assert survivor.alerts() == []


def _holder(replicas: list[Daemon]) -> Daemon:
    """Return the daemon that has sent the one message: the one with a connection to the sink."""
    pause = threading.Event()
    for _ in range(100):
        for daemon in replicas:
            assert daemon.process is not None
            if _connected(daemon.process.pid):
                return daemon
        pause.wait(0.01)
    raise AssertionError("nobody is connected to the sink")


def _connected(pid: int) -> bool:
    """Tell whether the process has a TCP connection that stands; PostgreSQL is reached by a Unix socket."""
    mine = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            mine.add(link.readlink().name)
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(f"socket:[{row[9]}]" in mine for row in rows if row[3] == "01")
