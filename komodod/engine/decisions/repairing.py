"""Decide how a breach of the store's own invariants is mended; each repair expects what the breach was seen in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from komodod.engine.decisions.acting import Act, owed_call
from komodod.engine.decisions.alerting import close, follow, settled
from komodod.engine.decisions.syncing import bumped
from komodod.model import Aggregate, Alert, Notification, Resolution
from komodod.storage import (
    AlertOpen,
    Batch,
    LeaseHeld,
    MarkDirty,
    NotificationAt,
    PutSync,
    QueueHookCall,
    Release,
    SyncAt,
    SyncGone,
)

if TYPE_CHECKING:
    from komodod.storage import Lease, OwedCalls

REASON = "found by the consistency pass"


def orphan(act: Act, alert: Alert) -> Batch:
    """Resolve an alert whose sync is proved to be gone, and have its notifications withdrawn."""
    closed = close(act, alert, Resolution.ORPHANED, REASON)
    return Batch((AlertOpen(alert.id), SyncGone(alert.sync_id)), settled(act, None, closed))


def mismatch(act: Act, aggregate: Aggregate) -> Batch:
    """Open and resolve what the sync's stored state asks for."""
    sync = aggregate.sync
    alerts = follow(act, sync, aggregate.alerts, Resolution.IN_STEP, REASON)
    return Batch((SyncAt(sync.id, sync.generation),), (PutSync(bumped(act, sync)), *alerts))


def sleeper(row: Notification) -> Batch:
    """Have a notification looked at that is wrong and that nobody would look at again."""
    return Batch((NotificationAt(row.id, row.version),), (MarkDirty(row.id),))


def released(lease: Lease) -> Batch:
    """End a lease that has run out or that nobody works under; what was under way is in doubt, as its intent says."""
    return Batch((LeaseHeld(lease.work, lease.row_id, lease.token),), (Release(lease.work, lease.row_id),))


def unqueued(act: Act, owed: OwedCalls) -> Batch:
    """Queue the hook calls that an event owes and that are missing."""
    return Batch((), tuple(QueueHookCall(owed_call(owed.event, plugin, act.now)) for plugin in owed.plugins))
