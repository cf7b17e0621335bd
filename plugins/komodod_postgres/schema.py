"""The schema: migrations in their order, and whether what they made is still there."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from komodod.errors import StorageRefusedError
from komodod_postgres.queries import SQL

if TYPE_CHECKING:
    from komodod_postgres.connections import Connection

NEEDED: Final = 140000
"""The first version of PostgreSQL that is tried."""


@dataclass(frozen=True, slots=True)
class Migration:
    """The script that makes schema `version` of the one before."""

    version: int
    script: str


def load() -> tuple[Migration, ...]:
    """Return the migrations of this package: `migrations/<version>_<what>.sql`, numbered from 1 without a gap."""
    folder = files(__package__).joinpath("migrations")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    found = tuple(
        Migration(int(name.partition("_")[0]), folder.joinpath(name).read_text(encoding="utf-8")) for name in names
    )
    if [step.version for step in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations are numbered from 1 without a gap, not {', '.join(names)}")
    return found


MIGRATIONS: Final = load()


async def prepare(connection: Connection, place: str, steps: Sequence[Migration] = MIGRATIONS) -> str:
    """Bring the database to the newest schema, check it, and return the store's epoch.

    However many daemons start together, one of them migrates, in one transaction, and the others wait for it.

    Raises:
        StorageRefusedError: the database cannot be used as it is; says why and what to do.
    """
    await _require(connection, place)
    if await read_version(connection, place) != len(steps):
        await _migrate(connection, place, steps)
    await _check(connection, place)
    await connection.execute(SQL["found"].encode(), {"epoch": secrets.token_hex(4)})
    [[epoch]] = await _fetch(connection, "epoch")
    return str(epoch)


async def read_version(connection: Connection, place: str) -> int:
    """Return the version of the schema; 0 where there is none.

    Raises:
        StorageRefusedError: the schema `komodod` belongs to another program.
    """
    found = await _fetch(connection, "relations")
    if not found:
        return 0
    [[relations, ours]] = found
    if relations and not ours:
        raise StorageRefusedError(
            f"{place} has a schema 'komodod' of another program; move that away, or name another database"
        )
    return int((await _fetch(connection, "version"))[0][0] or 0) if ours else 0


async def _migrate(connection: Connection, place: str, steps: Sequence[Migration]) -> None:
    async with connection.transaction():
        await _fetch(connection, "patience")
        version = await read_version(connection, place)  # again: somebody else may have been faster
        if version > len(steps):
            raise StorageRefusedError(
                f"{place} has schema {version} and this komodod knows {len(steps)}; "
                "install the komodod that migrated it, or restore a backup made before"
            )
        if version == 0:
            await _found(connection)
        for step in steps[version:]:
            await connection.execute(step.script.encode())
            await connection.execute(SQL["applied"].encode(), {"version": step.version})
        if version < len(steps):
            await connection.execute(SQL["forget_shape"].encode())
            await connection.execute(_shaped("keep_shape"))


async def _found(connection: Connection) -> None:
    """Make the schema, unless an administrator did, and the tables that tell of it."""
    if not await _fetch(connection, "relations"):
        await connection.execute(SQL["create_schema"].encode())
    await connection.execute(SQL["create_migrations"].encode())
    await connection.execute(SQL["create_shape"].encode())


async def _require(connection: Connection, place: str) -> None:
    [[encoding, number, version]] = await _fetch(connection, "encoding")
    if number < NEEDED:
        raise StorageRefusedError(f"{place} is served by PostgreSQL {version}; komodod needs 14 or newer")
    if encoding != "UTF8":
        raise StorageRefusedError(
            f"{place} keeps text as {encoding}; make it again with ENCODING 'UTF8', since names may hold any character"
        )


async def _check(connection: Connection, place: str) -> None:
    """Refuse a database that lacks something that a migration made: a guard that is gone guards nothing."""
    missing = await (await connection.execute(_shaped("compare_shape"))).fetchall()
    if missing:
        [kind, name] = missing[0]
        raise StorageRefusedError(
            f"{place}: {kind} {name!r} is missing, invalid or disabled; restore a backup, or put it back by hand"
        )


def _shaped(name: str) -> bytes:
    return SQL[name].replace("{shape}", SQL["shape"]).replace("%%", "%").encode()


async def _fetch(connection: Connection, name: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(SQL[name].encode())).fetchall()
