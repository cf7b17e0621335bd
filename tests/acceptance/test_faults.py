"""Bad input and faults: a clear line that says what to do, nothing lost, the daemon alive."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_a_file_that_keeps_changing_is_named_and_read_once_it_rests(daemon: Daemon, site: Path) -> None:
    busy, over = site / "busy.bin", threading.Event()
    busy.write_bytes(bytes(16 * 1024 * 1024))

    def scribble() -> None:
        with busy.open("r+b", buffering=0) as file:
            while not over.wait(0.001):
                file.seek(0)
                file.write(b"x")

    writer = threading.Thread(target=scribble)
    writer.start()
    try:
        error = failing(daemon, sync(directory(daemon, site)))
    finally:
        over.set()
        writer.join()
    assert f"{busy} keeps changing while it is read" in error
    daemon.cli("sync", "apply", "web")
    assert (daemon.directory / "www" / "busy.bin").read_bytes() == busy.read_bytes()
    assert daemon.alerts() == []


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
    assert running(f"sleep {mark}") == []


def running(command: str) -> list[str]:
    """Return the processes whose command line begins so."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # one that has ended meanwhile
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if line.startswith(command)]


def test_a_check_that_leaves_a_child_behind_is_judged_and_the_child_is_gone(daemon: Daemon) -> None:
    mark = f"3601.{os.getpid()}"
    left_behind = sync({"type": "command", "check": ["sh", "-c", f"sleep {mark} & exit 2"]})
    daemon.configure(**CONSOLE, syncs=[left_behind]).start()
    daemon.until(lambda: daemon.alerts() == [("web", "pending")])
    assert running(f"sleep {mark}") == []


# --- plugins ---------------------------------------------------------------------------------------------------------

BROKEN = {
    "raises at import": "raise RuntimeError('no')",
    "exits at import": "import sys\nsys.exit(3)",
    "is no Python": "def (:",
    "raises at registration": "import komodod\n@komodod.hookimpl\ndef register_sources():\n    raise RuntimeError('no')",
    "exits at registration": "import komodod\n@komodod.hookimpl\ndef register_sources():\n    raise SystemExit",
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


LOOKS = """
import komodod
from komodod.model import Applied, Observation
from komodod.source import Source
from pydantic import BaseModel


class Config(BaseModel, extra="forbid"):
    pass


class Looks(Source):
    Config = Config

    async def observe(self):
        {body}

    async def apply(self, *, force):
        return Applied()


@komodod.hookimpl
def register_sources():
    return {{"bad": Looks}}
"""


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "raise RuntimeError('no')", "import time; time.sleep(3)"])
def test_a_source_that_misbehaves_keeps_up_nobody_but_its_sync(daemon: Daemon, site: Path, body: str) -> None:
    syncs = [sync({"type": "bad"}, "bad", timeout="1s"), sync(directory(daemon, site))]
    daemon.configure(**CONSOLE, **plugin(daemon, LOOKS.format(body=body)), syncs=syncs).start()
    daemon.until(lambda: daemon.alerts() == [("bad", "failed"), ("web", "pending")])
    daemon.cli("sync", "apply", "web")
    assert daemon.end() == 0


def test_a_sync_whose_plugin_no_longer_loads_fails_and_is_well_again_with_it(daemon: Daemon) -> None:
    good = plugin(daemon, LOOKS.format(body="return Observation()"))
    daemon.configure(**CONSOLE, **good).start()
    daemon.cli("sync", "create", "extra", "--source", "bad")
    daemon.until(lambda: daemon.json("sync", "show", "extra")["state"] == "ok")
    assert daemon.end() == 0
    file = daemon.directory / "plugins" / "bad.py"
    code = file.read_text()
    file.write_text("import nowhere\n")
    daemon.start()
    daemon.cli("sync", "check", "extra", code=2)
    assert "no source of type 'bad' is loaded" in daemon.json("sync", "show", "extra")["error"]
    assert daemon.end() == 0
    file.write_text(code)
    daemon.start()
    daemon.cli("sync", "check", "extra")


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
        sync({"type": "directory", "from": str(site), "to": f"{daemon.directory}/{n}"}, f"s{n}") for n in range(10_000)
    ]
    daemon.configure(**CONSOLE, limits={"checks": 2}, syncs=many).start()
    assert daemon.json("sync", "show", "s9999")["name"] == "s9999"
    many[5000]["severity"] = "critical"
    daemon.configure(**CONSOLE, limits={"checks": 2}, syncs=many[:-1]).send(signal.SIGHUP)
    assert daemon.log.wait("config_reloaded")["changed"] == {"syncs": {"delete": ["s9999"], "update": ["s5000"]}}
    daemon.cli("sync", "check", "s5000", code=1)  # a person's wish does not wait for the thousands
    assert daemon.memory() < 250
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


