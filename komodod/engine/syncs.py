"""The operations on syncs: read, decide, commit; again if somebody was faster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from komodod.engine.decisions import syncing
from komodod.errors import Conflict, NameTakenError, NotFoundError, RefusedError
from komodod.model import BUILTIN_SYNC, Aggregate, Alert, Notification, Origin, Spec, Sync
from komodod.storage import Batch, NotificationFilter, PutSync, RequestCheck

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World

TRIES = 50
"""How often an operation is decided anew before a person is told to try again; each loss is somebody else's progress."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation found or made: the sync, the alerts it touched, the notifications that follow.

    `changed` is False where everything was already as asked for. Under a dry run it is what would be.
    """

    sync: Sync
    alerts: tuple[Alert, ...] = ()
    notifications: tuple[Notification, ...] = ()
    changed: bool = True


async def find(world: World, name: str) -> Sync:
    """Return the sync of this name or id.

    Raises:
        NotFoundError: there is none.
    """
    sync = await world.storage.find_sync(name) or await world.storage.get_sync(name)
    if sync is None:
        raise NotFoundError(f"there is no sync {name!r}; `komodod sync list` names those there are")
    return sync


async def create(
    world: World,
    act: Act,
    name: str,
    spec: Spec,
    *,
    origin: Origin = Origin.API,
    declared: str | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Make a new sync; it is checked at once.

    Raises:
        NameTakenError: a sync of that name exists, or the name is komodod's own.
    """

    async def decide() -> tuple[Batch, Outcome]:
        if name == BUILTIN_SYNC and origin is not Origin.BUILTIN:
            raise NameTakenError(f"the name {name!r} is taken: komodod's own alerts hang on it")
        if (twin := await world.storage.find_sync(name)) is not None:
            where = f" (declared in {twin.declared})" if twin.declared else ""
            raise NameTakenError(f"a sync named {name!r} exists{where}")
        batch = syncing.created(act, name, spec, origin, declared)
        return batch, Outcome(_made(batch))

    return await _commit(world, decide, dry_run=dry_run)


