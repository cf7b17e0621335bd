"""The command line against the real API over a store in memory."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from komodod.api.service import Reload
from komodod.cli import main
from komodod.errors import ConfigError, Problem, RefusedError
from komodod.model import EventKind, HookCallState
from komodod.storage import EventFilter, HookCallFilter, NotificationFilter

DIRECTORY = ("--source", "directory", "--set", "from=/a", "--set", "to=/b")


@dataclass(frozen=True)
class Result:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def komodod(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command line against a stage, beside the loop that the API runs on."""

    async def run(stage: Any, *arguments: str) -> Result:
        capsys.readouterr()
        code = await asyncio.to_thread(main, [*arguments, "--socket", str(stage.socket)])
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return run


def note_bases(stage: Any) -> list[str]:
    """Have the daemon note the directory that comes with each declaration."""
    bases: list[str] = []
    parse = stage.daemon.parse_spec

    def noted(name: str, raw: Any, others: Any) -> Any:
        bases.append(raw["base"])
        return parse(name, {key: value for key, value in raw.items() if key != "base"}, others)

    stage.daemon.parse_spec = noted
    return bases


# --- syncs -----------------------------------------------------------------------------------------------------------


def test_syncs_are_listed_filtered_and_shown(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        await stage.pending("web", labels={"team": "web"})
        await stage.sync("db")
        assert {sync["name"] for sync in (await komodod(stage, "sync", "list", "-o", "json")).json} == {"db", "web"}
        for option in (("--state", "pending"), ("--label", "team=web"), ("--name", "w*")):
            found = (await komodod(stage, "sync", "list", "-o", "json", *option)).json
            assert [sync["name"] for sync in found] == ["web"]
        assert "  update file index.html\n" in (await komodod(stage, "sync", "show", "web")).out

    api(story)


def test_all_pages_of_a_long_list_are_read(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        for number in range(510):
            await stage.sync(f"s{number:03}")
        names = [sync["name"] for sync in (await komodod(stage, "sync", "list", "-o", "json")).json]
        assert names == [f"s{number:03}" for number in range(510)]
        assert len((await komodod(stage, "sync", "list", "-o", "json", "--limit", "501")).json) == 501

    api(story)


def test_a_sync_is_made_edited_and_deleted(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        note_bases(stage)
        assert (await komodod(stage, "sync", "create", "web", *DIRECTORY, "--label", "a=b", "--dry-run")).code == 0
        assert await stage.store.find_sync("web") is None
        assert (await komodod(stage, "sync", "create", "web", *DIRECTORY, "--label", "a=b")).code == 0
        edited = await komodod(stage, "sync", "edit", "web", "--set", "prune=true", "--label", "c=d", "--unlabel", "a")
        assert edited.out == "changed sync 'web'; it is checked at once\n", edited.err
        spec = (await stage.store.find_sync("web")).spec
        assert spec.labels == {"c": "d"}
        assert spec.source == {"type": "directory", "from": "/a", "to": "/b", "prune": "true"}
        assert (await komodod(stage, "sync", "delete", "web", "--yes")).out == "deleted sync 'web'\n"
        assert await stage.store.find_sync("web") is None

    api(story)


def test_a_file_becomes_syncs(api: Any, komodod: Any, tmp_path: Path) -> None:
    one = "{{name: {name}, source: {{type: directory, from: /a, to: /b}}, severity: critical}}"
    (tmp_path / "two.yaml").write_text(f"- {one.format(name='a')}\n- {one.format(name='b')}\n")

    async def story(stage: Any) -> None:
        bases = note_bases(stage)
        assert (await komodod(stage, "sync", "create", "-f", str(tmp_path / "two.yaml"))).code == 0
        assert [(await stage.store.find_sync(name)).spec.severity for name in "ab"] == ["critical"] * 2
        assert set(bases) == {str(tmp_path)}

    api(story)


def test_what_is_wrong_with_a_sync_is_told_whole(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        note_bases(stage)
        result = await komodod(stage, "sync", "create", "web", "--source", "nothing")
        assert (result.code, result.err) == (2, "error: unknown source type of 'web'\n")
        guarded = await komodod(stage, "sync", "create", "web", "--source", "command", "--set", "check=true")
        assert guarded.code == 2
        assert "api.allow_sources" in guarded.err

    api(story)


def test_a_delete_tells_what_is_taken_back(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        await stage.pending()
        preview = await komodod(stage, "sync", "delete", "web", "--dry-run")
        assert "  would resolve alert pending" in preview.out
        assert await stage.store.find_sync("web") is not None
        answer = (await komodod(stage, "sync", "delete", "web", "--yes", "-o", "json")).json
        assert [
            alert["resolution"] for alert in (await komodod(stage, "alert", "list", "--all", "-o", "json")).json
        ] == ["deleted"]
        (event,) = await stage.store.list_events(EventFilter(kinds=frozenset({EventKind.SYNC_DELETED})))
        assert event.op_id == answer["op_id"]

    api(story)


@pytest.mark.parametrize(("changes", "code"), [(("index.html",), 1), ((), 0)])
def test_a_check_is_waited_for(api: Any, komodod: Any, changes: tuple[str, ...], code: int) -> None:
    async def story(stage: Any) -> None:
        sync = await stage.look(await stage.sync())
        asked = asyncio.create_task(komodod(stage, "sync", "check", "web", "-o", "json"))
        while not (await stage.store.get_sync(sync.id)).requests:
            await stage.store.changed(stage.store.ticks())
        await stage.look(sync, *changes)
        result = await asked
        assert (result.code, result.json["done"]) == (code, True)

    api(story)


def test_a_pause_and_its_end_are_told(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        await stage.sync()
        assert (await komodod(stage, "sync", "pause", "web")).out == "paused sync 'web'\n"
        assert (await komodod(stage, "sync", "pause", "web")).out == "sync 'web' is paused already\n"
        refused = await komodod(stage, "sync", "check", "web")
        assert (refused.code, "is paused" in refused.err) == (2, True)
        assert (await komodod(stage, "sync", "resume", "web")).out == "resumed sync 'web'\n"

    api(story)


# --- alerts, notifications, hooks ------------------------------------------------------------------------------------


def test_an_alert_and_its_notification_are_told(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        await stage.pending()
        (alert,) = (await komodod(stage, "alert", "list", "-o", "json")).json
        (row,) = (await komodod(stage, "notification", "list", "--alert", alert["id"], "-o", "json")).json
        assert (
            f"notification {row['id']} in console: absent" in (await komodod(stage, "alert", "show", alert["id"])).out
        )
        told = await komodod(stage, "notification", "show", row["id"])
        assert "wanted: to be shown" in told.out
        assert "waiting: for a free worker" in told.out

    api(story)


def test_a_notification_is_retried_and_dropped(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        await stage.pending()
        (row,) = (await stage.store.list_notifications(NotificationFilter())).items
        assert (await komodod(stage, "notification", "retry", row.id)).code == 0
        assert (await komodod(stage, "notification", "drop", row.id, "--dry-run")).code == 0
        assert (await komodod(stage, "notification", "drop", row.id, "--yes")).code == 0
        gone = await komodod(stage, "notification", "show", row.id)
        assert (gone.code, "there is no notification" in gone.err) == (2, True)

    api(story)


def test_hook_calls_are_listed_retried_and_dropped(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        await stage.sync()
        await komodod(stage, "sync", "delete", "web", "--yes")
        listed = await komodod(stage, "hook", "list", "--sync", "web", "--state", "waiting")
        assert "absent (absent)  on_sync_deleted  web" in listed.out
        (call,) = (await stage.store.list_hook_calls(HookCallFilter(plugin="cleaner"))).items
        assert (await komodod(stage, "hook", "retry", call.id)).code == 0
        assert (await komodod(stage, "hook", "drop", call.id, "--yes")).code == 0
        assert [
            c.plugin for c in (await stage.store.list_hook_calls(HookCallFilter(state=HookCallState.WAITING))).items
        ] == ["absent"]

    api(story)


# --- events ----------------------------------------------------------------------------------------------------------


def test_events_are_told_oldest_first(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        await stage.pending()
        told = (await komodod(stage, "event", "list", "-o", "json")).json
        assert [event["kind"] for event in told] == ["sync_created", "alert_opened", "sync_pending"]
        assert [event["cursor"] for event in told] == sorted(event["cursor"] for event in told)
        last = (await komodod(stage, "event", "list", "-o", "json", "--limit", "1")).json
        assert [event["kind"] for event in last] == ["sync_pending"]

    api(story)


def test_events_are_followed_until_ctrl_c(api: Any) -> None:
    async def story(stage: Any) -> None:
        await stage.sync("before")
        command = ("-m", "komodod.cli", "event", "list", "--follow", "-o", "json", "--socket", str(stage.socket))
        follower = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
        assert follower.stdout is not None
        try:
            first = json.loads(await follower.stdout.readline())
            await stage.sync("after")
            second = json.loads(await follower.stdout.readline())
            follower.send_signal(signal.SIGINT)
            assert await follower.wait() == 130
        finally:
            if follower.returncode is None:
                follower.kill()
        assert [first["sync"], second["sync"]] == ["before", "after"]

    api(story)


# --- the daemon ------------------------------------------------------------------------------------------------------


def test_the_status_is_told_and_checked(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        told = await komodod(stage, "status")
        assert told.code == 0, told.err
        checked = await komodod(stage, "status", "--check")
        assert checked.code == 1
        assert "plugin 'bad' does not work: cannot be imported" in checked.out

    api(story)


def test_a_pass_is_run_and_a_dry_one_ends_with_1(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        assert (await komodod(stage, "reconcile", "--dry-run")).code == 1
        report = (await komodod(stage, "reconcile", "--force", "-o", "json")).json
        assert (report["dry_run"], report["invariants"][0]["repaired"]) == (False, 1)
        assert [(name, dry, force) for name, _, dry, force in stage.daemon.asked] == [
            ("reconcile", True, False),
            ("reconcile", False, True),
        ]

    api(story)


def test_a_reload_ends_as_the_daemon_says(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        stage.daemon.reloaded = Reload(changed={"routes": "changed"}, restart_needed=("socket",))
        told = await komodod(stage, "config", "reload")
        assert (told.code, told.out) == (0, "changed:\n  routes: changed\nneeds a restart: socket\n")
        stage.daemon.reloaded = ConfigError([Problem("no", Path("k.yaml"), 3, 1), Problem("nor this")])
        wrong = await komodod(stage, "config", "reload")
        assert (wrong.code, wrong.err) == (78, "error: k.yaml:3:1: no\nnor this\n")
        stage.daemon.reloaded = RefusedError("it would delete all; say --force")
        braked = await komodod(stage, "config", "reload")
        assert (braked.code, braked.err) == (2, "error: it would delete all; say --force\n")

    api(story)


def test_plugins_are_told(api: Any, komodod: Any) -> None:
    async def story(stage: Any) -> None:
        assert (await komodod(stage, "plugin", "list")).out.splitlines()[1].split()[:2] == ["cleaner", "loaded"]

    api(story)
