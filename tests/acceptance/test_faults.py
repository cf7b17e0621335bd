"""Bad input and faults: a clear line that says what to do, nothing lost, the daemon alive."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Daemon

CONSOLE = {"notifiers": [{"name": "console", "type": "log"}], "routes": [{"name": "all", "notify": ["console"]}]}


def sync(source: dict[str, Any], name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"name": name, "source": source, "every": "1h", "fail_after": 1, **spec}


def directory(daemon: Daemon, site: Path) -> dict[str, Any]:
    return {"type": "directory", "from": str(site), "to": str(daemon.directory / "www")}


def failing(daemon: Daemon, *syncs: dict[str, Any]) -> str:
    """Start the daemon with these syncs, and return why the first one fails."""
    daemon.configure(**CONSOLE, syncs=list(syncs)).start()
    name = syncs[0]["name"]
    daemon.until(lambda: daemon.json("sync", "show", name)["state"] == "failed")
    error: str = daemon.json("sync", "show", name)["error"]
    assert "\n" not in error
    daemon.until(lambda: (name, "failed") in daemon.alerts())
    return error


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_missing_directory_is_named(daemon: Daemon) -> None:
    error = failing(daemon, sync(directory(daemon, daemon.directory / "nowhere")))
    assert f"{daemon.directory}/nowhere" in error


def test_an_unreadable_directory_is_named(daemon: Daemon, site: Path) -> None:
    site.chmod(0o000)
    error = failing(daemon.drop_rights(), sync(directory(daemon, site)))
    site.chmod(0o755)
    assert (f"{site}" in error, "permission denied" in error) == (True, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_target_without_write_permission_stays_pending_and_says_why(daemon: Daemon, site: Path) -> None:
    target = daemon.directory / "www"
    target.mkdir(mode=0o755)
    os.chown(target, 65534, 65534)
    daemon.drop_rights().configure(**CONSOLE, syncs=[sync(directory(daemon, site))]).start()
    refused = daemon.run("sync", "apply", "web")
    assert (refused.returncode, str(target) in refused.stdout + refused.stderr) == (2, True)
    assert ("web", "unconverged") in daemon.alerts()


def test_a_repository_that_is_none_is_named(daemon: Daemon, site: Path) -> None:
    error = failing(daemon, sync({"type": "git", "url": str(site), "to": str(daemon.directory / "www")}))
    assert "repository" in error


def test_a_check_that_prints_100_mb_costs_no_memory(daemon: Daemon) -> None:
    loud = sync({"type": "command", "check": ["sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' x; exit 2"]})
    daemon.configure(**CONSOLE, syncs=[loud]).start()
    before = daemon.memory()
    daemon.until(lambda: daemon.json("sync", "show", "web")["checked_at"])
    assert daemon.memory() < before + 60


def test_a_check_that_hangs_and_forks_is_killed_with_all_its_children(daemon: Daemon) -> None:
    mark = f"3600.{os.getpid()}"
    forks = f"sleep {mark} & trap '' TERM; sleep {mark}"
    error = failing(daemon, sync({"type": "command", "check": ["sh", "-c", forks], "timeout": "1s"}))
    assert "did not end within 1s" in error

    def left() -> list[str]:
        found = (path.read_bytes().replace(b"\0", b" ").decode() for path in Path("/proc").glob("[0-9]*/cmdline"))
        return [command for command in found if command.startswith(f"sleep {mark}")]

    daemon.until(lambda: left() == [])


# --- plugins ---------------------------------------------------------------------------------------------------------

BROKEN = {
    "raises at import": "raise RuntimeError('no')",
    "exits at import": "import sys\nsys.exit(3)",
    "is no Python": "def (:",
    "raises at registration": "import komodod\n@komodod.hookimpl\ndef register_sources():\n    raise RuntimeError('no')",
    "misspells a hook": "import komodod\n@komodod.hookimpl\ndef on_sync_delted(event):\n    pass",
}

UNRULY = {
    "exits": "import sys\n    sys.exit(3)",
    "never returns": "import threading\n    threading.Event().wait()",
    "raises": "raise RuntimeError('no')",
}


def plugin(daemon: Daemon, code: str) -> dict[str, Any]:
    folder = daemon.directory / "plugins"
    folder.mkdir(mode=0o755)
    (folder / "bad.py").write_text(code + "\n")
    return {"plugins": {"path": [str(folder)]}}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_plugin_that_does_not_load_is_skipped_and_shown(daemon: Daemon, site: Path, fault: str) -> None:
    daemon.configure(**CONSOLE, **plugin(daemon, BROKEN[fault]), syncs=[sync(directory(daemon, site))]).start()
    daemon.cli("sync", "apply", "web")
    (bad,) = (one for one in daemon.json("plugin", "list") if one["name"] == "bad")
    assert bad["state"] == "broken"
    assert "bad.py" in bad["error"]


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("fault", UNRULY)
def test_a_hook_that_misbehaves_keeps_up_nobody_but_itself(daemon: Daemon, site: Path, fault: str, kind: str) -> None:
    body = UNRULY[fault]
    if kind == "async def" and fault == "never returns":
        body = "import asyncio\n    await asyncio.Event().wait()"
    code = f"import komodod\n\n\n@komodod.hookimpl\n{kind} on_sync_deleted(event):\n    {body}"
    limits = {"hook_timeout": "1s", "attempts": 2, "backoff_max": "1s"}
    daemon.configure(**CONSOLE, **plugin(daemon, code), limits=limits, syncs=[sync(directory(daemon, site))]).start()
    settings = ("--set", f"from={site}", "--set", f"to={daemon.directory}/extra")
    daemon.cli("sync", "create", "extra", "--source", "directory", *settings)
    daemon.cli("sync", "delete", "extra", "--yes")
    daemon.until(lambda: daemon.json("hook", "list", "--plugin", "bad")[0]["last_error"])
    daemon.until(lambda: {call["state"] for call in daemon.json("hook", "list", "--plugin", "directory")} == {"done"})
    daemon.cli("sync", "apply", "web")
    assert daemon.end() == 0


def test_a_plugin_that_the_configuration_needs_ends_the_start_with_its_name(daemon: Daemon) -> None:
    code = "raise RuntimeError('no')"
    daemon.configure(**plugin(daemon, code), syncs=[sync({"type": "bad"})])
    done = daemon.run("run", "--config", str(daemon.config))
    assert (done.returncode, "plugin 'bad'" in done.stderr, "Traceback" in done.stderr) == (78, True, False)


# --- configuration ---------------------------------------------------------------------------------------------------


def refused(daemon: Daemon, status: int) -> str:
    done = daemon.run("run", "--config", str(daemon.config))
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_two_syncs_of_one_name_are_refused_with_both_places(daemon: Daemon, site: Path) -> None:
    twins = [sync(directory(daemon, site)), sync({**directory(daemon, site), "to": str(daemon.directory / "other")})]
    daemon.configure(syncs=twins)
    said = refused(daemon, 78)
    assert "'web'" in said
    assert said.count(f"{daemon.config}:") >= 2


def test_a_socket_path_that_the_kernel_does_not_take_is_refused(daemon: Daemon) -> None:
    daemon.configure(api={"socket": f"/tmp/{'x' * 120}/komodod.sock"})  # noqa: S108  it is never made
    assert "107" in refused(daemon, 78)


@pytest.mark.timeout(180)
def test_ten_thousand_syncs_in_one_file_are_taken_in(daemon: Daemon, site: Path) -> None:
    many = [
        sync({"type": "directory", "from": str(site), "to": f"{daemon.directory}/t/{n}"}, f"s{n}")
        for n in range(10_000)
    ]
    daemon.configure(**CONSOLE, limits={"checks": 2}, syncs=many).spawn().log.wait("api_started")
    daemon.until(lambda: daemon.log.find("ready"))
    assert daemon.json("sync", "show", "s9999")["name"] == "s9999"
    assert daemon.memory() < 500
    assert daemon.end() == 0


# --- the database ----------------------------------------------------------------------------------------------------


def test_a_corrupt_database_is_refused_by_name(daemon: Daemon) -> None:
    daemon.configure().state.mkdir()
    (daemon.state / "komodod.db").write_bytes(b"this is no database, " * 1000)
    assert f"{daemon.state}/komodod.db" in refused(daemon, 2)


def test_a_database_of_a_newer_schema_is_refused(daemon: Daemon) -> None:
    daemon.configure().start()
    assert daemon.end() == 0
    with closing(sqlite3.connect(daemon.state / "komodod.db")) as connection:
        connection.execute("PRAGMA user_version = 9999")
    assert "9999" in refused(daemon, 2)


def test_a_database_that_cannot_be_written_is_refused_by_name(daemon: Daemon) -> None:
    daemon.drop_rights().configure().start()
    assert daemon.end() == 0
    (daemon.state / "komodod.db").chmod(0o444)
    daemon.spawn()
    assert daemon.process is not None
    assert daemon.process.wait(30) == 2
    daemon.log.close()
    assert any("komodod.db" in line and "Traceback" not in line for line in daemon.log.lines)
