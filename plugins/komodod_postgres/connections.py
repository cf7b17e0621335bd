"""Connections to the database: how each is set up, and the pools they live in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import ReadOnlySqlTransaction
from psycopg_pool import AsyncConnectionPool

from komodod.errors import StorageError, StorageRefusedError
from komodod_postgres.faults import PASSING, explain

if TYPE_CHECKING:
    from komodod_postgres.config import PostgresConfig

T = TypeVar("T")
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

KEEPALIVE: Final = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""A far side that is gone without a word is noticed within half a minute. The last is milliseconds."""

RECONNECT: Final = 10.0
"""Seconds during which a pool tries by itself, each time waiting longer; whoever asks afterwards begins anew."""

TRIES: Final = 8
"""How often a statement is sent that the server undid for the sake of another transaction."""

SETTINGS: Final = """
    SELECT set_config('default_transaction_isolation', 'read committed', false),
        set_config('TimeZone', 'UTC', false),
        set_config('statement_timeout', %(statement)s, false),
        set_config('lock_timeout', %(lock)s, false),
        set_config('idle_in_transaction_session_timeout', %(statement)s, false)
"""


class Lines:
    """Where the database is and how one gets there; the secrets stay in here."""

    def __init__(self, config: PostgresConfig) -> None:
        assert config.url is not None  # noqa: S101  the configuration was validated
        self.config = config
        given = _parse(config.url.get_secret_value())
        self.place = _name(given)
        defaults = {"application_name": "komodod", "target_session_attrs": "read-write", **KEEPALIVE}
        defaults["connect_timeout"] = str(max(2, round(config.connect_timeout)))  # libpq takes no less
        self._conninfo = make_conninfo(**{**defaults, **given})
        self._options: dict[str, Any] = {"autocommit": True, "prepare_threshold": 5 if config.notify else None}

    async def connect(self) -> Connection:
        """Return a connection of one's own. Raises psycopg.Error or OSError."""
        connection: Connection = await psycopg.AsyncConnection.connect(self._conninfo, **self._options)
        try:
            await self._configure(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    def pool(self, name: str, least: int, most: int) -> AsyncConnectionPool[Connection]:
        """Return a pool that is not open yet; it replaces connections that broke."""
        return AsyncConnectionPool(
            self._conninfo,
            kwargs=self._options,
            min_size=least,
            max_size=most,
            open=False,
            configure=self._configure,
            name=f"komodod-{name}",
            timeout=self.config.connect_timeout,
            reconnect_timeout=RECONNECT,
        )

    async def _configure(self, connection: Connection) -> None:
        milliseconds = {
            "statement": f"{round(self.config.statement_timeout * 1000)}",
            "lock": f"{round(self.config.lock_timeout * 1000)}",
        }
        await connection.execute(SETTINGS, milliseconds)


async def ask(pool: AsyncConnectionPool[Connection], place: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Return what the work returns; it is one statement, sent again where the server undid it for another's sake.

    Raises:
        StorageError: whether it was carried out is unknown.
    """
    for attempt in range(TRIES - 1):
        try:
            async with _borrowed(pool, place) as connection:
                return await work(connection)
        except StorageError as error:
            if not isinstance(error.__cause__, PASSING):
                raise
        await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311  no secret: who yields to whom
    async with _borrowed(pool, place) as connection:
        return await work(connection)


@asynccontextmanager
async def _borrowed(pool: AsyncConnectionPool[Connection], place: str) -> AsyncIterator[Connection]:
    """Lend a connection of the pool; what goes wrong with it comes as StorageError.

    A server that has become a standby is left: the pool then looks for the primary.
    """
    try:
        async with pool.connection() as connection:
            try:
                yield connection
            except ReadOnlySqlTransaction:
                await connection.close()
                raise
    except (psycopg.Error, OSError) as error:
        raise explain(error, place) from error


def _parse(url: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.Error:
        # Not `from` it: libpq's words may hold the URL.
        raise StorageRefusedError("storage.url is no valid URL of a PostgreSQL database") from None


def _name(given: dict[str, Any]) -> str:
    host = given.get("host") or given.get("hostaddr") or "the local socket"
    return f"the PostgreSQL database {given.get('dbname') or given.get('user') or 'of the user'!r} at {host}"
