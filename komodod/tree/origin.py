"""Where a tree comes from: what should be in the target."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from komodod.errors import SourceError
from komodod.texts import show_path
from komodod.tree.entries import Entries, Entry, Hashing, Kind, revision, sha256
from komodod.tree.root import CHUNK, Root
from komodod.tree.scan import digest, scan
from komodod.tree.trouble import ChangedError, reading

if TYPE_CHECKING:
    from komodod.tree.patterns import Patterns
    from komodod.tree.work import Stop


class Origin(Protocol):
    """A tree as it should be, every file and symlink with its digest, and a way to read its files."""

    @property
    def revision(self) -> str:
        """What people know this state of the tree by."""

    @property
    def mode(self) -> int:
        """The permissions of its root, for a target that does not exist yet."""

    @property
    def entries(self) -> Entries:
        """Everything in it, except what is left out."""

    @property
    def hashing(self) -> Hashing:
        """How its digests are made."""

    def link(self, path: str) -> str:
        """Return the text of a symlink.

        Raises:
            SourceError: it cannot be read.
            ChangedError: it is something else by now.
        """

    def read(self, path: str) -> Iterator[bytes]:
        """Give the content of a file, piece by piece.

        Raises:
            SourceError: it cannot be read.
            ChangedError: after the last piece: that was not what its digest says; do not use it.
        """


Opening = Callable[["Stop"], AbstractContextManager[Origin]]
"""How to get at an origin; done again if it changed while it was used."""

WRITABLE: Final = 0o700
"""What the owner needs to work in a directory."""


class DirectoryOrigin:
    """A directory on disk as an origin."""

    hashing: Hashing = staticmethod(sha256)

    def __init__(self, root: Root, entries: Entries, stop: Stop) -> None:
        self._root, self._stop = root, stop
        self.entries = entries
        self.revision = revision(entries)
        self.mode = os.fstat(root.fd).st_mode & 0o777

    @classmethod
    @contextlib.contextmanager
    def open(cls, place: Path, ignore: Patterns, stop: Stop) -> Iterator[DirectoryOrigin]:
        """Read the directory and everything in it.

        Raises:
            SourceError: something cannot be read, or is a fifo, socket or device.
            ChangedError: something went away meanwhile.
        """
        with contextlib.ExitStack() as stack:
            with reading(place):
                root = stack.enter_context(Root.open(place))
            entries = scan(root, ignore, stop).entries
            refuse_special(root, entries)
            yield cls(root, {path: digest(root, path, entries[path], sha256, stop) for path in sorted(entries)}, stop)

    def link(self, path: str) -> str:
        with reading(self._root.locate(path)):
            return self._root.link(path)

    def read(self, path: str) -> Iterator[bytes]:
        with reading(self._root.locate(path)), self._root.file(path) as fd:
            yield from verified(_pieces(fd, self._stop), self.entries[path], sha256, str(self._root.locate(path)))


def _pieces(fd: int, stop: Stop) -> Iterator[bytes]:
    while piece := os.read(fd, CHUNK):
        stop.check()
        yield piece


def verified(pieces: Iterator[bytes], entry: Entry, hashing: Hashing, place: str) -> Iterator[bytes]:
    """Give the pieces on, and see in the end that they were the content of this entry.

    Raises:
        ChangedError: they were not.
    """
    summed, size = hashing(entry.size), 0
    for piece in pieces:
        summed.update(piece)
        size += len(piece)
        if size > entry.size:
            break
        yield piece
    if size != entry.size or summed.hexdigest() != entry.digest:
        raise ChangedError(place)


def refuse_special(root: Root, entries: Entries) -> None:
    """Refuse a tree that holds what cannot be copied.

    Raises:
        SourceError: it holds a fifo, socket or device.
    """
    for path in sorted(entries):
        if entries[path].kind is Kind.SPECIAL:
            place = show_path(root.locate(path))
            raise SourceError(f"{place} is a fifo, socket or device; remove it, or add it to `ignore`")
