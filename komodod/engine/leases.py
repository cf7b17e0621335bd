"""Keep the leases of this process alive, and know by our own clock how far they reach."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from komodod.errors import StorageError

if TYPE_CHECKING:
    from komodod.engine.world import World

LEASE: Final = 60.0
"""Seconds a claim lasts without being renewed."""

MARGIN: Final = 5.0
"""Seconds that clocks and schedulers may be late."""


class Leases:
    """The leases of one worker process. Its name is random, so that no successor is taken for it."""

    def __init__(self, world: World, length: float = LEASE) -> None:
        self._world = world
        self.worker = world.new_id()
        self.length = length
        self._renewed = world.clock.monotonic()

    def reach(self, claimed: float) -> float:
        """Return seconds for which a claim asked for at `claimed` (monotonic) certainly still holds."""
        return max(claimed, self._renewed) + self.length - self._world.clock.monotonic()

    def lifetime(self, timeout: float) -> float:
        """Return seconds after which a request that may take `timeout` can no longer land, whoever sent it."""
        return timeout + self.length + MARGIN

    async def renew(self) -> None:
        """Prolong all leases once. The time before the request counts: later than that nothing is certain.

        Raises:
            StorageError: they may run out.
        """
        asked = self._world.clock.monotonic()
        await self._world.storage.renew(self.worker, self.length)
        self._renewed = asked

    async def keep(self) -> None:
        """Renew every third of the length, for ever; a store that does not answer is asked again at the next turn."""
        while True:
            await asyncio.sleep(self.length / 3)
            try:
                await self.renew()
            except StorageError as error:
                self._world.log.warning("leases_not_renewed", error=str(error))
