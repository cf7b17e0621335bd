"""What people and programs see: the stream of events, the socket, the shapes of the JSON, a backup."""

from __future__ import annotations

import json
import sqlite3
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Daemon, Daemons

CONSOLE = {"notifiers": [{"name": "console", "type": "log"}], "routes": [{"name": "all", "notify": ["console"]}]}


@pytest.fixture
def busy(daemon: Daemon, site: Path) -> Daemon:
    """A daemon with one pending sync of the file and one of the command line."""
    source = {"type": "directory", "from": str(site), "to": str(daemon.directory / "www")}
    sync = {"name": "website", "source": source, "every": "1h", "labels": {"team": "web"}, "severity": "critical"}
    daemon.configure(**CONSOLE, syncs=[sync]).start()
    create(daemon, site, "extra")
    daemon.log.wait("notification_shown", sync="extra")
    daemon.log.wait("notification_shown", sync="website")
    return daemon


def create(daemon: Daemon, site: Path, name: str) -> None:
    settings = ("--set", f"from={site}", "--set", f"to={daemon.directory / name}", "--every", "1h")
    daemon.cli("sync", "create", name, "--source", "directory", *settings)


FIELDS = {
    ("sync", "list"): "id name state origin source labels severity pending revision checked_at next_check_at paused",
    ("alert", "list"): "id sync kind severity opened_at resolved_at resolution",
    ("notification", "list"): "notifier group state attempts last_error",
    ("event", "list"): "id at kind sync actor data",
}


@pytest.mark.parametrize("command", FIELDS)
def test_the_promised_fields_are_in_the_json(busy: Daemon, command: tuple[str, str]) -> None:
    rows = busy.json(*command)
    assert rows
    assert all(set(FIELDS[command].split()) <= row.keys() for row in rows)


def test_the_report_of_a_dry_run_has_the_promised_shape(busy: Daemon) -> None:
    report = busy.json("reconcile", "--dry-run")
    assert report["dry_run"] is True
    assert all({"name", "checked", "found", "repaired", "skipped"} <= line.keys() for line in report["invariants"])


def test_the_stream_of_another_client_tells_of_a_delete_within_a_second(busy: Daemon) -> None:
    with busy.follow("event", "list", "--follow", "-o", "json") as following:
        following.wait_text("sync_created")  # what happened before is told first
        busy.cli("sync", "delete", "extra", "--yes")
        accepted = time.monotonic()
        following.wait_text("sync_deleted")
        following.wait_text("alert_resolved")
        assert time.monotonic() - accepted < 1.0


def test_the_socket_is_for_the_daemons_user_and_group_only(busy: Daemon) -> None:
    assert stat.S_IMODE(busy.socket.stat().st_mode) == 0o660


def test_a_backup_is_taken_while_work_goes_on_and_can_be_started_from(busy: Daemon, make_daemon: Daemons) -> None:
    copy = busy.directory / "copy.db"
    busy.cli("storage", "backup", str(copy))
    other = make_daemon("b").configure(**CONSOLE, storage={"type": "sqlite", "path": str(copy)}).start()
    assert other.alerts() == [("extra", "pending")]  # the file of this one declares no website: it was deleted
    epochs = {epoch(busy.state / "komodod.db"), epoch(copy)}
    assert len(epochs) == 2


def test_a_backup_taken_in_the_middle_of_work_is_whole(busy: Daemon, site: Path) -> None:
    many = [{"name": f"n{n}", "source": {"type": "directory", "from": str(site), "to": f"n{n}"}} for n in range(50)]
    file = busy.directory / "many.yaml"
    file.write_text(json.dumps(many))
    copy = busy.directory / "copy.db"
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(busy.cli, "sync", "create", "-f", str(file))
        busy.until(lambda: len(busy.json("sync", "list")) > 5)
        busy.cli("storage", "backup", str(copy))
        creating.result()
    with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        copied = {name for (name,) in connection.execute("SELECT name FROM syncs WHERE origin <> 'builtin'")}
    assert {"extra", "website", "n0", "n1", "n2"} <= copied <= {one["name"] for one in busy.json("sync", "list")}


def epoch(database: Path) -> str:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        ((value,),) = connection.execute("SELECT value FROM meta WHERE name = 'epoch'")
        return str(value)


def test_lists_are_filtered_by_state_label_and_glob(busy: Daemon) -> None:
    def names(*options: str) -> list[str]:
        return [sync["name"] for sync in busy.json("sync", "list", *options)]

    assert names("--name", "web*") == ["website"]
    assert names("--label", "team=web") == ["website"]
    assert names("--state", "ok") == []
    assert sorted(names("--state", "pending")) == ["extra", "website"]
    assert names("--state", "pending", "--origin", "api") == ["extra"]


def test_an_edit_is_checked_at_once_and_told(busy: Daemon) -> None:
    busy.cli("sync", "edit", "extra", "--severity", "critical", "--label", "team=ops")
    edited = busy.json("sync", "show", "extra")
    assert (edited["severity"], edited["labels"]) == ("critical", {"team": "ops"})
    busy.until(lambda: [alert["severity"] for alert in busy.json("alert", "list", "--sync", "extra")] == ["critical"])


def test_a_paused_sync_stays_shown_and_cannot_be_checked(busy: Daemon) -> None:
    busy.cli("sync", "pause", "extra")
    refused = busy.run("sync", "check", "extra")
    assert (refused.returncode, "is paused" in refused.stderr) == (2, True)
    assert ("extra", "pending") in busy.alerts()
    busy.cli("sync", "resume", "extra")
    busy.cli("sync", "check", "extra", code=1)


def test_a_delete_asks_and_without_a_terminal_wants_yes(busy: Daemon) -> None:
    refused = busy.run("sync", "delete", "extra")
    assert (refused.returncode, "--yes" in refused.stderr) == (2, True)
    assert ("extra", "pending") in busy.alerts()


def test_the_story_of_a_notification_says_what_is_wanted_and_what_was_sent(busy: Daemon) -> None:
    (row,) = busy.json("notification", "list", "--sync", "extra")
    story = busy.cli("notification", "show", row["id"])
    assert "wanted: to be shown" in story
    assert "show #1 sent" in story


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(daemon: Daemon, shell: str) -> None:
    assert "komodod" in daemon.cli("completion", shell)


def test_the_words_of_a_command_line_and_the_names_of_syncs_are_completed(busy: Daemon) -> None:
    def complete(line: str) -> list[str]:
        busy.environ |= {"_KOMODOD_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        return [word.partition(",")[2] for word in busy.cli().split()]

    assert complete("komodod sync pa") == ["pause"]
    assert complete("komodod sync show web") == ["website"]


def test_the_schema_is_json_with_the_plugins_parts_in_it(daemon: Daemon) -> None:
    schema: dict[str, Any] = json.loads(daemon.cli("config", "schema"))
    assert "2020-12" in schema["$schema"]
    assert '"secret_file"' in json.dumps(schema)
