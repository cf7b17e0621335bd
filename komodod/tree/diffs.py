"""Differences as texts for people: a unified diff where both sides are text of a reasonable size."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Final

from komodod.texts import show_path
from komodod.tree.entries import Entry, Kind
from komodod.tree.trouble import reading

if TYPE_CHECKING:
    from komodod.tree.comparison import Difference
    from komodod.tree.origin import Origin
    from komodod.tree.root import Root

LARGEST: Final = 64 * 1024
"""Bytes of a file whose text is shown."""

LONGEST: Final = 2000
"""Lines of a file whose text is shown; finding a diff takes up to the square of them."""

TOTAL: Final = 1 << 20
"""Characters of all diffs of one look together; the differences after that come without."""


class Diffs:
    """Writes the texts of one look; there is no target where everything is to be created."""

    def __init__(self, origin: Origin, target: Root | None) -> None:
        self._origin, self._target = origin, target
        self._left = TOTAL

    def text(self, item: Difference) -> str | None:
        """Return what is different, or None where the difference says it all or there has been enough text already.

        Raises:
            SourceError: a side cannot be read.
            ChangedError: a side is something else by now.
        """
        if self._left <= 0:
            return None
        text = "\n".join([*_heading(item), *self._body(item)])
        self._left -= len(text)
        return text or None

    def _body(self, item: Difference) -> list[str]:
        have, want = _with_content(item.have), _with_content(item.want)
        if have is None and want is None:
            return []
        old = self._old(self._target, item.path, have) if have and self._target else []
        new = self._new(item.path, want) if want else []
        if old is None or new is None:
            return [f"{have.size if have else 0} bytes -> {want.size if want else 0} bytes"]
        shown = show_path(item.path)
        before, after = f"a/{shown}" if have else "/dev/null", f"b/{shown}" if want else "/dev/null"
        return list(difflib.unified_diff(old, new, before, after, lineterm=""))

    @staticmethod
    def _old(target: Root, path: str, have: Entry) -> list[str] | None:
        with reading(target.locate(path)):
            if have.kind is Kind.SYMLINK:
                return [show_path(target.link(path))]
            if have.size > LARGEST:
                return None
            with target.file(path) as fd:
                return _lines(os.pread(fd, LARGEST + 1, 0))

    def _new(self, path: str, want: Entry) -> list[str] | None:
        if want.kind is Kind.SYMLINK:
            return [show_path(self._origin.link(path))]
        return _lines(b"".join(self._origin.read(path))) if want.size <= LARGEST else None


def _heading(item: Difference) -> list[str]:
    """Return what a diff of contents does not tell: another kind, other permissions."""
    have, want = item.have, item.want
    if have is None or want is None:
        return []
    if have.kind is not want.kind:
        return [f"{have.kind} -> {want.kind}"]
    return [f"mode {have.mode:04o} -> {want.mode:04o}"] if have.mode != want.mode else []


def _with_content(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.kind in (Kind.FILE, Kind.SYMLINK) else None


def _lines(data: bytes) -> list[str] | None:
    """Return the lines, or None for what is no text of a reasonable size."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    if len(data) > LARGEST or len(lines) > LONGEST or "\0" in text:
        return None
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
    else:
        lines.pop()
    return lines
