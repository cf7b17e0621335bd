"""What happens to the store when the machine, the disk or a person gets in its way."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from komodod.clock import SystemClock
from komodod.errors import StorageError, StorageRefusedError
from komodod.storage import AppendEvent, Batch, EventFilter, PutSync, RequestCheck
from komodod.testing.fakes import fake_context
from komodod.testing.storage_contract.values import event, ident, sync
from komodod_sqlite import SqliteConfig, SqliteStorage
from komodod_sqlite.schema import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from komodod.storage import Storage

SUBJECT = Path(__file__).with_name("sqlite_subject.py")
NOBODY = 65534


def start(what: str, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(SUBJECT), what, str(folder), *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def listen(process: subprocess.Popen[bytes]) -> Any:
    """Return what the subject says next."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def attempt(folder: Path) -> Any:
    """Return what an unprivileged user sees who opens the store in the folder."""
    process = start("attempt", folder, "--nobody")
    said, _ = process.communicate(timeout=60)
    return json.loads(said)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Storage]:
    store = SqliteStorage(SqliteConfig(), fake_context("sqlite", SystemClock(), folder))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def refusal(folder: Path) -> str:
    """Return the one line that says why the store in the folder cannot be used."""

    async def scenario() -> str:
        with pytest.raises(StorageRefusedError) as caught:
            async with opened(folder):
                pass
        return str(caught.value)

    said = asyncio.run(scenario())
    assert "\n" not in said
    return said


def create(folder: Path, rows: int = 0) -> Path:
    """Make a store with some events, close it, and return its file."""

    async def scenario() -> None:
        async with opened(folder) as store:
            for number in range(rows):
                await store.commit(Batch(writes=(AppendEvent(event(str(number), reason="x" * 5000)),)))

    asyncio.run(scenario())
    return folder / "komodod.db"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of an unprivileged user's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    give(folder)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def give(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


# --- files that cannot be used ---------------------------------------------------------------------------------------


def test_a_path_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "komodod.db").mkdir()
    assert refusal(tmp_path) == f"{tmp_path}/komodod.db is a directory; storage.path names a file"


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a" / "b").endswith(f"there is no directory {tmp_path}/a/b; make it")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "komodod.db"
    file.write_text("komodod:\n  - this is YAML\n" * 100)
    before = file.read_bytes()
    assert "komodod.db is no SQLite database; move the file away, or name another one" in refusal(tmp_path)
    assert file.read_bytes() == before


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    file = create(tmp_path, rows=20)
    content = bytearray(file.read_bytes())
    content[100:4096] = b"\xff" * 3996  # the page that lists the tables
    file.write_bytes(content)
    assert "komodod.db is damaged; stop komodod, move the file away and restore a backup" in refusal(tmp_path)


def test_damage_that_is_met_later_is_an_error_of_that_call_alone(tmp_path: Path) -> None:
    file = create(tmp_path, rows=40)
    content = bytearray(file.read_bytes())
    with closing(sqlite3.connect(file)) as shell:
        [[page]] = shell.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'events'")
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    file.write_bytes(content)

    async def scenario() -> None:
        async with opened(tmp_path) as store:
            with pytest.raises(StorageError, match=r"komodod\.db is damaged"):
                await store.list_events(EventFilter())
            await store.commit(Batch(writes=(PutSync(sync()),)))
            assert await store.get_sync(sync().id) == sync()

    asyncio.run(scenario())


def test_a_row_that_somebody_garbled_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = create(tmp_path)

    async def scenario() -> None:
        async with opened(tmp_path) as store:
            await store.commit(Batch(writes=(PutSync(sync()), PutSync(sync("db")))))
            with closing(sqlite3.connect(file, isolation_level=None)) as shell:
                shell.execute("UPDATE syncs SET spec = '{broken' WHERE name = 'web'")
            with pytest.raises(StorageError, match=f"the sync {sync().id} in the store cannot be read"):
                await store.find_sync("web")
            assert await store.find_sync("db") == sync("db")

    asyncio.run(scenario())


def test_a_newer_schema_is_refused_by_both_numbers_and_left_alone(tmp_path: Path) -> None:
    file = create(tmp_path)
    with closing(sqlite3.connect(file)) as shell:
        shell.execute("PRAGMA user_version = 99")
    assert f"komodod.db has schema 99 and this komodod knows {len(MIGRATIONS)}" in refusal(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["komodod.db", "komodod.db.lock"]


def test_a_store_without_its_guards_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(create(tmp_path))) as shell:
        shell.execute("DROP TRIGGER syncs_with_open_alert")
    assert "komodod.db: trigger 'syncs_with_open_alert' is missing" in refusal(tmp_path)


