"""SIGKILL at any moment: what was acknowledged is done, and what was deleted is taken back everywhere."""

from __future__ import annotations

import random
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from komodod.testing.sink import Fault

if TYPE_CHECKING:
    from komodod.testing.sink import Sink
    from tests.acceptance.conftest import Daemon

ROUNDS = 12

SCRIBE = '''
"""Writes down what it is told, on disk at once."""

import os

import komodod


@komodod.hookimpl
def on_sync_deleted(event):
    with open({path!r}, "a") as file:
        file.write(event.sync.name + "\\n")
        file.flush()
        os.fsync(file.fileno())
'''


def sections(daemon: Daemon, sink: Sink) -> dict[str, Any]:
    plugins = daemon.directory / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "scribe.py").write_text(SCRIBE.format(path=str(daemon.directory / "told")))
    return {
        "plugins": {"path": [str(plugins)]},
        "limits": {"backoff_max": "1s"},
        "notifiers": [{"name": "ops", "type": "webhook", "url": sink.url, "timeout": "2s"}],
        "routes": [{"name": "all", "notify": ["ops"]}],
    }


def create(daemon: Daemon, site: Path, name: str) -> None:
    target = daemon.directory / name
    daemon.cli("sync", "create", name, "--source", "directory", "--set", f"from={site}", "--set", f"to={target}")


def shows(name: str, sink: Sink) -> bool:
    return any(name in data["title"] for data in sink.standing().values())


def rows(daemon: Daemon, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{daemon.state}/komodod.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


ORPHANS = """
    SELECT id FROM alerts WHERE resolved_at IS NULL AND NOT EXISTS (SELECT 1 FROM syncs WHERE id = alerts.sync_id)
"""


def test_a_kill_between_the_send_and_its_answer_leaves_nothing_standing_after_a_delete(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    daemon.configure(**sections(daemon, sink)).start()
    sink.answer_next(fault=Fault.HANG)
    create(daemon, site, "web")
    sink.wait(lambda sink: sink.standing())
    daemon.kill()
    daemon.start()
    daemon.cli("sync", "delete", "web", "--yes")
    sink.wait(lambda sink: not sink.standing())
    assert rows(daemon, ORPHANS) == []


def test_after_a_kill_a_message_in_doubt_is_repeated_once_with_the_same_id(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    daemon.configure(**sections(daemon, sink)).start()
    sink.answer_next(fault=Fault.HANG)
    create(daemon, site, "web")
    sink.wait(lambda sink: sink.standing())
    daemon.kill()
    daemon.start()
    sink.wait(lambda sink: len(sink.requests) == 2)
    first, second = sink.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_a_hook_call_that_the_kill_cut_off_is_made_again(daemon: Daemon, site: Path, sink: Sink) -> None:
    whole = sections(daemon, sink)
    hung = daemon.directory / "plugins" / "hung.py"
    hung.write_text(
        "import pathlib\nimport threading\n\nimport komodod\n\n\n@komodod.hookimpl\ndef on_sync_deleted(event):\n"
        f"    file = pathlib.Path({str(daemon.directory / 'begun')!r})\n"
        "    if not file.exists():\n        file.write_text(event.id)\n        threading.Event().wait(60)\n"
        f"    pathlib.Path({str(daemon.directory / 'again')!r}).write_text(event.id)\n"
    )
    daemon.configure(**whole).start()
    create(daemon, site, "web")
    daemon.cli("sync", "delete", "web", "--yes")
    daemon.until((daemon.directory / "begun").exists)
    daemon.kill()
    daemon.start()
    daemon.until((daemon.directory / "again").exists)
    assert (daemon.directory / "again").read_text() == (daemon.directory / "begun").read_text()


@pytest.mark.timeout(300)
def test_kills_at_random_times_lose_no_acknowledged_delete_and_leave_no_orphan(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    rng = random.Random(11)
    daemon.configure(**sections(daemon, sink)).start()
    gone: list[str] = []
    for number in range(ROUNDS):
        name = f"web-{number}"
        create(daemon, site, name)
        if rng.random() < 0.7:
            sink.wait(partial(shows, name))
        with ThreadPoolExecutor(1) as pool:
            deleting = pool.submit(daemon.run, "sync", "delete", name, "--yes")
            wait([deleting], timeout=rng.uniform(0.0, 0.6))
            daemon.kill()
            acknowledged = deleting.result().returncode == 0
        daemon.start()
        if acknowledged:
            gone.append(name)
        elif name in {sync["name"] for sync in daemon.json("sync", "list")}:
            daemon.cli("sync", "delete", name, "--yes")
    assert {sync["name"] for sync in daemon.json("sync", "list")}.isdisjoint(gone)
    sink.wait(lambda sink: not sink.standing())
    told = daemon.directory / "told"
    daemon.until(lambda: {f"web-{number}" for number in range(ROUNDS)} <= set(told.read_text().split()))
    assert daemon.alerts() == []
    assert rows(daemon, ORPHANS) == []
    assert daemon.end(signal.SIGTERM) == 0
