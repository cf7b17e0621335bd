"""A process that is frozen while it speaks to a channel, and wakes when somebody else has its work (design D5, rule 5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from komodod.errors import TemporaryError
from komodod.model import Want
from komodod.storage import Batch, PutDoubt
from komodod.testing import run
from komodod.testing.fakes import FakeChannel, Place, change
from komodod.testing.processes import Process, Simulation

if TYPE_CHECKING:
    from komodod.model import Json
    from komodod.notifier import Message


async def frozen(world: Simulation) -> Process:
    """Return a process that freezes when it first speaks of a pending sync; another one deletes it and takes over."""
    process = world.start()
    world.places.at["web"] = Place(changes=(change("a"),))
    sync = await world.create("web", every=86400.0)
    await asyncio.sleep(5)
    await world.delete(sync, world.start())
    return process


@pytest.mark.parametrize("answered", [True, False])
def test_a_message_that_lands_after_its_key_was_settled_is_confessed_and_withdrawn(
    answered: bool,  # noqa: FBT001  a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, show = Simulation(), FakeChannel.show

    async def land_late(channel: FakeChannel, message: Message, receipt: Json) -> Json:
        if len(world.processes) > 1:
            return await show(channel, message, receipt)
        world.processes[0].pause()
        asyncio.get_running_loop().call_later(150.0, channel._raise, message, receipt)
        if not answered:
            raise TemporaryError("no answer")
        return None

    async def main() -> None:
        monkeypatch.setattr(FakeChannel, "show", land_late)
        process = await frozen(world)
        await asyncio.sleep(160)
        assert world.outsides["console"].standing  # settled as withdrawn, and then it landed
        process.resume()
        await world.rest()
        assert not world.outsides["console"].standing
        await world.stop()

    run(main())


def test_what_was_intended_is_not_sent_once_the_lease_may_be_somebody_elses() -> None:
    world = Simulation()
    commit = world.store.commit

    async def freeze(batch: Batch) -> None:
        await commit(batch)
        if len(world.processes) == 1 and any(isinstance(write, PutDoubt) for write in batch.writes):
            world.processes[0].pause()

    async def main() -> None:
        world.store.commit = freeze  # type: ignore[method-assign]  # freezes whoever has just stored an intent
        process = await frozen(world)
        await asyncio.sleep(100)
        process.resume()
        await world.rest()
        assert {message.want for message in world.outsides["console"].requests} == {Want.WITHDRAW}
        await world.stop()

    run(main())
