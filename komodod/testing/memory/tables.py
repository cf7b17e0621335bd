"""Rows in dicts, with a journal to undo a batch by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeVar

from komodod.storage import Lease, Work

if TYPE_CHECKING:
    from datetime import datetime

    from komodod.model import Alert, Changes, Doubt, Event, HookCall, Notification, Sync

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Table(dict[K, V]):
    """A dict that writes down how to undo what is done to it."""

    def __init__(self, journal: list[Callable[[], None]]) -> None:
        super().__init__()
        self._journal = journal

    def __setitem__(self, key: K, value: V) -> None:
        if key in self:
            old = self[key]
            self._journal.append(lambda: dict.__setitem__(self, key, old))
        else:
            self._journal.append(lambda: dict.__delitem__(self, key))
        super().__setitem__(key, value)

    def discard(self, key: K) -> None:
        """Remove the key if it is there."""
        if key in self:
            old = self[key]
            self._journal.append(lambda: dict.__setitem__(self, key, old))
            super().__delitem__(key)


class Tables:
    """All rows. Doubts are kept beside their notification, and so are leases."""

    def __init__(self) -> None:
        self._journal: list[Callable[[], None]] = []
        self.syncs: Table[str, Sync] = Table(self._journal)
        self.changes: Table[str, Changes] = Table(self._journal)
        self.alerts: Table[str, Alert] = Table(self._journal)
        self.links: Table[tuple[str, str], None] = Table(self._journal)
        self.notifications: Table[str, Notification] = Table(self._journal)
        self.doubts: Table[tuple[str, str], Doubt] = Table(self._journal)
        self.events: Table[str, Event] = Table(self._journal)
        self.calls: Table[str, HookCall] = Table(self._journal)
        self.leases: Table[tuple[Work, str], Lease] = Table(self._journal)
        self.cursor = 0

    def begin(self) -> None:
        """Forget what was done so far: it can no longer be undone."""
        self._journal.clear()

    def rollback(self) -> None:
        """Undo everything since `begin`."""
        for undo in reversed(self._journal):
            undo()

    def leased(self, work: Work, row_id: str, now: datetime) -> bool:
        """Tell whether a lease on the row still runs."""
        lease = self.leases.get((work, row_id))
        return lease is not None and lease.until > now

    def whole(self, row: Notification) -> Notification:
        """Return the notification with its doubts."""
        doubts = sorted((doubt for (row_id, _), doubt in self.doubts.items() if row_id == row.id), key=lambda d: d.key)
        return dataclasses.replace(row, doubts=tuple(doubts))

    def drop_notification(self, row_id: str) -> None:
        """Remove the notification, its links, its doubts and its lease."""
        self.notifications.discard(row_id)
        self.leases.discard((Work.NOTIFICATION, row_id))
        for link in [link for link in self.links if link[1] == row_id]:
            self.links.discard(link)
        for doubt in [doubt for doubt in self.doubts if doubt[0] == row_id]:
            self.doubts.discard(doubt)
