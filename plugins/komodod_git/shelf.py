"""Where clones are kept, by the id of their sync, and how they go.

    <state directory>/<sync id>           the clone, a bare repository
    <state directory>/<sync id>.lock      held while the clone is used or removed
    <state directory>/<sync id>.deleted   the sync is gone: a check that comes too late must not make the clone again

Who holds the lock of a sync may do with these three what it likes; nobody else may.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from komodod.errors import SourceError
from komodod.tree import hold_file

REMEMBERED: Final = timedelta(days=1)
"""For how long a deleted sync is remembered; no check lasts as long."""

_LOCK, _DELETED = ".lock", ".deleted"
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,128}")


def clear(place: Path) -> None:
    """Remove a clone, or whatever stands in its place.

    Raises:
        OSError: something cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


class Shelf:
    """The clones of all syncs."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def clone(self, sync_id: str) -> Path:
        """Return where the clone of a sync is, or would be."""
        return self._path(sync_id)

    def kept(self) -> list[str]:
        """Return the ids of all syncs for which something is kept and which are not known to be gone."""
        return sorted(self._ids() - self.buried())

    def expired(self, now: datetime) -> list[str]:
        """Return the ids of deleted syncs that need not be remembered any longer."""
        return sorted(sync_id for sync_id in self.buried() if self._age(sync_id, now) > REMEMBERED)

    @contextlib.asynccontextmanager
    async def using(self, sync_id: str) -> AsyncIterator[Path]:
        """Hold the lock of a sync for a check or apply, and give the place of its clone.

        Raises:
            SourceError: the sync was deleted.
        """
        self.place.mkdir(parents=True, exist_ok=True)
        async with hold_file(self._path(sync_id, _LOCK)):
            if self._path(sync_id, _DELETED).exists():
                self._path(sync_id, _LOCK).unlink()
                raise SourceError("the sync was deleted")
            yield self.clone(sync_id)

    @contextlib.asynccontextmanager
    async def clearing(self, sync_id: str, patience: float) -> AsyncIterator[None]:
        """Hold the lock of a sync for `bury`, `remove` or `forget`; the lock file goes with it.

        Raises:
            TemporaryError: a check or apply has not ended within `patience` seconds.
        """
        self.place.mkdir(parents=True, exist_ok=True)
        lock = self._path(sync_id, _LOCK)
        async with hold_file(lock, patience):
            yield
            lock.unlink(missing_ok=True)

    def bury(self, sync_id: str, now: datetime) -> None:
        """Remove the clone, and remember that the sync is gone.

        Raises:
            OSError: something cannot be removed.
        """
        tombstone = self._path(sync_id, _DELETED)
        tombstone.touch()
        os.utime(tombstone, (now.timestamp(), now.timestamp()))
        self.remove(sync_id)

    def remove(self, sync_id: str) -> None:
        """Remove the clone, if there is one.

        Raises:
            OSError: something cannot be removed.
        """
        clear(self.clone(sync_id))

    def forget(self, sync_id: str) -> None:
        """Remember no longer that the sync is gone."""
        self._path(sync_id, _DELETED).unlink(missing_ok=True)

    def _ids(self) -> set[str]:
        if not self.place.is_dir():
            return set()
        stems = (path.name.partition(".")[0] for path in self.place.iterdir())
        return {stem for stem in stems if _ID.fullmatch(stem)}

    def buried(self) -> set[str]:
        """Return the ids of the deleted syncs that are remembered."""
        return {path.name.removesuffix(_DELETED) for path in self.place.glob("*" + _DELETED)}

    def _age(self, sync_id: str, now: datetime) -> timedelta:
        try:
            since = self._path(sync_id, _DELETED).stat().st_mtime
        except FileNotFoundError:
            return timedelta(0)
        return now - datetime.fromtimestamp(since, UTC)

    def _path(self, sync_id: str, suffix: str = "") -> Path:
        if not _ID.fullmatch(sync_id):
            raise ValueError(f"{sync_id!r} cannot be the name of a directory")
        return self.place / (sync_id + suffix)
