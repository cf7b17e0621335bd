"""The storage contract: what a store must promise so that nothing is left behind.

An operation reads what it needs, a pure function turns that into a `Batch`, and `Storage.commit` applies it whole or
not at all. A store holds no business rule: it applies writes, keeps what must not be out (one open alert per sync and
kind, no open alert without its live sync, one name one sync), and hands out work under leases.

`komodod.testing.StorageContract` proves an implementation; `komodod.testing.MemoryStorage` is the shortest one.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel

from komodod.errors import StorageError
from komodod.model import (
    Aggregate,
    Alert,
    AlertKind,
    Changes,
    Doubt,
    Event,
    EventKind,
    HookCall,
    HookCallState,
    Members,
    Notification,
    Origin,
    Severity,
    Shown,
    Sync,
    SyncState,
)

if TYPE_CHECKING:
    from komodod.context import Context

T = TypeVar("T")


class Work(StrEnum):
    """The three kinds of work that are claimed under a lease. The row of a check is its sync's."""

    CHECK = "check"
    NOTIFICATION = "notification"
    HOOK_CALL = "hook_call"


def notification_id(notifier: str, group: str) -> str:
    """Return the id of the notification of `group` at `notifier`: one pair, one row, whoever creates it first."""
    return str(uuid5(NAMESPACE_URL, f"komodod:notification:{notifier}\0{group}"))


def hook_call_id(event_id: str, plugin: str) -> str:
    """Return the id of the hook call that tells `plugin` of the event; queueing it twice makes one."""
    return str(uuid5(NAMESPACE_URL, f"komodod:hook-call:{event_id}\0{plugin}"))


# --- expectations: what must hold at the moment of the commit --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SyncAt:
    """The sync exists and its generation is this one (design D2)."""

    sync_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class SyncGone:
    """No sync of this id exists."""

    sync_id: str


@dataclass(frozen=True, slots=True)
class NameFree:
    """No sync has this name."""

    name: str


@dataclass(frozen=True, slots=True)
class AlertOpen:
    """The alert exists and is open."""

    alert_id: str


@dataclass(frozen=True, slots=True)
class LeaseHeld:
    """The row exists and its lease has this token. An expired lease that nobody took over still counts."""

    work: Work
    row_id: str
    token: str


@dataclass(frozen=True, slots=True)
class NotificationAt:
    """The notification exists, nobody has it claimed, and its version is this one."""

    notification_id: str
    version: int


@dataclass(frozen=True, slots=True)
class HookCallIn:
    """The hook call exists, nobody has it claimed, and it is in this state."""

    call_id: str
    state: HookCallState


@dataclass(frozen=True, slots=True)
class Leading:
    """The duty is led under this token (see `Storage.lead`)."""

    duty: str
    token: str


Expectation = SyncAt | SyncGone | NameFree | AlertOpen | LeaseHeld | NotificationAt | HookCallIn | Leading


# --- writes, applied in the order given ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutSync:
    """Insert or replace the row, all but `requests` (kept on replace) and the lease."""

    sync: Sync


@dataclass(frozen=True, slots=True)
class PutChanges:
    """Replace the stored changes of a sync."""

    sync_id: str
    changes: Changes


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """`requests + 1`: commutative, expects nothing, does nothing where the sync is gone."""

    sync_id: str


@dataclass(frozen=True, slots=True)
class DeleteSync:
    """Remove the row and its stored changes. The store refuses while an alert of the sync is open."""

    sync_id: str


