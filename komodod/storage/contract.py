"""The storage contract itself."""

from __future__ import annotations

import abc
import asyncio
from typing import TYPE_CHECKING, ClassVar

from komodod.errors import StorageError
from komodod.storage.rows import Lead

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from pydantic import BaseModel

    from komodod.context import Context
    from komodod.model import Aggregate, Alert, Changes, Event, HookCall, Members, Notification, Sync
    from komodod.storage.batch import Batch
    from komodod.storage.rows import (
        AlertFilter,
        Breach,
        Census,
        Claim,
        Counts,
        Due,
        EventFilter,
        HookCallFilter,
        Lease,
        NotificationFilter,
        Page,
        Stored,
        SyncFilter,
    )


class Storage(abc.ABC):
    """Where komodod keeps everything.

    Any method may raise `StorageError`: then whether a commit happened is unknown, and a read told nothing. Rows are
    values; what a read returns does not change afterwards. `after` and `limit` page by key: rows that exist during the
    whole walk are seen exactly once; an `after` that no page gave may raise ValueError. Texts are Unicode: one with a
    lone surrogate or a NUL may be refused with ValueError, and nothing of its batch is applied. The store's clock
    (`context.clock`, or the server's own) rules leases and due times. All methods may be called concurrently from one
    event loop.
    """

    Config: ClassVar[type[BaseModel]]
    """The model of this storage's part of the YAML (without `type`)."""

    def __init__(self, config: BaseModel, context: Context) -> None:
        self.config = config
        self.context = context
        self._ticks = 0
        self._waiters: set[asyncio.Future[None]] = set()

    # -- life

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, migrate, check the schema. A store for one process takes its lock and ends the leases of the dead.

        Raises:
            StorageRefusedError: another daemon holds it (names the pid), its schema is newer or damaged.
        """

    @abc.abstractmethod
    async def close(self) -> None:
        """Finish what was accepted, let go of everything. Safe to call twice."""

    @property
    @abc.abstractmethod
    def epoch(self) -> str:
        """Eight hex digits made with the store; a restored backup has others, and so makes other keys."""

    @abc.abstractmethod
    async def ping(self) -> None:
        """Return when the part that writes has answered. Raises StorageError if it answers that it cannot write."""

    # -- the one way to write

    @abc.abstractmethod
    async def commit(self, batch: Batch) -> None:
        """Apply the batch durably, whole or not at all, and return when a crash can no longer undo it.

        Raises:
            Conflict: an expectation does not hold (or the store forbids a write); it names the first, and nothing was
                applied. Expectations are judged before anything is written.
        """

    # -- reads

    @abc.abstractmethod
    async def get_sync(self, sync_id: str) -> Sync | None: ...

    @abc.abstractmethod
    async def find_sync(self, name: str) -> Sync | None: ...

    @abc.abstractmethod
    async def get_changes(self, sync_id: str) -> Changes: ...

    @abc.abstractmethod
    async def load_aggregate(self, sync_id: str) -> Aggregate | None:
        """Return the sync and its open alerts (by kind), of one moment."""

    @abc.abstractmethod
    async def get_alert(self, alert_id: str) -> Alert | None: ...

    @abc.abstractmethod
    async def get_notification(self, notification_id: str) -> Notification | None: ...

    @abc.abstractmethod
    async def get_hook_call(self, call_id: str) -> HookCall | None: ...

    @abc.abstractmethod
    async def get_event(self, event_id: str) -> Event | None: ...

    @abc.abstractmethod
    async def load_members(self, notification_ids: Sequence[str]) -> Mapping[str, Members]:
        """Return for each id the open alerts linked to it, oldest first, and the linked alert resolved last."""

    @abc.abstractmethod
    async def list_syncs(self, match: SyncFilter, after: str | None = None, limit: int = 100) -> Page[Sync]:
        """Return syncs by name, the built-in one included."""

    @abc.abstractmethod
    async def list_alerts(self, match: AlertFilter, after: str | None = None, limit: int = 100) -> Page[Alert]:
        """Return alerts, newest first (`opened_at`, then `id`, both descending)."""

    @abc.abstractmethod
    async def list_notifications(
        self, match: NotificationFilter, after: str | None = None, limit: int = 100
    ) -> Page[Notification]:
        """Return notifications by id."""

    @abc.abstractmethod
    async def list_hook_calls(
        self, match: HookCallFilter, after: str | None = None, limit: int = 100
    ) -> Page[HookCall]:
        """Return hook calls, newest first (`created_at`, then `id`, both descending)."""

    @abc.abstractmethod
    async def list_events(self, match: EventFilter, after: int = 0, limit: int = 100) -> tuple[Event, ...]:
        """Return events with a cursor above `after`, in the order of their cursors."""

    @abc.abstractmethod
    async def list_recent_events(
        self, match: EventFilter, before: int | None = None, limit: int = 100
    ) -> tuple[Event, ...]:
        """Return the newest events with a cursor below `before`, newest first."""

    @abc.abstractmethod
    async def list_leases(self, after: str | None = None, limit: int = 100) -> Page[Lease]:
        """Return all leases, expired ones included, by work and row id."""

    @abc.abstractmethod
    async def counts(self) -> Counts: ...

    # -- claims

    @abc.abstractmethod
    async def claim_checks(self, worker: str, lease: float, limit: int) -> tuple[Claim[Sync], ...]:
        """Lease up to `limit` syncs that are due, longest due first, for `lease` seconds, and count an attempt in each.

        Due: not paused, not built-in, not under a lease that still runs, and `requests > requests_seen` or
        `next_check_at` has come. The rows returned are as they are after the claim.
        """

    @abc.abstractmethod
    async def claim_notifications(self, worker: str, lease: float, limit: int) -> tuple[Claim[Notification], ...]:
        """The same for notifications whose `due_at` has come. Nothing in the row changes."""

    @abc.abstractmethod
    async def claim_hook_calls(
        self, worker: str, lease: float, limit: int, plugins: Sequence[str]
    ) -> tuple[Claim[HookCall], ...]:
        """The same for waiting hook calls of these plugins whose `due_at` has come; counts an attempt in each."""

    @abc.abstractmethod
    async def renew(self, worker: str, lease: float) -> None:
        """Let all leases of this worker run for `lease` seconds from now."""

    @abc.abstractmethod
    async def next_due(self, plugins: Sequence[str]) -> Due:
        """Say when there will be something to claim; hook calls count for these plugins only."""

    async def lead(self, duty: str, holder: str, ttl: float) -> Lead | None:  # noqa: ARG002  for stores with replicas
        """Take or keep the lead of a duty for `ttl` seconds (0 gives it up); None if somebody else has it.

        A lead that has ended is kept until somebody else takes it. The default is for one process, which always leads.
        """
        return Lead(duty, None)

    # -- consistency

    async def census(self, invariant: Stored) -> Census:
        """Count what breaks the invariant. The default walks the lists; a store that can ask one query should."""
        from komodod.storage import breaches  # noqa: PLC0415  the default is for stores that have nothing better

        return await breaches.census(self, invariant)

    async def breaches(self, invariant: Stored, after: str | None = None, limit: int = 100) -> Page[Breach]:
        """Return rows that break the invariant. See `census` about the default."""
        from komodod.storage import breaches  # noqa: PLC0415  as above

        return await breaches.page(self, invariant, after, limit)

    @abc.abstractmethod
    async def purge(self, before: datetime, limit: int) -> int:
        """Remove up to `limit` rows of history older than `before`; return how many, 0 when there are none left.

        History is: resolved alerts; events without an unfinished (waiting or dead) hook call, together with their
        calls; notifications at rest (absent, nothing dirty, not leased) that no alert is linked to.
        """

    async def backup(self, target: Path) -> None:
        """Write a consistent copy to a file that does not exist yet, while work goes on. The copy has a new epoch."""
        raise StorageError(f"this storage has no backup of its own; use its server's tools (asked for {target})")

    # -- wake-ups

    def ticks(self) -> int:
        """Return a number that grows with every change a worker may have to act on."""
        return self._ticks

    async def changed(self, ticks: int) -> None:
        """Return once `self.ticks()` is above `ticks`; at once if it is already, so no wake-up is lost."""
        while self._ticks <= ticks:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def announce(self) -> None:
        """Wake whoever waits in `changed`. For implementations: call it on the event loop after each commit."""
        self._ticks += 1
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
