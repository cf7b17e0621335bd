"""What is different between a tree as it should be and a directory as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from komodod.errors import SourceError
from komodod.texts import show_path
from komodod.tree.entries import Entry, Kind
from komodod.tree.scan import Listing, digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from komodod.tree.entries import Hashing
    from komodod.tree.origin import Origin
    from komodod.tree.root import Root
    from komodod.tree.work import Stop

PRUNE_FREELY: Final = 10
"""Files that may always be pruned; more than these and more than half of all need `--force`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not as it should be; `want` is None where nothing should be, `have` where nothing is.

    `have` has a digest only if the content had to be looked at.
    """

    path: str
    want: Entry | None
    have: Entry | None

    @property
    def action(self) -> str:
        """The word for what an apply would do."""
        if self.have is None:
            return "create"
        return "delete" if self.want is None else "update"

    @property
    def kind(self) -> Kind:
        """What it should be, or what it is if it should not be."""
        entry = self.want or self.have
        assert entry is not None, self.path  # noqa: S101  a difference has a side
        return entry.kind


def compare(origin: Origin, target: Root, listing: Listing, *, prune: bool, stop: Stop) -> list[Difference]:
    """Return the differences by path; what is in the target alone counts only if it is to be pruned.

    Contents decide by their digests. A file of another size is different without being read.

    Raises:
        SourceError: something cannot be read, or a fifo, socket or device is in the way.
        ChangedError: something is something else by now.
    """
    found = []
    for path in sorted(origin.entries.keys() | listing.entries.keys() if prune else origin.entries.keys()):
        stop.check()
        want, have = origin.entries.get(path), listing.entries.get(path)
        if have is not None and have.kind is Kind.SPECIAL:
            place = show_path(target.locate(path))
            raise SourceError(f"{place} is a fifo, socket or device, and in the way; remove it, or add it to `ignore`")
        if want is None and path in listing.pinned:
            continue
        if want is not None and have is not None:
            have = _identify(target, path, want, have, hashing=origin.hashing, stop=stop)
            if _same(want, have):
                continue
        found.append(Difference(path, want, have))
    return found


def _identify(target: Root, path: str, want: Entry, have: Entry, *, hashing: Hashing, stop: Stop) -> Entry:
    """Return the entry with its digest where that can make a difference."""
    if have.kind is not want.kind or have.size != want.size:
        return have
    try:
        return digest(target, path, have, hashing, stop)
    except SourceError:
        if have.mode != want.mode:
            return have  # its permissions keep us from reading it, and are to change anyway
        raise


def _same(want: Entry, have: Entry) -> bool:
    return (want.kind, want.mode, want.digest) == (have.kind, have.mode, have.digest)


def guard(differences: Sequence[Difference], origin: Origin, listing: Listing) -> None:
    """Refuse to remove what looks like a mistake (ruling 7).

    Raises:
        SourceError: nothing at all should be left, or most of it should go.
    """
    gone = [item for item in differences if item.want is None]
    files = sum(item.kind is not Kind.DIR for item in gone)
    if gone and not origin.entries:
        raise SourceError(
            f"would remove everything ({len(gone)} entries), because the origin is empty; if so, apply with --force"
        )
    if files > PRUNE_FREELY and files * 2 > listing.count:
        raise SourceError(
            f"would remove {files} of {listing.count} files in the target; if that is right, apply with --force"
        )