@dataclass(frozen=True, slots=True)
class PutAlert:
    """Insert or replace the row. While open it refers to its live sync: `Conflict` (with this write) if that is gone."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class Link:
    """The alert is shown in this notification: create the notification if it is new, link, mark it dirty."""

    alert_id: str
    notifier: str
    group: str
    title: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """The alert is no longer shown in this notification: remove the link, mark the notification dirty."""

    alert_id: str
    notification_id: str


@dataclass(frozen=True, slots=True)
class Touch:
    """Mark every notification linked to the alert dirty."""

    alert_id: str


@dataclass(frozen=True, slots=True)
class MarkDirty:
    """`version + 1` and due now: commutative, expects nothing, does nothing where the row is gone."""

    notification_id: str


@dataclass(frozen=True, slots=True)
class PutNotification:
    """Replace the row, all but `version`, `doubts` and the lease; nothing happens where the row is gone.

    If the row's version is above the given one's (a mark came after the claim), `due_at` becomes now instead.
    """

    notification: Notification


@dataclass(frozen=True, slots=True)
class PutDoubt:
    """Add the doubt, or replace the one of that key unless its version is higher; then only `until` is raised."""

    notification_id: str
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class DropDoubt:
    """Remove the doubt about this key, unless its version is above the given one (it came later)."""

    notification_id: str
    key: str
    version: int


@dataclass(frozen=True, slots=True)
class Confess:
    """A worker whose result was refused: mark dirty, and add the doubt at the version after that mark.

    Creates the notification where it is gone. Expects nothing. The doubt's own `version` is ignored.
    """

    notifier: str
    group: str
    title: str
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class DropNotification:
    """Remove the row, its links and its doubts."""

    notification_id: str


@dataclass(frozen=True, slots=True)
class AppendEvent:
    """Append the event; the store gives it its cursor."""

    event: Event


@dataclass(frozen=True, slots=True)
class QueueHookCall:
    """Insert the call; nothing happens if it is there already. `Conflict` (with this write) if its event is gone."""

    call: HookCall


@dataclass(frozen=True, slots=True)
class PutHookCall:
    """Replace the row, all but the lease; nothing happens where it is gone."""

    call: HookCall


@dataclass(frozen=True, slots=True)
class DropHookCall:
    """Remove the call, and with it the duty: its event no longer names the plugin as owed."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Release:
    """End the lease on the row, whoever holds it (expect `LeaseHeld` beside it)."""

    work: Work
    row_id: str


Write = (
    PutSync
    | PutChanges
    | RequestCheck
    | DeleteSync
    | PutAlert
    | Link
    | Unlink
    | Touch
    | MarkDirty
    | PutNotification
    | PutDoubt
    | DropDoubt
    | Confess
    | DropNotification
    | AppendEvent
    | QueueHookCall
    | PutHookCall
    | DropHookCall
    | Release
)

BATCH_LIMIT = 100
"""The most expectations and writes together in one batch, so that stores with small transactions stay possible."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One commit: expectations, then writes in the order given. Raises ValueError above `BATCH_LIMIT` operations."""

    expect: tuple[Expectation, ...] = ()
    writes: tuple[Write, ...] = ()

    def __post_init__(self) -> None:
        if len(self.expect) + len(self.writes) > BATCH_LIMIT:
            raise ValueError(f"a batch holds at most {BATCH_LIMIT} operations, not {len(self.expect) + len(self.writes)}")

    def __add__(self, other: Batch) -> Batch:
        return Batch(self.expect + other.expect, self.writes + other.writes)


# --- what reads return -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and where to go on: pass `next` as `after`; None means that there were no more."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Claim(Generic[T]):
    """A row that is ours until the lease ends. `at` is the store's clock at the claim, the lease runs from there."""

    row: T
    token: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a row, until when."""

    work: Work
    row_id: str
    worker: str
    token: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """The earliest moment at which each kind of work can be claimed (the end of a lease counts); None: never.

    `now` is the store's clock, which all of them are to be compared with.
    """

    now: datetime
    checks: datetime | None
    notifications: datetime | None
    hook_calls: datetime | None


@dataclass(frozen=True, slots=True)
class Lead:
    """The right to carry out a duty. Expect `Leading(duty, token)` with each of its commits if there is a token."""

    duty: str
    token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is of what, for people."""

    syncs: Mapping[SyncState, int] = field(default_factory=dict)
    paused: int = 0
    open_alerts: Mapping[AlertKind, int] = field(default_factory=dict)
    shown: int = 0
    dirty: int = 0
    in_doubt: int = 0
    dead_notifications: int = 0
    stranded: int = 0
    waiting_hook_calls: int = 0
    dead_hook_calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFilter:
    """Which syncs; every field that is set must match. `name` is a glob (`*`, `?`, `[...]`, case matters)."""

    name: str | None = None
    state: SyncState | None = None
    origin: Origin | None = None
    paused: bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts. `sync` is a glob over the name as it was; `open` None means both."""

    sync: str | None = None
    sync_id: str | None = None
    kind: AlertKind | None = None
    severity: Severity | None = None
    open: bool | None = True
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFilter:
    """Which notifications. `title` is a glob over the name as it was; `alert_id`: those linked to this alert.

    `group` is exact. `attention` keeps those that are dead for their version, in doubt or stranded.
    """

    title: str | None = None
    notifier: str | None = None
    group: str | None = None
    state: Shown | None = None
    alert_id: str | None = None
    attention: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCallFilter:
    """Which hook calls. `sync` is a glob over the name as it was."""

    sync: str | None = None
    plugin: str | None = None
    event_id: str | None = None
    state: HookCallState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events. `sync` is a glob over the name as it was; `kinds` empty means all."""

    sync: str | None = None
    sync_id: str | None = None
    kinds: frozenset[EventKind] = frozenset()


