"""Carry out a claimed hook call: tell one plugin of one event, at least once (design D6, D8)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from structlog.contextvars import bound_contextvars

from komodod.engine import own
from komodod.engine.decisions.calling import dead, judged
from komodod.errors import Conflict
from komodod.model import Event, HookCall, HookCallState
from komodod.storage import Batch, LeaseHeld, PutHookCall, Release, Work, Write

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World
    from komodod.storage import Claim


class Caller(Protocol):
    """Calls a plugin's implementations of the hook that tells of an event."""

    async def call(self, plugin: str, event: Event) -> None:
        """Return when the plugin has taken note; raise what it raised, or TemporaryError when it takes too long."""


class Teller:
    """Makes hook calls, one claim at a time."""

    def __init__(self, world: World, caller: Caller) -> None:
        self._world = world
        self._caller = caller

    async def run(self, claim: Claim[HookCall]) -> None:
        """Make the call and commit what came of it.

        Raises:
            StorageError: that could not be stored; the lease ends and the call is made again.
        """
        call = claim.row
        event = await self._world.storage.get_event(call.event_id)
        act = self._world.act("komodod", event.op_id if event else None)
        if call.attempts - call.excused > self._world.rules.attempts:
            error = call.last_error or "its calls did not live to tell: they ended the daemon or outlived their lease"
            await self._commit(claim, dead(act, call, error))
            return
        if event is None:
            await self._commit(claim, dead(act, call, "its event is gone"))
            return
        with bound_contextvars(op_id=act.op_id):
            await self._commit(claim, await self._tell(act, call, event))

    async def _tell(self, act: Act, call: HookCall, event: Event) -> tuple[Write, ...]:
        """Call the plugin and judge what it says."""
        try:
            await self._caller.call(call.plugin, event)
        except Exception as error:  # noqa: BLE001  whatever a plugin raises is judged, stored and shown
            words = self._world.words(error)
            self._world.log.warning("hook_call_failed", plugin=call.plugin, hook=call.hook, error=words)
            return judged(dataclasses.replace(act, now=self._world.clock.now()), call, error, words)
        self._world.log.info("hook_called", plugin=call.plugin, hook=call.hook, sync=call.sync_name, event_id=event.id)
        finished = self._world.clock.now()
        return (
            PutHookCall(
                dataclasses.replace(call, state=HookCallState.DONE, due_at=None, finished_at=finished, last_error=None)
            ),
        )

    async def _commit(self, claim: Claim[HookCall], writes: tuple[Write, ...]) -> None:
        held = LeaseHeld(Work.HOOK_CALL, claim.row.id, claim.token)
        try:
            await self._world.storage.commit(Batch((held,), (*writes, Release(Work.HOOK_CALL, claim.row.id))))
        except Conflict:
            self._world.log.warning("hook_call_overtaken", plugin=claim.row.plugin, hook_call=claim.row.id)
            return
        if any(isinstance(write, PutHookCall) and write.call.state is HookCallState.DEAD for write in writes):
            await own.count_dead(self._world, self._world.act("komodod"))
