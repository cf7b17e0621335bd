from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from komodod.blocking import blocking
from komodod.errors import Conflict, StorageError
from komodod_sqlite.connections import connect_reader, connect_writer
from komodod_sqlite.readers import Readers
from komodod_sqlite.writer import GROUP, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Bench:
    """A writer and a reader on a small table, and what SQLite was told to do by the writer."""

    def __init__(self, path: Path) -> None:
        path.touch()
        connection = connect_writer(path, 0.1)
        connection.executescript(
            "CREATE TABLE parents (id INTEGER PRIMARY KEY); CREATE TABLE rows (id INTEGER PRIMARY KEY, "
            "parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)"
        )
        self.path, self.said, self.woken = path, list[str](), 0
        connection.set_trace_callback(self.said.append)
        self.writer = Writer(connection, path, self.wake, lambda: None)
        self.readers = Readers([connect_reader(path, 0.1)], path)

    def wake(self) -> None:
        self.woken += 1

    def insert(self, number: int, parent: int | None = None, *, wakes: bool = False) -> asyncio.Future[Any]:
        sql = "INSERT INTO rows VALUES (?, ?)"
        return self.writer.submit(lambda connection: connection.execute(sql, (number, parent)).rowcount, wakes=wakes)

    def fail(self, error: Exception) -> asyncio.Future[Any]:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO rows VALUES (99, NULL)")
            raise error

        return self.writer.submit(work)

    async def rows(self) -> list[int]:
        return await self.readers.submit(
            lambda connection: [row[0] for row in connection.execute("SELECT id FROM rows")]
        )

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep the writer busy, so that what is submitted meanwhile becomes one group."""
        release, busy = threading.Event(), threading.Event()

        def hold(_: sqlite3.Connection) -> None:
            busy.set()
            release.wait(10)

        first = self.writer.submit(hold)
        await blocking(busy.wait, 10)
        try:
            yield
        finally:
            release.set()
        await first


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "test.db")
    try:
        yield bench
    finally:
        await bench.readers.close()
        await bench.writer.close()


def test_what_is_queued_together_is_committed_together(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            async with bench.held():
                jobs = [bench.insert(number) for number in range(20)]
            assert await asyncio.gather(*jobs) == [1] * 20
            assert bench.said.count("COMMIT") == 2  # the one that kept it busy, and all others
            assert await bench.rows() == list(range(20))

    asyncio.run(scenario())


def test_a_group_has_an_end_however_much_is_queued(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            async with bench.held():
                jobs = [bench.insert(number) for number in range(GROUP + 1)]
            await asyncio.gather(*jobs)
            assert bench.said.count("COMMIT") == 3

    asyncio.run(scenario())


def test_a_job_is_told_of_only_after_the_commit(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            job, seen = bench.insert(1), list[bool]()
            job.add_done_callback(lambda _: seen.append("COMMIT" in bench.said))
            await job
            await asyncio.sleep(0)
            assert seen == [True]

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [Conflict("x"), ValueError("x"), sqlite3.ProgrammingError("x")])
def test_an_error_of_one_job_undoes_that_job_alone(tmp_path: Path, error: Exception) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            async with bench.held():
                jobs = [bench.insert(1), bench.fail(error), bench.insert(2)]
            first, second, third = await asyncio.gather(*jobs, return_exceptions=True)
            assert (first, third) == (1, 1)
            assert isinstance(second, StorageError) if isinstance(error, sqlite3.Error) else second is error
            assert await bench.rows() == [1, 2]

    asyncio.run(scenario())


def test_a_commit_that_fails_fails_all_of_its_group_and_nothing_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            async with bench.held():
                jobs = [bench.insert(1), bench.insert(2, parent=7), bench.fail(Conflict("x"))]  # there is no parent 7
            outcomes = await asyncio.gather(*jobs, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [StorageError] * 3
            assert "FOREIGN KEY constraint failed" in str(outcomes[0])
            assert bench.said[-1] == "ROLLBACK"  # so that nobody waits for a lock that serves no one
            assert await bench.insert(3) == 1
            assert await bench.rows() == [3]

    asyncio.run(scenario())


def test_an_error_that_may_have_ended_the_transaction_fails_the_group(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            async with bench.held():
                jobs = [bench.insert(1), bench.fail(sqlite3.OperationalError("disk I/O error"))]
            outcomes = await asyncio.gather(*jobs, return_exceptions=True)
            assert [str(outcome) for outcome in outcomes] == [f"{bench.path}: disk I/O error"] * 2
            assert await bench.rows() == []

    asyncio.run(scenario())


def test_a_lock_of_another_program_fails_a_commit_until_it_is_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            shell = sqlite3.connect(bench.path, isolation_level=None)
            shell.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match="is locked by another program; let that program finish or end it"):
                await bench.insert(1)
            shell.execute("ROLLBACK")
            shell.close()
            assert await bench.insert(1) == 1

    asyncio.run(scenario())


def test_news_is_announced_once_a_group_and_only_if_there_is_any(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            await bench.insert(1)
            assert bench.woken == 0
            async with bench.held():
                jobs = [bench.insert(number, wakes=True) for number in range(2, 9)]
            await asyncio.gather(*jobs)
            assert bench.woken == 1

    asyncio.run(scenario())


def test_a_caller_that_gave_up_does_not_disturb_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            async with bench.held():
                jobs = [bench.insert(1), bench.insert(2)]
                jobs[0].cancel()
            assert await jobs[1] == 1

    asyncio.run(scenario())


def test_closing_finishes_what_was_accepted_and_takes_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            jobs = [bench.insert(number) for number in range(5)]
            await bench.writer.close()
            assert [job.result() for job in jobs] == [1] * 5
            with pytest.raises(StorageError, match="the store is closed"):
                bench.insert(9)

    asyncio.run(scenario())


def test_a_read_sees_one_moment_from_its_first_look_to_its_last(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            looked, go_on = threading.Event(), threading.Event()

            def look(connection: sqlite3.Connection) -> list[int]:
                counts = [connection.execute("SELECT count(*) FROM rows").fetchone()[0]]
                looked.set()
                go_on.wait(10)
                return [*counts, connection.execute("SELECT count(*) FROM rows").fetchone()[0]]

            reading = bench.readers.submit(look)
            await blocking(looked.wait, 10)
            await bench.insert(1)
            go_on.set()
            assert await reading == [0, 0]
            assert await bench.rows() == [1]

    asyncio.run(scenario())


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            with pytest.raises(StorageError, match="attempt to write a readonly database"):
                await bench.readers.submit(lambda connection: connection.execute("DELETE FROM rows"))
            assert await bench.rows() == []

    asyncio.run(scenario())


def test_every_commit_of_the_writer_is_synced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as bench:
            names = ("synchronous", "journal_mode", "foreign_keys", "trusted_schema")
            ask = [lambda c, name=name: c.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
            assert [await bench.writer.submit(work) for work in ask] == [2, "wal", 1, 0]

    asyncio.run(scenario())
