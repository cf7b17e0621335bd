"""Plugins that answer with what no store can keep, and clocks and passes that meet each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from komodod.engine import own, syncs
from komodod.engine.consistency import Brake, Consistency
from komodod.model import SyncState
from komodod.notifier import ReceiptClass
from komodod.storage import Lead, NotificationFilter
from komodod.testing import run
from komodod.testing.fakes import FakeChannel, FakeSource, Outside, Place, change
from komodod.testing.processes import Simulation

if TYPE_CHECKING:
    from komodod.model import Sync

Story = Callable[[Simulation], Awaitable[None]]
DAY = 86400.0


def play(story: Story, **arguments: object) -> None:
    async def main() -> None:
        world = Simulation(**arguments)  # type: ignore[arg-type]  # keyword arguments of a simulation
        world.start()
        try:
            await story(world)
        finally:
            await world.stop()

    run(main())


async def strict(world: Simulation) -> None:
    """Let the store refuse what a real one may: a text with a lone surrogate."""
    commit = world.store.commit

    async def refuse(batch: object) -> None:
        repr(batch).encode()
        if "\\udc" in repr(batch):
            raise ValueError("a lone surrogate")
        await commit(batch)  # type: ignore[arg-type]  # what it was called with

    world.store.commit = refuse  # type: ignore[method-assign]  # a store that is strict


async def looked_at(world: Simulation) -> Sync:
    await world.create("web", fail_after=1, every=DAY)
    await asyncio.sleep(5)
    return await syncs.find(world.processes[0].world, "web")


def test_a_change_whose_name_is_no_text_is_pending_all_the_same() -> None:
    async def story(world: Simulation) -> None:
        await strict(world)
        world.places.at["web"] = Place(changes=(change("caf\udce9"),), revision="r\udce9")
        sync = await looked_at(world)
        assert (sync.state, sync.headline[0].name) == (SyncState.PENDING, "caf\ufffd")

    play(story)


def test_a_source_that_answers_with_something_else_is_named_as_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def observe(_source: FakeSource) -> None:
        return

    async def story(world: Simulation) -> None:
        monkeypatch.setattr(FakeSource, "observe", observe)
        sync = await looked_at(world)
        assert sync.error == "its source returned NoneType instead of Observation: mend the plugin"

    play(story)


@pytest.mark.parametrize("receipt", [object(), {"id": {1, 2}}, "m\udce9"])
def test_a_receipt_that_nobody_can_keep_ends_as_dead_and_not_as_the_same_message_for_ever(
    receipt: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def show(channel: FakeChannel, message: object, _receipt: object) -> object:
        channel._outside.requests.append(message)  # type: ignore[arg-type]  # a message
        return receipt

    async def story(world: Simulation) -> None:
        monkeypatch.setattr(FakeChannel, "show", show)
        world.places.at["web"] = Place(changes=(change("a"),))
        await looked_at(world)
        await asyncio.sleep(DAY)
        rows = (await world.store.list_notifications(NotificationFilter(title="web"))).items
        assert [row.settled_dead for row in rows] == [True]
        assert "receipt" in (rows[0].last_error or "")

    play(story)


def test_a_doubt_does_not_last_a_day_longer_because_the_clock_was_set_back_by_one() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "lost"
        world.places.at["web"] = Place(changes=(change("a"),))
        await world.delete(await looked_at(world))
        outside.fate = lambda: "ok"
        world.clock.jump(-DAY)
        await world.rest(3600.0)
        assert not outside.standing

    play(story, outsides={"console": Outside(receipt_class=ReceiptClass.C)})


def test_a_wait_for_a_check_ends_although_the_clock_was_set_back_after_an_apply() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["web"] = Place(changes=(change("a"),))
        sync, engine = await looked_at(world), world.processes[0].world
        await syncs.request_apply(engine, engine.act("tester"), sync.id)
        await asyncio.sleep(5)
        world.clock.jump(-DAY)
        asked = await syncs.request_check(engine, sync.id)
        found = await syncs.wait_seen(engine, sync.id, asked.requests, 60.0)
        assert found is not None
        assert syncs.seen(found, asked.requests)

    play(story)


def test_komodods_own_sync_is_made_once_by_two_daemons_that_start_together() -> None:
    async def story(world: Simulation) -> None:
        other = world.start()
        await asyncio.gather(own.ensure(world.processes[0].world), own.ensure(other.world))
        assert (await syncs.find(other.world, "komodod")).name == "komodod"

    for seed in range(20):
        play(story, seed=seed)


def test_two_daemons_are_two_holders_of_the_lead_of_a_pass() -> None:
    async def story(world: Simulation) -> None:
        holders = []

        async def lead(duty: str, holder: str, ttl: float) -> Lead:
            assert duty == "pass"
            holders.append((holder, ttl > 0))
            return Lead(duty, None)

        world.store.lead = lead  # type: ignore[method-assign]  # notes who asks
        for process in (world.processes[0], world.start()):
            consistency = Consistency(process.world, lambda _: (), Brake())
            await consistency.run(process.world.act("tester"), trigger="hand")
        [one, other] = dict.fromkeys(holder for holder, _ in holders)
        assert holders == [(one, True), (one, False), (other, True), (other, False)], "taken, and given up at the end"

    play(story)
