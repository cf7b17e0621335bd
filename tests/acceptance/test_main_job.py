"""The main job on real files: pending, shown, applied or deleted, and everything it caused is gone again."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from komodod.testing.sink import Sink
    from tests.acceptance.conftest import Daemon

SECRET = "whsec_" + "c2VjcmV0LXRoYXQtbm9ib2R5LWtub3dz"

PLUGIN = '''
"""Writes down what it is told, on disk at once."""

import os

import komodod


@komodod.hookimpl
def on_sync_deleted(event):
    with open({path!r}, "a") as file:
        file.write(f"{{event.id}} {{event.sync.name}} {{event.actor}} {{len(event.alerts)}}\\n")
        file.flush()
        os.fsync(file.fileno())
'''

ALWAYS_FAILS = """
import komodod


@komodod.hookimpl
def on_sync_deleted(event):
    raise RuntimeError("never works")
"""


def sections(site: Path, target: Path, sink: Sink, **sync: Any) -> dict[str, Any]:
    source = {"type": "directory", "from": str(site), "to": str(target), "prune": True}
    return {
        "notifiers": [{"name": "ops", "type": "webhook", "url": sink.url, "secret": SECRET}],
        "routes": [{"name": "all", "notify": ["ops"]}],
        "syncs": [{"name": "website", "source": source, "every": "1h", **sync}],
    }


def test_a_pending_sync_is_shown_and_an_apply_takes_it_back(daemon: Daemon, site: Path, sink: Sink) -> None:
    target = daemon.directory / "www"
    daemon.configure(**sections(site, target, sink)).start()
    sink.wait(lambda sink: sink.standing())
    (shown,) = sink.standing().values()
    assert "2 pending updates" in shown["title"]
    assert daemon.alerts() == [("website", "pending")]
    daemon.cli("sync", "apply", "website")
    assert (target / "index.html").read_text() == "hello\n"
    sink.wait(lambda sink: not sink.standing())
    assert daemon.alerts() == []


def test_a_change_by_hand_opens_another_alert_under_another_key(daemon: Daemon, site: Path, sink: Sink) -> None:
    target = daemon.directory / "www"
    daemon.configure(**sections(site, target, sink)).start()
    daemon.cli("sync", "apply", "website")
    sink.wait(lambda sink: len(sink.requests) == 2)
    (target / "index.html").write_text("changed by hand\n")
    daemon.cli("sync", "check", "website", code=1)
    sink.wait(lambda sink: sink.standing())
    keys = [request.json()["data"]["key"] for request in sink.requests]
    assert keys[0] == keys[1] != keys[2]


def test_every_message_is_signed_so_that_an_independent_verifier_accepts_it(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    daemon.configure(**sections(site, daemon.directory / "www", sink)).start()
    sink.wait(lambda sink: sink.requests)
    (request,) = sink.requests
    verified = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert verified["type"] == "dev.komodod.alert.opened"


def test_a_sync_taken_out_of_the_file_is_deleted_with_all_it_caused(daemon: Daemon, site: Path, sink: Sink) -> None:
    whole = sections(site, daemon.directory / "www", sink)
    daemon.configure(**whole).start()
    sink.wait(lambda sink: sink.standing())
    daemon.configure(**{**whole, "syncs": []})
    daemon.send(signal.SIGHUP)
    sink.wait(lambda sink: not sink.standing())
    assert daemon.alerts() == []
    assert [sync["name"] for sync in daemon.json("sync", "list")] == []
    assert "deleted" in sink.requests[-1].json()["data"]["reason"]


def test_a_sync_that_the_file_declares_cannot_be_deleted_from_outside(daemon: Daemon, site: Path, sink: Sink) -> None:
    daemon.configure(**sections(site, daemon.directory / "www", sink)).start()
    refused = daemon.run("sync", "delete", "website", "--yes")
    assert refused.returncode == 2
    assert f"declared in {daemon.config}:" in refused.stderr


def created(daemon: Daemon, site: Path, name: str = "extra") -> Path:
    """Create a sync over the command line, pending, and return its target."""
    target = daemon.directory / name
    settings = ["--set", f"from={site}", "--set", f"to={target}", "--every", "1h"]
    daemon.cli("sync", "create", name, "--source", "directory", *settings)
    return target


def test_a_delete_is_told_to_the_plugin_once_with_what_the_sync_was(daemon: Daemon, site: Path, sink: Sink) -> None:
    plugins, told = daemon.directory / "plugins", daemon.directory / "told"
    plugins.mkdir(mode=0o755)
    (plugins / "scribe.py").write_text(PLUGIN.format(path=str(told)))
    daemon.configure(**{**sections(site, daemon.directory / "www", sink), "plugins": {"path": [str(plugins)]}}).start()
    created(daemon, site)
    sink.wait(lambda sink: len(sink.standing()) == 2)
    daemon.cli("sync", "delete", "extra", "--yes")
    sink.wait(lambda sink: len(sink.standing()) == 1)
    daemon.until(told.exists)
    ((_, name, _, alerts),) = [line.split() for line in told.read_text().splitlines()]
    assert (name, alerts) == ("extra", "1")


def test_a_plugin_that_always_fails_never_delays_a_delete_and_ends_as_dead(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    plugins = daemon.directory / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "broken.py").write_text(ALWAYS_FAILS)
    whole = sections(site, daemon.directory / "www", sink)
    limits = {"attempts": 2, "backoff_max": "1s"}
    daemon.configure(**{**whole, "plugins": {"path": [str(plugins)]}, "limits": limits}).start()
    created(daemon, site)
    daemon.cli("sync", "delete", "extra", "--yes")
    assert [sync["name"] for sync in daemon.json("sync", "list")] == ["website"]
    listed = ("hook", "list", "--plugin", "broken")
    daemon.until(lambda: [call["state"] for call in daemon.json(*listed)] == ["dead"])
    (call,) = daemon.json(*listed)
    assert (call["attempts"], "never works" in call["last_error"]) == (2, True)
    daemon.until(lambda: ("komodod", "dead_letter") in daemon.alerts())
    daemon.cli("hook", "drop", call["id"], "--yes")
    assert ("komodod", "dead_letter") not in daemon.alerts()


def test_one_grep_for_the_op_id_shows_a_delete_to_its_last_withdrawal(daemon: Daemon, site: Path, sink: Sink) -> None:
    daemon.configure(**sections(site, daemon.directory / "www", sink)).start()
    created(daemon, site)
    sink.wait(lambda sink: len(sink.standing()) == 2)
    daemon.cli("sync", "delete", "extra", "--yes")
    sent = daemon.log.wait("notification_sent", edition="withdrawn", sync="extra")
    story = [line["event"] for line in map(json.loads, daemon.log.lines) if line.get("op_id") == sent["op_id"]]
    assert story[0] == "sync_deleted"
    assert "notification_sent" in story


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(daemon: Daemon, site: Path, sink: Sink, number: int) -> None:
    daemon.configure(**sections(site, daemon.directory / "www", sink)).start()
    assert daemon.end(number) == 0
    assert daemon.log.wait("stopped")
    assert not daemon.socket.exists()


def test_the_client_says_that_nobody_is_there(daemon: Daemon) -> None:
    daemon.configure()
    nobody = daemon.run("sync", "list")
    assert nobody.returncode == 3
    assert str(daemon.socket) in nobody.stderr


def test_a_second_daemon_on_the_same_store_is_refused_and_told_the_pid(daemon: Daemon, site: Path, sink: Sink) -> None:
    daemon.configure(**sections(site, daemon.directory / "www", sink)).start()
    assert daemon.process is not None
    second = daemon.run("run", "--config", str(daemon.config))
    assert second.returncode == 2
    assert str(daemon.process.pid) in second.stderr
