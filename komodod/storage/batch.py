"""A commit as a value: what must hold, and what is then written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

if TYPE_CHECKING:
    from komodod.model import Alert, Changes, Doubt, Event, HookCall, HookCallState, Notification, Sync


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
    """Insert or replace the row, all but `requests` (kept on replace) and the lease.

    `Conflict` (with this write) if another sync has the name.
    """

    sync: Sync


@dataclass(frozen=True, slots=True)
class PutChanges:
    """Replace the stored changes of a sync. `Conflict` (with this write) if the sync is gone."""

    sync_id: str
    changes: Changes


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """`requests + 1`: commutative, expects nothing, does nothing where the sync is gone."""

    sync_id: str


@dataclass(frozen=True, slots=True)
class DeleteSync:
    """Remove the row, its stored changes and its lease; nothing happens where it is gone.

    `Conflict` (with this write) while an alert of the sync is open.
    """

    sync_id: str


@dataclass(frozen=True, slots=True)
class PutAlert:
    """Insert or replace the row.

    While open it refers to its live sync: `Conflict` (with this write) if that is gone, or if another alert of this kind
    is open on it.
    """

    alert: Alert


@dataclass(frozen=True, slots=True)
class Link:
    """The alert is shown in this notification: create the notification if it is new, link, mark it dirty.

    `Conflict` (with this write) if there is no such alert: put it first.
    """

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
    """`version + 1` and due now, if it is not due already: commutative, expects nothing, does nothing where it is gone."""

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
    """Remove the row, its links, its doubts and its lease."""

    notification_id: str


@dataclass(frozen=True, slots=True)
class AppendEvent:
    """Append the event; the store gives it its cursor. `Conflict` (with this write) if there is one of this id."""

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
    """Remove the call and its lease, and with it the duty: its event no longer names the plugin as owed."""

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
            raise ValueError(
                f"a batch holds at most {BATCH_LIMIT} operations, not {len(self.expect) + len(self.writes)}"
            )

    def __add__(self, other: Batch) -> Batch:
        return Batch(self.expect + other.expect, self.writes + other.writes)
