"""The daemon itself over the socket: status, passes, reload, backup, health."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from komodod import __version__, codec
from komodod.api.routes import daemon, health
from komodod.api.service import Reload
from komodod.engine.reports import Checked, Report
from komodod.errors import ConfigError, Problem, RefusedError, StorageError
from komodod.model import EventKind
from komodod.storage import Batch

if TYPE_CHECKING:
    from tests.integration.conftest import Play, Stage


async def fail(*_: object) -> Any:
    raise StorageError("the disk is full")


async def hang(*_: object) -> Any:
    await asyncio.Event().wait()


async def finish_pass(stage: Stage, **fields: Any) -> None:
    """Let a pass be over."""
    report = dataclasses.replace(stage.daemon.report, **fields)
    told = stage.world.act("komodod").tell(EventKind.PASS_FINISHED, data=codec.dump(report))
    await stage.store.commit(Batch((), told))


# --- status


def test_the_status_tells_of_the_daemon_its_parts_and_its_work(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        await finish_pass(stage, trigger="start", seconds=0.5)
        status = await stage.get("/status")
        assert (status["version"], status["pid"], status["socket"]) == (__version__, os.getpid(), str(stage.socket))
        assert (status["ready"], status["why"]) == (True, None)
        assert status["config"] == {
            "file": "/etc/komodod/komodod.yaml",
            "loaded_at": "2026-01-01T00:00:00Z",
            "error": None,
            "restart_needed": ["storage.path"],
        }
        assert status["counts"]["syncs"] == {"pending": 1}
        assert status["counts"]["open_alerts"] == {"pending": 1}
        assert status["next_due"]["notifications"] is not None
        assert (status["last_pass"]["trigger"], status["last_pass"]["seconds"]) == ("start", 0.5)
        assert status["notifiers"] == [
            {
                "name": "console",
                "type": "fake",
                "class": "A",
                "withdrawal": "is removed",
                "parked": None,
                "failures": 0,
            }
        ]
        assert status["plugins"] == {"broken": {"bad": "cannot be imported"}, "wedged": ["slow"]}
        assert status["storage"] == {"type": "memory", "error": None}

    api(story)


def test_the_status_says_why_the_daemon_is_not_ready(api: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.daemon.why = "starting"
        status = await stage.get("/status")
        assert (status["ready"], status["why"], status["last_pass"]) == (False, "starting", None)

    api(story)


@pytest.mark.parametrize("trouble", [fail, hang])
def test_the_status_is_told_without_the_store_where_that_does_not_answer(
    api: Play, monkeypatch: pytest.MonkeyPatch, trouble: Any
) -> None:
    monkeypatch.setattr(daemon, "STORE_TIMEOUT", 0.1)

    async def story(stage: Stage) -> None:
        stage.store.counts = trouble  # type: ignore[method-assign]  # a store in trouble
        status = await stage.get("/status")
        assert status["storage"]["error"] in ("the disk is full", "the store does not answer within 0.1 s")
        assert (status["ready"], status["counts"], status["why"]) == (False, None, status["storage"]["error"])

    api(story)


def test_the_status_tells_of_a_store_that_can_be_read_and_not_written(api: Play) -> None:
    async def story(stage: Stage) -> None:
        await stage.pending("web")
        stage.store.ping = fail  # type: ignore[method-assign]  # a store in trouble
        status = await stage.get("/status")
        assert (status["ready"], status["why"]) == (False, "the disk is full")
        assert status["counts"]["syncs"] == {"pending": 1}

    api(story)


def test_plugins_are_described_as_the_daemon_does(api: Play) -> None:
    async def story(stage: Stage) -> None:
        assert await stage.get("/plugins") == {"items": [{"name": "cleaner", "state": "loaded"}], "next": None}

    api(story)


# --- passes


def test_a_pass_is_run_as_asked_and_answered_with_its_report(api: Play) -> None:
    async def story(stage: Stage) -> None:
        answer = await stage.ask("POST", "/passes?dry_run=true&force=true")
        assert answer.status == 200
        assert (answer.body["dry_run"], answer.body["forced"], answer.body["braked"]) == (True, True, [])
        assert [(line["name"], line["found"], line["repaired"]) for line in answer.body["invariants"]] == [
            ("open-alert-has-sync", 1, 0)
        ]
        ((asked, act, dry_run, force),) = stage.daemon.asked
        assert (asked, act.op_id, dry_run, force) == ("reconcile", answer.body["op_id"], True, True)

    api(story)


def test_past_passes_are_listed_newest_first(api: Play) -> None:
    async def story(stage: Stage) -> None:
        line = Checked(name="no-expired-lease", checked=2, found=1, skipped=1, why="in use", findings=("a lease",))
        for seconds in (1.0, 2.0, 3.0):
            await finish_pass(stage, seconds=seconds, invariants=(line,), braked=("no-expired-lease",))
        first = await stage.get("/passes", limit="2")
        second = await stage.get("/passes", limit="2", after=first["next"])
        assert [report["seconds"] for report in first["items"] + second["items"]] == [3.0, 2.0, 1.0]
        assert second["next"] is None
        assert codec.load(Report, first["items"][0]).invariants == (line,)

    api(story)


# --- reload


def test_a_reload_tells_what_is_different(api: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.daemon.reloaded = Reload(changed={"syncs": {"added": ["web"]}}, restart_needed=("api.socket",))
        answer = await stage.ask("POST", "/config/reload?force=true")
        assert answer.body == {
            "dry_run": False,
            "op_id": answer.headers["x-op-id"],
            "changed": {"syncs": {"added": ["web"]}},
            "restart_needed": ["api.socket"],
        }
        assert stage.daemon.asked[0][2:] == (False, True)

    api(story)


def test_a_reload_of_what_is_not_valid_tells_all_that_is_wrong_with_places(api: Play) -> None:
    async def story(stage: Stage) -> None:
        file = Path("/etc/k.yaml")
        stage.daemon.reloaded = ConfigError([Problem("unknown key 'snycs'", file, 3, 1), Problem("gone", file)])
        answer = await stage.ask("POST", "/config/reload")
        assert answer.status == 422
        assert answer.body["detail"] == "/etc/k.yaml:3:1: unknown key 'snycs' (and 1 more)"
        assert answer.body["problems"] == [
            {"message": "unknown key 'snycs'", "where": "/etc/k.yaml:3:1"},
            {"message": "gone", "where": "/etc/k.yaml"},
        ]

    api(story)


def test_a_reload_that_would_delete_too_much_is_refused(api: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.daemon.reloaded = RefusedError("it would delete 30 of 31 syncs; --force goes through")
        assert (await stage.ask("POST", "/config/reload")).status == 409

    api(story)


# --- backup


def test_a_backup_is_written_where_it_was_asked_for(api: Play, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        copied: list[Path] = []

        async def copy(target: Path) -> None:
            copied.append(target)

        stage.store.backup = copy  # type: ignore[method-assign]  # the store in memory has none
        body = {"path": str(tmp_path / "copy.db")}
        dry = await stage.ask("POST", "/storage/backup?dry_run=true", json=body)
        assert (dry.status, dry.body["path"], copied) == (200, body["path"], [])
        assert (await stage.ask("POST", "/storage/backup", json=body)).status == 200
        assert copied == [tmp_path / "copy.db"]

    api(story)


def test_a_backup_does_not_overwrite(api: Play, tmp_path: Path) -> None:
    (tmp_path / "copy.db").symlink_to("nowhere")

    async def story(stage: Stage) -> None:
        answer = await stage.ask("POST", "/storage/backup", json={"path": str(tmp_path / "copy.db")})
        assert (answer.status, answer.body["detail"].partition("' ")[2]) == (
            409,
            "exists already; name a file that does not",
        )

    api(story)


@pytest.mark.parametrize(("path", "status"), [("copy.db", 422), ("/srv/", 422), ("", 422), ("/nowhere/at/all", 409)])
def test_a_backup_needs_a_place_that_can_be(api: Play, path: str, status: int) -> None:
    async def story(stage: Stage) -> None:
        assert (await stage.ask("POST", "/storage/backup", json={"path": path})).status == status

    api(story)


# --- health


def test_the_daemon_is_healthy_while_it_answers_and_ready_when_it_works(api: Play) -> None:
    async def story(stage: Stage) -> None:
        stage.daemon.why = "the first pass is under way"
        assert await stage.get("/healthz") == {"status": "ok", "why": None}
        answer = await stage.ask("GET", "/readyz")
        assert (answer.status, answer.body) == (503, {"status": "not ready", "why": "the first pass is under way"})
        stage.daemon.why = None
        assert await stage.get("/readyz") == {"status": "ready", "why": None}

    api(story)


@pytest.mark.parametrize("trouble", [fail, hang])
def test_the_daemon_is_not_ready_but_healthy_while_its_store_cannot_write(
    api: Play, monkeypatch: pytest.MonkeyPatch, trouble: Any
) -> None:
    monkeypatch.setattr(health, "PING_TIMEOUT", 0.1)

    async def story(stage: Stage) -> None:
        stage.store.ping = trouble  # type: ignore[method-assign]  # a store in trouble
        answer = await stage.ask("GET", "/readyz")
        assert answer.status == 503
        assert answer.body["why"] in ("the disk is full", "the store does not answer within 0.1 s")
        assert (await stage.get("/healthz"))["status"] == "ok"

    api(story)
