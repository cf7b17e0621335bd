"""What a store's reads take and return."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from komodod.model import (
        Aggregate,
        Alert,
        AlertKind,
        Event,
        EventKind,
        HookCallState,
        Notification,
        Origin,
        Severity,
        Shown,
        SyncState,
    )
    from komodod.storage.batch import Work

T = TypeVar("T")


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
    """How many rows an invariant looked at, and how many break it.

    `sweep` is how many of the repairs would delete or resolve something, if that is not all of them: the brake goes
    by it.
    """

    checked: int
    found: int
    sweep: int | None = None
