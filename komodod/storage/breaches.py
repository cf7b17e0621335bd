"""The store's invariants checked through its lists: slow, and right for any store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from komodod.model import Aggregate, Event, Notification, Shown
from komodod.storage import (
    AlertFilter,
    Breach,
    Census,
    EventFilter,
    HookCallFilter,
    Lease,
    NotificationFilter,
    OwedCalls,
    Page,
    Stored,
    SyncFilter,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from komodod.storage import Storage

STEP = 200
"""Rows a page while walking."""


async def census(storage: Storage, invariant: Stored) -> Census:
    """Count what is looked at and what breaks the invariant."""
    checked = found = 0
    async for breach in _walk(storage, invariant):
        checked += 1
        found += breach is not None
    return Census(checked, found)


async def page(storage: Storage, invariant: Stored, after: str | None, limit: int) -> Page[Breach]:
    """Return breaches in the order of the walk, those after the breach `after`."""
    found = [breach async for breach in _walk(storage, invariant) if breach is not None]
    items = sorted((b for b in found if after is None or b.id > after), key=lambda breach: breach.id)
    return Page(tuple(items[:limit]), items[limit - 1].id if len(items) > limit else None)


def _walk(storage: Storage, invariant: Stored) -> AsyncIterator[Breach | None]:
    """Yield once for each row looked at: its breach, or None where it is as it should be."""
    return {
        Stored.OPEN_ALERT_HAS_SYNC: _orphans,
        Stored.OPEN_ALERT_MATCHES_STATE: _mismatches,
        Stored.NOTIFICATION_MATCHES_ALERTS: _sleepers,
        Stored.NO_EXPIRED_LEASE: _leases,
        Stored.EVENT_HAS_HOOK_CALLS: _unqueued,
    }[invariant](storage)


async def _orphans(storage: Storage) -> AsyncIterator[Breach | None]:
    after = None
    while True:
        alerts = await storage.list_alerts(AlertFilter(open=True), after, STEP)
        for alert in alerts.items:
            orphan = await storage.get_sync(alert.sync_id) is None
            yield Breach(alert.id, alert) if orphan else None
        if (after := alerts.next) is None:
            return


async def _mismatches(storage: Storage) -> AsyncIterator[Breach | None]:
    after = None
    while True:
        syncs = await storage.list_syncs(SyncFilter(), after, STEP)
        for sync in syncs.items:
            aggregate = await storage.load_aggregate(sync.id)
            yield Breach(sync.id, aggregate) if aggregate is not None and mismatched(aggregate) else None
        if (after := syncs.next) is None:
            return


def mismatched(aggregate: Aggregate) -> bool:
    """Tell whether the open alerts are not those that the sync's stored state asks for."""
    return {alert.kind for alert in aggregate.alerts} != aggregate.sync.conditions


async def _sleepers(storage: Storage) -> AsyncIterator[Breach | None]:
    after, leased = None, {lease.row_id async for lease in _all_leases(storage)}
    while True:
        rows = await storage.list_notifications(NotificationFilter(), after, STEP)
        members = await storage.load_members([row.id for row in rows.items])
        for row in rows.items:
            wrong = row.id not in leased and asleep(row, wanted=bool(members[row.id].open))
            yield Breach(row.id, row) if wrong else None
        if (after := rows.next) is None:
            return


def asleep(row: Notification, *, wanted: bool) -> bool:
    """Tell whether the notification is wrong, or has work left, and nothing would ever look at it again."""
    if row.settled_dead or row.stranded or row.due_at is not None:
        return False
    return row.dirty or wanted != (row.state is Shown.SHOWN)


async def _all_leases(storage: Storage) -> AsyncIterator[Lease]:
    after = None
    while True:
        leases = await storage.list_leases(after, STEP)
        for lease in leases.items:
            yield lease
        if (after := leases.next) is None:
            return


async def _leases(storage: Storage) -> AsyncIterator[Breach | None]:
    now = (await storage.next_due(())).now
    async for lease in _all_leases(storage):
        yield Breach(f"{lease.work}/{lease.row_id}", lease) if lease.until <= now else None


async def _unqueued(storage: Storage) -> AsyncIterator[Breach | None]:
    cursor = 0
    while events := await storage.list_events(EventFilter(), cursor, STEP):
        for event in events:
            if event.hooks:
                missing = await _missing(storage, event)
                yield Breach(event.id, OwedCalls(event, missing)) if missing else None
        cursor = events[-1].cursor


async def _missing(storage: Storage, event: Event) -> tuple[str, ...]:
    calls = await storage.list_hook_calls(HookCallFilter(event_id=event.id), limit=1000)
    queued = {call.plugin for call in calls.items}
    return tuple(plugin for plugin in event.hooks if plugin not in queued)
