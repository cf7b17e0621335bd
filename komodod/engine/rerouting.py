"""After a reload: let open alerts be shown where the routes say now, and wake what waited for a notifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from komodod.engine.decisions.alerting import rerouted
from komodod.engine.syncs import linked
from komodod.errors import Conflict
from komodod.storage import AlertFilter, AlertOpen, Batch, MarkDirty, NotificationFilter

if TYPE_CHECKING:
    from komodod.engine.channels import Channels
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World

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
    after = None
    while True:
        rows = await world.storage.list_notifications(NotificationFilter(attention=True), after, STEP)
        for row in rows.items:
            if row.stranded and channels.get(row.notifier) is not None:
                await world.storage.commit(Batch((), (MarkDirty(row.id),)))
        if (after := rows.next) is None:
            return


async def _commit(world: World, batch: Batch) -> None:
    try:
        await world.storage.commit(batch)
    except Conflict:
        return  # it was resolved meanwhile, and its notifications are looked at for that
