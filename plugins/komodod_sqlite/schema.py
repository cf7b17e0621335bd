"""The schema: migrations in their order, and whether what is there is what they make."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from komodod.errors import StorageRefusedError

if TYPE_CHECKING:
    from pathlib import Path


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


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    copy: Callable[[int], None],
    steps: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Bring the database to the newest schema, each step whole or not at all. The caller holds the store's lock.

    Args:
        connection: a connection that may write and is in no transaction.
        path: the database, for errors.
        copy: is called with the version that is there before anything in an existing store changes.
        steps: the migrations.

    Raises:
        StorageRefusedError: the schema is newer than the steps, or the database is not komodod's.
    """
    version = read_version(connection)
    if version > len(steps):
        raise StorageRefusedError(
            f"{path} has schema {version} and this komodod knows {len(steps)}; "
            "install the komodod that wrote it, or restore the copy made before it was migrated"
        )
    if version == 0 and shape(connection):
        raise StorageRefusedError(
            f"{path} is the database of another program; move it away, or name another file in storage.path"
        )
    if 0 < version < len(steps):
        copy(version)
    for step in steps[version:]:
        apply(connection, step)


def read_version(connection: sqlite3.Connection) -> int:
    """Return the version of the schema; 0 for an empty database."""
    [[version]] = connection.execute("PRAGMA user_version")
    return int(version)


def apply(connection: sqlite3.Connection, step: Migration) -> None:
    """Carry out one migration, whole or not at all."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{step.script}\nPRAGMA user_version = {step.version};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def check(connection: sqlite3.Connection, path: Path, steps: Sequence[Migration] = MIGRATIONS) -> None:
    """Compare tables, indexes and triggers, and with the tables their checks, with what the migrations make.

    What is there beside that is left alone.

    Raises:
        StorageRefusedError: something is missing or different; names it.
    """
    found = shape(connection)
    for (kind, name), sql in _expected(steps).items():
        if found.get((kind, name)) != sql:
            state = "is not as komodod made it" if (kind, name) in found else "is missing"
            raise StorageRefusedError(f"{path}: {kind} {name!r} {state}; restore a backup, or put it back by hand")


def _expected(steps: Sequence[Migration]) -> dict[tuple[str, str], str]:
    with closing(connect_empty()) as model:
        for step in steps:
            apply(model, step)
        return shape(model)


def connect_empty() -> sqlite3.Connection:
    """Return an empty database in memory."""
    return sqlite3.connect(":memory:", isolation_level=None)


def shape(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """Return what was created in the database, by kind and name, without comments and spacing."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*'")
    return {(kind, name): re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", sql)) for kind, name, sql in rows}
