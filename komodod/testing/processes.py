"""Simulated daemons: the whole engine on simulated time, killed, paused and restarted at will."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from komodod.engine import syncs
from komodod.engine.channels import Channel, Channels
from komodod.engine.checking import Checker
from komodod.engine.clockwatch import ClockWatch
from komodod.engine.decisions.acting import Rules
from komodod.engine.decisions.routing import Route
from komodod.engine.hooking import Teller
from komodod.engine.leases import Leases
from komodod.engine.notifying import Speaker
from komodod.engine.pump import Pump
from komodod.engine.world import World
from komodod.model import Spec
from komodod.testing.fakes import FakeChannel, FakePlugins, Outside, Places, fake_context
from komodod.testing.memory import MemoryConfig, MemoryStorage
from komodod.testing.simulation import SimulatedClock
from komodod.testing.watched import KilledError, watched

if TYPE_CHECKING:
    from komodod.model import Event, Sync
    from komodod.storage import Storage


class Process:
    """One simulated daemon over a store, channels and places that outlive it.

    Every storage call, channel call and hook call passes a gate, where the process yields to others in a random order,
    stands still while it is paused, and ends when it is killed.
    """

    def __init__(
        self,
        store: Storage,
        clock: SimulatedClock,
        rng: random.Random,
        *,
        places: Places,
        outsides: Mapping[str, Outside],
        plugins: FakePlugins,
        rules: Rules,
        fault: Callable[[str], Exception | None] | None = None,
        yields: int = 3,
    ) -> None:
        self._rng, self._yields, self._fault = rng, yields, fault
        self._running = asyncio.Event()
        self._running.set()
        self.dead = False
        self.world = World(
            storage=watched(store, self.gate, self._trouble),
            clock=clock,
            log=fake_context("process", clock).log,
            rules=rules,
            rng=rng,
            new_id=lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        )
        self.leases = Leases(self.world)
        self.channels = Channels(
            Channel(name, "fake", FakeChannel(outside, fake_context(name, clock), self.gate))
            for name, outside in outsides.items()
        )
        self._told = plugins
        caller = _GatedPlugins(plugins, self.gate)
        self.pump = Pump(
            self.world,
            self.leases,
            checker=Checker(self.world, places.source_of(self.gate)),
            speaker=Speaker(self.world, self.channels, self.leases),
            teller=Teller(self.world, caller),
            plugins=lambda: tuple({name for names in self.world.rules.hooks.values() for name in names}),
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def gate(self) -> None:
        """Let others run; stand still while paused; end when killed."""
        for _ in range(self._rng.randrange(self._yields + 1)):
            await asyncio.sleep(0)
        while not self._running.is_set():
            await self._running.wait()
        if self.dead:
            raise KilledError("this process was killed")

    def _trouble(self, name: str) -> Exception | None:
        if self.dead:
            return KilledError("this process was killed")
        return None if self._fault is None else self._fault(name)

    def start(self) -> None:
        """Begin to work."""
        duties = (self.pump.run(), self.leases.keep(), ClockWatch(self.world).run())
        self._tasks = [asyncio.create_task(duty) for duty in duties]

    def pause(self) -> None:
        """Stand still, as under SIGSTOP."""
        self._running.clear()

    def resume(self) -> None:
        """Go on, as under SIGCONT."""
        self._running.set()

    async def kill(self) -> None:
        """End at once, wherever it is; nothing is committed and nothing sent from now on."""
        self.dead = True
        self._running.set()
        for task in self._tasks:
            task.cancel()
        await self.pump.stop(0.0)
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError, KilledError):
                await task


class _GatedPlugins:
    def __init__(self, plugins: FakePlugins, gate: Callable[[], Awaitable[None]]) -> None:
        self._plugins, self._gate = plugins, gate

    async def call(self, plugin: str, event: Event) -> None:
        await self._gate()
        await self._plugins.call(plugin, event)
        await self._gate()


class Simulation:
    """A store and everything outside it, and as many processes over it as a test starts.

    Args:
        seed: decides every order, delay and key.
        outsides: the far side of each notifier, by its name.
        hooks: the plugins that listen, by hook; by default one that hears of deletes.
        store: an open store to use instead of one in memory.
        yields: how many turns others get at most at each gate.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        outsides: Mapping[str, Outside] | None = None,
        hooks: Mapping[str, tuple[str, ...]] | None = None,
        store: Storage | None = None,
        clock: SimulatedClock | None = None,
        yields: int = 3,
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311  a simulation, not a secret
        self.clock = clock or SimulatedClock()
        self.store = store or MemoryStorage(MemoryConfig(), fake_context("store", self.clock))
        self.places = Places(self.clock)
        self.outsides = {"console": Outside(rng=self.rng)} if outsides is None else dict(outsides)
        self.plugins = FakePlugins()
        self.yields = yields
        self.rules = Rules(
            routes=(Route(name="all", notify=tuple(self.outsides)),),
            hooks={"on_sync_deleted": ("cleaner",)} if hooks is None else hooks,
        )
        self.processes: list[Process] = []

    def start(self, fault: Callable[[str], Exception | None] | None = None) -> Process:
        """Start one more process over the store."""
        process = Process(
            self.store,
            self.clock,
            self.rng,
            places=self.places,
            outsides=self.outsides,
            plugins=self.plugins,
            rules=self.rules,
            fault=fault,
            yields=self.yields,
        )
        process.start()
        self.processes.append(process)
        return process

    async def restart(self, process: Process) -> Process:
        """Kill the process and start another, as the only one over the store: it ends the leases of the dead."""
        await process.kill()
        self.processes.remove(process)
        await self.store.close()
        await self.store.open()
        return self.start()

    async def stop(self) -> None:
        """Kill every process, and let nothing land any more."""
        for process in self.processes:
            await process.kill()
        for outside in self.outsides.values():
            for task in outside.landing:
                task.cancel()

    async def rest(self, seconds: float = 7200.0, step: float = 30.0) -> None:
        """Let simulated time pass until nothing is dirty, in doubt, owed or leased.

        Raises:
            AssertionError: that does not happen within `seconds`.
        """
        for _ in range(int(seconds / step)):
            await asyncio.sleep(step)
            counts = await self.store.counts()
            leases = (await self.store.list_leases()).items
            if not (counts.dirty or counts.in_doubt or counts.waiting_hook_calls or leases):
                return
        raise AssertionError(f"no rest after {seconds:g} s: {counts}, {leases}")

    async def create(self, name: str, **spec: Any) -> Sync:
        """Make a sync over the place of its name."""
        world = self.processes[0].world
        return (await syncs.create(world, world.act("tester"), name, Spec(source={"type": "fake"}, **spec))).sync

    async def delete(self, sync: Sync, process: Process | None = None) -> None:
        """Delete a sync."""
        world = (process or self.processes[0]).world
        await syncs.delete(world, world.act("tester"), sync.id, "asked for")
