"""What the tests of the contract play on: a store, a clock that stands still, a folder that outlives the store."""

from __future__ import annotations

import abc
import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from komodod.errors import Conflict
from komodod.storage import Batch
from komodod.testing.dump import dump
from komodod.testing.simulation import SimulatedClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from komodod.clock import Clock
    from komodod.model import Json
    from komodod.storage import Expectation, Storage, Write


class StillClock(SimulatedClock):
    """A clock that only `jump` moves, so that what a test sees does not depend on how long it takes."""

    def monotonic(self) -> float:
        """Return 0."""
        return 0.0


class Bench(abc.ABC):
    """What a suite asks of whoever has a store to be proved."""

    @abc.abstractmethod
    def make(self, folder: Path, clock: Clock) -> Storage:
        """Return a store, not opened yet, that keeps what it keeps in `folder` and goes by `clock`."""

    def remake(self, storage: Storage, folder: Path, clock: Clock) -> Storage:  # noqa: ARG002  for stores without a folder
        """Return what a restarted process would open; `storage` has been closed."""
        return self.make(folder, clock)

    @abc.abstractmethod
    def orphan(self, storage: Storage, sync_id: str) -> None:
        """Remove the row of a sync behind the back of the open store, its open alerts left as they are.

        With whatever that takes: triggers, foreign keys and checks switched off, then put back.
        """

    def play(self, folder: Path, scenario: Callable[[Stage], Awaitable[None]]) -> None:
        """Run the scenario on a new store, on a real event loop."""

        async def main() -> None:
            async with stage(self, folder) as on:
                await scenario(on)

        asyncio.run(main())


class Stage:
    """An open store, and what the scenarios do with it all the time."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._bench, self.folder = bench, folder
        self.clock = StillClock()
        self.storage = bench.make(folder, self.clock)

    @property
    def now(self) -> datetime:
        """The store's clock."""
        return self.clock.now()

    async def commit(self, *writes: Write, expect: Expectation | tuple[Expectation, ...] = ()) -> None:
        """Commit the writes."""
        await self.storage.commit(Batch(expect if isinstance(expect, tuple) else (expect,), writes))

    async def refused(self, *writes: Write, expect: Expectation | tuple[Expectation, ...] = ()) -> object:
        """Commit what the store must refuse; return the expectation or write that it names."""
        before = await self.dump()
        try:
            await self.commit(*writes, expect=expect)
        except Conflict as conflict:
            assert await self.dump() == before, "a refused batch has left something behind"
            return conflict.expectation
        raise AssertionError("the store took a batch that it must refuse")

    async def holds(self, *expect: Expectation) -> bool:
        """Tell whether a batch that expects this and writes nothing is taken."""
        try:
            await self.commit(expect=expect)
        except Conflict:
            return False
        return True

    async def dump(self) -> dict[str, Json]:
        """Return all that the store shows."""
        return await dump(self.storage)

    async def reopen(self) -> None:
        """Close the store and open it as a restarted process would."""
        await self.storage.close()
        self.storage = self._bench.remake(self.storage, self.folder, self.clock)
        await self.storage.open()

    def orphan(self, sync_id: str) -> None:
        """Remove the sync's row behind the store's back."""
        self._bench.orphan(self.storage, sync_id)


@asynccontextmanager
async def stage(bench: Bench, folder: Path) -> AsyncIterator[Stage]:
    """Open a stage, and close whatever store it then has."""
    on = Stage(bench, folder)
    await on.storage.open()
    try:
        yield on
    finally:
        await on.storage.close()


def scenario(test: Callable[[Any, Stage], Awaitable[None]]) -> Callable[[Bench, Path], None]:
    """Make a plain test of a scenario, one that asks the runner for `tmp_path` alone."""

    def play(self: Bench, tmp_path: Path) -> None:
        self.play(tmp_path, partial(test, self))

    play.__name__, play.__qualname__, play.__doc__ = test.__name__, test.__qualname__, test.__doc__
    return play
