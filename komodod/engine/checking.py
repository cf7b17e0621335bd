"""Carry out the work of a claimed sync: look at it, or apply it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from structlog.contextvars import bind_contextvars

from komodod.engine.decisions import observing
from komodod.errors import Conflict, KomododError, SourceError
from komodod.guard import GRACE, guarded
from komodod.model import Aggregate, Applied, ApplyRequest, Observation, Sync
from komodod.storage import Batch, LeaseHeld

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World
    from komodod.source import Source
    from komodod.storage import Claim

T = TypeVar("T")

LOST_CHECKS = 3
"""After so many claims in a row without a result a sync counts as failing instead of being tried as usual."""

SourceOf = Callable[[Sync], "Source"]
"""Builds the source of a sync; raises SourceError where its type is not installed or its configuration not valid."""


class Checker:
    """Checks and applies, one claim at a time."""

    def __init__(self, world: World, source_of: SourceOf) -> None:
        self._world = world
        self._source_of = source_of

    async def run(self, claim: Claim[Sync]) -> None:
        """Do what the sync is due for and commit what came of it.

        Raises:
            StorageError: what came of it could not be stored; the lease ends and it is done again.
        """
        request = claim.row.apply_request
        if request is None:
            await self._check(claim)
        else:
            await self._apply(claim, request)

    async def _check(self, claim: Claim[Sync]) -> None:
        sync = claim.row
        act = self._world.act("komodod", sync.cause)
        bind_contextvars(op_id=act.op_id)
        if (lost := observing.lost(sync, LOST_CHECKS)) is not None:
            await self._commit(claim, lambda whole: observing.failed(act, claim.token, whole, lost))
            return
        try:
            observation = await self._use(sync, _observe)
        except Exception as error:  # noqa: BLE001  whatever a source raises, the state is unknown and the sync failing
            reason = self._explain(sync, error, "check_failed")
            await self._commit(claim, lambda whole: observing.failed(self._now(act), claim.token, whole, reason))
            return
        await self._commit(claim, lambda whole: observing.observed(self._now(act), claim.token, whole, observation))

    async def _commit(self, claim: Claim[Sync], decide: Callable[[Aggregate], Batch]) -> None:
        """Commit what a look found, unless the sync is no longer what was looked at (design D2)."""
        whole = await self._world.storage.load_aggregate(claim.row.id)
        try:
            if whole is not None and whole.sync.generation == claim.row.generation:
                # The row as claimed: a wish that came while we looked was not carried out by this look.
                await self._world.storage.commit(decide(replace(whole, sync=claim.row)))
                return
        except Conflict:
            pass  # overtaken between the look at the row and the commit: the same as before it
        self._world.log.info("check_overtaken", sync=claim.row.name)
        await self._give_up(claim)

    async def _apply(self, claim: Claim[Sync], request: ApplyRequest) -> None:
        world, act = self._world, self._world.act(request.actor, request.op_id)
        bind_contextvars(op_id=act.op_id)
        if request.starts >= LOST_CHECKS:
            error = f"{request.starts} applies in a row did not live to tell; see the log of the time"
            batch = observing.apply_failed(act, claim.token, claim.row, error)
            await self._finish(act, claim, batch, claim.row, error)
            return
        sync, intent = observing.apply_started(act, claim.token, claim.row, request)
        try:
            await world.storage.commit(intent)
        except Conflict:
            await self._give_up(claim)
            return
        try:
            outcome = await self._use(sync, lambda source: _apply(source, force=request.force))
        except Exception as raised:  # noqa: BLE001  whatever a source raises, the apply is not done
            error = self._explain(sync, raised, "apply_failed")
            batch = observing.apply_failed(self._now(act), claim.token, sync, error)
            await self._finish(act, claim, batch, sync, f"failed: {error}")
            return
        world.log.info("sync_applied", sync=sync.name, summary=outcome.summary)
        batch = observing.applied(self._now(act), claim.token, sync, outcome)
        await self._finish(act, claim, batch, sync, outcome.summary)

    async def _finish(self, act: Act, claim: Claim[Sync], batch: Batch, sync: Sync, outcome: str) -> None:
        """Commit the end of an apply; if the sync changed meanwhile, only tell of it (design D6)."""
        try:
            await self._world.storage.commit(batch)
        except Conflict:
            await self._discard(act, claim, sync, outcome)

    async def _discard(self, act: Act, claim: Claim[Sync], sync: Sync, outcome: str) -> None:
        """Tell of an apply whose sync changed meanwhile, and have looked at what it has become."""
        while True:
            told = observing.discarded(self._now(act), sync, outcome)
            now = await self._world.storage.get_sync(sync.id)
            rest = Batch() if now is None else observing.carried_out(self._now(act), claim.token, now)
            try:
                await self._world.storage.commit(told + rest)
            except Conflict as conflict:
                if isinstance(conflict.expectation, LeaseHeld):  # deleted, or somebody else's by now
                    await self._world.storage.commit(told)
                    return
            else:
                return

    async def _use(self, sync: Sync, ask: Callable[[Source], Coroutine[Any, Any, T]]) -> T:
        """Build the source, ask it, and close it whatever happens; all within the sync's time-out."""

        async def work() -> T:
            source = self._source_of(sync)
            try:
                await source.open()
                return await ask(source)
            finally:
                await source.close()

        return await guarded(work(), sync.spec.timeout, grace=GRACE)

    async def _give_up(self, claim: Claim[Sync]) -> None:
        """Let go of a claim that was overtaken, and have the sync checked at once if it still exists."""
        try:
            await self._world.storage.commit(observing.overtaken(claim.token, claim.row))
        except Conflict:
            return  # deleted, or somebody else's by now: nothing is left to let go of

    def _explain(self, sync: Sync, error: Exception, event: str) -> str:
        """Return what to tell people; a fault that nobody raised on purpose is logged with its traceback."""
        words = self._world.words(error)
        if isinstance(error, KomododError):
            self._world.log.warning(event, sync=sync.name, error=words)
        else:
            self._world.log.error(event, sync=sync.name, exc_info=error)
        return words

    def _now(self, act: Act) -> Act:
        """Return the operation at the present moment: a check can take minutes, and a reload can come in between."""
        return replace(act, now=self._world.clock.now(), rules=self._world.rules)


async def _observe(source: Source) -> Observation:
    return _meant(await source.observe(), Observation)


async def _apply(source: Source, *, force: bool) -> Applied:
    return _meant(await source.apply(force=force), Applied)


def _meant(answer: object, kind: type[T]) -> T:
    """Return what a source answered, if it is what its contract says."""
    if not isinstance(answer, kind):
        raise SourceError(f"its source returned {type(answer).__name__} instead of {kind.__name__}: mend the plugin")
    return answer