async def edit(
    world: World,
    act: Act,
    sync_id: str,
    change: Callable[[Spec], Spec],
    *,
    declared: str | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Let a sync be what `change` makes of its spec; it is checked at once if that differs.

    Raises:
        NotFoundError: it was deleted.
    """

    async def decide() -> tuple[Batch | None, Outcome]:
        aggregate = await _load(world, sync_id)
        links = {alert.id: await linked(world, alert.id) for alert in aggregate.alerts}
        batch = syncing.edited(act, aggregate, links, change(aggregate.sync.spec), declared)
        return batch, _outcome(aggregate, batch)

    return await _commit(world, decide, dry_run=dry_run)


async def pause(world: World, act: Act, sync_id: str, *, dry_run: bool = False) -> Outcome:
    """Stop checking a sync until it is resumed; its alerts stay open and shown."""
    return await _switch(world, act, sync_id, syncing.paused, dry_run=dry_run)


async def resume(world: World, act: Act, sync_id: str, *, dry_run: bool = False) -> Outcome:
    """Let checks go on, with one at once."""
    return await _switch(world, act, sync_id, syncing.resumed, dry_run=dry_run)


async def _switch(
    world: World, act: Act, sync_id: str, decision: Callable[[Act, Aggregate], Batch | None], *, dry_run: bool
) -> Outcome:
    async def decide() -> tuple[Batch | None, Outcome]:
        aggregate = await _load(world, sync_id)
        batch = decision(act, aggregate)
        return batch, _outcome(aggregate, batch)

    return await _commit(world, decide, dry_run=dry_run)


async def request_check(world: World, sync_id: str, *, dry_run: bool = False) -> Sync:
    """Have a sync checked at once, and return it with the number of the wish: done when `requests_seen` reaches it.

    Raises:
        NotFoundError: it was deleted.
        RefusedError: it is paused, or komodod's own.
    """
    sync = _checkable(await find(world, sync_id))
    if dry_run:
        return sync
    await world.storage.commit(Batch((), (RequestCheck(sync_id),)))
    return await find(world, sync_id)


async def request_apply(world: World, act: Act, sync_id: str, *, force: bool = False, dry_run: bool = False) -> Outcome:
    """Have a sync applied as soon as a worker is free.

    Raises:
        NotFoundError: it was deleted.
        RefusedError: it is paused, or komodod's own.
    """

    async def decide() -> tuple[Batch, Outcome]:
        sync = _checkable(await find(world, sync_id))
        batch = syncing.apply_requested(act, sync, force=force)
        return batch, Outcome(_made(batch))

    return await _commit(world, decide, dry_run=dry_run)


async def delete(world: World, act: Act, sync_id: str, reason: str, *, dry_run: bool = False) -> Outcome:
    """Delete a sync, at once, whatever is under way with it (design D6). Returns what it was and what it takes along.

    Raises:
        NotFoundError: it is gone already.
        RefusedError: it is komodod's own.
    """

    async def decide() -> tuple[Batch, Outcome]:
        aggregate = await _load(world, sync_id)
        if aggregate.sync.origin is Origin.BUILTIN:
            raise RefusedError(f"the sync {aggregate.sync.name!r} carries komodod's own alerts and cannot be deleted")
        rows = {row.id: row for alert in aggregate.alerts for row in await linked(world, alert.id)}
        batch = syncing.deleted(act, aggregate, reason)
        return batch, Outcome(aggregate.sync, aggregate.alerts, tuple(rows.values()))

    outcome = await _commit(world, decide, dry_run=dry_run)
    if not dry_run:
        world.log.info(
            "sync_deleted", op_id=act.op_id, actor=act.actor, sync=outcome.sync.name, alerts=len(outcome.alerts)
        )
    return outcome


def own_to_change(sync: Sync, verb: str) -> None:
    """Refuse to change from outside what a file declares.

    Raises:
        RefusedError: says where it is declared.
    """
    if sync.origin is Origin.CONFIG:
        raise RefusedError(
            f"sync {sync.name!r} is declared in {sync.declared}; {verb} it there, then run `komodod config reload`"
        )
    if sync.origin is Origin.BUILTIN:
        raise RefusedError(f"the sync {sync.name!r} carries komodod's own alerts; nobody can {verb} it")


async def wait_seen(world: World, sync_id: str, requests: int, seconds: float) -> Sync | None:
    """Wait until `seen`; give up after `seconds`.

    Returns:
        The sync as it then is (or was when we gave up), None if it was deleted meanwhile.
    """
    sync = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                ticks = world.storage.ticks()
                sync = await world.storage.get_sync(sync_id)
                if sync is None or seen(sync, requests):
                    return sync
                await world.storage.changed(ticks)
    except TimeoutError:
        return sync


def seen(sync: Sync, requests: int) -> bool:
    """Tell whether the wish number `requests` was carried out, no apply is waiting, and the last one was looked at."""
    return sync.requests_seen >= requests and sync.apply_request is None and sync.cause is None


async def linked(world: World, alert_id: str) -> tuple[Notification, ...]:
    """Return the notifications an alert is linked to."""
    rows = await world.storage.list_notifications(NotificationFilter(alert_id=alert_id), limit=1000)
    return rows.items


def _checkable(sync: Sync) -> Sync:
    if sync.origin is Origin.BUILTIN:
        raise RefusedError(f"the sync {sync.name!r} carries komodod's own alerts; there is nothing to check or apply")
    if sync.paused:
        raise RefusedError(f"sync {sync.name!r} is paused; `komodod sync resume {sync.name}` lets it be checked")
    return sync


async def _load(world: World, sync_id: str) -> Aggregate:
    aggregate = await world.storage.load_aggregate(sync_id)
    if aggregate is None:
        raise NotFoundError(f"there is no sync {sync_id!r} any more")
    return aggregate


def _made(batch: Batch) -> Sync:
    """Return the sync that a batch stores."""
    return next(write.sync for write in batch.writes if isinstance(write, PutSync))


def _outcome(aggregate: Aggregate, batch: Batch | None) -> Outcome:
    if batch is None:
        return Outcome(aggregate.sync, aggregate.alerts, changed=False)
    return Outcome(_made(batch), aggregate.alerts)


async def _commit(
    world: World, decide: Callable[[], Awaitable[tuple[Batch | None, Outcome]]], *, dry_run: bool
) -> Outcome:
    """Decide and commit until nobody else was faster."""
    for _ in range(TRIES):
        batch, outcome = await decide()
        if batch is None or dry_run:
            return outcome
        try:
            await world.storage.commit(batch)
        except Conflict:
            continue
        return outcome
    raise RefusedError(f"the sync changed {TRIES} times while this was decided; try again")
