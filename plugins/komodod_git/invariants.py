"""What the consistency pass holds up for clones: each has its sync, and what is gone is forgotten in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from komodod.blocking import blocking
from komodod.invariant import Finding, Invariant
from komodod.storage import Census, Page
from komodod_git.shelf import Shelf

if TYPE_CHECKING:
    from komodod.context import Context
    from komodod.model import Sync
    from komodod.storage import Batch, Storage

PATIENCE: Final = 5.0
"""Seconds to wait for a check that still uses what is to be removed; after that the next pass tries again."""


class CloneHasSync(Invariant):
    """A clone belongs to a git sync that exists.

    The hook removes the clone of a deleted sync; this finds what the hook could not know of: a clone of a sync that has
    become one of another type, or that belongs to a store that was set back.
    """

    name = "clone-has-sync"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._shelf = Shelf(context.state_dir)

    async def census(self, storage: Storage) -> Census:
        kept = await blocking(self._shelf.kept)
        strays = [sync_id for sync_id in kept if await self._is_stray(sync_id, storage)]
        return Census(checked=len(kept), found=len(strays))

    async def findings(self, storage: Storage, after: str | None, limit: int) -> Page[Finding]:
        rest = [sync_id for sync_id in await blocking(self._shelf.kept) if after is None or sync_id > after]
        found = []
        for sync_id in rest:
            if await self._is_stray(sync_id, storage):
                found.append(Finding(sync_id, f"the clone {self._shelf.clone(sync_id)} belongs to no git sync"))
            if len(found) == limit:
                return Page(tuple(found), sync_id)
        return Page(tuple(found))

    async def repair(self, finding: Finding, storage: Storage) -> Batch | None:
        """Remove the clone, unless it belongs to a git sync after all.

        Raises:
            TemporaryError: a check still uses it.
        """
        async with self._shelf.clearing(finding.id, PATIENCE):
            sync = await storage.get_sync(finding.id)
            if sync is None:
                await blocking(self._shelf.bury, finding.id, self.context.clock.now())
            elif not _is_git(sync):
                await blocking(self._shelf.remove, finding.id)
        return None

    async def _is_stray(self, sync_id: str, storage: Storage) -> bool:
        sync = await storage.get_sync(sync_id)
        return sync is None or not _is_git(sync)


class TombstoneIsYoung(Invariant):
    """A deleted sync is remembered for a day, so that no late check makes its clone again, and then forgotten.

    A tombstone is made after its sync has left the store. So a sync that has one and is there came back with a store that
    was set back (a backup): its tombstone goes at once, or it could not be checked.
    """

    name = "tombstone-is-young"
    sweeping = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._shelf = Shelf(context.state_dir)

    async def census(self, storage: Storage) -> Census:
        buried, over = await blocking(self._shelf.buried), await self._over(storage)
        return Census(checked=len(buried), found=len(over))

    async def findings(self, storage: Storage, after: str | None, limit: int) -> Page[Finding]:
        rest = [sync_id for sync_id in await self._over(storage) if after is None or sync_id > after]
        found = tuple(
            Finding(sync_id, f"the deleted sync {sync_id} need not be remembered") for sync_id in rest[:limit]
        )
        return Page(found, found[-1].id if len(rest) > limit else None)

    async def repair(self, finding: Finding, storage: Storage) -> Batch | None:
        """Forget that the sync is gone, if it is still time to.

        Raises:
            TemporaryError: a check that came much too late looks at it at this moment.
        """
        async with self._shelf.clearing(finding.id, PATIENCE):
            if finding.id in await self._expired() or await storage.get_sync(finding.id) is not None:
                await blocking(self._shelf.forget, finding.id)
        return None

    async def _over(self, storage: Storage) -> list[str]:
        expired = set(await self._expired())
        buried = sorted(await blocking(self._shelf.buried))
        return [one for one in buried if one in expired or await storage.get_sync(one) is not None]

    async def _expired(self) -> list[str]:
        return await blocking(self._shelf.expired, self.context.clock.now())


def _is_git(sync: Sync) -> bool:
    return sync.spec.source.get("type") == "git"
