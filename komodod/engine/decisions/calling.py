"""Decide what the end of a hook call makes of it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

from komodod.errors import PermanentError, TemporaryError
from komodod.model import EventKind, HookCall, HookCallState
from komodod.storage import PutHookCall, Write

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act


def judged(act: Act, call: HookCall, error: Exception, words: str) -> tuple[Write, ...]:
    """Decide by an error of a plugin: temporary is tried for ever, permanent is dead at once, others up to a limit.

    Args:
        act: the operation.
        call: as claimed, this attempt counted.
        error: what the plugin raised.
        words: the same for people.
    """
    faults = call.attempts - call.excused
    if isinstance(error, PermanentError):
        return dead(act, call, words)
    if isinstance(error, TemporaryError):
        wait = act.backoff(call.attempts) if error.retry_after is None else error.retry_after
        return (_again(act, call, words, wait, excused=1),)
    if faults >= act.rules.attempts:
        return dead(act, call, words)
    return (_again(act, call, words, act.backoff(faults), excused=0),)


def dead(act: Act, call: HookCall, words: str) -> tuple[Write, ...]:
    """Give up on the call, visibly; a person can retry or drop it."""
    ended = dataclasses.replace(call, state=HookCallState.DEAD, due_at=None, finished_at=act.now, last_error=words)
    data = {"hook_call": call.id, "plugin": call.plugin, "hook": call.hook, "event": call.event_id}
    return (PutHookCall(ended), *act.tell(EventKind.HOOK_CALL_DEAD, reason=words, data=data))


def _again(act: Act, call: HookCall, words: str, wait: float, *, excused: int) -> PutHookCall:
    due = act.now + timedelta(seconds=wait)
    return PutHookCall(dataclasses.replace(call, excused=call.excused + excused, due_at=due, last_error=words))
