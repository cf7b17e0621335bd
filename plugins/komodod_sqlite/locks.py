"""One process a database: a lock that the kernel releases, however its holder ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from komodod.errors import StorageRefusedError
from komodod_sqlite.faults import refuse

if TYPE_CHECKING:
    from pathlib import Path


class Lock:
    """An exclusive `flock` on a file of its own, which holds the pid of who has it.

    The file stays when the lock is released: removing it would let two processes hold one each.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self.path = database.with_name(database.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock at once.

        Raises:
            StorageRefusedError: somebody has it (names the pid), or the file cannot be made.
            StorageError: the disk is full.
        """
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refuse(error, self.path, "opened") from error
        try:
            self._take(file)
        except OSError as error:
            os.close(file)
            raise refuse(error, self.path, "written") from error
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def _take(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(file, 32, 0).decode(errors="replace").strip()
            raise StorageRefusedError(
                f"{self._database} is in use by another komodod (pid {holder or 'unknown'}); "
                "stop that one, or name another file in storage.path"
            ) from error
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of the lock; safe to call twice."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None
