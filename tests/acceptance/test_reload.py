"""A new configuration, as a whole or not at all; and the pass that holds the store to it, whatever was done to that."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from komodod.testing.sink import Sink

if TYPE_CHECKING:
    from tests.acceptance.conftest import Daemon

HANGS = """
import threading

import komodod


@komodod.hookimpl
def on_sync_deleted(event):
    threading.Event().wait()
"""


STIFF = """
import komodod
from komodod.notifier import Notifier, ReceiptClass, Traits
from pydantic import BaseModel


class Config(BaseModel, extra="forbid"):
    pass


class Stiff(Notifier):
    Config = Config
    traits = Traits(receipt_class=ReceiptClass.A, withdrawal="nothing to take back")

    async def open(self):
        raise RuntimeError("rusted shut")

    async def show(self, message, receipt):
        return None

    async def withdraw(self, message, receipt):
        pass


@komodod.hookimpl
def register_notifiers():
    return {"stiff": Stiff}
"""


def directory(daemon: Daemon, site: Path, name: str, **sync: Any) -> dict[str, Any]:
    """Return a sync that is pending, as its target is not there."""
    source = {"type": "directory", "from": str(site), "to": str(daemon.directory / name)}
    return {"name": name, "source": source, "every": "1h", **sync}


def sections(sink: Sink, *syncs: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {
        "notifiers": [{"name": "ops", "type": "webhook", "url": sink.url}],
        "routes": [{"name": "all", "notify": ["ops"]}],
        "syncs": list(syncs),
        **others,
    }


def shows(sink: Sink, *names: str) -> None:
    """Wait until the sink shows one message for each of these syncs, and no other."""
    sink.wait(lambda sink: sorted(data["alerts"][0]["sync"] for data in sink.standing().values()) == sorted(names))


def sync_names(daemon: Daemon) -> list[str]:
    return sorted(sync["name"] for sync in daemon.json("sync", "list"))


# --- as a whole or not at all ----------------------------------------------------------------------------------------


def test_a_bad_configuration_leaves_the_old_one_and_an_alert_until_a_good_one_comes(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    good = sections(sink, directory(daemon, site, "web"))
    daemon.configure(**good).start()
    daemon.until(lambda: daemon.alerts() == [("web", "pending")])
    daemon.configure(**{**good, "syncs": [directory(daemon, site, "new")], "limit": {}})
    daemon.send(signal.SIGHUP)
    assert f"{daemon.config}:" in daemon.log.wait("reload_failed")["error"]
    daemon.until(lambda: daemon.alerts() == [("komodod", "reload_failed"), ("web", "pending")])
    assert sync_names(daemon) == ["web"]
    assert "'limit'" in daemon.json("status")["config"]["error"]
    shows(sink, "komodod", "web")
    daemon.configure(**good)
    daemon.send(signal.SIGHUP)
    daemon.log.wait("config_reloaded")
    daemon.until(lambda: daemon.alerts() == [("web", "pending")])
    assert daemon.json("status")["config"]["error"] is None
    shows(sink, "web")


def test_config_reload_prints_every_problem_and_exits_78(daemon: Daemon, site: Path, sink: Sink) -> None:
    good = sections(sink, directory(daemon, site, "web"))
    daemon.configure(**good).start()
    bad = {**good, "limits": {"checks": 0}, "syncs": [directory(daemon, site, "web", every="soon")]}
    daemon.configure(**bad)
    tried = daemon.run("config", "reload")
    assert tried.returncode == 78
    places = [line for line in tried.stderr.splitlines() if f"{daemon.config}:" in line]
    assert len(places) == 2
    assert ("komodod", "reload_failed") in daemon.alerts()


def test_a_dry_run_tells_what_differs_and_changes_nothing(daemon: Daemon, site: Path, sink: Sink) -> None:
    daemon.configure(**sections(sink, directory(daemon, site, "old"), directory(daemon, site, "web"))).start()
    daemon.until(lambda: len(daemon.alerts()) == 2)
    new = [directory(daemon, site, "web", severity="critical"), directory(daemon, site, "new")]
    daemon.configure(**sections(sink, *new, limits={"checks": 2}))
    before = daemon.dump()
    found = daemon.json("config", "reload", "--dry-run")
    assert found["changed"] == {
        "limits": "changed",
        "syncs": {"create": ["new"], "delete": ["old"], "update": ["web"]},
    }
    assert daemon.dump() == before
    daemon.configure(limits=3)
    daemon.cli("config", "reload", "--dry-run", code=78)
    assert daemon.dump() == before


def test_a_reload_makes_the_syncs_what_the_file_says(daemon: Daemon, site: Path, sink: Sink) -> None:
    daemon.configure(**sections(sink, directory(daemon, site, "old"), directory(daemon, site, "web"))).start()
    shows(sink, "old", "web")
    new = [directory(daemon, site, "web", severity="critical"), directory(daemon, site, "new")]
    daemon.configure(**sections(sink, *new))
    daemon.cli("config", "reload")
    shows(sink, "new", "web")
    assert {alert["sync"]: alert["severity"] for alert in daemon.json("alert", "list")} == {
        "new": "warning",
        "web": "critical",
    }
    (deleted,) = daemon.json("event", "list", "--kind", "sync_deleted")
    assert deleted["sync"] == "old"
    assert [(alert["kind"], alert["resolution"]) for alert in deleted["alerts"]] == [("pending", "deleted")]


def test_a_second_reload_finds_nothing_to_change(daemon: Daemon, site: Path, sink: Sink) -> None:
    daemon.configure(**sections(sink, directory(daemon, site, "web"))).start()
    daemon.configure(**sections(sink, directory(daemon, site, "web", labels={"team": "web"}), limits={"checks": 2}))
    assert daemon.json("config", "reload")["changed"] == {"limits": "changed", "syncs": {"update": ["web"]}}
    assert daemon.json("config", "reload")["changed"] == {}


def test_a_sync_that_moves_in_the_file_is_refused_by_its_new_line_and_otherwise_the_same(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    daemon.configure(**sections(sink, directory(daemon, site, "web"))).start()
    daemon.config.write_text("# one more line\n" + daemon.config.read_text())
    before = daemon.json("sync", "show", "web")
    assert daemon.json("config", "reload")["changed"] == {}
    after = daemon.json("sync", "show", "web")
    line = 1 + int(before["declared"].rpartition(":")[2])
    assert after["declared"] == f"{daemon.config}:{line}"
    assert f"{daemon.config}:{line}" in daemon.run("sync", "delete", "web", "--yes").stderr
    assert [event["kind"] for event in daemon.json("event", "list", "--sync", "web")].count("sync_updated") == 0


def test_a_restart_that_is_needed_stays_needed_until_it_comes(daemon: Daemon, site: Path, sink: Sink) -> None:
    web = directory(daemon, site, "web")
    daemon.configure(**sections(sink, web)).start()
    moved = {"type": "sqlite", "path": str(daemon.directory / "other.db")}
    daemon.configure(**sections(sink, web, storage=moved))
    assert "needs a restart: storage" in daemon.cli("config", "reload")
    assert daemon.json("config", "reload")["restart_needed"] == ["storage"]
    assert daemon.json("status")["config"]["restart_needed"] == ["storage"]
    daemon.configure(**sections(sink, web))
    assert daemon.json("config", "reload")["restart_needed"] == []


def test_a_notifier_that_does_not_open_leaves_the_old_configuration(daemon: Daemon, site: Path, sink: Sink) -> None:
    whole = sections(sink, directory(daemon, site, "web"), plugins=daemon.plugin("stiff", STIFF))
    daemon.configure(**whole).start()
    stiff = [*whole["notifiers"], {"name": "rusty", "type": "stiff"}]
    daemon.configure(**{**whole, "notifiers": stiff, "syncs": []})
    refused = daemon.run("config", "reload")
    assert refused.returncode == 78
    assert "notifier 'rusty' does not open: rusted shut; mend plugin 'stiff'" in refused.stderr
    assert sync_names(daemon) == ["web"]
    daemon.until(lambda: ("komodod", "reload_failed") in daemon.alerts())


def test_a_reload_during_the_start_waits_for_its_end_or_is_refused(daemon: Daemon, site: Path, sink: Sink) -> None:
    gate = daemon.directory / "gate"
    plugins = daemon.hold_start(gate)
    daemon.configure(**sections(sink, directory(daemon, site, "old"), plugins=plugins)).spawn()
    daemon.log.wait("api_started")
    daemon.configure(**sections(sink, directory(daemon, site, "new"), plugins=plugins))
    refused = daemon.run("config", "reload")
    assert (refused.returncode, "not ready yet (starting)" in refused.stderr) == (2, True)
    daemon.send(signal.SIGHUP)
    gate.touch()
    daemon.log.wait("config_reloaded")
    assert sync_names(daemon) == ["new"]
    assert daemon.log.find("reload_failed") == []


# --- what takes effect -----------------------------------------------------------------------------------------------


def test_new_routes_move_what_is_shown(daemon: Daemon, site: Path, sink: Sink) -> None:
    with Sink() as other:
        notifiers = [{"name": f"n{n}", "type": "webhook", "url": one.url} for n, one in enumerate((sink, other))]
        web = directory(daemon, site, "web")
        daemon.configure(notifiers=notifiers, routes=[{"name": "all", "notify": ["n0"]}], syncs=[web]).start()
        shows(sink, "web")
        daemon.configure(notifiers=notifiers, routes=[{"name": "all", "notify": ["n1"]}], syncs=[web])
        daemon.cli("config", "reload")
        shows(other, "web")
        shows(sink)


def test_a_notifier_that_changed_is_used_as_it_is_now(daemon: Daemon, site: Path, sink: Sink) -> None:
    web, new = directory(daemon, site, "web"), directory(daemon, site, "new")
    daemon.configure(**sections(sink, web)).start()
    shows(sink, "web")
    with Sink() as other:
        daemon.configure(**sections(other, web, new))
        daemon.cli("config", "reload")
        shows(other, "new")
        assert len(sink.requests) == 1


def test_the_log_level_and_the_limits_follow(daemon: Daemon, site: Path, sink: Sink) -> None:
    plugins = daemon.plugin("hangs", HANGS)
    syncs = [directory(daemon, site, "old"), directory(daemon, site, "web")]
    daemon.configure(**sections(sink, *syncs, plugins=plugins, log={"level": "warning"})).spawn()
    daemon.until(lambda: daemon.run("status").returncode == 0)
    assert daemon.log.find("ready") == []
    limits = {"hook_timeout": "1s"}
    daemon.configure(**sections(sink, *syncs[1:], plugins=plugins, limits=limits))
    daemon.cli("config", "reload")
    daemon.log.wait("config_reloaded")
    assert "did not come back within 1 s" in daemon.log.wait("hook_call_failed")["error"]


def test_a_notifier_that_was_removed_leaves_its_message_listed_and_droppable(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    web = directory(daemon, site, "web")
    daemon.configure(**sections(sink, web)).start()
    shows(sink, "web")
    daemon.configure(syncs=[web], notifiers=[], routes=[])
    daemon.cli("config", "reload")
    daemon.until(lambda: [row["stranded"] for row in daemon.json("notification", "list", "--attention")] == [True])
    assert daemon.run("status", "--check").returncode == 1
    (row,) = daemon.json("notification", "list", "--attention")
    assert (row["notifier"], row["state"]) == ("ops", "shown")
    daemon.cli("notification", "drop", row["id"], "--yes")
    assert daemon.json("notification", "list") == []
    assert daemon.run("status", "--check").returncode == 0


@pytest.mark.parametrize("still", [True, False], ids=["pending", "applied"])
def test_a_notifier_that_is_back_shows_what_is_open_and_withdraws_what_is_not(
    daemon: Daemon, site: Path, sink: Sink, *, still: bool
) -> None:
    web = directory(daemon, site, "web")
    daemon.configure(**sections(sink, web)).start()
    shows(sink, "web")
    daemon.configure(syncs=[web], notifiers=[], routes=[])
    daemon.cli("config", "reload")
    daemon.until(lambda: daemon.json("notification", "list", "--attention"))
    if not still:
        daemon.cli("sync", "apply", "web")
    daemon.configure(**sections(sink, web))
    daemon.cli("config", "reload")
    daemon.until(lambda: daemon.json("notification", "list", "--attention") == [])
    shows(sink, *["web"] * still)


def test_included_files_come_and_go(daemon: Daemon, site: Path, sink: Sink) -> None:
    parts = daemon.directory / "conf.d"
    parts.mkdir()
    main = sections(sink, include=["conf.d/*.yaml"])
    daemon.include("a", syncs=[directory(daemon, site, "one")])
    daemon.configure(**main).start()
    daemon.include("b", syncs=[directory(daemon, site, "two")])
    daemon.cli("config", "reload")
    assert sync_names(daemon) == ["one", "two"]
    (parts / "a.yaml").unlink()
    daemon.cli("config", "reload")
    assert sync_names(daemon) == ["two"]
    parts.rename(daemon.directory / "lost")
    lost = daemon.run("config", "reload")
    assert lost.returncode == 78
    assert "conf.d/*.yaml" in lost.stderr
    assert sync_names(daemon) == ["two"]


# --- absence must not sweep ------------------------------------------------------------------------------------------


def test_a_file_without_its_syncs_is_refused_until_forced(daemon: Daemon, site: Path, sink: Sink) -> None:
    syncs = [directory(daemon, site, f"web-{number:02}") for number in range(12)]
    daemon.configure(**sections(sink, *syncs)).start()
    daemon.until(lambda: len(daemon.alerts()) == 12)
    daemon.configure(**sections(sink))
    refused = daemon.run("config", "reload")
    assert refused.returncode == 2
    assert "12 of 12 syncs" in refused.stderr
    assert "--force" in refused.stderr
    daemon.send(signal.SIGHUP)
    daemon.log.wait("reload_failed", 2)
    assert len(sync_names(daemon)) == 12
    assert len(daemon.alerts()) == 13
    daemon.cli("config", "reload", "--force")
    assert sync_names(daemon) == []
    daemon.until(lambda: daemon.alerts() == [])
    shows(sink)


def test_a_start_with_a_file_without_its_syncs_deletes_none_and_says_so(daemon: Daemon, site: Path, sink: Sink) -> None:
    syncs = [directory(daemon, site, f"web-{number:02}") for number in range(12)]
    daemon.configure(**sections(sink, *syncs)).start()
    assert daemon.end() == 0
    daemon.configure(**sections(sink)).start()
    assert daemon.log.wait("ready")["braked"] == ["inventory-matches-syncs"]
    assert len(sync_names(daemon)) == 12
    daemon.until(lambda: ("komodod", "brake") in daemon.alerts())
    daemon.cli("reconcile", "--force")
    daemon.until(lambda: daemon.alerts() == [])


# --- the pass --------------------------------------------------------------------------------------------------------


def mend(daemon: Daemon, *statements: str) -> None:
    """Do something to the store that komodod never would."""
    with closing(sqlite3.connect(daemon.state / "komodod.db", isolation_level=None)) as shell:
        for statement in statements:
            shell.execute(statement)


SHUT = """
    UPDATE alerts SET live_sync_id = NULL, resolved_at = opened_at + 1, resolution = 'in_step'
    WHERE live_sync_id IS NOT NULL
