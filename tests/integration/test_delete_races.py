"""A delete at the worst of moments: always at once, always clean.

Each race is one seeded interleaving on simulated time: a sync is being checked, applied, notified about or told to
plugins while somebody deletes it, with answers lost, requests landing late and processes killed. Every storage call,
channel call and hook call yields to the others in a random order.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from komodod.engine import syncs
from komodod.errors import NotFoundError
from komodod.model import ApplyMode, Sync
from komodod.notifier import ReceiptClass
from komodod.storage import AlertFilter, NotificationFilter, Storage
from komodod.testing import SimulatedClock, run
from komodod.testing import outside as outside_the_loop
from komodod.testing.fakes import Outside, Place, change, fake_context
from komodod.testing.processes import Process, Simulation
from komodod.testing.watched import watched
from komodod_postgres import PostgresConfig, PostgresStorage
from komodod_sqlite import SqliteConfig, SqliteStorage

RACES = int(os.environ.get("KOMODOD_RACES", "10000"))
BATCH = 20
"""Syncs raced in one simulation."""


MakeStore = Callable[[SimulatedClock], Awaitable[Storage]]


def _fate(rng: random.Random, trouble: float) -> Callable[[], str]:
    def fate() -> str:
        return rng.choice(("lost", "late", "never", "down")) if rng.random() < trouble else "ok"

    return fate


def _place(rng: random.Random) -> Place:
    stuck = (change("stuck"),) if rng.random() < 0.2 else ()
    return Place(
        changes=(change("a"), *stuck) if rng.random() < 0.8 else (),
        stubborn=stuck,
        error="unreachable" if rng.random() < 0.1 else None,
        seconds=rng.choice((0.0, 0.0, 0.5, 5.0)),
    )


async def _meddle(world: Simulation, sync: Sync) -> None:
    """Do to a sync what people do, and delete it in the end, at any moment."""
    rng, process = world.rng, world.processes[-1]
    deeds = [rng.choice(("wait", "check", "apply", "pause", "resume")) for _ in range(rng.randrange(4))]
    try:
        for deed in deeds:
            await asyncio.sleep(rng.choice((0.0, 0.0, 0.1, 1.0, 20.0)))
            await _do(process, deed, sync)
    except NotFoundError:
        raise AssertionError("nobody else deletes it") from None
    await asyncio.sleep(rng.choice((0.0, 0.0, 0.0, 0.01, 0.5, 3.0, 30.0)))
    await world.delete(sync, process)


async def _do(process: Process, deed: str, sync: Sync) -> None:
    world = process.world
    act = world.act("tester")
    found = await world.storage.get_sync(sync.id)
    assert found is not None
    match deed:
        case "check" if not found.paused:
            await syncs.request_check(world, sync.id)
        case "apply" if not found.paused:
            await syncs.request_apply(world, act, sync.id)
        case "pause":
            await syncs.pause(world, act, sync.id)
        case "resume":
            await syncs.resume(world, act, sync.id)
        case _:
            pass


async def _race(
    seed: int, receipt_class: ReceiptClass, trouble: float, kills: int, make_store: MakeStore | None = None
) -> None:
    outside, clock = Outside(receipt_class=receipt_class), SimulatedClock()
    store = None if make_store is None else watched(await make_store(clock))
    listening = {"on_sync_deleted": ("cleaner", "auditor")}
    world = Simulation(seed, outsides={"channel": outside}, hooks=listening, store=store, clock=clock)
    outside.rng, outside.fate = world.rng, _fate(world.rng, trouble)
    process = world.start()
    created = []
    for number in range(BATCH):
        world.places.at[f"sync-{number}"] = _place(world.rng)
        mode = world.rng.choice(tuple(ApplyMode))
        created.append(await world.create(f"sync-{number}", every=10.0, fail_after=1, apply=mode))
    crowd = [asyncio.create_task(_meddle(world, sync)) for sync in created] if not kills else []
    for _ in range(kills):
        await asyncio.sleep(world.rng.uniform(0.0, 20.0))
        process = await world.restart(process)
    if kills:
        crowd = [asyncio.create_task(_meddle(world, sync)) for sync in created]
        await asyncio.sleep(world.rng.uniform(0.0, 2.0))
    await asyncio.gather(*crowd)
    if kills:
        await world.restart(process)
    outside.fate = lambda: "ok"
    await world.rest()
    await _check(world, created, outside)
    await world.stop()
    await world.store.close()


async def _check(world: Simulation, created: list[Sync], outside: Outside) -> None:
    assert (await world.store.list_alerts(AlertFilter())).items == (), "an alert is still open"
    shown = [row for row in (await world.store.list_notifications(NotificationFilter())).items if row.state != "absent"]
    assert shown == [], "a notification still counts as shown"
    lost = sum(row.abandoned for row in (await world.store.list_notifications(NotificationFilter())).items)
    assert len(outside.standing) <= lost, "the channel still shows a message that nobody gave up on"
    for plugin in ("cleaner", "auditor"):
        told = {event.sync.id for name, event in world.plugins.told if name == plugin and event.sync}
        assert told == {sync.id for sync in created}, f"{plugin} did not hear of every delete"


CASES = [
    pytest.param(ReceiptClass.A, 0.0, 0, id="a-channel-that-always-answers"),
    pytest.param(ReceiptClass.A, 0.5, 0, id="answers-lost-and-requests-late"),
    pytest.param(ReceiptClass.A, 0.3, 2, id="killed-and-restarted"),
    pytest.param(ReceiptClass.B, 0.3, 1, id="a-channel-that-knows-our-key-for-a-while"),
    pytest.param(ReceiptClass.C, 0.3, 1, id="a-channel-that-can-be-searched"),
    pytest.param(ReceiptClass.D, 0.3, 1, id="a-channel-that-cannot-be-searched"),
    pytest.param(ReceiptClass.E, 0.3, 1, id="a-channel-that-only-follows-up"),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("receipt_class", "trouble", "kills"), CASES)
def test_a_delete_at_any_moment_leaves_nothing_behind(receipt_class: ReceiptClass, trouble: float, kills: int) -> None:
    for seed in range(RACES // BATCH // len(CASES) + 1):
        try:
            run(_race(seed, receipt_class, trouble, kills))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("receipt_class", "trouble", "kills"), CASES[:3])
def test_the_same_holds_on_sqlite(tmp_path: Path, receipt_class: ReceiptClass, trouble: float, kills: int) -> None:
    for seed in range(RACES // 20 // BATCH // 3 + 1):

        async def make(clock: SimulatedClock, seed: int = seed) -> Storage:
            config = SqliteConfig(path=tmp_path / f"{seed}.db")
            store = SqliteStorage(config, fake_context("store", clock, tmp_path))
            with outside_the_loop():
                await store.open()
            return store

        run(_race(seed, receipt_class, trouble, kills, make))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("receipt_class", "trouble", "kills"), CASES[:3])
def test_the_same_holds_on_postgresql(
    databases: Any, tmp_path: Path, receipt_class: ReceiptClass, trouble: float, kills: int
) -> None:
    for seed in range(RACES // 30 // BATCH // 3 + 1):

        async def make(clock: SimulatedClock) -> Storage:
            # What is heard from outside comes at a real time, and would make no two runs of a seed alike.
            config = PostgresConfig.model_validate({"url": databases.create(), "notify": False, "poll": "1d"})
            store = PostgresStorage(config, fake_context("store", clock, tmp_path), clock)
            with outside_the_loop():
                await store.open()
            return store

        run(_race(seed, receipt_class, trouble, kills, make))
