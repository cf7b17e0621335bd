"""Notice a wall clock that was set back, and let nothing wait for a time that has been put far away."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from komodod.errors import Conflict, StorageError
from komodod.model import HookCallState
from komodod.storage import (
    Batch,
    EventFilter,
    HookCallFilter,
    HookCallIn,
    MarkDirty,
    NotificationAt,
    NotificationFilter,
    PutDoubt,
    PutHookCall,
    PutNotification,
    RequestCheck,
    SyncFilter,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from komodod.engine.world import World
    from komodod.storage import Write

LOOK: Final = 5.0
"""Seconds between two looks at the clocks."""

SLACK: Final = 2.0
"""Seconds by which the wall clock may fall behind between two looks, as NTP slews it, without being called set back."""

STEP: Final = 200
"""Rows read at a time."""


class ClockWatch:
    """Compares the wall clock with the monotonic one.

    Due times are instants of the wall clock. After it was set back by a day, all of them would be a day away: then
    what is further away than it can have been meant is made due at once. A clock set forward only makes things due
    early, which is harmless.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._last = self._read()

    def _read(self) -> tuple[datetime, float]:
        return self._world.clock.now(), self._world.clock.monotonic()

    async def run(self) -> None:
        """Look for ever; ends only by being cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                await self.look()
            except StorageError as error:
                self._world.log.warning("clock_not_mended", error=str(error))

    async def look(self) -> None:
        """Compare with the last look, and mend what a step back has put far away.

        Raises:
            StorageError: that could not be done; it is done at the next look.
        """
        wall, monotonic = self._read()
        behind = monotonic - self._last[1] - (wall - self._last[0]).total_seconds()
        if behind > SLACK:
            self._world.log.warning("clock_set_back", seconds=round(behind, 1))
            await mend(self._world)
        self._last = wall, monotonic

    async def look_at_start(self) -> None:
        """Mend what a clock that was set back while nobody ran has put far away: the newest event would be to come."""
        latest = await self._world.storage.list_recent_events(EventFilter(), limit=1)
        if latest and latest[0].at > self._world.clock.now() + timedelta(seconds=SLACK):
            self._world.log.warning("clock_set_back", last_event=latest[0].at.isoformat())
            await mend(self._world)


async def mend(world: World) -> None:
    """Make due what is further away than its interval or the longest back-off."""
    farthest = world.clock.now() + timedelta(seconds=world.rules.backoff_max)
    async for batch in _far_away(world, farthest):
        try:
            await world.storage.commit(batch)
        except Conflict:
            continue  # somebody has it in hand, and will say when it is due next


async def _far_away(world: World, farthest: datetime) -> AsyncIterator[Batch]:
    async for write in _syncs(world, farthest):
        yield Batch((), (write,))
    async for batch in _notifications(world, farthest):
        yield batch
    async for batch in _hook_calls(world, farthest):
        yield batch


async def _syncs(world: World, farthest: datetime) -> AsyncIterator[Write]:
    after = None
    while True:
        page = await world.storage.list_syncs(SyncFilter(), after, STEP)
        for sync in page.items:
            bound = farthest + timedelta(seconds=sync.spec.every or 0.0)
            if sync.next_check_at is not None and sync.next_check_at > bound:
                yield RequestCheck(sync.id)
        if (after := page.next) is None:
            return


async def _notifications(world: World, farthest: datetime) -> AsyncIterator[Batch]:
    after = None
    while True:
        page = await world.storage.list_notifications(NotificationFilter(), after, STEP)
        for row in page.items:
            if row.due_at is not None and row.due_at > farthest:
                fresh = dataclasses.replace(row, retry_at=None, waiting=None)
                near = (
                    PutDoubt(row.id, dataclasses.replace(one, until=min(one.until, farthest))) for one in row.doubts
                )
                yield Batch((NotificationAt(row.id, row.version),), (PutNotification(fresh), *near, MarkDirty(row.id)))
        if (after := page.next) is None:
            return


async def _hook_calls(world: World, farthest: datetime) -> AsyncIterator[Batch]:
    after = None
    while True:
        page = await world.storage.list_hook_calls(HookCallFilter(state=HookCallState.WAITING), after, STEP)
        for call in page.items:
            if call.due_at is not None and call.due_at > farthest:
                due = dataclasses.replace(call, due_at=world.clock.now())
                yield Batch((HookCallIn(call.id, HookCallState.WAITING),), (PutHookCall(due),))
        if (after := page.next) is None:
            return