@pytest.mark.parametrize("damage", ["garbage", "schema"])
def test_a_refused_store_can_be_opened_once_it_is_mended(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "komodod.db"
    if damage == "garbage":
        file.write_text("no database" * 1000)
    else:
        with closing(sqlite3.connect(file)) as shell:
            shell.execute("PRAGMA user_version = 99")
    refusal(tmp_path)
    file.unlink()
    create(tmp_path)


def test_opening_a_store_that_was_closed_in_order_writes_nothing(tmp_path: Path) -> None:
    file = create(tmp_path, rows=3)
    before = file.read_bytes()
    create(tmp_path)
    assert file.read_bytes() == before


def test_a_read_only_database_is_refused(shared: Path) -> None:
    file = create(shared)
    (shared / "komodod.db.lock").unlink()
    file.chmod(0o444)
    give(file)
    said = attempt(shared)
    assert said["kind"] == "StorageRefusedError"
    assert said["error"].endswith(
        "komodod.db cannot be written (Permission denied); komodod's user must be able to write it and its directory"
    )


def test_a_directory_that_cannot_be_written_is_refused(shared: Path) -> None:
    give(create(shared))
    (shared / "komodod.db.lock").unlink()
    shared.chmod(0o555)
    said = attempt(shared)
    assert said["kind"] == "StorageRefusedError"
    assert said["error"].endswith(
        "komodod.db.lock cannot be opened (Permission denied); komodod's user must be able to write it and its directory"
    )


def test_an_unprivileged_user_with_a_directory_of_its_own_needs_no_more(shared: Path) -> None:
    assert attempt(shared) == {"opened": True}


# --- two daemons -----------------------------------------------------------------------------------------------------


def test_a_second_daemon_is_refused_by_the_pid_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "komodod.db.lock").write_text("99999999 was killed and left this\n")
    first = start("hold", tmp_path)
    pid = listen(first)["pid"]
    assert f"komodod.db is in use by another komodod (pid {pid}); stop that one" in refusal(tmp_path)
    first.communicate(timeout=60)
    create(tmp_path)


def test_two_names_of_one_database_have_one_lock(tmp_path: Path) -> None:
    for name in ("real", "alias"):
        (tmp_path / name).mkdir()
    (tmp_path / "alias" / "komodod.db").symlink_to(tmp_path / "real" / "komodod.db")
    first = start("hold", tmp_path / "real")
    listen(first)
    assert "is in use by another komodod" in refusal(tmp_path / "alias")
    first.communicate(timeout=60)


def test_the_lock_of_the_dead_is_released_and_their_leases_end(tmp_path: Path) -> None:
    async def claim() -> None:
        async with opened(tmp_path) as store:
            await store.commit(Batch(writes=(PutSync(sync()), RequestCheck(sync().id))))
            assert len(await store.claim_checks("dead", 3600, 9)) == 1

    async def take_over() -> int:
        async with opened(tmp_path) as store:
            return len(await store.claim_checks("next", 3600, 9))

    asyncio.run(claim())
    dead = start("hold", tmp_path)
    listen(dead)
    dead.kill()
    dead.communicate(timeout=60)
    assert asyncio.run(take_over()) == 1


def test_a_database_that_is_replaced_under_the_daemon_is_noticed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as store:
            await store.ping()
            shutil.copy(tmp_path / "komodod.db", tmp_path / "restored.db")
            (tmp_path / "restored.db").rename(tmp_path / "komodod.db")
            with pytest.raises(StorageError, match=r"komodod\.db was moved or replaced while komodod had it open"):
                await store.ping()
            with pytest.raises(StorageError, match="restart komodod"):
                await store.commit(Batch((), (AppendEvent(event()),)))

    asyncio.run(scenario())


# --- crashes and full disks ------------------------------------------------------------------------------------------


def test_everything_acknowledged_survives_a_kill_and_batches_are_whole(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for _ in range(3):
        process = start("churn", tmp_path)
        acknowledged += [listen(process)["pair"] for _ in range(150)]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=60)
        acknowledged += [json.loads(line)["pair"] for line in rest.splitlines()]
    there = asyncio.run(ids(tmp_path))
    assert {ident(f"{pair}.{side}") for pair in acknowledged for side in "ab"} <= set(there)
    assert len(there) % 2 == 0
    assert len(there) == len(set(there))


async def ids(folder: Path) -> list[str]:
    """Return the ids of all events, in their order."""
    found: list[str] = []
    async with opened(folder) as store:
        cursor = 0
        while events := await store.list_events(EventFilter(), cursor, 1000):
            found += [row.id for row in events]
            cursor = events[-1].cursor
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> list[str]:
    """A command prefix that mounts a disk of 8 MB on `tmp_path`, for what it runs alone."""
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    script = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"'
    return [*alone, "sh", "-c", script, str(tmp_path)]


def test_a_store_is_not_opened_on_a_full_disk_and_says_so(tmp_path: Path, small_disk: list[str]) -> None:
    command = [*small_disk, sys.executable, str(SUBJECT), "cram", str(tmp_path)]
    said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    assert said["kind"] == "StorageError"  # not refused: waiting may help
    assert said["error"].endswith("no space left on the disk; free some, and it goes on by itself")


def test_a_full_disk_loses_nothing_acknowledged_and_is_over_when_there_is_room(
    tmp_path: Path, small_disk: list[str]
) -> None:
    command = [*small_disk, sys.executable, str(SUBJECT), "fill", str(tmp_path)]
    said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    assert said["refused"].endswith("komodod.db: no space left on the disk; free some, and it goes on by itself")
    assert len(said["acknowledged"]) > 5
    assert said["there"] == said["acknowledged"]
    assert said["read"] == len(said["acknowledged"]) - 3
