"""One look at a target, and one apply: what the sources that have a tree do with it."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from komodod.errors import SourceError
from komodod.model import Applied, Change, Observation
from komodod.redaction import one_line
from komodod.texts import show_path
from komodod.tree.comparison import Difference, compare, guard
from komodod.tree.diffs import Diffs
from komodod.tree.locks import hold
from komodod.tree.origin import WRITABLE
from komodod.tree.patterns import Patterns
from komodod.tree.root import Root
from komodod.tree.scan import scan
from komodod.tree.trouble import ChangedError, reading, writing
from komodod.tree.work import Stop
from komodod.tree.writing import Writer, sweep, sync_directory

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from komodod.tree.origin import Opening

T = TypeVar("T")

LOOKS: Final = 3
"""How often a tree is looked at again that changed meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The directory that is to be like an origin.

    Without `prune`, what only the target has is left alone. What `ignore` leaves out is neither copied, nor compared,
    nor removed. Temporary files are named after the sync.
    """

    place: Path
    sync_id: str
    prune: bool = False
    ignore: Patterns = Patterns()  # noqa: RUF009  it never changes

    @property
    def label(self) -> str:
        """The part of a temporary file's name that says whose it is."""
        return re.sub(r"[^0-9A-Za-z]", "", self.sync_id)[:8] or "0"


def observe(opening: Opening, target: Target, stop: Stop) -> Observation:
    """Compare, changing nothing.

    Raises:
        SourceError: it could not be told.
    """
    return _steadily(lambda: _observe(opening, target, stop))


def apply(opening: Opening, target: Target, stop: Stop, *, force: bool) -> Applied:
    """Bring the target in step, alone: whoever else applies to it waits.

    Raises:
        SourceError: it was not all done.
    """
    return _steadily(lambda: _apply(opening, target, stop, force=force))


def tidy(target: Target, patience: float, log: FilteringBoundLogger) -> None:
    """Remove the temporary files that a killed apply of this sync may have left. For a sync that is gone.

    What we may not read is passed over: an apply reads all of a target before it writes.

    Raises:
        TemporaryError: an apply to this target has not ended within `patience` seconds.
        SourceError: they are there and cannot be removed.
    """
    stop = Stop()
    try:
        with Root.open(target.place) as root, hold(root, stop, patience):
            _steadily(lambda: sweep(root, scan(root, target.ignore, stop).leftovers, target.label))
    except (FileNotFoundError, NotADirectoryError):
        return  # nothing there, nothing left there
    except (PermissionError, SourceError) as error:
        if not isinstance(error.__cause__ or error, PermissionError):
            raise
        log.warning("target_not_tidied", target=show_path(target.place), error=one_line(str(error)))


def _steadily(function: Callable[[], T]) -> T:
    for look in range(1, LOOKS + 1):
        try:
            return function()
        except ChangedError as error:
            if look == LOOKS:
                place = show_path(error.place)
                raise SourceError(
                    f"{place} keeps changing while it is looked at; wait until it is written, or add it to `ignore`"
                ) from error
    raise AssertionError("the last look returns or raises")


def _observe(opening: Opening, target: Target, stop: Stop) -> Observation:
    with opening(stop) as origin:
        if not _exists(target.place):
            absent = [Difference(path, entry, None) for path, entry in sorted(origin.entries.items())]
            return Observation(revision=origin.revision, changes=_changes(absent, Diffs(origin, None), stop))
        with _opened(target.place) as root:
            found = compare(origin, root, scan(root, target.ignore, stop), prune=target.prune, stop=stop)
            return Observation(revision=origin.revision, changes=_changes(found, Diffs(origin, root), stop))


def _changes(found: Iterable[Difference], diffs: Diffs, stop: Stop) -> tuple[Change, ...]:
    changes = []
    for item in found:
        stop.check()
        change = Change(action=item.action, kind=item.kind.value, name=show_path(item.path), diff=diffs.text(item))
        changes.append(change)
    return tuple(changes)


def _apply(opening: Opening, target: Target, stop: Stop, *, force: bool) -> Applied:
    with opening(stop) as origin:
        if not _exists(target.place):
            _make(target.place, origin.mode)
        with _opened(target.place) as root, hold(root, stop):
            listing = scan(root, target.ignore, stop)
            sweep(root, listing.leftovers)
            found = compare(origin, root, listing, prune=target.prune, stop=stop)
            if not force:
                guard(found, origin, listing)
            Writer(root, origin, target.label, stop).write(found)
            return Applied(revision=origin.revision, summary=_summarise(found))


def _summarise(found: Iterable[Difference]) -> str:
    counts = Counter(item.action for item in found)
    words = (f"{counts[action]} {action}d" for action in ("create", "update", "delete") if counts[action])
    return ", ".join(words) or "nothing to do"


def _exists(place: Path) -> bool:
    """Whether there is a target; where there is none it must be possible to make one.

    Raises:
        SourceError: it cannot be told, or the directory that should hold it does not exist.
    """
    with reading(place):
        try:
            place.stat()
        except FileNotFoundError as error:
            if place.parent.is_dir():
                return False
            missing = show_path(place.parent)
            raise SourceError(f"cannot make {show_path(place)}: {missing} is no directory; make it first") from error
    return True


@contextlib.contextmanager
def _opened(place: Path) -> Iterator[Root]:
    with contextlib.ExitStack() as stack:
        with reading(place):
            root = stack.enter_context(Root.open(place))
        yield root


def _make(place: Path, mode: int) -> None:
    with writing(place, place.parent):
        place.mkdir(WRITABLE)
        place.chmod(mode | WRITABLE)
        with Root.open(place.parent) as root:
            sync_directory(root.fd)
