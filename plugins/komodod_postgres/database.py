"""What lives between `open` and `close`: pools, the writer, the listener."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import psycopg

from komodod.errors import StorageError
from komodod_postgres.connections import Lines, ask
from komodod_postgres.faults import explain, lost
from komodod_postgres.listener import Listener
from komodod_postgres.schema import MIGRATIONS, Migration, prepare
from komodod_postgres.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg_pool import AsyncConnectionPool
    from structlog.typing import FilteringBoundLogger

    from komodod_postgres.config import PostgresConfig
    from komodod_postgres.connections import Connection


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Database:
    """An open database. Commits have a connection of their own, so that no walk through the history holds them up."""

    place: str
    epoch: str
    pool: AsyncConnectionPool[Connection]
    writer: Writer
    _stack: AsyncExitStack

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what the work returns; it only reads, so it is done again where its connection was lost."""
        try:
            return await self.write(work)
        except StorageError as error:
            if not lost(error.__cause__):
                raise
        await self.pool.check()  # the others are likely to be lost too
        return await self.write(work)

    async def write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what the work returns. Raises StorageError: whether it was carried out is unknown."""
        return await ask(self.pool, self.place, work)

    async def close(self) -> None:
        """Finish what was accepted, let go of everything."""
        await self._stack.aclose()


async def open_database(
    config: PostgresConfig,
    announce: Callable[[], None],
    log: FilteringBoundLogger,
    steps: Sequence[Migration] = MIGRATIONS,
) -> Database:
    """Connect, migrate, check.

    Raises:
        StorageRefusedError: the database cannot be used as it is; says why and what to do.
        StorageError: it cannot be reached at the moment.
    """
    lines = Lines(config)
    sender = uuid.uuid4().hex if config.notify else None
    epoch = await _prepare(lines, steps)
    async with AsyncExitStack() as stack:
        pool = await _enter(stack, lines.pool("readers", config.idle_connections, config.connections))
        line = await _enter(stack, lines.pool("writer", 1, 1))
        writer = Writer(line, lines.place, announce, sender)
        stack.push_async_callback(writer.close)
        listener = Listener(lines, sender, announce, log)
        stack.push_async_callback(listener.close)
        return Database(lines.place, epoch, pool, writer, stack.pop_all())


async def _enter(stack: AsyncExitStack, pool: AsyncConnectionPool[Connection]) -> AsyncConnectionPool[Connection]:
    await pool.open()
    stack.push_async_callback(pool.close)
    return pool


async def _prepare(lines: Lines, steps: Sequence[Migration]) -> str:
    try:
        async with await lines.connect() as connection:
            return await prepare(connection, lines.place, steps)
    except (psycopg.Error, OSError) as error:
        raise explain(error, lines.place) from error
