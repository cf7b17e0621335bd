"""Rows as values of the model: one JSON object each, read by the codec."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from komodod import codec
from komodod.storage import Lease, Page, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from komodod_postgres.connections import Connection

T = TypeVar("T")


async def fetch(connection: Connection, statement: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return all rows of a statement."""
    # psycopg asks for literal text where a query is put together; ours are, of the package's own files
    found = await connection.execute(statement.encode(), params)
    return await found.fetchall()


async def fetch_all(connection: Connection, kind: type[T], statement: str, params: Mapping[str, Any]) -> list[T]:
    """Return the values that the rows' first column stands for."""
    return [codec.decode(kind, row[0]) for row in await fetch(connection, statement, params)]


async def fetch_one(connection: Connection, kind: type[T], statement: str, params: Mapping[str, Any]) -> T | None:
    """Return the value that the one row stands for, if there is one."""
    found = await fetch_all(connection, kind, statement, params)
    return found[0] if found else None


def lease(row: Sequence[Any]) -> Lease:
    """Return the lease that the row stands for."""
    work, row_id, worker, token, until = row
    return Lease(Work(work), row_id, worker, token, utc(until))


def utc(at: datetime) -> datetime:
    """Return the same instant in UTC."""
    return at.astimezone(UTC)


def page(rows: Iterable[T], limit: int, key: Callable[[T], str]) -> Page[T]:
    """Return a page of one row more than was asked for, if there is one."""
    items = tuple(rows)
    return Page(items[:limit], key(items[limit - 1]) if len(items) > limit else None)
