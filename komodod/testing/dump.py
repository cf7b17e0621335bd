"""Everything a store shows, as one value: what "writes nothing at all" is compared by."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from komodod import codec
from komodod.storage import AlertFilter, EventFilter, HookCallFilter, NotificationFilter, SyncFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from komodod.model import Event, Json
    from komodod.storage import Page, Storage

T = TypeVar("T")
STEP = 500
"""Rows a page."""


async def dump(storage: Storage) -> dict[str, Json]:
    """Return all rows of the store as JSON, in a fixed order; two stores that hold the same are equal by it.

    Syncs come with their stored changes, alerts with the ids of the notifications they are linked to.
    """
    alerts = await _all(lambda after, limit: storage.list_alerts(AlertFilter(open=None), after, limit))
    syncs = await _all(lambda after, limit: storage.list_syncs(SyncFilter(), after, limit))
    return {
        "syncs": [codec.dump(sync) | {"changes": codec.dump(await storage.get_changes(sync.id))} for sync in syncs],
        "alerts": [codec.dump(alert) | {"notifications": await _links(storage, alert.id)} for alert in alerts],
        "notifications": codec.dump(
            await _all(lambda after, limit: storage.list_notifications(NotificationFilter(), after, limit))
        ),
        "hook_calls": codec.dump(
            await _all(lambda after, limit: storage.list_hook_calls(HookCallFilter(), after, limit))
        ),
        "events": codec.dump(await _events(storage)),
        "leases": codec.dump(await _all(storage.list_leases)),
    }


async def _all(read: Callable[[str | None, int], Awaitable[Page[T]]]) -> list[T]:
    page = await read(None, STEP)
    rows = list(page.items)
    while page.next is not None:
        page = await read(page.next, STEP)
        rows += page.items
    return rows


async def _links(storage: Storage, alert_id: str) -> list[str]:
    match = NotificationFilter(alert_id=alert_id)
    return [row.id for row in await _all(lambda after, limit: storage.list_notifications(match, after, limit))]


async def _events(storage: Storage) -> list[Event]:
    events: list[Event] = []
    while found := await storage.list_events(EventFilter(), events[-1].cursor if events else 0, STEP):
        events += found
    return events