# --- a full disk -----------------------------------------------------------------------------------------------------


class Disk:
    """A disk of 8 MB in this place, seen only by what is run with `prefix`; it outlives that."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
        script = 'mount -t tmpfs -o size=8m tmpfs "$0" && echo mounted && exec cat'
        self._holder = subprocess.Popen(
            [*alone, "sh", "-c", script, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"mounted\n"
        users = [] if os.geteuid() == 0 else [f"--user=/proc/{self._holder.pid}/ns/user", "--preserve-credentials"]
        self.prefix = ["nsenter", *users, f"--mount=/proc/{self._holder.pid}/ns/mnt", "--"]
        self._ballast = Path(f"/proc/{self._holder.pid}/root{place}/ballast")

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        """Leave as much room as there was."""
        self._ballast.unlink()

    def close(self) -> None:
        """Let go of it; what runs on it keeps it."""
        self._holder.communicate()


@pytest.fixture
def disk(daemon: Daemon) -> Iterator[Disk]:
    disk = Disk(daemon.state)
    yield disk
    disk.close()


@pytest.fixture
def cramped(daemon: Daemon, disk: Disk) -> Daemon:
    """A daemon on that disk, its socket elsewhere."""
    daemon.prefix = disk.prefix
    socket = str(daemon.directory / "komodod.sock")
    daemon.environ["KOMODOD_SOCKET"] = socket
    return daemon.configure(**CONSOLE, api={"socket": socket}).start()


def create(daemon: Daemon, *names: str) -> set[str]:
    """Create syncs until one of them is refused, and return those that were acknowledged."""
    file = daemon.directory / "many.yaml"
    source = {"type": "directory", "from": "nowhere"}
    file.write_text(yaml.safe_dump([sync({**source, "to": name}, name) for name in names]))
    done = daemon.run("sync", "create", "-f", str(file), "-o", "json")
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "no space left on the disk; free some" in done.stderr
    return {answer["sync"]["name"] for answer in json.loads(done.stdout or "[]")}


def names(daemon: Daemon) -> set[str]:
    return {one["name"] for one in daemon.json("sync", "list")}


def test_on_a_full_disk_nothing_acknowledged_is_lost_and_work_goes_on_by_itself(cramped: Daemon, disk: Disk) -> None:
    acknowledged = create(cramped, *(f"before-{n}" for n in range(5)))
    disk.fill()
    meanwhile = create(cramped, *(f"meanwhile-{n}" for n in range(300)))
    assert len(acknowledged) == 5
    assert len(meanwhile) < 300
    cramped.until(lambda: "no space left" in str(cramped.json("status")["why"]))
    cramped.cli("status", "--check", code=1)
    assert names(cramped) == acknowledged | meanwhile
    disk.free()
    cramped.until(lambda: cramped.json("status")["ready"])
    assert create(cramped, "after") == {"after"}
    cramped.until(lambda: ("after", "failed") in cramped.alerts())
    assert names(cramped) == acknowledged | meanwhile | {"after"}
    assert cramped.end() == 0


def test_a_start_on_a_full_disk_waits_until_there_is_room(cramped: Daemon, disk: Disk) -> None:
    assert len(create(cramped, "one", "two")) == 2
    disk.fill()
    acknowledged = {"one", "two"} | create(cramped, *(f"web-{n}" for n in range(100)))
    cramped.kill()
    cramped.spawn()
    assert "no space left on the disk" in cramped.log.wait("store_unavailable")["error"]
    disk.free()
    cramped.log.wait("ready")
    assert acknowledged <= names(cramped)
