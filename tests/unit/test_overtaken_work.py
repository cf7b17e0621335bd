"""Edits, wishes and reloads that come while a check or an apply is under way."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from komodod.engine import syncs
from komodod.engine.decisions.acting import Rules
from komodod.engine.decisions.routing import Route
from komodod.engine.rerouting import reroute
from komodod.model import Applied, ApplyMode, Change, DiffMode, EventKind, Spec, Sync, SyncState
from komodod.storage import EventFilter
from komodod.testing import run
from komodod.testing.fakes import FakeSource, Outside, Place, change
from komodod.testing.processes import Simulation

if TYPE_CHECKING:
    import pytest

Story = Callable[[Simulation], Awaitable[None]]
HOUR = 3600.0
DAY = 24 * HOUR


def play(story: Story, **arguments: object) -> None:
    async def main() -> None:
        world = Simulation(**arguments)  # type: ignore[arg-type]  # keyword arguments of a simulation
        world.start()
        try:
            await story(world)
        finally:
            await world.stop()

    run(main())


async def kinds(world: Simulation) -> list[EventKind]:
    return [event.kind for event in await world.store.list_events(EventFilter(), limit=1000)]


async def edit(world: Simulation, sync: Sync, **changes: object) -> None:
    engine = world.processes[0].world
    change_spec: Callable[[Spec], Spec] = lambda spec: dataclasses.replace(spec, **changes)  # type: ignore[arg-type]  # noqa: E731  fields of a spec
    await syncs.edit(engine, engine.act("tester"), sync.id, change_spec)


async def applying(world: Simulation) -> tuple[Sync, Place]:
    """Begin an apply that takes ten seconds."""
    place = world.places.at["web"] = Place(changes=(change("a"),))
    sync = await world.create("web", every=DAY)
    await asyncio.sleep(2)
    place.seconds = 10.0
    engine = world.processes[0].world
    await syncs.request_apply(engine, engine.act("tester"), sync.id)
    await asyncio.sleep(3)
    return sync, place


def test_an_apply_is_not_made_twice_because_the_sync_was_relabelled_meanwhile() -> None:
    async def story(world: Simulation) -> None:
        sync, place = await applying(world)
        await edit(world, sync, labels={"team": "web"})
        await asyncio.sleep(60)
        assert place.applies == 1
        assert EventKind.APPLY_DISCARDED in await kinds(world)
        assert (await syncs.find(world.processes[0].world, "web")).state is SyncState.OK

    play(story)


def test_an_apply_that_was_paused_meanwhile_is_not_made_again_when_the_sync_is_resumed() -> None:
    async def story(world: Simulation) -> None:
        sync, place = await applying(world)
        engine = world.processes[0].world
        await syncs.pause(engine, engine.act("tester"), sync.id)
        await asyncio.sleep(60)
        await syncs.resume(engine, engine.act("tester"), sync.id)
        await asyncio.sleep(60)
        assert (place.applies, (await syncs.find(engine, "web")).state) == (1, SyncState.OK)

    play(story)


def test_a_second_wish_to_apply_that_came_meanwhile_is_carried_out() -> None:
    async def story(world: Simulation) -> None:
        sync, place = await applying(world)
        engine = world.processes[0].world
        await syncs.request_apply(engine, engine.act("tester"), sync.id)
        await asyncio.sleep(60)
        assert place.applies == 2

    play(story)


def test_a_wait_for_an_apply_ends_when_what_it_left_was_looked_at() -> None:
    async def story(world: Simulation) -> None:
        sync, _ = await applying(world)
        found = await syncs.wait_seen(world.processes[0].world, sync.id, 0, 60.0)
        assert found is not None
        assert (found.state, syncs.seen(found, 0)) == (SyncState.OK, True)

    play(story)


def test_a_sync_that_is_edited_again_and_again_while_it_is_checked_is_not_called_failing() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["web"] = Place(seconds=60.0)
        sync = await world.create("web", fail_after=1)
        for number in range(8):
            await asyncio.sleep(30)
            await edit(world, sync, labels={"number": str(number)})
        await asyncio.sleep(100)
        assert EventKind.SYNC_FAILED not in await kinds(world)

    play(story)


def test_an_alert_of_a_check_that_began_before_a_reload_goes_where_the_new_routes_say() -> None:
    async def story(world: Simulation) -> None:
        process = world.processes[0]
        process.world.rules = Rules(routes=(Route(name="all", notify=("first",)),))
        world.places.at["web"] = Place(changes=(change("a"),), seconds=30.0)
        await world.create("web")
        await asyncio.sleep(5)
        process.world.rules = Rules(routes=(Route(name="all", notify=("second",)),))
        await reroute(process.world, process.world.act("tester"))
        await asyncio.sleep(60)
        assert [len(world.outsides[name].standing) for name in ("first", "second")] == [0, 1]

    play(story, outsides={"first": Outside(), "second": Outside()})


def test_apply_auto_pauses_between_vain_applies_although_the_changes_are_never_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = itertools.count()

    async def apply(source: FakeSource, *, force: bool) -> Applied:
        del force
        place = source._place
        place.applies += 1
        place.changes = (change(f"at {next(numbers)}"),)
        return Applied()

    async def story(world: Simulation) -> None:
        place = world.places.at["web"] = Place(changes=(change("a"),))
        monkeypatch.setattr(FakeSource, "apply", apply)
        await world.create("web", apply=ApplyMode.AUTO)
        await asyncio.sleep(HOUR)
        assert 5 <= place.applies <= 12

    play(story)


def test_apply_auto_does_not_wait_for_a_day_because_the_clock_was_set_back_by_one() -> None:
    async def story(world: Simulation) -> None:
        stuck = (change("a"),)
        place = world.places.at["web"] = Place(changes=stuck, stubborn=stuck)
        await world.create("web", apply=ApplyMode.AUTO)
        await asyncio.sleep(100)
        applies = place.applies
        world.clock.jump(-DAY)
        await asyncio.sleep(HOUR)
        assert place.applies > applies

    play(story)


def test_the_texts_of_changes_leave_the_store_when_they_are_no_longer_wanted_and_come_back() -> None:
    async def story(world: Simulation) -> None:
        updates = tuple(Change(action="update", kind="file", name=f"{n}", diff="a secret") for n in range(30))
        place = world.places.at["web"] = Place(changes=updates)
        sync = await world.create("web", every=DAY)
        await asyncio.sleep(2)
        place.error = "unreachable"
        await edit(world, sync, diff=DiffMode.NONE)
        bared = await world.store.get_changes(sync.id)
        assert ({one.diff for one in bared.items}, len(bared.items) + bared.omitted) == ({None}, 30)
        place.error = None
        await edit(world, sync, diff=DiffMode.TEXT)
        await asyncio.sleep(60)
        assert (await world.store.get_changes(sync.id)).items == updates

    play(story)
