"""How many messages a channel is given at once: its share, and one at a time while it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from komodod.errors import TemporaryError
from komodod.notifier import ReceiptClass, Traits
from komodod.testing import run
from komodod.testing.fakes import FakeChannel, Place, change
from komodod.testing.processes import Simulation

if TYPE_CHECKING:
    import pytest

Story = Callable[[Simulation], Awaitable[None]]


def play(story: Story) -> None:
    async def main() -> None:
        world = Simulation()
        world.start()
        try:
            await story(world)
        finally:
            await world.stop()

    run(main())


async def pending(world: Simulation, count: int) -> None:
    """Create so many pending syncs at once."""
    for number in range(count):
        world.places.at[f"s{number}"] = Place(changes=(change("a"),))
    await asyncio.gather(*(world.create(f"s{number}") for number in range(count)))


class Crowd:
    """A channel that takes its time, and how many messages it met at once."""

    def __init__(self, seconds: float, *, fail: bool) -> None:
        self.seconds, self.fail = seconds, fail
        self.now = self.most = 0

    async def request(self, *_: object) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        if self.fail:
            raise TemporaryError("no answer")


def test_a_slow_channel_takes_no_more_than_its_share_however_many_messages_come_at_once() -> None:
    async def story(world: Simulation) -> None:
        crowd = Crowd(5.0, fail=False)
        world.outsides["console"].request = crowd.request  # type: ignore[method-assign, assignment]  # counts what it meets
        await pending(world, 100)
        await asyncio.sleep(60)
        assert crowd.most == 48

    play(story)


def test_a_channel_that_did_not_answer_is_tried_with_one_message_at_a_time() -> None:
    async def story(world: Simulation) -> None:
        crowd = Crowd(5.0, fail=True)
        world.outsides["console"].request = crowd.request  # type: ignore[method-assign, assignment]  # counts what it meets
        await pending(world, 40)
        await asyncio.sleep(10)
        crowd.most = 0
        await asyncio.sleep(3600)
        assert crowd.most == 1

    play(story)


def test_what_waits_for_a_channel_that_hangs_for_hours_hardly_costs_anything() -> None:
    async def story(world: Simulation) -> None:
        world.outsides["console"].request = Crowd(10**6, fail=True).request  # type: ignore[method-assign, assignment]  # it hangs
        await pending(world, 40)
        await asyncio.sleep(3600)
        commits = world.store.ticks()
        await asyncio.sleep(3600)
        assert (world.store.ticks() - commits) / 40 < 100

    play(story)


def test_a_channel_that_may_take_longer_than_a_lease_is_spoken_to_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: Simulation) -> None:
        patient = Traits(receipt_class=ReceiptClass.A, withdrawal="is removed", timeout=90.0)
        monkeypatch.setattr(FakeChannel, "traits", patient)
        commits = world.store.ticks()
        await pending(world, 1)
        await asyncio.sleep(60)
        assert len(world.outsides["console"].standing) == 1
        assert world.store.ticks() - commits < 20

    play(story)
