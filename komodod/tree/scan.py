"""Reading a tree on disk: what is there, and what identifies its contents."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from komodod.errors import SourceError
from komodod.texts import show_path
from komodod.tree.entries import Entry, Hashing, Kind, join, parent
from komodod.tree.root import CHUNK, Root, describe
from komodod.tree.trouble import reading, steady

if TYPE_CHECKING:
    from collections.abc import Iterator

    from komodod.tree.patterns import Patterns
    from komodod.tree.work import Stop

READS: Final = 3
"""How often a file is read again that changed meanwhile."""

TEMPORARY: Final = re.compile(r"\.komodod-[0-9A-Za-z]{1,8}-[0-9a-f]{16}\.tmp")
"""Names of files that an apply is still writing, or that a killed one left. They belong to no tree."""


@dataclass(slots=True)
class Listing:
    """What a directory holds, patterns applied.

    `leftovers` are temporary files. `pinned` are directories with something below them that is left out: they cannot
    be removed without removing that.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)
    pinned: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """How many entries are no directories."""
        return sum(entry.kind is not Kind.DIR for entry in self.entries.values())


def scan(root: Root, ignore: Patterns, stop: Stop) -> Listing:
    """List everything below the root, without digests.

    Raises:
        SourceError: a directory cannot be read.
        ChangedError: something went away meanwhile.
    """
    listing, folders = Listing(), [""]
    while folders:
        stop.check()
        folder = folders.pop()
        for last, entry in _list(root, folder):
            path = join(folder, last)
            if TEMPORARY.fullmatch(last):
                listing.leftovers.append(path)
            elif ignore.ignores(path, directory=entry.kind is Kind.DIR):
                _pin(listing.pinned, folder)
            else:
                listing.entries[path] = entry
                if entry.kind is Kind.DIR:
                    folders.append(path)
    return listing


def _list(root: Root, folder: str) -> Iterator[tuple[str, Entry]]:
    place = root.locate(folder)
    with reading(place), steady(place), root.directory(folder) as fd, os.scandir(fd) as found:
        for item in found:
            yield item.name, describe(item.stat(follow_symlinks=False))


def _pin(pinned: set[str], folder: str) -> None:
    while folder and folder not in pinned:
        pinned.add(folder)
        folder = parent(folder)


def digest(root: Root, path: str, entry: Entry, hashing: Hashing, stop: Stop) -> Entry:
    """Return the entry with its digest, and with the size that was read; directories come back as they are.

    Raises:
        SourceError: it cannot be read, or keeps changing.
        ChangedError: it is something else by now.
    """
    if entry.kind is Kind.SYMLINK:
        with reading(root.locate(path)):
            text = os.fsencode(root.link(path))
        summed = hashing(len(text))
        summed.update(text)
        return Entry(entry.kind, entry.mode, len(text), summed.hexdigest())
    if entry.kind is not Kind.FILE:
        return entry
    with reading(root.locate(path)), root.file(path) as fd:
        for _ in range(READS):
            settled = _read(fd, hashing, stop)
            if settled is not None:
                return settled
    raise SourceError(
        f"{show_path(root.locate(path))} keeps changing while it is read; wait until it is written, or add it to `ignore`"
    )


def _read(fd: int, hashing: Hashing, stop: Stop) -> Entry | None:
    """Return what the open file is, or None if it changed while it was read."""
    before = os.fstat(fd)
    summed, at = hashing(before.st_size), 0
    while piece := os.pread(fd, CHUNK, at):
        stop.check()
        summed.update(piece)
        at += len(piece)
        if at > before.st_size:
            return None  # it grows; one that never stops would hold us for ever
    after = os.fstat(fd)
    if at != before.st_size or _stamp(before) != _stamp(after):
        return None
    known = describe(after)
    return Entry(known.kind, known.mode, at, summed.hexdigest())


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
