"""Hand out work: claim what is due, run it, and sleep until something changes or falls due."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from komodod.errors import StorageError

if TYPE_CHECKING:
    from komodod.engine.checking import Checker
    from komodod.engine.hooking import Teller
    from komodod.engine.leases import Leases
    from komodod.engine.notifying import Speaker
    from komodod.engine.world import World
    from komodod.storage import Due

NAP: Final = 30.0
"""The longest sleep in seconds: due times are wall-clock times, and the wall clock may be set."""

BREATH: Final = 0.2
"""Seconds to wait where work was announced and none could be claimed."""

SHORTEST: Final = 0.001
"""The shortest sleep in seconds, for what falls due in less."""

TROUBLE: Final = 1.0
"""Seconds to wait while the store is in trouble."""

CALLS_A_PLUGIN: Final = 4
"""Hook calls of one plugin under way at a time."""


class Pump:
    """Runs checks, notifications and hook calls, each up to its own number at a time.

    `plugins` names those that are loaded: the calls of others wait.
    """

    def __init__(
        self,
        world: World,
        leases: Leases,
        *,
        checker: Checker,
        speaker: Speaker,
        teller: Teller,
        plugins: Callable[[], tuple[str, ...]],
        checks: int = 8,
        notifications: int = 64,
    ) -> None:
        self._world = world
        self._leases = leases
        self._checker, self._speaker, self._teller = checker, speaker, teller
        self._plugins = plugins
        self.checks, self.notifications = checks, notifications
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Pump for ever; ends only by being cancelled."""
        while True:
            ticks = self._world.storage.ticks()
            self._freed.clear()
            try:
                due = await self._world.storage.next_due(self._callable())
                started = await self._start(due)
            except StorageError as error:
                self._world.log.warning("store_unavailable", error=str(error))
                await asyncio.sleep(TROUBLE)
                continue
            except Exception:
                # A fault of ours or of the store's: nobody is helped by an end.
                self._world.log.exception("pump_failed")
                await asyncio.sleep(TROUBLE)
                continue
            if not started:
                await self._sleep(due, ticks)

    async def stop(self, grace: float) -> None:
        """Let what is under way end for `grace` seconds, then cancel it; leases and intents say where it stood."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)

    @property
    def busy(self) -> int:
        """How many pieces of work are under way."""
        return len(self._tasks)

    async def _start(self, due: Due) -> bool:
        """Claim and start what is due and has room; tell whether that was anything."""
        lanes = (
            (due.checks, self._start_checks),
            (due.notifications, self._start_notifications),
            (due.hook_calls, self._start_calls),
        )
        return any([await start() for at, start in lanes if at is not None and at <= due.now])

    async def _start_checks(self) -> bool:
        free = self._room("check", self.checks)
        if not free:
            return False
        async with self._leases.claiming():
            claims = await self._world.storage.claim_checks(self._leases.worker, self._leases.length, free)
            for claim in claims:
                self._spawn(self._checker.run(claim), "check", claim.token)
        return bool(claims)

    async def _start_notifications(self) -> bool:
        free = self._room("notification", self.notifications)
        if not free:
            return False
        storage = self._world.storage
        claimed = self._world.clock.monotonic()
        async with self._leases.claiming():
            claims = await storage.claim_notifications(self._leases.worker, self._leases.length, free)
            members = await storage.load_members([claim.row.id for claim in claims]) if claims else {}
            for claim in claims:
                self._spawn(self._speaker.run(claim, claimed, members[claim.row.id]), "notification", claim.token)
        return bool(claims)

    async def _start_calls(self) -> bool:
        started = False
        for plugin in self._callable():
            free = self._room(_call_of(plugin), CALLS_A_PLUGIN)
            async with self._leases.claiming():
                claims = await self._world.storage.claim_hook_calls(
                    self._leases.worker, self._leases.length, free, (plugin,)
                )
                for claim in claims:
                    self._spawn(self._teller.run(claim), _call_of(plugin), claim.token)
            started = started or bool(claims)
        return started

    def _callable(self) -> tuple[str, ...]:
        """Return the plugins that can be called now: what one of them has no room for must not hide the others' work."""
        return tuple(plugin for plugin in self._plugins() if self._room(_call_of(plugin), CALLS_A_PLUGIN))

    def _room(self, kind: str, most: int) -> int:
        return max(0, most - Counter(self._tasks.values())[kind])

    def _spawn(self, work: Coroutine[Any, Any, None], kind: str, token: str) -> None:
        self._leases.begin(token)
        task = asyncio.create_task(self._contained(work, kind, token))
        self._tasks[task] = kind
        task.add_done_callback(self._ended)

    async def _contained(self, work: Coroutine[Any, Any, None], kind: str, token: str) -> None:
        """Run a piece of work; a fault in it is logged, and the end of its lease brings it back."""
        lost = True
        try:
            await work
            lost = False
        except StorageError as error:
            self._world.log.warning("result_not_stored", work=kind, error=str(error))
        except Exception:
            self._world.log.exception("work_failed", work=kind)
        finally:
            self._leases.end(token, lost=lost)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._freed.set()

    async def _sleep(self, due: Due, ticks: int) -> None:
        """Sleep until the store changes, a place is free, or something falls due."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause(due)):
                await self._woken(ticks)

    def _pause(self, due: Due) -> float:
        """Return seconds until the next thing falls due; what is due already and has no room waits for a free place."""
        lanes = (
            (due.checks, self._room("check", self.checks)),
            (due.notifications, self._room("notification", self.notifications)),
            (due.hook_calls, True),
        )
        ahead = (
            max((at - due.now).total_seconds(), BREATH if at <= due.now else SHORTEST)
            for at, room in lanes
            if at is not None and (room or at > due.now)
        )
        return min((NAP, *ahead))

    async def _woken(self, ticks: int) -> None:
        waits = {
            asyncio.ensure_future(self._world.storage.changed(ticks)),
            asyncio.ensure_future(self._freed.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _call_of(plugin: str) -> str:
    """Name the kind of work that the hook calls of a plugin are."""
    return f"call of {plugin}"
