"""The consistency pass: find what breaks an invariant, mend it, and say what was done."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from structlog.contextvars import bound_contextvars

from komodod import codec
from komodod.engine import own
from komodod.engine.reports import Checked, Report
from komodod.errors import Conflict, KomododError, RefusedError, StorageError
from komodod.model import AlertKind, EventKind
from komodod.storage import Batch, Census, Leading

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World
    from komodod.invariant import Finding, Invariant
    from komodod.storage import Lead

STEP = 200
"""Breaches read at a time."""

TOGETHER = 32
"""Breaches mended at a time."""

NAMED = 20
"""Breaches a report puts in words."""

TERM = 30.0
"""Seconds for which the lead of the pass is taken; it is taken again at each page, and given up at the end."""

PATIENCE = 40
"""Seconds to wait while another replica runs a pass: longer than one that died in the middle keeps the lead."""


@dataclass(frozen=True, slots=True)
class Brake:
    """A pass stops before it mends more than max(`at_least`, `fraction` of what it looked at)."""

    at_least: int = 10
    fraction: float = 0.2

    def stops(self, census: Census) -> bool:
        """Tell whether so many repairs are a sign of a mistake."""
        sweep = census.found if census.sweep is None else census.sweep
        return sweep > max(self.at_least, self.fraction * census.checked)


class Consistency:
    """Runs passes, one at a time."""

    def __init__(self, world: World, invariants: Callable[[Act], Sequence[Invariant]], brake: Brake) -> None:
        self._world = world
        self._invariants = invariants
        self.brake = brake
        self._holder = world.new_id()
        self._one = asyncio.Lock()

    async def run(self, act: Act, *, trigger: str, dry_run: bool = False, force: bool = False) -> Report:
        """Run one pass and return its report; a dry run writes nothing at all.

        An invariant whose breaches cannot be told repairs nothing and is reported with its error. One that would
        repair more than the brake allows is left alone, unless `force`; komodod then opens an alert about itself.

        Raises:
            RefusedError: another replica is busy with a long one.
        """
        async with self._one:
            with bound_contextvars(op_id=act.op_id):
                if dry_run:
                    return await self._run(act, trigger=trigger, dry_run=True, force=force)
                await self._wait()
                try:
                    return await self._run(act, trigger=trigger, dry_run=False, force=force)
                finally:
                    await self._give_up()

    async def _run(self, act: Act, *, trigger: str, dry_run: bool, force: bool) -> Report:
        started = self._world.clock.monotonic()
        lines = [await self._check(invariant, dry_run=dry_run, force=force) for invariant in self._invariants(act)]
        report = Report(
            dry_run=dry_run,
            forced=force,
            trigger=trigger,
            started_at=act.now,
            seconds=round(self._world.clock.monotonic() - started, 3),
            braked=tuple(line.name for line in lines if line.why == BRAKED),
            invariants=tuple(lines),
        )
        if not dry_run:
            await self._tell(act, report)
        return report

    async def _wait(self) -> None:
        """Take the lead of the pass, or wait until the replica that has it gives it up."""
        for _ in range(PATIENCE):
            if await self._world.storage.lead("pass", self._holder, TERM) is not None:
                return
            await asyncio.sleep(1.0)
        await self._lead()

    async def _give_up(self) -> None:
        """Let others lead at once; where the store does not answer, they lead once the term is over."""
        with contextlib.suppress(StorageError):
            await self._world.storage.lead("pass", self._holder, 0.0)

    async def _lead(self) -> Lead:
        lead = await self._world.storage.lead("pass", self._holder, TERM)
        if lead is None:
            raise RefusedError("another replica runs a pass at this moment; its report will be in `komodod event list`")
        return lead

    async def _check(self, invariant: Invariant, *, dry_run: bool, force: bool) -> Checked:
        """Check one invariant and mend what breaks it; whatever it raises stays its own."""
        started = self._world.clock.monotonic()
        try:
            line = await self._mend(invariant, dry_run=dry_run, force=force)
        except Exception as error:  # noqa: BLE001  an invariant may be a plugin's; unknown repairs nothing
            words = self._world.words(error)
            self._world.log.warning("invariant_unknown", invariant=invariant.name, error=words)
            line = Checked(name=invariant.name, error=words)
        return dataclasses.replace(line, seconds=round(self._world.clock.monotonic() - started, 3))

    async def _mend(self, invariant: Invariant, *, dry_run: bool, force: bool) -> Checked:
        storage = self._world.storage
        census = await invariant.census(storage)
        line = Checked(name=invariant.name, checked=census.checked, found=census.found)
        braked = invariant.sweeping and self.brake.stops(census) and not force
        after: str | None = None
        while census.found:
            page = await invariant.findings(storage, after, STEP)
            lead = None if dry_run else await self._lead()
            named = (*line.findings, *(finding.text for finding in page.items))[:NAMED]
            line = dataclasses.replace(line, findings=named)
            if not dry_run and not braked:
                line = await self._repair_all(invariant, page.items, line, lead)
            if (after := page.next) is None or dry_run or braked:
                break
        if braked:
            return dataclasses.replace(line, skipped=census.found, why=BRAKED)
        return dataclasses.replace(line, skipped=census.found, why="dry run") if dry_run and census.found else line

    async def _repair_all(
        self, invariant: Invariant, findings: Sequence[Finding], line: Checked, lead: Lead | None
    ) -> Checked:
        """Mend breaches, some at a time so that the store can commit them together.

        Raises:
            StorageError: the store did not answer; those under way were waited for.
        """
        for some in batched(findings, TOGETHER):
            ends = await asyncio.gather(
                *(self._repair(invariant, finding, lead) for finding in some), return_exceptions=True
            )
            for end in ends:
                if isinstance(end, BaseException):
                    raise end
            skipped = [end for end in ends if isinstance(end, str)]
            line = dataclasses.replace(
                line,
                repaired=line.repaired + len(ends) - len(skipped),
                skipped=line.skipped + len(skipped),
                why=skipped[-1] if skipped else line.why,
            )
        return line

    async def _repair(self, invariant: Invariant, finding: Finding, lead: Lead | None) -> str | None:
        """Mend one breach; where somebody was faster, or it cannot be mended, return why it is skipped."""
        try:
            batch = await invariant.repair(finding, self._world.storage)
            if batch is not None:
                await self._world.storage.commit(_fenced(batch, lead))
        except Conflict:
            return "it changed meanwhile"
        except StorageError:
            raise
        except KomododError as error:
            return self._world.words(error)
        self._world.log.info("breach_repaired", invariant=invariant.name, finding=finding.text)
        return None

    async def _tell(self, act: Act, report: Report) -> None:
        """Store the report, and open or resolve the alert about a brake."""
        if report.braked:
            names = ", ".join(report.braked)
            words = (
                f"the consistency pass stopped before too many repairs ({names}); look with `komodod reconcile "
                "--dry-run`, then go through with `komodod reconcile --force`"
            )
            await own.raise_(self._world, act, AlertKind.BRAKE, words)
        else:
            await own.clear(self._world, act, AlertKind.BRAKE)
        await own.count_dead(self._world, act)
        told = act.tell(EventKind.PASS_FINISHED, data=codec.dump(report))
        await self._world.storage.commit(Batch((), told))
        self._world.log.info("pass_finished", trigger=report.trigger, found=report.found)


BRAKED = "the brake: more repairs than a pass does without --force"


def _fenced(batch: Batch, lead: Lead | None) -> Batch:
    if lead is None or lead.token is None:
        return batch
    return Batch((Leading(lead.duty, lead.token),)) + batch


def batched(findings: Sequence[Finding], size: int) -> Iterator[Sequence[Finding]]:
    """Yield the findings in pieces of `size`."""
    for start in range(0, len(findings), size):
        yield findings[start : start + size]
