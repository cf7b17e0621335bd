"""Copies of the database, made while work goes on."""

from __future__ import annotations

import os
import secrets
import sqlite3
from typing import TYPE_CHECKING

from komodod.errors import StorageError
from komodod_sqlite.connections import connect_reader, connect_writer
from komodod_sqlite.faults import explain, primary

if TYPE_CHECKING:
    from pathlib import Path


def copy(source: Path, target: Path, timeout: float) -> None:
    """Write a consistent copy, under another epoch, to a file that does not exist yet.

    It is complete and on disk when it gets its name; until then the name stands for an empty file.

    Raises:
        StorageError: the target exists or cannot be written, or the source cannot be read.
    """
    _create(target)
    part = target.with_name(f"{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        _create(part)
        _fill(source, part, timeout)
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    except BaseException as error:
        part.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(f"{target} cannot be written: {error.strerror}") from error
        raise


def new_epoch() -> str:
    """Return eight hex digits that no other store has."""
    return secrets.token_hex(4)


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError as error:
        raise StorageError(f"{path} exists; name a file that does not") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def _fill(source: Path, part: Path, timeout: float) -> None:
    try:
        reader, writer = connect_reader(source, timeout), connect_writer(part, timeout)
        try:
            reader.backup(writer)
            writer.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (new_epoch(),))
            writer.execute("PRAGMA journal_mode = DELETE")  # all of it in the one file, or an error
        finally:
            reader.close()
            writer.close()
    except sqlite3.Error as error:
        raise explain(error, part if primary(error) == sqlite3.SQLITE_FULL else source) from error


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
