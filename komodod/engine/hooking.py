"""Carry out a claimed hook call: tell one plugin of one event, at least once (design D6, D8)."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from structlog.contextvars import bound_contextvars

from komodod.engine import own
from komodod.errors import Conflict, KomododError, PermanentError, TemporaryError
from komodod.model import Event, EventKind, HookCall, HookCallState
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
            self._world.log.warning("hook_call_failed", plugin=call.plugin, hook=call.hook, error=_text(error))
            return judged(dataclasses.replace(act, now=self._world.clock.now()), call, error)
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


def judged(act: Act, call: HookCall, error: Exception) -> tuple[Write, ...]:
    """Decide what an error of a plugin makes of its call: temporary for ever, permanent at once, others up to a limit."""
    faults = call.attempts - call.excused
    if isinstance(error, PermanentError):
        return dead(act, call, _text(error))
    if isinstance(error, TemporaryError):
        wait = act.backoff(call.attempts) if error.retry_after is None else error.retry_after
        return (_again(act, call, error, wait, excused=1),)
    if faults >= act.rules.attempts:
        return dead(act, call, _text(error))
    return (_again(act, call, error, act.backoff(faults), excused=0),)


def dead(act: Act, call: HookCall, error: str) -> tuple[Write, ...]:
    """Give up on the call, visibly; a person can retry or drop it."""
    ended = dataclasses.replace(call, state=HookCallState.DEAD, due_at=None, finished_at=act.now, last_error=error)
    data = {"hook_call": call.id, "plugin": call.plugin, "hook": call.hook, "event": call.event_id}
    return (PutHookCall(ended), *act.tell(EventKind.HOOK_CALL_DEAD, reason=error, data=data))


def _again(act: Act, call: HookCall, error: Exception, wait: float, *, excused: int) -> PutHookCall:
    due = act.now + timedelta(seconds=wait)
    return PutHookCall(dataclasses.replace(call, excused=call.excused + excused, due_at=due, last_error=_text(error)))


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, KomododError) else f"{type(error).__name__}: {error}"
