"""komodod's own alerts: on the built-in sync, through the same store, routes and channels as any other."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from komodod.engine import syncs
from komodod.engine.decisions.alerting import follow
from komodod.engine.decisions.syncing import bumped
from komodod.errors import Conflict, NameTakenError
from komodod.model import BUILTIN_SYNC, Aggregate, AlertKind, Origin, Resolution, Spec, SyncState
from komodod.storage import Batch, PutSync, SyncAt

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World

DEAD_LETTERS = "messages or hook calls were given up; `komodod status` counts them, `notification` and `hook` list them"
"""Always the same words: an alert about a dead channel must not make that channel busy again."""


async def ensure(world: World) -> None:
    """Make the built-in sync if it is not there."""
    if await world.storage.find_sync(BUILTIN_SYNC) is None:
        spec = Spec(source={"type": "builtin"}, every=None)
        with contextlib.suppress(NameTakenError):  # somebody was faster
            await syncs.create(world, world.act("komodod"), BUILTIN_SYNC, spec, origin=Origin.BUILTIN)


async def raise_(world: World, act: Act, kind: AlertKind, words: str) -> None:
    """Open komodod's own alert of this kind, or let it say these words."""
    await _set(world, act, kind, words)


async def clear(world: World, act: Act, kind: AlertKind) -> None:
    """Resolve komodod's own alert of this kind, if it is open."""
    await _set(world, act, kind, None)


async def count_dead(world: World, act: Act) -> None:
    """Open or resolve the alert about dead letters, by what is dead now."""
    counts = await world.storage.counts()
    dead = counts.dead_notifications or counts.dead_hook_calls
    await _set(world, act, AlertKind.DEAD_LETTER, DEAD_LETTERS if dead else None)


async def _set(world: World, act: Act, kind: AlertKind, words: str | None) -> None:
    for _ in range(syncs.TRIES):
        batch = _decide(act, await _load(world), kind, words)
        if batch is None:
            return
        try:
            await world.storage.commit(batch)
        except Conflict:
            continue
        return


async def _load(world: World) -> Aggregate:
    await ensure(world)
    sync = await world.storage.find_sync(BUILTIN_SYNC)
    aggregate = None if sync is None else await world.storage.load_aggregate(sync.id)
    if aggregate is None:
        raise AssertionError("the built-in sync cannot be deleted")
    return aggregate


def _decide(act: Act, aggregate: Aggregate, kind: AlertKind, words: str | None) -> Batch | None:
    """Return the batch that sets or clears a condition of the built-in sync; None if it is as it should be."""
    old = aggregate.sync
    notes = {name: note for name, note in old.notes.items() if name != kind}
    if words is not None:
        notes[kind] = words
    if notes == old.notes and (kind in old.conditions) == (words is not None):
        return None
    state = SyncState.FAILED if notes else SyncState.OK
    sync = dataclasses.replace(bumped(act, old), notes=notes, conditions=frozenset(notes), state=state)
    return Batch(
        (SyncAt(old.id, old.generation),), (PutSync(sync), *follow(act, sync, aggregate.alerts, Resolution.IN_STEP))
    )
