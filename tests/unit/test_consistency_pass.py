"""The pass: each breach of the store's own is found and mended, nothing else is touched."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from komodod.engine.consistency import Brake, Consistency
from komodod.engine.invariants import stored_invariants
from komodod.engine.inventory import Declared, Inventory
from komodod.errors import StorageError
from komodod.model import AlertKind, Resolution, Spec, Sync
from komodod.storage import AlertFilter, Lease, Stored, Work
from komodod.testing import run
from komodod.testing.dump import dump
from komodod.testing.fakes import Place, change
from komodod.testing.memory import MemoryStorage
from komodod.testing.processes import Simulation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from komodod.engine.decisions.acting import Act
    from komodod.engine.reports import Checked, Report
    from komodod.invariant import Invariant

Story = Callable[[Simulation, MemoryStorage], Awaitable[None]]


def play(story: Story, syncs: int = 3) -> None:
    """Run a story over a settled world of pending syncs, its daemon killed so that nobody else mends anything."""

    async def main() -> None:
        world = Simulation()
        process = world.start()
        for number in range(syncs):
            world.places.at[f"s{number}"] = Place(changes=(change("a"),))
            await world.create(f"s{number}", every=86400.0)
        gone = await world.create("deleted")
        await asyncio.sleep(5)
        await world.delete(gone)
        await world.rest()
        await process.kill()
        assert isinstance(world.store, MemoryStorage)
        await story(world, world.store)

    run(main())


async def one_pass(
    world: Simulation, *, dry_run: bool = False, force: bool = False, brake: Brake | None = None
) -> Report:
    from komodod.engine.world import World  # noqa: PLC0415

    fresh = World(
        storage=world.store, clock=world.clock, log=world.processes[0].world.log, rules=world.rules, rng=world.rng
    )
    consistency = Consistency(fresh, stored_invariants, brake or Brake())
    return await consistency.run(fresh.act("tester"), trigger="hand", dry_run=dry_run, force=force)


def found(report: Report) -> dict[str, int]:
    return {line.name: line.found for line in report.invariants if line.found}


def orphan_an_alert(store: MemoryStorage) -> None:
    sync = next(sync for sync in store.syncs.values() if sync.name == "s0")
    store.syncs.discard(sync.id)


def lose_an_alert(store: MemoryStorage) -> None:
    alert = next(alert for alert in store.alerts.values() if alert.sync_name == "s0")
    store.alerts.discard(alert.id)
    for link in [link for link in store.links if link[0] == alert.id]:
        store.links.discard(link)


def keep_an_alert_too_many(store: MemoryStorage) -> None:
    sync = next(sync for sync in store.syncs.values() if sync.name == "s0")
    store.syncs[sync.id] = dataclasses.replace(sync, conditions=frozenset())


def put_a_notification_to_sleep(store: MemoryStorage) -> None:
    row = next(row for row in store.notifications.values() if row.title == "s0")
    store.notifications[row.id] = dataclasses.replace(row, version=row.version + 1, due_at=None)


def leave_a_lease(store: MemoryStorage) -> None:
    row = next(row for row in store.notifications.values() if row.title == "s0")
    past = store.context.clock.now() - timedelta(seconds=1)
    store.leases[Work.NOTIFICATION, row.id] = Lease(Work.NOTIFICATION, row.id, "dead", "token", past)


def lose_a_hook_call(store: MemoryStorage) -> None:
    store.calls.discard(next(iter(store.calls)))


BREACHES = [
    (orphan_an_alert, Stored.OPEN_ALERT_HAS_SYNC),
    (lose_an_alert, Stored.OPEN_ALERT_MATCHES_STATE),
    (keep_an_alert_too_many, Stored.OPEN_ALERT_MATCHES_STATE),
    (put_a_notification_to_sleep, Stored.NOTIFICATION_MATCHES_ALERTS),
    (leave_a_lease, Stored.NO_EXPIRED_LEASE),
    (lose_a_hook_call, Stored.EVENT_HAS_HOOK_CALLS),
]


@pytest.mark.parametrize(("breach", "invariant"), BREACHES)
def test_an_injected_breach_is_found_and_mended_and_the_second_pass_is_empty(
    breach: Callable[[MemoryStorage], None], invariant: Stored
) -> None:
    async def story(world: Simulation, store: MemoryStorage) -> None:
        assert found(await one_pass(world)) == {}
        breach(store)
        first = await one_pass(world)
        assert found(first) == {str(invariant): 1}
        assert sum(line.repaired for line in first.invariants) == 1
        assert found(await one_pass(world)) == {}

    play(story)


@pytest.mark.parametrize("breach", [breach for breach, _ in BREACHES])
def test_after_the_repair_the_world_comes_to_rest_as_it_should_be(breach: Callable[[MemoryStorage], None]) -> None:
    async def story(world: Simulation, store: MemoryStorage) -> None:
        breach(store)
        await one_pass(world)
        world.start()
        await world.rest()
        opened = {alert.sync_id for alert in store.alerts.values() if alert.open}
        assert {standing.message.group for standing in world.outsides["console"].standing.values()} == opened
        assert world.plugins.heard("cleaner")

    play(story)


def test_an_orphan_is_resolved_as_orphaned_and_its_message_withdrawn() -> None:
    async def story(world: Simulation, store: MemoryStorage) -> None:
        orphan_an_alert(store)
        await one_pass(world)
        world.start()
        await world.rest()
        closed = [alert for alert in store.alerts.values() if alert.sync_name == "s0"]
        assert [alert.resolution for alert in closed] == [Resolution.ORPHANED]
        assert "s0" not in {there.message.title for there in world.outsides["console"].standing.values()}

    play(story)


def test_healthy_rows_are_not_touched() -> None:
    async def story(world: Simulation, store: MemoryStorage) -> None:
        healthy: dict[str, Sync] = {key: sync for key, sync in store.syncs.items() if sync.name != "s0"}
        orphan_an_alert(store)
        await one_pass(world)
        assert {key: sync for key, sync in store.syncs.items() if sync.name in ("s1", "s2")} == {
            key: sync for key, sync in healthy.items() if sync.name in ("s1", "s2")
        }

    play(story)


@pytest.mark.parametrize(("breach", "invariant"), BREACHES)
def test_a_dry_run_finds_the_same_and_writes_nothing(
    breach: Callable[[MemoryStorage], None], invariant: Stored
) -> None:
    async def story(world: Simulation, store: MemoryStorage) -> None:
        breach(store)
        before = await dump(store)
        report = await one_pass(world, dry_run=True)
        assert found(report)[str(invariant)] == 1
        assert await dump(store) == before

    play(story)


def test_a_storage_error_repairs_nothing_of_that_invariant() -> None:
    async def story(world: Simulation, store: MemoryStorage) -> None:
        orphan_an_alert(store)

        async def broken(*_: object) -> None:
            raise StorageError("the disk does not answer")

        store.census = broken  # type: ignore[method-assign, assignment]  # a store that cannot tell
        before = await dump(store)
        report = await one_pass(world, dry_run=False)
        assert {line.error for line in report.invariants} == {"the disk does not answer"}
        assert (await dump(store))["alerts"] == before["alerts"]

    play(story)


def test_the_brake_stops_a_pass_that_would_resolve_too_much_and_force_goes_through() -> None:
    async def story(world: Simulation, store: MemoryStorage) -> None:
        for sync in [sync for sync in store.syncs.values() if sync.name.startswith("s")][:11]:
            store.syncs.discard(sync.id)
        report = await one_pass(world)
        assert report.braked == (str(Stored.OPEN_ALERT_HAS_SYNC),)
        own = (await store.list_alerts(AlertFilter(kind=AlertKind.BRAKE))).items
        assert "--force" in own[0].summary
        forced = await one_pass(world, force=True)
        assert (forced.braked, sum(line.repaired for line in forced.invariants)) == ((), 11)
        assert (await store.list_alerts(AlertFilter(kind=AlertKind.BRAKE))).items == ()

    play(story, syncs=20)


def test_the_brake_lets_a_few_repairs_through() -> None:
    async def story(world: Simulation, store: MemoryStorage) -> None:
        for sync in [sync for sync in store.syncs.values() if sync.name.startswith("s")][:10]:
            store.syncs.discard(sync.id)
        assert (await one_pass(world)).braked == ()

    play(story, syncs=20)


def test_many_leases_that_ran_out_at_once_are_no_sign_of_a_mistake() -> None:
    async def story(world: Simulation, store: MemoryStorage) -> None:
        past = store.context.clock.now() - timedelta(seconds=1)
        for sync_id in store.syncs:
            store.leases[Work.CHECK, sync_id] = Lease(Work.CHECK, sync_id, "dead", "token", past)
        assert (await one_pass(world)).braked == ()
        assert not store.leases

    play(story, syncs=20)


def declare(world: Simulation, *names: str) -> Callable[[Act], Sequence[Invariant]]:
    """Return what makes the inventory of a file that declares these syncs."""
    declared = [Declared(name, Spec(source={"type": "fake"}, every=86400.0), "komodod.yaml:1") for name in names]
    return lambda act: (Inventory(world.processes[0].world, act, declared),)


async def follow(world: Simulation, *names: str, force: bool = False) -> Checked:
    """Run a pass of the inventory alone, by a process that starts now."""
    engine = world.start().world
    world.processes = [world.processes[-1]]
    consistency = Consistency(engine, declare(world, *names), Brake())
    report = await consistency.run(engine.act("tester"), trigger="start", force=force)
    (line,) = report.invariants
    return line


def test_a_file_of_many_syncs_fills_an_empty_store_and_may_not_empty_it_again() -> None:
    names = [f"declared-{number}" for number in range(30)]

    async def story(world: Simulation, _store: MemoryStorage) -> None:
        assert (await follow(world, *names)).repaired == 30
        assert (await follow(world, *names)).found == 0
        assert (await follow(world, *names[:20])).repaired == 10
        lost = await follow(world)
        assert (lost.repaired, lost.skipped) == (0, 20)
        assert (await follow(world, force=True)).repaired == 20
        await world.stop()

    play(story, syncs=0)
