"""What channels, plugins, sources and clocks do to a daemon, on simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from komodod.engine import syncs, upkeep
from komodod.engine.clockwatch import ClockWatch
from komodod.engine.decisions.acting import Rules
from komodod.engine.decisions.routing import Route
from komodod.engine.rerouting import reroute, wake_waiting
from komodod.errors import PermanentError, RefusedError, StorageError, TemporaryError
from komodod.model import AlertKind, HookCallState, Notification, Shown, SyncState
from komodod.notifier import ReceiptClass
from komodod.storage import AlertFilter, EventFilter, HookCallFilter, NotificationFilter
from komodod.testing import run
from komodod.testing.fakes import FakeChannel, Outside, Place, change
from komodod.testing.processes import Simulation

Story = Callable[[Simulation], Awaitable[None]]


def play(story: Story, *, fault: Callable[[str], Exception | None] | None = None, **arguments: object) -> None:
    async def main() -> None:
        world = Simulation(**arguments)  # type: ignore[arg-type]  # keyword arguments of a simulation
        world.start(fault)
        try:
            await story(world)
        finally:
            await world.stop()

    run(main())


async def pending(world: Simulation, name: str = "web", **spec: object) -> str:
    """Create a pending sync and return its id, once its message was tried."""
    world.places.at[name] = Place(changes=(change("a"),))
    sync = await world.create(name, **spec)
    await asyncio.sleep(5)
    return sync.id


async def only_row(world: Simulation) -> Notification:
    rows = (await world.store.list_notifications(NotificationFilter())).items
    (row,) = (row for row in rows if row.title == "web")
    return row


# --- channels --------------------------------------------------------------------------------------------------------


def test_a_permanent_refusal_is_dead_at_once_and_tried_afresh_when_the_alert_changes() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "broken"
        await pending(world, every=60.0)
        assert (await only_row(world)).settled_dead
        tried = len(outside.requests)
        await asyncio.sleep(50)
        assert len(outside.requests) == tried
        outside.fate = lambda: "ok"
        world.places.at["web"].changes = (change("b"),)
        await asyncio.sleep(30)
        assert (await only_row(world)).state is Shown.SHOWN

    play(story)


def test_something_dead_opens_an_alert_of_komodods_own_until_nothing_is() -> None:
    async def story(world: Simulation) -> None:
        world.outsides["console"].fate = lambda: "broken"
        await pending(world)
        world.outsides["console"].fate = lambda: "ok"
        own = (await world.store.list_alerts(AlertFilter(kind=AlertKind.DEAD_LETTER))).items
        assert [alert.sync_name for alert in own] == ["komodod"]
        process = world.processes[0].world
        for row in (await world.store.list_notifications(NotificationFilter(attention=True))).items:
            await upkeep.retry_notification(process, process.act("tester"), world.processes[0].channels, row.id)
        await asyncio.sleep(5)
        assert (await world.store.list_alerts(AlertFilter(kind=AlertKind.DEAD_LETTER))).items == ()

    play(story)


def test_retry_after_is_honoured_to_the_second_by_all_messages_of_the_channel() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        times: list[float] = []

        async def busy(*_: object) -> None:
            times.append(asyncio.get_running_loop().time())
            if len(times) == 1:
                raise TemporaryError("status 429", retry_after=1000.0, doubtful=False)

        outside.request = busy  # type: ignore[method-assign, assignment]  # a channel that asks to wait
        await pending(world)
        await pending(world, "other")
        await asyncio.sleep(900)
        assert len(times) == 1
        await asyncio.sleep(200)
        assert len(times) == 3
        assert times[1] - times[0] >= 1000.0

    play(story)


def test_messages_that_fail_together_count_as_one_failure_of_their_channel() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate, outside.delay = lambda: "down", 3.0
        for number in range(20):
            world.places.at[f"web-{number}"] = Place(changes=(change("a"),))
            await world.create(f"web-{number}")
        await asyncio.sleep(4)
        channel = world.processes[0].channels.get("console")
        assert (len(outside.requests), channel.failures) == (20, 1)  # type: ignore[union-attr]  # it is configured
        outside.fate, outside.delay = lambda: "ok", 0.0
        await asyncio.sleep(10)
        assert len(outside.standing) == 20

    play(story)


def test_a_retry_by_hand_does_not_wait_for_the_channel_either() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "down"
        await pending(world)
        await asyncio.sleep(7200)
        outside.fate = lambda: "ok"
        tried = len(outside.requests)
        process = world.processes[0].world
        row = await only_row(world)
        await upkeep.retry_notification(process, process.act("tester"), world.processes[0].channels, row.id)
        await asyncio.sleep(0.5)
        assert (len(outside.requests), (await only_row(world)).state) == (tried + 1, Shown.SHOWN)

    play(story)


def test_a_retry_by_hand_says_that_the_notifier_is_parked() -> None:
    async def story(world: Simulation) -> None:
        world.outsides["console"].fate = lambda: "gone"
        await pending(world)
        process, row = world.processes[0].world, await only_row(world)
        with pytest.raises(RefusedError, match=r"'console' is parked \(status 410\).*komodod config reload"):
            await upkeep.retry_notification(process, process.act("tester"), world.processes[0].channels, row.id)

    play(story)


@pytest.mark.parametrize("fate", ["down", "gone"])
def test_a_channel_that_was_renewed_is_told_at_once_what_waits_for_it(fate: str) -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: fate
        await pending(world)
        await pending(world, "other")
        await asyncio.sleep(1000)
        outside.fate = lambda: "ok"
        process = world.processes[0]
        channel = process.channels.get("console")
        assert channel is not None
        assert channel.renew() == (fate == "gone")
        channel.hasten()
        await wake_waiting(process.world, "console", dead=True)
        await asyncio.sleep(2)
        titles = {one.message.title for one in outside.standing.values()}
        assert titles >= {f"[warning] {name}: 1 pending update: update a" for name in ("other", "web")}

    play(story)


def test_a_start_does_not_try_afresh_what_was_given_up() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "broken"
        await pending(world)
        tried = len(outside.requests)
        await wake_waiting(world.processes[0].world, "console", dead=False)
        await asyncio.sleep(60)
        assert len(outside.requests) == tried

    play(story)


def test_410_parks_the_notifier_for_all_its_messages() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "gone"
        await pending(world)
        await pending(world, "other")
        assert len(outside.requests) == 1
        assert world.processes[0].channels.get("console").parked  # type: ignore[union-attr]  # it is configured

    play(story)


def test_a_temporary_error_is_retried_for_ever_and_never_faster_than_the_cap_allows() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "down"
        await pending(world)
        await asyncio.sleep(2 * 86400)
        assert 100 < len(outside.requests) < 800
        outside.fate = lambda: "ok"
        await asyncio.sleep(2000)
        assert (await only_row(world)).state is Shown.SHOWN

    play(story)


def test_a_fault_of_the_notifier_is_dead_after_the_limit() -> None:
    async def story(world: Simulation) -> None:
        async def faulty(*_: object) -> None:
            raise ZeroDivisionError

        world.outsides["console"].request = faulty  # type: ignore[method-assign, assignment]  # a broken plugin
        await pending(world)
        await asyncio.sleep(86400)
        row = await only_row(world)
        assert (row.settled_dead, row.attempts) == (True, 12)

    play(story)


def test_a_hanging_channel_does_not_keep_another_from_being_spoken_to() -> None:
    async def story(world: Simulation) -> None:
        world.outsides["hanging"].delay = 10**6
        await asyncio.gather(*(pending(world, f"s{number}") for number in range(100)))
        assert len(world.outsides["fine"].standing) == 100

    play(story, outsides={"hanging": Outside(), "fine": Outside()})


def test_a_message_that_cannot_be_found_again_is_counted_and_said() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "lost"
        sync_id = await pending(world)
        outside.fate = lambda: "ok"
        process = world.processes[0].world
        await syncs.delete(process, process.act("tester"), sync_id, "asked for")
        await world.rest()
        row = await only_row(world)
        assert (row.abandoned, row.state) == (1, Shown.ABSENT)
        assert "by hand" in (row.ledger[-1].error or "")

    play(story, outsides={"console": Outside(receipt_class=ReceiptClass.D)})


def test_a_repetition_on_a_channel_that_only_follows_up_is_marked_and_counted() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "lost"
        await pending(world)
        outside.fate = lambda: "ok"
        await world.rest()
        row = await only_row(world)
        assert (row.repeats, row.state) == (1, Shown.SHOWN)
        assert [message.repetition for message in outside.requests] == [False, True]

    play(story, outsides={"console": Outside(receipt_class=ReceiptClass.E)})


def test_a_message_that_never_landed_is_sent_again_under_a_new_key() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        outside.fate = lambda: "never"
        await pending(world)
        outside.fate = lambda: "ok"
        await world.rest()
        assert len(outside.standing) == 1
        assert next(message.key for message in outside.requests) != next(iter(outside.standing.values())).key

    play(story, outsides={"console": Outside(receipt_class=ReceiptClass.C)})


def test_a_search_that_finds_nothing_is_not_believed_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found, searches = FakeChannel.find, 0

    async def find_late(channel: FakeChannel, key: str) -> object:
        nonlocal searches
        searches += 1
        return None if searches == 1 else await found(channel, key)  # the channel's history lags

    async def story(world: Simulation) -> None:
        monkeypatch.setattr(FakeChannel, "find", find_late)
        outside = world.outsides["console"]
        outside.fate = lambda: "lost"
        await pending(world)
        outside.fate = lambda: "ok"
        await world.rest()
        assert (searches, outside.raised, len(outside.standing)) == (2, 1, 1)

    play(story, outsides={"console": Outside(receipt_class=ReceiptClass.C)})


def test_an_edit_that_a_channel_could_not_take_is_made_when_it_can() -> None:
    async def story(world: Simulation) -> None:
        outside = world.outsides["console"]
        await pending(world, every=60.0)
        outside.fate = lambda: "down"
        world.places.at["web"].changes = (change("b"),)
        await asyncio.sleep(70)
        outside.fate = lambda: "ok"
        await world.rest()
        (standing,) = outside.standing.values()
        assert "update b" in standing.message.title

    play(story)


# --- plugins ---------------------------------------------------------------------------------------------------------


async def calls(world: Simulation) -> dict[str, HookCallState]:
    return {call.plugin: call.state for call in (await world.store.list_hook_calls(HookCallFilter())).items}


def test_a_plugin_that_always_fails_is_dead_after_the_limit_and_others_were_told() -> None:
    async def story(world: Simulation) -> None:
        world.plugins.faults["bad"] = lambda: RuntimeError("no")
        sync = await world.create("web")
        await world.delete(sync)
        await asyncio.sleep(1)
        assert (await calls(world))["good"] is HookCallState.DONE
        await asyncio.sleep(86400)
        assert await calls(world) == {"good": HookCallState.DONE, "bad": HookCallState.DEAD}

    play(story, hooks={"on_sync_deleted": ("bad", "good")})


def test_a_plugin_that_asks_to_wait_is_called_for_ever() -> None:
    async def story(world: Simulation) -> None:
        world.plugins.faults["bad"] = lambda: TemporaryError("not now", retry_after=3600.0)
        await world.delete(await world.create("web"))
        await asyncio.sleep(30 * 3600)
        del world.plugins.faults["bad"]
        await asyncio.sleep(3601)
        assert await calls(world) == {"bad": HookCallState.DONE}

    play(story, hooks={"on_sync_deleted": ("bad",)})


def test_what_a_plugin_was_excused_for_does_not_count_when_it_fails() -> None:
    async def story(world: Simulation) -> None:
        faults: list[Exception] = [TemporaryError("not now", retry_after=1.0) for _ in range(20)]
        world.plugins.faults["bad"] = lambda: faults.pop() if faults else RuntimeError("no")
        await world.delete(await world.create("web"))
        await asyncio.sleep(86400)
        (call,) = (await world.store.list_hook_calls(HookCallFilter())).items
        assert (call.state, call.attempts, call.excused) == (HookCallState.DEAD, 32, 20)

    play(story, hooks={"on_sync_deleted": ("bad",)})


def test_a_plugin_that_hangs_in_all_its_places_does_not_keep_anothers_retries_from_their_time() -> None:
    async def story(world: Simulation) -> None:
        tries: list[float] = []

        async def call(plugin: str, _event: object) -> None:
            if plugin == "hanging":
                await asyncio.sleep(10**6)
            tries.append(asyncio.get_running_loop().time())
            raise TemporaryError("not now", retry_after=3.0)

        world.plugins.call = call  # type: ignore[method-assign, assignment]  # two plugins, each with a trouble of its own
        for number in range(6):
            await world.delete(await world.create(f"s{number}"))
        await asyncio.sleep(60)
        assert len(tries) >= 6 * 15

    play(story, hooks={"on_sync_deleted": ("hanging", "fine")})


def test_a_plugin_that_says_never_is_dead_at_once() -> None:
    async def story(world: Simulation) -> None:
        world.plugins.faults["bad"] = lambda: PermanentError("never")
        await world.delete(await world.create("web"))
        await asyncio.sleep(1)
        assert await calls(world) == {"bad": HookCallState.DEAD}

    play(story, hooks={"on_sync_deleted": ("bad",)})


def test_a_call_that_ends_the_daemon_each_time_ends_as_dead_without_another_call() -> None:
    async def story(world: Simulation) -> None:
        world.plugins.seconds = 10.0
        await world.delete(await world.create("web"))
        process = world.processes[0]
        for _ in range(13):
            await asyncio.sleep(5)
            process = await world.restart(process)
        await asyncio.sleep(1)
        assert await calls(world) == {"bad": HookCallState.DEAD}

    play(story, hooks={"on_sync_deleted": ("bad",)})


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_check_that_never_lives_to_tell_counts_as_failing() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["web"] = Place(seconds=100.0)
        sync = await world.create("web", fail_after=1)
        process = world.processes[0]
        for _ in range(4):
            await asyncio.sleep(5)
            process = await world.restart(process)
        await asyncio.sleep(1)
        found = await world.store.get_sync(sync.id)
        assert found is not None
        assert (found.state, "did not live to tell" in (found.error or "")) == (SyncState.FAILED, True)

    play(story)


def test_a_check_longer_than_its_time_out_is_a_failure_and_others_go_on() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["slow"] = Place(seconds=10**6)
        slow = await world.create("slow", timeout=30.0)
        await world.create("fine", every=10.0)
        await asyncio.sleep(60)
        found = await world.store.get_sync(slow.id)
        assert found is not None
        assert found.state is SyncState.FAILED
        assert world.places.at["fine"].looks >= 5

    play(story)


def test_a_check_asked_for_while_one_is_running_is_made_afterwards() -> None:
    async def story(world: Simulation) -> None:
        place = world.places.at["web"] = Place(seconds=10.0)
        sync = await world.create("web", every=86400.0)
        await asyncio.sleep(5)
        process = world.processes[0].world
        assert place.looks == 1
        asked = await syncs.request_check(process, sync.id)
        seen = await syncs.wait_seen(process, sync.id, asked.requests, 60.0)
        assert seen is not None
        assert (seen.requests_seen, place.looks) == (1, 2)

    play(story)


def test_an_apply_whose_sync_was_deleted_meanwhile_is_kept_as_an_event_only() -> None:
    async def story(world: Simulation) -> None:
        world.places.at["web"] = Place(changes=(change("a"),))
        sync = await world.create("web")
        await asyncio.sleep(1)
        world.places.at["web"].seconds = 10.0
        process = world.processes[0].world
        await syncs.request_apply(process, process.act("tester"), sync.id)
        await asyncio.sleep(1)
        await world.delete(sync)
        await asyncio.sleep(20)
        kinds = [str(event.kind) for event in await world.store.list_events(EventFilter())]
        assert kinds[-1] == "apply_discarded"
        assert await world.store.find_sync("web") is None

    play(story)


# --- clocks and stores -----------------------------------------------------------------------------------------------


def test_a_clock_set_back_by_a_day_does_not_stop_checks_or_retries() -> None:
    async def story(world: Simulation) -> None:
        world.outsides["console"].fate = lambda: "down"
        await pending(world, every=60.0)
        looks = world.places.at["web"].looks
        world.clock.jump(-86400)
        world.outsides["console"].fate = lambda: "ok"
        await asyncio.sleep(300)
        assert world.places.at["web"].looks >= looks + 4
        assert (await only_row(world)).state is Shown.SHOWN

    play(story)


def test_a_clock_set_back_while_nobody_ran_is_noticed_at_the_start() -> None:
    async def story(world: Simulation) -> None:
        await pending(world, every=60.0)
        await world.processes[0].kill()
        world.clock.jump(-86400)
        looks = world.places.at["web"].looks
        process = world.start()
        await ClockWatch(process.world).look_at_start()
        await asyncio.sleep(5)
        assert world.places.at["web"].looks == looks + 1

    play(story)


def test_a_clock_set_forward_makes_work_due_and_loses_nothing() -> None:
    async def story(world: Simulation) -> None:
        await pending(world, every=86400.0)
        looks = world.places.at["web"].looks
        world.clock.jump(2 * 86400)
        await asyncio.sleep(60)
        assert world.places.at["web"].looks > looks
        assert len(world.outsides["console"].standing) == 1

    play(story)


def test_a_store_that_is_away_for_an_hour_stops_nothing_for_good() -> None:
    away = False

    def fault(name: str) -> Exception | None:
        del name
        return StorageError("the disk is full") if away else None

    async def story(world: Simulation) -> None:
        nonlocal away
        sync_id = await pending(world, every=60.0)
        away = True
        await asyncio.sleep(3600)
        away = False
        world.places.at["web"].changes = ()
        await asyncio.sleep(300)
        found = await world.store.get_sync(sync_id)
        assert found is not None
        assert found.state is SyncState.OK
        assert not world.outsides["console"].standing

    play(story, fault=fault)


def test_a_paused_daemon_that_wakes_after_its_leases_changes_nothing() -> None:
    async def story(world: Simulation) -> None:
        zombie = world.processes[0]
        world.places.at["web"] = Place(changes=(change("old"),), seconds=10.0)
        sync = await world.create("web", every=86400.0)
        await asyncio.sleep(5)
        zombie.pause()
        world.places.at["web"] = Place(changes=(change("new"),))
        await asyncio.sleep(120)
        world.start()
        await asyncio.sleep(30)
        zombie.resume()
        await world.rest()
        found = await world.store.get_sync(sync.id)
        assert found is not None
        assert [one.name for one in found.headline] == ["new"]
        (standing,) = world.outsides["console"].standing.values()
        assert "update new" in standing.message.title

    play(story)


def test_routes_of_a_reload_move_what_is_shown() -> None:
    async def story(world: Simulation) -> None:
        await pending(world)
        process = world.processes[0]
        process.world.rules = Rules(routes=(Route(name="all", notify=("second",)),))
        await reroute(process.world, process.world.act("tester"))
        await world.rest()
        assert not world.outsides["first"].standing
        assert len(world.outsides["second"].standing) == 1

    async def main() -> None:
        world = Simulation(outsides={"first": Outside(), "second": Outside()})
        world.rules = Rules(routes=(Route(name="all", notify=("first",)),))
        world.start()
        await story(world)
        await world.stop()

    run(main())
