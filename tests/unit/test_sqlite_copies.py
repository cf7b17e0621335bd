from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from komodod.clock import SystemClock
from komodod.errors import StorageError
from komodod.storage import AppendEvent, Batch, EventFilter, PutSync
from komodod.testing import dump
from komodod.testing.fakes import fake_context
from komodod.testing.simulation import START
from komodod.testing.storage_contract.values import event, owed, pending, sync
from komodod_sqlite import SqliteConfig, SqliteStorage
from komodod_sqlite.copies import copy
from komodod_sqlite.database import Database
from komodod_sqlite.schema import MIGRATIONS, Migration, read_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from komodod.storage import Storage

NEXT = (*MIGRATIONS, Migration(len(MIGRATIONS) + 1, "CREATE TABLE extras (id TEXT) STRICT;"))


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Storage]:
    store = SqliteStorage(SqliteConfig(path=path), fake_context("sqlite", SystemClock()))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


async def furnish(store: Storage) -> None:
    await store.commit(Batch(writes=(*pending(), *owed(), PutSync(sync("db", next_check_at=START)))))
    await store.claim_checks("w", 30, 9)


def test_a_backup_holds_what_the_store_holds_but_no_leases(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            await furnish(store)
            await store.backup(tmp_path / "b.db")
            before = await dump(store)
        async with opened(tmp_path / "b.db") as restored:
            assert await dump(restored) == before | {"leases": []}

    asyncio.run(scenario())


def test_a_backup_has_an_epoch_of_its_own_that_it_keeps(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            await store.backup(tmp_path / "b.db")
            epochs = [store.epoch]
        for _ in range(2):
            async with opened(tmp_path / "b.db") as restored:
                epochs.append(restored.epoch)
        assert epochs[0] != epochs[1] == epochs[2]

    asyncio.run(scenario())


def test_a_backup_is_one_file_for_its_owner_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            await store.backup(tmp_path / "to" / "b.db")

    (tmp_path / "to").mkdir()
    asyncio.run(scenario())
    assert modes(tmp_path / "to") == {"b.db": 0o600}
    with closing(sqlite3.connect(tmp_path / "to" / "b.db")) as shell:
        assert shell.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_the_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            await furnish(store)
            found = modes(tmp_path)
        assert found == dict.fromkeys(("a.db", "a.db-wal", "a.db-shm", "a.db.lock"), 0o600)

    asyncio.run(scenario())


def test_a_backup_made_while_work_goes_on_has_whole_batches(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            pairs = [Batch(writes=tuple(AppendEvent(event(f"{side}{n}")) for side in "ab")) for n in range(200)]
            await asyncio.gather(*map(store.commit, pairs[:100]))
            work = [asyncio.ensure_future(store.commit(pair)) for pair in pairs[100:]]
            await store.backup(tmp_path / "b.db")
            await asyncio.gather(*work)
        async with opened(tmp_path / "b.db") as restored:
            found = len(await restored.list_events(EventFilter(), limit=1000))
        assert found >= 200
        assert found % 2 == 0

    asyncio.run(scenario())


def test_a_backup_never_replaces_a_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            with pytest.raises(StorageError, match=r"b\.db exists; name a file that does not"):
                await store.backup(tmp_path / "b.db")

    (tmp_path / "b.db").write_text("precious")
    asyncio.run(scenario())
    assert (tmp_path / "b.db").read_text() == "precious"


def test_a_backup_into_no_directory_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            with pytest.raises(StorageError, match=r"b\.db cannot be written: No such file or directory"):
                await store.backup(tmp_path / "nowhere" / "b.db")

    asyncio.run(scenario())


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match="is no SQLite database"):
        copy(tmp_path / "a.db", tmp_path / "b.db", 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


def test_what_a_crash_left_of_a_copy_is_in_nobodys_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            (tmp_path / "b.db.part").write_text("half a copy")
            await store.backup(tmp_path / "b.db")
        async with opened(tmp_path / "b.db"):
            pass

    asyncio.run(scenario())


def test_a_store_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            await furnish(store)
            before = await dump(store)
        database = Database(tmp_path / "a.db", 1.0, fake_context("sqlite", SystemClock()).log, NEXT)
        newer = database.open(START)
        assert read_version(newer.writer) == len(NEXT)
        for connection in (newer.writer, *newer.readers):
            connection.close()
        database.release()
        name = f"a.db.schema-{len(MIGRATIONS)}.20260101T000000Z"
        shutil.move(tmp_path / name, tmp_path / "old.db")
        async with opened(tmp_path / "old.db") as old:
            assert await dump(old) == before | {"leases": []}

    asyncio.run(scenario())


def test_a_closed_store_leaves_one_file_and_the_lock(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            await furnish(store)
            await dump(store)

    asyncio.run(scenario())
    assert sorted(modes(tmp_path)) == ["a.db", "a.db.lock"]
    assert not any(thread.name.startswith("komodod-sqlite") for thread in threading.enumerate())


def test_a_store_that_is_closed_has_no_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "a.db") as store:
            await store.close()
            for call in (store.get_sync("x"), store.ping(), store.commit(Batch()), store.backup(tmp_path / "b")):
                with pytest.raises(StorageError, match=r"a\.db is not open"):
                    await call

    asyncio.run(scenario())