"""
"""Resolves alerts although their conditions hold."""


def test_a_sync_that_somebody_removed_from_the_store_is_made_again_at_the_start(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    daemon.configure(**sections(sink, directory(daemon, site, "web"))).start()
    shows(sink, "web")
    assert daemon.end() == 0
    mend(daemon, SHUT, "DELETE FROM alerts", "DELETE FROM syncs WHERE name = 'web'")
    daemon.start()
    daemon.until(lambda: daemon.alerts() == [("web", "pending")])
    sink.wait(lambda sink: len(sink.requests) == 3)
    shows(sink, "web")
    assert daemon.cli("reconcile", "--dry-run").splitlines()[-1] == "0 found; nothing was changed"


def test_a_dry_run_of_a_pass_exits_1_and_writes_nothing(daemon: Daemon, site: Path, sink: Sink) -> None:
    daemon.configure(**sections(sink, directory(daemon, site, "web"))).start()
    shows(sink, "web")
    daemon.until(lambda: daemon.json("notification", "list")[0]["state"] == "shown")
    mend(daemon, SHUT)
    before = daemon.dump()
    report = daemon.json("reconcile", "--dry-run", code=1)
    found = {line["name"]: (line["found"], line["repaired"]) for line in report["invariants"]}
    assert found["open-alert-matches-state"] == (1, 0)
    assert daemon.dump() == before
    mended = daemon.json("reconcile")
    assert {line["name"]: line["repaired"] for line in mended["invariants"]}["open-alert-matches-state"] == 1
    assert daemon.alerts() == [("web", "pending")]
    assert daemon.json("reconcile", "--dry-run")["dry_run"] is True


def test_offline_mends_the_store_of_a_daemon_that_is_down(daemon: Daemon, site: Path, sink: Sink) -> None:
    daemon.configure(**sections(sink, directory(daemon, site, "web"))).start()
    shows(sink, "web")
    assert daemon.end() == 0
    mend(daemon, SHUT)
    before = daemon.dump()
    offline = ("reconcile", "--offline", "--config", str(daemon.config))
    daemon.cli(*offline, "--dry-run", code=1)
    assert daemon.dump() == before
    daemon.cli(*offline)
    daemon.cli(*offline, "--dry-run")
    daemon.start()
    assert daemon.alerts() == [("web", "pending")]


def test_offline_leaves_the_store_of_a_running_daemon_alone_and_names_its_pid(
    daemon: Daemon, site: Path, sink: Sink
) -> None:
    daemon.configure(**sections(sink, directory(daemon, site, "web"))).start()
    assert daemon.process is not None
    refused = daemon.run("reconcile", "--offline", "--config", str(daemon.config))
    assert refused.returncode == 2
    assert f"pid {daemon.process.pid}" in refused.stderr


def test_after_a_kill_the_start_leaves_nothing_for_a_second_pass(daemon: Daemon, site: Path, sink: Sink) -> None:
    syncs = [directory(daemon, site, f"web-{number}") for number in range(5)]
    daemon.configure(**sections(sink, *syncs)).start()
    sink.wait(lambda sink: sink.requests)
    daemon.kill()
    daemon.start()
    report = daemon.json("reconcile", "--dry-run")
    assert [line["name"] for line in report["invariants"] if line["found"]] == []
    shows(sink, *[sync["name"] for sync in syncs])
