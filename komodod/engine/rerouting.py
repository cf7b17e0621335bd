"""After a reload: let open alerts be shown where the routes say now, and wake what waited for a notifier."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from komodod.engine.decisions.alerting import rerouted
from komodod.engine.decisions.outcomes import RETRY
from komodod.engine.syncs import linked
from komodod.errors import Conflict
from komodod.storage import (
    AlertFilter,
    AlertOpen,
    Batch,
    MarkDirty,
    NotificationAt,
    NotificationFilter,
    PutNotification,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from komodod.engine.channels import Channels
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World
    from komodod.model import Notification

STEP = 200
"""Rows read at a time."""


async def reroute(world: World, act: Act) -> int:
    """Decide again, by the routes of today, where each open alert is shown; return how many moved."""
    moved, after = 0, None
    while True:
        alerts = await world.storage.list_alerts(AlertFilter(open=True), after, STEP)
        for alert in alerts.items:
            writes = rerouted(act, alert, await linked(world, alert.id))
            moved += bool(writes)
            if writes:
                await _commit(world, Batch((AlertOpen(alert.id),), writes))
        if (after := alerts.next) is None:
            return moved


async def wake_stranded(world: World, channels: Channels) -> None:
    """Have the notifications looked at again whose notifier was not configured and now is."""
    async for row in _rows(world, NotificationFilter(attention=True)):
        if row.stranded and channels.get(row.notifier) is not None:
            await world.storage.commit(Batch((), (MarkDirty(row.id),)))


async def wake_waiting(world: World, notifier: str, *, dead: bool) -> None:
    """Let the notifications of a notifier be tried at once that wait because of how its channel was before.

    With `dead`, those that it gave up are tried afresh too: what it refused, its new configuration may send.
    """
    now = world.clock.now()
    async for row in _rows(world, NotificationFilter(notifier=notifier)):
        if row.waiting == RETRY:
            fresh = dataclasses.replace(row, retry_at=None, waiting=None, due_at=now)
            await _commit(world, Batch((NotificationAt(row.id, row.version),), (PutNotification(fresh),)))
        elif row.waiting is not None or (dead and row.settled_dead):
            await world.storage.commit(Batch((), (MarkDirty(row.id),)))


async def _rows(world: World, match: NotificationFilter) -> AsyncIterator[Notification]:
    after = None
    while True:
        rows = await world.storage.list_notifications(match, after, STEP)
        for row in rows.items:
            yield row
        if (after := rows.next) is None:
            return


async def _commit(world: World, batch: Batch) -> None:
    try:
        await world.storage.commit(batch)
    except Conflict:
        return  # something else came in between, and its notifications are looked at for that
