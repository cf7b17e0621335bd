"""A plugin's invariant in a pass: its faults are told in its own line, and the pass goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from komodod.clock import SystemClock
from komodod.engine.consistency import Brake, Consistency
from komodod.engine.strangers import StrangerInvariant
from komodod.invariant import Finding, Invariant
from komodod.storage import Batch, Census, Page, Storage
from komodod.testing import run
from komodod.testing.fakes import fake_context
from komodod.testing.processes import Simulation

if TYPE_CHECKING:
    from komodod.engine.reports import Report


class Calm(Invariant):
    """One thing looked at, one breach, mended."""

    async def census(self, storage: Storage) -> Census:
        return Census(1, 1)

    async def findings(self, storage: Storage, after: str | None, limit: int) -> Page[Finding]:
        return Page((Finding("a", "a breach"),))

    async def repair(self, finding: Finding, storage: Storage) -> Batch | None:
        return None


class Leaves(Calm):
    async def census(self, storage: Storage) -> Census:
        raise SystemExit(3)


class Hangs(Calm):
    async def repair(self, finding: Finding, storage: Storage) -> Batch | None:
        await asyncio.Event().wait()
        return None


class Unbuildable(Calm):
    def __init__(self, context: object) -> None:
        raise ValueError("no clone directory")


def pass_over(*classes: type[Invariant]) -> Report:
    """Return the report of a pass over these invariants."""

    def stranger(cls: type[Invariant]) -> StrangerInvariant:
        def make() -> Invariant:
            return cls(fake_context(cls.__name__, SystemClock()))

        return StrangerInvariant(cls.__name__, make, sweeping=True)

    async def main() -> Report:
        world = Simulation()
        process = world.start().world
        consistency = Consistency(process, lambda _: [stranger(cls) for cls in classes], Brake())
        report = await consistency.run(process.act("tester"), trigger="hand")
        await world.stop()
        return report

    return run(main())


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (Leaves, "SystemExit: 3"),
        (Hangs, "no answer within 300 s"),
        (Unbuildable, "ValueError: no clone directory"),
    ],
)
def test_what_a_plugins_invariant_does_stays_its_own(cls: type[Invariant], said: str) -> None:
    broken, calm = pass_over(cls, Calm).invariants
    told = f"{broken.error} {broken.why}"
    assert said in told
    assert (calm.checked, calm.repaired) == (1, 1)
