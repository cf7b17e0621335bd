"""The syncs that the configuration declares, against those that are stored: created, updated, deleted as declared."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from komodod.engine import syncs
from komodod.engine.decisions.syncing import spec_difference
from komodod.errors import NotFoundError
from komodod.invariant import Finding, Invariant
from komodod.model import Origin, Spec, Sync
from komodod.storage import Batch, Census, Page, Storage, SyncFilter

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World


@dataclass(frozen=True, slots=True)
class Declared:
    """A sync as a file declares it; `where` is `file:line`."""

    name: str
    spec: Spec
    where: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing to do so that the store follows the declaration; one of the two is None for a create or delete."""

    declared: Declared | None
    stored: Sync | None

    @property
    def verb(self) -> str:
        """`create`, `update`, `delete`, or `move` for one that only stands on another line."""
        if self.stored is None:
            return "create"
        if self.declared is None:
            return "delete"
        return "update" if spec_difference(self.stored.spec, self.declared.spec) else "move"

    @property
    def name(self) -> str:
        """The sync's name."""
        return self.declared.name if self.declared is not None else self.stored.name if self.stored else ""


class Inventory(Invariant):
    """Holds the store to what is declared. Only deletions count for the brake: absence must not sweep."""

    name = "inventory-matches-syncs"

    def __init__(self, world: World, act: Act, declared: Iterable[Declared] = ()) -> None:
        self._world = world
        self._act = act
        self.declared: Mapping[str, Declared] = {one.name: one for one in declared}
        self._found: list[Finding] = []

    async def census(self, storage: Storage) -> Census:
        stored = [sync async for sync in _stored(storage)]
        differences = compare(self.declared, stored)
        self._found = [Finding(one.name, f"{one.verb} sync {one.name}", one) for one in differences]
        return Census(len(stored), len(differences), sum(one.declared is None for one in differences))

    async def findings(self, storage: Storage, after: str | None, limit: int) -> Page[Finding]:  # noqa: ARG002  counted
        """Return the differences that the census found; the object is made for one pass."""
        start = 0 if after is None else bisect_right(self._found, after, key=lambda finding: finding.id)
        page = self._found[start : start + limit]
        return Page(tuple(page), page[-1].id if start + limit < len(self._found) else None)

    async def repair(self, finding: Finding, storage: Storage) -> Batch | None:  # noqa: ARG002  operations of the world
        difference: Difference = finding.subject
        await follow_one(self._world, self._act, difference)
        return None


async def follow_one(world: World, act: Act, difference: Difference) -> None:
    """Create, update or delete one sync as declared, through the same operations as anybody.

    Raises:
        NameTakenError: a sync of another origin has the declared name.
    """
    declared, stored = difference.declared, difference.stored
    if declared is None and stored is not None:
        try:
            await syncs.delete(world, act, stored.id, f"no longer declared in {_file(stored)}")
        except NotFoundError:
            return  # gone is what was wanted
    elif declared is not None and stored is not None:
        await syncs.edit(world, act, stored.id, lambda _: declared.spec, declared=declared.where)
    elif declared is not None:
        await syncs.create(world, act, declared.name, declared.spec, origin=Origin.CONFIG, declared=declared.where)


def compare(declared: Mapping[str, Declared], stored: Iterable[Sync]) -> list[Difference]:
    """Return what differs, by name."""
    known = {sync.name: sync for sync in stored}
    gone = [Difference(None, sync) for name, sync in known.items() if name not in declared]
    new = [Difference(one, None) for name, one in declared.items() if name not in known]
    edited = [
        Difference(one, known[name])
        for name, one in declared.items()
        if name in known and (spec_difference(known[name].spec, one.spec) or known[name].declared != one.where)
    ]
    return sorted((*gone, *new, *edited), key=lambda one: one.name)


async def _stored(storage: Storage) -> AsyncIterator[Sync]:
    after = None
    while True:
        page = await storage.list_syncs(SyncFilter(origin=Origin.CONFIG), after, 500)
        for sync in page.items:
            yield sync
        if (after := page.next) is None:
            return


def _file(sync: Sync) -> str:
    return sync.declared.rpartition(":")[0] if sync.declared else "the configuration"
