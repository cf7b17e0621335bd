from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from komodod.errors import StorageError, StorageRefusedError
from komodod.storage import Batch, PutSync
from komodod.testing.storage_contract.values import sync
from komodod_sqlite.commits import commit
from komodod_sqlite.connections import start_log
from komodod_sqlite.faults import explain, refuse
from komodod_sqlite.schema import MIGRATIONS, apply, connect_empty

NO_ROOM = Path("/proc/komodod.db")
"""A file system that never has a free block."""


def failure(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (sqlite3.SQLITE_FULL, StorageError, "no space left on the disk; free some, and it goes on by itself"),
        (sqlite3.SQLITE_IOERR_FSYNC, StorageError, "cannot be read or written; look at the disk"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StorageError, "is locked by another program; let that program finish"),
        (sqlite3.SQLITE_READONLY_DBMOVED, StorageRefusedError, "is read-only; komodod's user must be able to write it"),
        (sqlite3.SQLITE_CORRUPT_VTAB, StorageRefusedError, "is damaged; stop komodod, move the file away and restore"),
        (sqlite3.SQLITE_NOTADB, StorageRefusedError, "is no SQLite database; move the file away, or name another one"),
        (sqlite3.SQLITE_ERROR, StorageError, "what SQLite says"),
    ],
)
def test_a_failure_names_the_file_and_what_to_do(
    tmp_path: Path, code: int, kind: type[StorageError], words: str
) -> None:
    explained = explain(failure(code), tmp_path / "komodod.db")
    assert type(explained) is kind
    assert str(explained).startswith(f"{tmp_path}/komodod.db")
    assert words in str(explained)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL])
def test_a_full_disk_is_known_in_each_of_its_guises(code: int) -> None:
    assert (
        str(explain(failure(code), NO_ROOM))
        == f"{NO_ROOM}: no space left on the disk; free some, and it goes on by itself"
    )


def test_an_error_that_is_not_of_sqlite_itself_keeps_its_words(tmp_path: Path) -> None:
    assert str(explain(sqlite3.ProgrammingError("x"), tmp_path / "a.db")) == f"{tmp_path}/a.db: x"


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.EACCES, StorageRefusedError, "cannot be opened (Permission denied); komodod's user must be able to"),
        (errno.ELOOP, StorageRefusedError, "cannot be opened (Too many levels of symbolic links)"),
        (errno.EDQUOT, StorageError, "no space left on the disk"),
    ],
)
def test_what_the_system_refuses_names_the_file(number: int, kind: type[StorageError], words: str) -> None:
    refused = refuse(OSError(number, os.strerror(number)), Path("/x/a.db"), "opened")
    assert type(refused) is kind
    assert words in str(refused)


def test_a_file_system_without_shared_memory_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "komodod.db"
    file.touch()
    dotfile = closing(sqlite3.connect(f"{file.as_uri()}?vfs=unix-dotfile", uri=True))
    with dotfile as connection, pytest.raises(StorageRefusedError, match="is on a file system without shared memory"):
        start_log(connection, file)


def test_a_value_that_the_schema_cannot_hold_is_a_mistake_and_no_conflict() -> None:
    with closing(connect_empty()) as connection:
        for step in MIGRATIONS:
            apply(connection, step)
        with pytest.raises(sqlite3.IntegrityError, match=r"NOT NULL constraint failed: syncs\.generation"):
            commit(connection, Batch(writes=(PutSync(sync(generation=None)),)), 0)


def test_a_text_that_is_no_unicode_is_the_callers_mistake() -> None:
    with closing(connect_empty()) as connection:
        for step in MIGRATIONS:
            apply(connection, step)
        with pytest.raises(ValueError, match="surrogates not allowed"):
            commit(connection, Batch(writes=(PutSync(sync("\udc80")),)), 0)
