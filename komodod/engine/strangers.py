"""Plugins' invariants in a pass: whatever one of them does, only its own line of the report tells of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from komodod.guard import guarded
from komodod.invariant import Finding, Invariant

if TYPE_CHECKING:
    from komodod.storage import Batch, Census, Page, Storage

T = TypeVar("T")

PATIENCE: Final = 300.0
"""Seconds that one look or one repair of a plugin's may take: it can be about many files."""


class StrangerInvariant(Invariant):
    """An invariant of a plugin, made when it is first asked.

    It has the daemon's pass wait for it, so it is bounded in time, and what would end the event loop is an error of its
    own.
    """

    def __init__(self, name: str, make: Callable[[], Invariant], *, sweeping: bool, patience: float = PATIENCE) -> None:
        self.name, self.sweeping = name, sweeping
        self._make, self._patience = make, patience
        self._made: Invariant | None = None

    async def census(self, storage: Storage) -> Census:
        return await self._ask(lambda inner: inner.census(storage))

    async def findings(self, storage: Storage, after: str | None, limit: int) -> Page[Finding]:
        return await self._ask(lambda inner: inner.findings(storage, after, limit))

    async def repair(self, finding: Finding, storage: Storage) -> Batch | None:
        return await self._ask(lambda inner: inner.repair(finding, storage))

    async def _ask(self, question: Callable[[Invariant], Coroutine[Any, Any, T]]) -> T:
        async def work() -> T:
            if self._made is None:
                self._made = self._make()
            return await question(self._made)

        return await guarded(work(), self._patience)
