"""The file: found, locked, migrated, checked, before anything reads or writes in it."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from komodod.errors import StorageError, StorageRefusedError
from komodod_sqlite.connections import connect_reader, connect_writer, require
from komodod_sqlite.copies import copy, new_epoch
from komodod_sqlite.faults import explain, refuse
from komodod_sqlite.locks import Lock
from komodod_sqlite.queries import SQL
from komodod_sqlite.readers import READERS
from komodod_sqlite.schema import MIGRATIONS, Migration, check, migrate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from structlog.typing import FilteringBoundLogger


@dataclass(frozen=True, slots=True)
class Opened:
    """An open database: one connection for the writer, some for the readers, and who it is."""

    writer: sqlite3.Connection
    readers: tuple[sqlite3.Connection, ...]
    epoch: str
    identity: tuple[int, int]
    """Device and inode of the file."""


class Database:
    """One SQLite file, held by one process."""

    def __init__(
        self, path: Path, timeout: float, log: FilteringBoundLogger, steps: Sequence[Migration] = MIGRATIONS
    ) -> None:
        self.path = Path(os.path.realpath(path))  # so that two names of one file have one lock
        self._timeout, self._log, self._steps = timeout, log, steps
        self._lock = Lock(self.path)

    def open(self, now: datetime) -> Opened:
        """Take the lock, make or migrate the database, end the leases of the dead. `now` names a copy.

        Raises:
            StorageRefusedError: it cannot be used as it is; says why and what to do.
            StorageError: it cannot be used at the moment (a full disk, another program's lock).
        """
        require()
        self._inspect()
        self._lock.acquire()
        try:
            self._touch()
            return self._prepare(now)
        except sqlite3.Error as error:
            self._lock.release()
            raise explain(error, self.path) from error
        except BaseException:
            self._lock.release()
            raise

    def release(self) -> None:
        """Let go of the lock, once every connection is closed."""
        self._lock.release()

    def copy(self, target: Path) -> None:
        """Write a copy to a file that does not exist yet."""
        copy(self.path, target, self._timeout)

    def verify(self, identity: tuple[int, int]) -> None:
        """Raise StorageError if the file that is open is no longer the one at the path."""
        try:
            same = self._identify() == identity
        except FileNotFoundError:
            same = False
        except OSError as error:
            raise StorageError(f"{self.path} cannot be looked at: {error.strerror}") from error
        if not same:
            raise StorageError(f"{self.path} was moved or replaced while komodod had it open; restart komodod")

    def _identify(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    def _inspect(self) -> None:
        if self.path.is_dir():
            raise StorageRefusedError(f"{self.path} is a directory; storage.path names a file")
        if not self.path.parent.is_dir():
            raise StorageRefusedError(f"{self.path} cannot be made: there is no directory {self.path.parent}; make it")

    def _touch(self) -> None:
        """Make the file if there is none, for its owner alone; SQLite gives the files beside it the same mode."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise refuse(error, self.path, "written") from error

    def _prepare(self, now: datetime) -> Opened:
        opened: list[sqlite3.Connection] = []
        try:
            writer = connect_writer(self.path, self._timeout)
            opened.append(writer)
            migrate(writer, self.path, lambda version: self._preserve(version, now), self._steps)
            check(writer, self.path, self._steps)
            epoch = _settle(writer)
            opened.extend(connect_reader(self.path, self._timeout) for _ in range(READERS))
            return Opened(writer, tuple(opened[1:]), epoch, self._identify())
        except BaseException:
            for connection in opened:
                connection.close()
            raise

    def _preserve(self, version: int, now: datetime) -> None:
        target = self.path.with_name(f"{self.path.name}.schema-{version}.{now:%Y%m%dT%H%M%SZ}")
        self.copy(target)
        self._log.info("store_copied", copy=str(target), schema=version)


def _settle(connection: sqlite3.Connection) -> str:
    """Give a new store its epoch, end all leases (only the holder of the lock may), and return the epoch."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(SQL["found"], {"epoch": new_epoch()})
    connection.execute(SQL["end_leases"])
    [[epoch]] = connection.execute(SQL["epoch"])
    connection.execute("COMMIT")
    return str(epoch)
