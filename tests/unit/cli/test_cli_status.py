"""`komodod status`, `reconcile`, `plugin list`, `storage backup` and `config reload`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from komodod.engine.reports import Checked, Report

# --- status ----------------------------------------------------------------------------------------------------------


def test_a_daemon_in_good_health_is_told_at_a_glance(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /status"] = make.status()
    result = komodod("status", "--check")
    assert result.code == 0
    assert result.out.splitlines() == [
        "komodod 0.1.0: ready",
        "pid            4711, since 2026-01-02 04:04:05+01:00",
        "socket         /run/komodod/komodod.sock",
        "config         /etc/komodod/komodod.yaml, read 2026-01-02 04:04:05+01:00",
        "storage        sqlite",
        "syncs          2 ok, 1 pending, 1 paused",
        "open alerts    1 pending",
        "notifications  1 shown",
        "hook calls     -",
        "last pass      2026-01-02 04:04:05+01:00, hand: 0 found, 0 repaired",
        "notifier       ops (webhook): says resolved",
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ready": False, "why": "the first pass runs"}, "not ready: the first pass runs"),
        ({"counts": {"dead_notifications": 2}}, "2 notifications dead; see `komodod notification list --attention`"),
        ({"counts": {"in_doubt": 1}}, "1 notification in doubt; see `komodod notification list --attention`"),
        ({"counts": {"stranded": 1}}, "1 notification stranded; see `komodod notification list --attention`"),
        ({"counts": {"dead_hook_calls": 1}}, "1 hook call dead; see `komodod hook list --state dead`"),
        ({"plugins": {"broken": {"x": "no module y"}, "wedged": []}}, "plugin 'x' does not work: no module y"),
        ({"plugins": {"broken": {}, "wedged": ["x"]}}, "plugin 'x' hangs; it needs a restart"),
        ({"storage": {"type": "sqlite", "error": "disk full"}}, "the store does not answer: disk full"),
        (
            {"config": {"file": "/k", "loaded_at": None, "error": "k:1:1: no", "restart_needed": []}},
            "the last reload failed, the configuration before it holds: k:1:1: no",
        ),
        (
            {"notifiers": [{"name": "ops", "type": "webhook", "withdrawal": "x", "parked": "410 gone"}]},
            "notifier 'ops' is parked until a reload: 410 gone",
        ),
        (
            {"notifiers": [{"name": "ops", "type": "webhook", "withdrawal": "x", "parked": None, "failures": 2}]},
            "notifier 'ops' does not answer: 2 failures in a row; see `komodod notification list --notifier ops`",
        ),
    ],
)
def test_a_check_of_the_status_fails_on_what_needs_a_person(
    komodod: Any, daemon: Any, make: Any, fields: Any, said: str
) -> None:
    daemon.answers["GET /status"] = make.status(**fields)
    checked = komodod("status", "--check")
    assert checked.code == 1
    assert said in checked.out.splitlines()
    assert komodod("status").code == 0


def test_a_braked_pass_needs_a_person(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["GET /status"] = make.status(last_pass=make.report(braked=["inventory-matches-syncs"]))
    result = komodod("status", "--check")
    assert (result.code, "was braked: inventory-matches-syncs" in result.out) == (1, True)


def test_a_store_that_does_not_answer_leaves_the_rest_told(komodod: Any, daemon: Any, make: Any) -> None:
    told = make.status(storage={"type": "sqlite", "error": "locked"}, last_pass=None)
    daemon.answers["GET /status"] = {**told, "counts": None}
    result = komodod("status", "--check")
    assert result.code == 1
    assert "last pass  -" in result.out


# --- reconcile -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "fields", "code", "said"),
    [
        ((), {}, 0, "0 found, 0 repaired"),
        ((), {"line": {"found": 2, "repaired": 2}}, 0, "2 found, 2 repaired"),
        (("--dry-run",), {"dry_run": True}, 0, "0 found; nothing was changed"),
        (("--dry-run",), {"dry_run": True, "line": {"found": 1}}, 1, "1 found; nothing was changed"),
        ((), {"braked": ["x"], "line": {"found": 99}}, 2, "braked: x; look at what was found"),
        ((), {"line": {"error": "disk full"}}, 2, "disk full"),
        (("--dry-run",), {"dry_run": True, "line": {"error": "disk full", "found": 1}}, 2, "disk full"),
    ],
)
def test_a_pass_ends_as_what_it_found(
    komodod: Any, daemon: Any, make: Any, *, arguments: tuple[str, ...], fields: Any, code: int, said: str
) -> None:
    daemon.answers["POST /passes"] = make.report(**fields)
    result = komodod("reconcile", *arguments)
    assert result.code == code
    assert said in result.out
    assert ("dry_run" in daemon.asked[0].query) == bool(arguments)


def test_a_pass_is_a_line_for_each_invariant_and_its_findings(komodod: Any, daemon: Any, make: Any) -> None:
    line = {"found": 1, "repaired": 1, "findings": ["alert a1 of no sync"]}
    daemon.answers["POST /passes"] = make.report(line=line)
    lines = komodod("reconcile", "--force").out.splitlines()
    assert lines[1].split() == ["open-alert-has-sync", "4", "1", "1", "0", "0.25", "-"]
    assert lines[2] == "open-alert-has-sync: alert a1 of no sync"
    assert daemon.asked[0].query == {"force": ["true"]}


def test_a_pass_is_one_object_for_programs(komodod: Any, daemon: Any, make: Any) -> None:
    daemon.answers["POST /passes"] = make.report()
    assert komodod("reconcile", "-o", "json").json == make.report()


def test_without_a_daemon_the_store_is_opened_here(
    komodod: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Any] = []

    def offline(config: Path | None, *, dry_run: bool, force: bool) -> Report:
        asked.append((config, dry_run, force))
        line = Checked(name="no-expired-lease", found=1)
        return Report(
            dry_run=True, forced=False, trigger="hand", started_at=datetime(2026, 1, 1, tzinfo=UTC), invariants=(line,)
        )

    monkeypatch.setattr("komodod.daemon.reconcile_offline", offline)
    result = komodod("reconcile", "--offline", "--dry-run", "--config", str(tmp_path / "k.yaml"), "-o", "json")
    assert result.code == 1
    assert result.json["invariants"][0]["found"] == 1
    assert asked == [(tmp_path / "k.yaml", True, False)]


def test_offline_speaks_to_no_daemon(komodod: Any) -> None:
    assert komodod("reconcile", "--offline", "--socket", "/x").code == 2


def test_run_gives_its_exit_code_on(komodod: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("komodod.daemon.run", lambda config: 78 if config == Path("k.yaml") else 0)
    assert komodod("run", "--config", "k.yaml").code == 78
    assert komodod("run").code == 0


# --- plugins, storage ------------------------------------------------------------------------------------------------


def test_plugins_are_listed_with_what_they_offer(komodod: Any, daemon: Any) -> None:
    loaded = {
        "name": "git",
        "state": "loaded",
        "origin": "komodod 0.1.0",
        "registers": {"sources": ["git"], "notifiers": []},
        "hooks": ["on_sync_deleted"],
        "error": None,
    }
    daemon.answers["GET /plugins"] = {"items": [loaded, {"name": "bad", "state": "broken", "error": "no module x"}]}
    lines = komodod("plugin", "list").out.splitlines()
    assert lines[1].split("  ")[-2:] == ["sources git, hooks on_sync_deleted", "-"]
    assert lines[2].endswith("no module x")


def test_a_backup_goes_where_the_caller_stands(komodod: Any, daemon: Any, tmp_path: Path) -> None:
    daemon.answers["POST /storage/backup"] = lambda request: {"op_id": "o", "dry_run": False, **request.body}
    assert komodod("storage", "backup", "copy.db").out == f"copied the store to {tmp_path}/copy.db\n"
    assert daemon.asked[0].body == {"path": f"{tmp_path}/copy.db"}


# --- reload ----------------------------------------------------------------------------------------------------------


def reloaded(changed: Any, *restart: str) -> dict[str, Any]:
    return {"dry_run": False, "op_id": "o", "changed": changed, "restart_needed": list(restart)}


def test_a_reload_tells_the_difference(komodod: Any, daemon: Any) -> None:
    changed = {"routes": "changed", "syncs": {"create": ["a", "b"], "delete": ["c"]}}
    daemon.answers["POST /config/reload"] = reloaded(changed, "socket")
    result = komodod("config", "reload")
    assert result.code == 0
    assert result.out.splitlines() == [
        "changed:",
        "  routes: changed",
        "  syncs create: a, b",
        "  syncs delete: c",
        "needs a restart: socket",
    ]


def test_a_dry_reload_says_would(komodod: Any, daemon: Any) -> None:
    daemon.answers["POST /config/reload"] = reloaded({"routes": "changed"})
    assert komodod("config", "reload", "--dry-run", "--force").out.startswith("would change:\n")
    assert daemon.asked[0].query == {"dry_run": ["true"], "force": ["true"]}


def test_a_reload_that_changes_nothing_says_so(komodod: Any, daemon: Any) -> None:
    daemon.answers["POST /config/reload"] = reloaded({})
    assert komodod("config", "reload").out == "nothing has changed\n"


def test_a_reload_of_a_wrong_configuration_is_exit_78_with_every_mistake(komodod: Any, daemon: Any) -> None:
    problems = [{"where": "k.yaml:3:1", "message": "unknown key 'sync'"}, {"where": "k.yaml:9:5", "message": "no"}]
    daemon.refuse("POST /config/reload", 422, "k.yaml:3:1: unknown key 'sync' (and 1 more)", *problems)
    result = komodod("config", "reload")
    assert (result.code, result.err) == (78, "error: k.yaml:3:1: unknown key 'sync'\nk.yaml:9:5: no\n")


def test_a_reload_that_the_brake_stopped_is_an_error(komodod: Any, daemon: Any) -> None:
    daemon.refuse("POST /config/reload", 409, "it would delete 12 of 12 syncs; say --force")
    result = komodod("config", "reload")
    assert (result.code, result.err) == (2, "error: it would delete 12 of 12 syncs; say --force\n")