# --- the invariants a store can look for -----------------------------------------------------------------------------


class Stored(StrEnum):
    """The invariants that are about the store's own rows."""

    OPEN_ALERT_HAS_SYNC = "open-alert-has-sync"
    OPEN_ALERT_MATCHES_STATE = "open-alert-matches-state"
    NOTIFICATION_MATCHES_ALERTS = "notification-matches-alerts"
    NO_EXPIRED_LEASE = "no-expired-lease"
    EVENT_HAS_HOOK_CALLS = "event-has-hook-calls"


@dataclass(frozen=True, slots=True)
class OwedCalls:
    """An event whose owed hook calls are not all queued; `plugins` lack theirs."""

    event: Event
    plugins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Breach:
    """One row that breaks an invariant, with what is needed to mend it.

    By invariant, in the order of `Stored`: the orphaned `Alert`; the `Aggregate` whose open alerts are not its
    conditions; the `Notification` that is at rest and wrong; the expired `Lease`; the `OwedCalls`.
    """

    id: str
    subject: Alert | Aggregate | Notification | Lease | OwedCalls


@dataclass(frozen=True, slots=True)
class Census:
    """How many rows an invariant looked at, and how many break it."""

    checked: int
    found: int


class Storage(abc.ABC):
    """Where komodod keeps everything.

    Any method may raise `StorageError`: then whether a commit happened is unknown, and a read told nothing. Rows are
    values; what a read returns does not change afterwards. `after` and `limit` page by key: rows that exist during
    the whole walk are seen exactly once. The store's clock (`context.clock`, or the server's own) rules leases and
    due times. All methods may be called concurrently from one event loop.
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
            Conflict: an expectation does not hold (or the store forbids a write); nothing was applied.
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
    async def list_hook_calls(self, match: HookCallFilter, after: str | None = None, limit: int = 100) -> Page[HookCall]:
        """Return hook calls, newest first (`created_at`, then `id`, both descending)."""

    @abc.abstractmethod
    async def list_events(self, match: EventFilter, after: int = 0, limit: int = 100) -> tuple[Event, ...]:
        """Return events with a cursor above `after`, in the order of their cursors."""

    @abc.abstractmethod
    async def list_recent_events(self, match: EventFilter, before: int | None = None, limit: int = 100) -> tuple[Event, ...]:
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
        """Take or keep the lead of a duty for `ttl` seconds; None if somebody else has it. One process always leads."""
        return Lead(duty, None)

    # -- consistency

    async def census(self, invariant: Stored) -> Census:
        """Count what breaks the invariant. The default walks the lists; a store that can ask one query should."""
        from komodod import breaches  # noqa: PLC0415  the default is for stores that have nothing better

        return await breaches.census(self, invariant)

    async def breaches(self, invariant: Stored, after: str | None = None, limit: int = 100) -> Page[Breach]:
        """Return rows that break the invariant. See `census` about the default."""
        from komodod import breaches  # noqa: PLC0415  as above

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
