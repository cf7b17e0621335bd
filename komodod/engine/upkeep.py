"""What a person may do to a notification or a hook call that went wrong: try it afresh, or forget it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from komodod.engine import own
from komodod.errors import Conflict, NotFoundError, RefusedError
from komodod.model import EventKind, HookCall, HookCallState, Notification
from komodod.storage import (
    Batch,
    DropHookCall,
    DropNotification,
    HookCallIn,
    MarkDirty,
    NotificationAt,
    PutHookCall,
    PutNotification,
)

if TYPE_CHECKING:
    from komodod.engine.channels import Channels
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World

BUSY = "a worker has it in hand at this moment; try again in a few seconds"
PARKED = "the notifier {!r} is parked ({}); mend that, then run `komodod config reload`"


async def retry_notification(
    world: World, act: Act, channels: Channels, notification_id: str, *, dry_run: bool = False
) -> Notification:
    """Have a notification looked at afresh, at once, whatever it or its channel waits for.

    Args:
        world: the surroundings.
        act: the operation.
        channels: the configured ones; the notification's own is not paused any more.
        notification_id: which one.
        dry_run: whether to change nothing.

    Raises:
        NotFoundError: there is none of this id.
        RefusedError: a worker has it in hand, or its notifier is parked.
    """
    row = await _notification(world, notification_id)
    channel = channels.get(row.notifier)
    if channel is not None and channel.parked is not None:
        raise RefusedError(PARKED.format(channel.name, channel.parked))
    fresh = dataclasses.replace(row, retry_at=None, waiting=None, attempts=0, dead=None, stranded=False, due_at=act.now)
    told = act.tell(EventKind.NOTIFICATION_RETRIED, data=_which(row))
    batch = Batch((NotificationAt(row.id, row.version),), (PutNotification(fresh), MarkDirty(row.id), *told))
    if channel is not None and not dry_run:
        channel.hasten()
    await _commit(world, act, batch, dry_run=dry_run)
    return fresh


async def drop_notification(world: World, act: Act, notification_id: str, *, dry_run: bool = False) -> Notification:
    """Forget a notification. What its channel shows stays there; an alert that opens later makes a new one.

    Raises:
        NotFoundError: there is none of this id.
        RefusedError: a worker has it in hand.
    """
    row = await _notification(world, notification_id)
    told = act.tell(EventKind.NOTIFICATION_DROPPED, data=_which(row))
    batch = Batch((NotificationAt(row.id, row.version),), (DropNotification(row.id), *told))
    await _commit(world, act, batch, dry_run=dry_run)
    return row


async def retry_hook_call(world: World, act: Act, call_id: str, *, dry_run: bool = False) -> HookCall:
    """Have a dead or waiting hook call made at once, its attempts counted anew.

    Raises:
        NotFoundError: there is none of this id.
        RefusedError: it is done, or a worker has it in hand.
    """
    call = await _hook_call(world, call_id)
    fresh = dataclasses.replace(
        call, state=HookCallState.WAITING, attempts=0, excused=0, due_at=act.now, finished_at=None
    )
    told = act.tell(EventKind.HOOK_CALL_RETRIED, data=_call(call))
    await _commit(world, act, Batch((HookCallIn(call.id, call.state),), (PutHookCall(fresh), *told)), dry_run=dry_run)
    return fresh


async def drop_hook_call(world: World, act: Act, call_id: str, *, dry_run: bool = False) -> HookCall:
    """Release a plugin from the duty to hear of an event.

    Raises:
        NotFoundError: there is none of this id.
        RefusedError: it is done, or a worker has it in hand.
    """
    call = await _hook_call(world, call_id)
    told = act.tell(EventKind.HOOK_CALL_DROPPED, data=_call(call))
    await _commit(
        world, act, Batch((HookCallIn(call.id, call.state),), (DropHookCall(call.id), *told)), dry_run=dry_run
    )
    return call


async def _notification(world: World, notification_id: str) -> Notification:
    row = await world.storage.get_notification(notification_id)
    if row is None:
        raise NotFoundError(f"there is no notification {notification_id!r}")
    return row


async def _hook_call(world: World, call_id: str) -> HookCall:
    call = await world.storage.get_hook_call(call_id)
    if call is None:
        raise NotFoundError(f"there is no hook call {call_id!r}")
    if call.state is HookCallState.DONE:
        raise RefusedError(f"hook call {call_id!r} is done; there is nothing to retry or drop")
    return call


async def _commit(world: World, act: Act, batch: Batch, *, dry_run: bool) -> None:
    if dry_run:
        return
    try:
        await world.storage.commit(batch)
    except Conflict as conflict:
        raise RefusedError(BUSY) from conflict
    await own.count_dead(world, act)


def _which(row: Notification) -> dict[str, str]:
    return {"notification": row.id, "notifier": row.notifier, "group": row.group, "title": row.title}


def _call(call: HookCall) -> dict[str, str]:
    return {"hook_call": call.id, "plugin": call.plugin, "hook": call.hook, "event": call.event_id}
