"""An open directory, and what is below it, reached without ever following a symlink.

Every access goes down from the root's descriptor name by name (`openat` with O_NOFOLLOW), so nobody who swaps a
directory for a symlink meanwhile can lead it elsewhere, and no path is too long.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from komodod.tree.entries import PERMISSIONS, Entry, Kind, name, parent
from komodod.tree.trouble import ChangedError, steady

CHUNK: Final = 1 << 20
"""Bytes read at a time."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# O_NONBLOCK: should a fifo have taken the file's place, opening it must not wait for a writer.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Root:
    """The root of a tree on disk. `place` names it for people; `fd` is what counts."""

    place: Path
    fd: int

    @classmethod
    @contextlib.contextmanager
    def open(cls, place: Path) -> Iterator[Self]:
        """Open the directory; a symlink in `place` itself is followed: that path is the operator's own word.

        Raises:
            OSError: it cannot be opened, or is no directory.
        """
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield cls(place, fd)
        finally:
            os.close(fd)

    def locate(self, path: str) -> Path:
        """Return where an entry is, for people."""
        return self.place / path

    @contextlib.contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """Give a descriptor of the directory at `path`, the empty path being the root.

        Raises:
            OSError: it is not there, or a name on the way is no directory (ENOTDIR, ELOOP).
        """
        fd = os.dup(self.fd)
        try:
            for step in path.split("/") if path else ():
                below = os.open(step, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def file(self, path: str) -> Iterator[int]:
        """Give a descriptor to read the regular file at `path`.

        Raises:
            ChangedError: it is no regular file (any more).
            OSError: it cannot be opened.
        """
        place = self.locate(path)
        with steady(place), self.directory(parent(path)) as folder:
            fd = os.open(name(path), _FILE, dir_fd=folder)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ChangedError(str(place))
            yield fd
        finally:
            os.close(fd)

    def link(self, path: str) -> str:
        """Return the text of the symlink at `path`.

        Raises:
            ChangedError: it is no symlink (any more).
            OSError: it cannot be read.
        """
        place = self.locate(path)
        try:
            with steady(place), self.directory(parent(path)) as folder:
                return os.readlink(name(path), dir_fd=folder)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise ChangedError(str(place)) from error
            raise


def describe(status: os.stat_result) -> Entry:
    """Return the entry that a status (of `lstat`) is of, without its digest."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return Entry(Kind.FILE, mode & PERMISSIONS, status.st_size)
    if stat.S_ISDIR(mode):
        return Entry(Kind.DIR, mode & PERMISSIONS)
    if stat.S_ISLNK(mode):
        return Entry(Kind.SYMLINK, 0, status.st_size)
    return Entry(Kind.SPECIAL)
