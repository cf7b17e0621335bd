"""The main job, on simulated time: pending, shown, applied or deleted, gone."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta

from komodod.engine import syncs
from komodod.engine.decisions.acting import Rules
from komodod.engine.decisions.routing import Route
from komodod.model import AlertKind, ApplyMode, EventKind, Resolution, Severity, SyncState
from komodod.storage import AlertFilter, EventFilter
from komodod.testing import run
from komodod.testing.fakes import Outside, Place, change
from komodod.testing.processes import Simulation

Story = Callable[[Simulation], Awaitable[None]]


def play(story: Story, **arguments: object) -> None:
    async def main() -> None:
        world = Simulation(**arguments)  # type: ignore[arg-type]  # keyword arguments of a simulation
        world.start()
        try:
            await story(world)
        finally:
            await world.stop()

    run(main())


async def kinds(world: Simulation) -> set[AlertKind]:
    return {alert.kind for alert in (await world.store.list_alerts(AlertFilter())).items}


async def events(world: Simulation) -> list[EventKind]:
    return [event.kind for event in await world.store.list_events(EventFilter())]


def test_a_pending_sync_opens_an_alert_that_its_channel_shows() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["web"] = Place(changes=(change("index.html"),))
        sync = await world.create("web")
        await asyncio.sleep(1)
        found = await world.store.get_sync(sync.id)
        assert found is not None
        assert (found.state, found.pending) == (SyncState.PENDING, 1)
        assert await kinds(world) == {AlertKind.PENDING}
        (standing,) = world.outsides["console"].standing.values()
        assert "update index.html" in standing.message.title

    play(story)


def test_a_delete_takes_back_the_alert_the_message_and_tells_the_plugin() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["web"] = Place(changes=(change("index.html"),))
        sync = await world.create("web")
        await asyncio.sleep(1)
        await world.delete(sync)
        assert await kinds(world) == set()
        await world.rest()
        assert not world.outsides["console"].standing
        assert world.outsides["console"].requests[-1].reason == "the sync was deleted (asked for)"
        ((_, event),) = world.plugins.told
        assert event.sync is not None
        assert (event.sync.name, event.actor, event.alerts[0].resolution) == ("web", "tester", Resolution.DELETED)

    play(story)


def test_an_apply_is_followed_by_a_check_that_resolves_the_alert() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["web"] = Place(changes=(change("a"),))
        sync = await world.create("web")
        await asyncio.sleep(1)
        process = world.processes[0]
        await syncs.request_apply(process.world, process.world.act("tester"), sync.id)
        await asyncio.sleep(1)
        (alert,) = (await world.store.list_alerts(AlertFilter(open=None))).items
        assert alert.resolution is Resolution.APPLIED
        assert not world.outsides["console"].standing

    play(story)


def test_the_same_changes_after_an_apply_open_unconverged() -> None:
    async def story(world: Simulation) -> None:
        stuck = (change("a"),)
        world.places.at["web"] = Place(changes=stuck, stubborn=stuck)
        sync = await world.create("web")
        await asyncio.sleep(1)
        process = world.processes[0]
        await syncs.request_apply(process.world, process.world.act("tester"), sync.id)
        await asyncio.sleep(1)
        assert await kinds(world) == {AlertKind.PENDING, AlertKind.UNCONVERGED}
        world.places.at["web"].changes = ()
        await asyncio.sleep(400)
        assert await kinds(world) == set()

    play(story)


def test_apply_auto_brings_the_sync_in_step_by_itself() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["web"] = Place(changes=(change("a"),))
        await world.create("web", apply=ApplyMode.AUTO)
        await asyncio.sleep(1)
        assert world.places.at["web"].applies == 1
        assert await kinds(world) == set()

    play(story)


def test_apply_auto_that_does_not_converge_backs_off() -> None:
    async def story(world: Simulation) -> None:
        stuck = (change("a"),)
        world.places.at["web"] = Place(changes=stuck, stubborn=stuck)
        await world.create("web", apply=ApplyMode.AUTO)
        await asyncio.sleep(3600)
        assert 5 <= world.places.at["web"].applies <= 12
        assert await kinds(world) == {AlertKind.PENDING, AlertKind.UNCONVERGED}

    play(story)


def test_a_failed_check_neither_opens_nor_closes_a_pending_alert() -> None:
    async def story(world: Simulation) -> None:
        place = world.places.at["web"] = Place(changes=(change("a"),))
        await world.create("web", every=60.0, fail_after=5)
        await asyncio.sleep(1)
        place.error = "unreachable"
        await asyncio.sleep(65)
        assert await kinds(world) == {AlertKind.PENDING}
        await asyncio.sleep(400)
        assert await kinds(world) == {AlertKind.PENDING, AlertKind.FAILED}
        place.error, place.changes = None, ()
        await asyncio.sleep(900)
        assert await kinds(world) == set()

    play(story)


def test_an_alert_that_came_and_went_while_the_channel_was_down_sends_nothing() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "down"
        world.places.at["web"] = Place(changes=(change("a"),))
        sync = await world.create("web")
        await asyncio.sleep(60)
        await world.delete(sync)
        outside.fate = lambda: "ok"
        outside.requests.clear()
        await world.rest()
        assert outside.requests == []

    play(story)


def test_an_unchanged_sync_tells_its_state_once() -> None:
    async def story(world: Simulation) -> None:
        await world.create("web", every=10.0)
        await asyncio.sleep(600)
        assert world.places.at["web"].looks > 50
        assert await events(world) == [EventKind.SYNC_CREATED, EventKind.SYNC_IN_STEP]

    play(story)


def test_a_paused_sync_is_not_checked_and_its_message_says_so() -> None:
    async def story(world: Simulation) -> None:
        place = world.places.at["web"] = Place(changes=(change("a"),))
        sync = await world.create("web", every=10.0)
        await asyncio.sleep(1)
        process = world.processes[0]
        await syncs.pause(process.world, process.world.act("tester"), sync.id)
        looks = place.looks
        await asyncio.sleep(100)
        assert place.looks == looks
        (standing,) = world.outsides["console"].standing.values()
        assert "paused" in standing.message.title

    play(story)


def test_an_alert_is_edited_in_place_when_the_pending_updates_change() -> None:
    async def story(world: Simulation) -> None:
        place = world.places.at["web"] = Place(changes=(change("a"),))
        await world.create("web", every=10.0)
        await asyncio.sleep(1)
        place.changes = (change("a"), change("b"))
        await asyncio.sleep(30)
        outside = world.outsides["console"]
        assert len(outside.keys()) == 1
        assert [message.edition for message in outside.requests] == ["opened", "updated"]
        assert [message.sequence for message in outside.requests] == [1, 2]

    play(story)


def test_an_edit_of_the_severity_moves_the_message_to_where_the_routes_want_it() -> None:
    async def story(world: Simulation) -> None:
        engine = world.processes[0].world
        urgent = Route(name="urgent", notify=("pager",), severities=frozenset({Severity.CRITICAL}))
        engine.rules = Rules(routes=(urgent, Route(name="rest", notify=("console",))))
        world.places.at["web"] = Place(changes=(change("a"),))
        sync = await world.create("web", every=86400.0)
        await asyncio.sleep(5)
        assert [len(outside.standing) for outside in world.outsides.values()] == [1, 0]
        await syncs.edit(
            engine, engine.act("tester"), sync.id, lambda spec: dataclasses.replace(spec, severity=Severity.CRITICAL)
        )
        await world.rest()
        assert [len(outside.standing) for outside in world.outsides.values()] == [0, 1]

    play(story, outsides={"console": Outside(), "pager": Outside()})


def test_a_paused_sync_is_not_looked_at_says_so_and_is_looked_at_at_once_when_it_is_resumed() -> None:
    async def story(world: Simulation) -> None:
        engine, place = world.processes[0].world, Place(changes=(change("a"),))
        world.places.at["web"] = place
        sync = await world.create("web", every=3600.0)
        await asyncio.sleep(5)
        await syncs.pause(engine, engine.act("tester"), sync.id)
        await asyncio.sleep(86400)
        (standing,) = world.outsides["console"].standing.values()
        assert (place.looks, "paused" in standing.message.title) == (1, True)
        await syncs.resume(engine, engine.act("tester"), sync.id)
        await asyncio.sleep(5)
        (standing,) = world.outsides["console"].standing.values()
        assert (place.looks, "paused" in standing.message.title) == (2, False)

    play(story)


def test_a_resumed_sync_that_was_not_due_is_looked_at_at_once() -> None:
    async def story(world: Simulation) -> None:
        engine = world.processes[0].world
        sync = await world.create("web", every=86400.0)
        await asyncio.sleep(5)
        await syncs.pause(engine, engine.act("tester"), sync.id)
        await syncs.resume(engine, engine.act("tester"), sync.id)
        await asyncio.sleep(5)
        assert world.places.at["web"].looks == 2

    play(story)


def test_a_look_that_finds_the_same_again_tells_nobody() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["web"] = Place(changes=(change("a"),))
        await world.create("web", every=10.0)
        await asyncio.sleep(100)
        assert (await events(world)).count(EventKind.SYNC_PENDING) == 1
        world.places.at["web"].changes = (change("b"),)
        await asyncio.sleep(100)
        assert (await events(world)).count(EventKind.SYNC_PENDING) == 2

    play(story)


def test_a_failing_sync_is_looked_at_no_later_than_its_cron_line_says() -> None:
    async def story(world: Simulation) -> None:
        engine = world.processes[0].world
        soon = timedelta(seconds=3)
        engine.rules = dataclasses.replace(engine.rules, next_cron=lambda _line, _zone, after: after + soon)
        place = world.places.at["web"] = Place(error="unreachable")
        await world.create("web", every=None, cron="* * * * *")
        await asyncio.sleep(300)
        assert place.looks >= 95

    play(story)
