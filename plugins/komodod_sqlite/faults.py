"""What SQLite says went wrong, in words that say which file and what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING, Final

from komodod.errors import StorageError, StorageRefusedError

if TYPE_CHECKING:
    from pathlib import Path

ADVICE: Final = {
    sqlite3.SQLITE_READONLY: "is read-only; komodod's user must be able to write it and its directory",
    sqlite3.SQLITE_PERM: "may not be used; komodod's user must be able to write it and its directory",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; komodod's user must be able to write it and its directory",
    sqlite3.SQLITE_BUSY: "is locked by another program; let that program finish or end it",
    sqlite3.SQLITE_LOCKED: "is locked by another program; let that program finish or end it",
    sqlite3.SQLITE_IOERR: "cannot be read or written; look at the disk and the kernel's log",
    sqlite3.SQLITE_CORRUPT: "is damaged; stop komodod, move the file away and restore a backup",
    sqlite3.SQLITE_NOTADB: "is no SQLite database; move the file away, or name another one in storage.path",
}
"""By SQLite's primary result code."""

FULL: Final = "{}: no space left on the disk; free some, and it goes on by itself"

HOPELESS: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY})
"""Codes that mean the same however long one waits."""

DISK_CODES: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
"""Codes that a full disk comes as."""

FORBIDDEN: Final = frozenset(
    {
        sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_TRIGGER,
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    }
)
"""Constraints by which the schema forbids what must not be; all others are mistakes of a program."""


def primary(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 where the error does not come from SQLite itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def forbids(error: sqlite3.IntegrityError) -> bool:
    """Tell whether the store refused a write that goes against what it keeps."""
    return error.sqlite_errorcode in FORBIDDEN


def explain(error: sqlite3.Error, path: Path) -> StorageError:
    """Return the error to raise from this one."""
    code = primary(error)
    if code == sqlite3.SQLITE_FULL or (code in DISK_CODES and _full(path)):
        return StorageError(FULL.format(path))
    kind = StorageRefusedError if code in HOPELESS else StorageError
    if code in ADVICE:
        return kind(f"{path} {ADVICE[code]} ({error})")
    return kind(f"{path}: {error}")


def refuse(error: OSError, path: Path, what: str) -> StorageError:
    """Return the error to raise where the system does not let us `what` (open, write) the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(FULL.format(path))
    return StorageRefusedError(
        f"{path} cannot be {what} ({error.strerror}); komodod's user must be able to write it and its directory"
    )


def _full(path: Path) -> bool:
    try:
        return os.statvfs(path.parent).f_bavail == 0
    except OSError:
        return False  # then the disk has worse troubles, and SQLite's own words stand
