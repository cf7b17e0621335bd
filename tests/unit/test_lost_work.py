"""A store that fails for a moment, at any step: the work is taken up again, although the process lives on."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from komodod.engine import syncs
from komodod.engine.leases import LEASE, Leases
from komodod.errors import StorageError
from komodod.model import HookCallState, Spec
from komodod.storage import HookCallFilter
from komodod.testing import run
from komodod.testing.fakes import Place, change
from komodod.testing.processes import Simulation

TITLE = "[warning] kept: 1 pending update: update a"

Story = Callable[[Simulation], Awaitable[None]]


class Blip:
    """Fails one call of a method: the `nth` time it is asked about it (before the effect, and after it)."""

    def __init__(self, method: str, nth: int) -> None:
        self._method, self._left = method, nth
        self.struck = False

    def __call__(self, name: str) -> Exception | None:
        if name != self._method or self.struck:
            return None
        self._left -= 1
        self.struck = self._left == 0
        return StorageError("the disk did not answer") if self.struck else None


def play(story: Story, blip: Blip | None = None) -> None:
    async def main() -> None:
        world = Simulation()
        world.start(blip)
        try:
            await story(world)
        finally:
            await world.stop()

    run(main())


ASKED = {"claim_checks": 4, "claim_notifications": 4, "load_members": 4, "load_aggregate": 4, "claim_hook_calls": 2}
BLIPS = [(method, nth) for method, times in {**ASKED, "commit": 14}.items() for nth in range(1, times + 1)]


@pytest.mark.parametrize(("method", "nth"), BLIPS)
def test_what_a_moment_of_trouble_lost_is_done_within_two_minutes(method: str, nth: int) -> None:
    blip = Blip(method, nth)

    async def story(world: Simulation) -> None:
        person = dataclasses.replace(world.processes[0].world, storage=world.store)  # meets no trouble
        for name in ("gone", "kept"):
            world.places.at[name] = Place(changes=(change("a"),))
            await syncs.create(person, person.act("tester"), name, Spec(source={"type": "fake"}, every=20.0))
        await asyncio.sleep(120)
        gone = await syncs.find(person, "gone")
        await syncs.delete(person, person.act("tester"), gone.id, "asked for")
        await asyncio.sleep(120)
        assert blip.struck
        assert [there.message.title for there in world.outsides["console"].standing.values()] == [TITLE]
        calls = (await world.store.list_hook_calls(HookCallFilter())).items
        assert [call.state for call in calls] == [HookCallState.DONE]
        assert (await syncs.find(person, "kept")).attempts == 0

    play(story, blip)


def test_a_result_that_can_never_be_stored_does_not_make_work_run_in_circles() -> None:
    async def story(world: Simulation) -> None:
        place = world.places.at["web"] = Place()
        commit = world.store.commit

        async def refuse(batch: object) -> None:
            if "PutChanges" in repr(batch) or "checked_at=datetime" in repr(batch):
                raise ValueError("a text that the store does not take")
            await commit(batch)  # type: ignore[arg-type]  # what it was called with

        world.store.commit = refuse  # type: ignore[method-assign]  # a store that refuses one kind of row
        await world.create("web")
        await asyncio.sleep(600)
        assert 2 <= place.looks <= 600 / (LEASE / 3)

    play(story)


def test_after_a_renewal_that_came_too_late_older_claims_are_not_counted_on() -> None:
    async def story(world: Simulation) -> None:
        leases = Leases(world.processes[0].world)
        claimed = asyncio.get_running_loop().time()
        await asyncio.sleep(LEASE + 1)
        await leases.renew()
        assert leases.reach(claimed) < 0
        assert leases.reach(asyncio.get_running_loop().time()) == LEASE

    play(story)


def test_a_lease_that_is_worked_under_is_kept_when_others_are_let_go_of() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["slow"] = Place(seconds=150.0)
        await world.create("slow")
        await asyncio.sleep(1)
        leases = world.processes[0].leases
        leases.end("somebody's", lost=True)
        await asyncio.sleep(100)
        (lease,) = (await world.store.list_leases()).items
        assert lease.until > world.clock.now() + timedelta(seconds=LEASE / 2)
        assert world.places.at["slow"].looks == 1

    play(story)
