"""Keep the leases of this process alive, and know by our own clock how far they reach."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from komodod.engine.decisions import repairing
from komodod.errors import Conflict, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from komodod.engine.world import World
    from komodod.storage import Lease

LEASE: Final = 60.0
"""Seconds a claim lasts without being renewed."""

MARGIN: Final = 5.0
"""Seconds that clocks and schedulers may be late."""

STEP: Final = 200
"""Leases read at a time."""


class Leases:
    """The leases of one worker process. Its name is random, so that no successor is taken for it.

    Renewing prolongs all of them, also one under which nobody works any more because its claim or its result met an
    error: those are ended here, so that somebody takes the work up again.
    """

    def __init__(self, world: World, length: float = LEASE) -> None:
        self._world = world
        self.worker = world.new_id()
        self.length = length
        self._renewed = self._unbroken = world.clock.monotonic()
        self._under_way: set[str] = set()
        self._claiming = asyncio.Lock()
        self._loose = False

    @contextlib.asynccontextmanager
    async def claiming(self) -> AsyncIterator[None]:
        """Hold this around a claim until each of its tokens has begun: meanwhile nothing is taken for loose."""
        async with self._claiming:
            try:
                yield
            except BaseException:
                self._loose = True
                raise

    def begin(self, token: str) -> None:
        """Note that somebody works under this token."""
        self._under_way.add(token)

    def end(self, token: str, *, lost: bool) -> None:
        """Note that nobody does any more; `lost` if its lease may not have been released."""
        self._under_way.discard(token)
        self._loose = self._loose or lost

    def reach(self, claimed: float) -> float:
        """Return seconds for which a claim asked for at `claimed` (monotonic) certainly still holds."""
        renewed = self._renewed if claimed >= self._unbroken else claimed
        return max(claimed, renewed) + self.length - self._world.clock.monotonic()

    def lifetime(self, timeout: float) -> float:
        """Return seconds after which a request that may take `timeout` can no longer land, whoever sent it."""
        return timeout + self.length + MARGIN

    async def renew(self) -> None:
        """Prolong all leases once. The time before the request counts: later than that nothing is certain.

        After a renewal that came too late, the leases from before may be somebody else's, and are not counted on.

        Raises:
            StorageError: they may run out.
        """
        asked = self._world.clock.monotonic()
        await self._world.storage.renew(self.worker, self.length)
        if asked > self._renewed + self.length:
            self._unbroken = asked
        self._renewed = asked

    async def let_go(self) -> None:
        """End the leases of ours under which nobody works, if there may be any.

        Raises:
            StorageError: that could not be done; it is done the next time.
        """
        if not self._loose:
            return
        async with self._claiming:
            self._loose = False
            try:
                async for lease in self._ours():
                    if lease.token not in self._under_way:
                        await self._release(lease)
            except BaseException:
                self._loose = True
                raise

    async def _ours(self) -> AsyncIterator[Lease]:
        after = None
        while True:
            page = await self._world.storage.list_leases(after, STEP)
            for lease in page.items:
                if lease.worker == self.worker:
                    yield lease
            if (after := page.next) is None:
                return

    async def _release(self, lease: Lease) -> None:
        with contextlib.suppress(Conflict):  # released meanwhile, by whoever worked under it
            await self._world.storage.commit(repairing.released(lease))

    async def keep(self) -> None:
        """Renew every third of the length, for ever; a store that does not answer is asked again at the next turn.

        What was lost is let go of at the same turns, and not earlier: work whose result cannot be stored must not run
        in circles.
        """
        while True:
            await asyncio.sleep(self.length / 3)
            try:
                await self.renew()
                await self.let_go()
            except StorageError as error:
                self._world.log.warning("leases_not_renewed", error=str(error))
