"""Connections to the database, set up as durability and the schema ask for."""

from __future__ import annotations

import sqlite3
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from komodod.errors import StorageRefusedError

if TYPE_CHECKING:
    from pathlib import Path

NEEDED: Final = (3, 37, 0)
"""The first SQLite with STRICT tables."""

STATEMENTS: Final = 256
"""Statements that a connection keeps prepared: all of ours, lists with each set of filters included."""

COMMON: Final = """
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY;
"""
WRITING: Final = """
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -16384;
    PRAGMA journal_size_limit = 67108864;
"""
READING: Final = COMMON + "PRAGMA query_only = ON;"


def require(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> None:
    """Refuse an SQLite library that is too old.

    Raises:
        StorageRefusedError: names both versions.
    """
    if version < NEEDED:
        have, need = (".".join(map(str, each)) for each in (version, NEEDED))
        raise StorageRefusedError(
            f"this Python uses SQLite {have}, and komodod needs {need} or newer; use a Python built with a newer SQLite"
        )


def connect_writer(path: Path, timeout: float) -> sqlite3.Connection:
    """Return the connection that writes: every commit is on disk when it returns."""
    connection = _connect(path, timeout, COMMON)
    try:
        start_log(connection, path)
        connection.executescript(WRITING)
    except BaseException:
        connection.close()
        raise
    return connection


def start_log(connection: sqlite3.Connection, path: Path) -> None:
    """Have changes written to a log first, so that readers and the writer do not wait for each other.

    Raises:
        StorageRefusedError: the file system has no shared memory for it, as some network file systems.
    """
    [[mode]] = connection.execute("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise StorageRefusedError(f"{path} is on a file system without shared memory; name a local one in storage.path")


def connect_reader(path: Path, timeout: float) -> sqlite3.Connection:
    """Return a connection that cannot write. `fnmatch(text, glob)` is there for the filters."""
    connection = _connect(path, timeout, READING)
    connection.create_function("fnmatch", 2, _matches, deterministic=True)
    return connection


def _matches(text: str | None, glob: str) -> bool:
    return text is not None and fnmatchcase(text, glob)


def _connect(path: Path, timeout: float, settings: str) -> sqlite3.Connection:
    """Open a file that exists. The connection may go to another thread, but is used by one at a time."""
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=timeout,
        isolation_level=None,  # transactions are begun and ended in so many words
        check_same_thread=False,
        cached_statements=STATEMENTS,
    )
    try:
        connection.executescript(settings)
    except BaseException:
        connection.close()
        raise
    return connection
