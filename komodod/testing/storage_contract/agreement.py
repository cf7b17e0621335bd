"""The same random work on a store and on `MemoryStorage`: the same outcomes, the same rows."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import TYPE_CHECKING, Any

import structlog

from komodod.context import Context
from komodod.errors import Conflict
from komodod.storage import Batch, LeaseHeld, Stored, Work
from komodod.testing.dump import dump
from komodod.testing.memory import MemoryConfig, MemoryStorage
from komodod.testing.storage_contract.chance import Chance
from komodod.testing.storage_contract.stage import Bench, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from komodod.model import Json
    from komodod.storage import Claim, Storage

PLUGINS = ("git", "log")
SEEDS, STEPS = 12, 80


class Agreement(Bench):
    """Outcomes and rows agree with those of the store in memory, whatever is done."""

    def test_random_work_has_the_outcome_that_it_has_in_memory(self, tmp_path: Path) -> None:
        for seed in range(SEEDS):
            folder = tmp_path / str(seed)
            folder.mkdir()
            self.duel(folder, Random(seed), STEPS)  # noqa: S311  a seed that can be named, no secret

    def duel(self, folder: Path, random: Random, steps: int) -> None:
        """Do `steps` random things to a new store and to one in memory.

        Raises:
            AssertionError: they do not agree; the message holds the steps so far.
        """
        self.play(folder, lambda on: _fight(on, random, steps))


async def _fight(on: Stage, random: Random, steps: int) -> None:
    context = Context(name="memory", state_dir=on.folder, clock=on.clock, log=structlog.get_logger())
    duel = Duel(on, MemoryStorage(MemoryConfig(), context), Chance(random))
    for number in range(steps):
        try:
            await duel.step()
            if number % 20 == 19 or number == steps - 1:
                await duel.compare()
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), "after", *duel.story])) from error


class Duel:
    """Two stores and what was done to both."""

    def __init__(self, on: Stage, oracle: MemoryStorage, chance: Chance) -> None:
        self.on, self.oracle, self.chance = on, oracle, chance
        self.leases: list[tuple[Work, str, str, str]] = []
        """Work, row, the token of the store, the token of the oracle."""
        self.story: list[str] = []

    async def step(self) -> None:
        """Do one random thing to both."""
        actions = {
            self.commit: 60,
            self.claim: 20,
            self.jump: 10,
            self.renew: 3,
            self.purge: 3,
            self.restart: 1,
        }
        await self.chance.weighted(actions)()

    def tell(self, *what: object) -> None:
        """Note what is done, for the message of a failure."""
        self.story.append(" ".join(map(str, what)))

    async def commit(self) -> None:
        """Commit a random batch: both take it, or both refuse it for the same reason."""
        batch = self.chance.batch([lease[:2] for lease in self.leases])
        self.tell("commit", batch)
        ours, theirs = self._tokens(batch, 2), self._tokens(batch, 3)
        outcome, expected = await _outcome(self.on.storage, ours), await _outcome(self.oracle, theirs)
        assert outcome == expected, f"the store says {outcome}, memory {expected}"

    def _tokens(self, batch: Batch, side: int) -> Batch:
        """Return the batch with the tokens, written as numbers of leases, of one of the sides."""
        expect = [
            dataclasses.replace(each, token=self.leases[int(each.token)][side])
            if isinstance(each, LeaseHeld) and each.token.isdigit()
            else each
            for each in batch.expect
        ]
        return Batch(tuple(expect), batch.writes)

    async def claim(self) -> None:
        """Claim one kind of work: both give out the same rows in the same order."""
        worker, limit, lease = self.chance.worker(), self.chance.number(1, 4), self.chance.number(1, 60)
        work = self.chance.one(list(Work))
        self.tell("claim", work, worker, lease, limit)
        ours, theirs = [await _claim(store, work, worker, lease, limit) for store in (self.on.storage, self.oracle)]
        assert [(claim.row, claim.at) for claim in ours] == [(claim.row, claim.at) for claim in theirs]
        for one, other in zip(ours, theirs, strict=True):
            self.leases.append((work, one.row.id, one.token, other.token))

    async def jump(self) -> None:
        """Set the clock, mostly forward."""
        seconds = self.chance.number(-5, 40)
        self.tell("jump", seconds)
        self.on.clock.jump(seconds)

    async def renew(self) -> None:
        """Renew a worker's leases."""
        worker = self.chance.worker()
        self.tell("renew", worker)
        for store in (self.on.storage, self.oracle):
            await store.renew(worker, 30)

    async def purge(self) -> None:
        """Purge what is older than now."""
        self.tell("purge")
        gone = [await store.purge(self.on.now, 1000) for store in (self.on.storage, self.oracle)]
        assert gone[0] == gone[1]

    async def restart(self) -> None:
        """Close and open both; a store for more than one process keeps its leases, then the oracle does too."""
        self.tell("restart")
        await self.on.reopen()
        if not (await self.on.storage.list_leases()).items:
            await self.oracle.open()

    async def compare(self) -> None:
        """Compare everything that the two show."""
        ours, theirs = [_comparable(await dump(store)) for store in (self.on.storage, self.oracle)]
        for name, rows in theirs.items():
            assert ours[name] == rows, name
        assert await self.on.storage.counts() == await self.oracle.counts()
        assert await self.on.storage.next_due(PLUGINS) == await self.oracle.next_due(PLUGINS)
        for invariant in Stored:
            assert await self.on.storage.census(invariant) == await self.oracle.census(invariant), invariant
            found = [(await store.breaches(invariant)).items for store in (self.on.storage, self.oracle)]
            assert [b.id for b in found[0]] == [b.id for b in found[1]], invariant


async def _outcome(storage: Storage, batch: Batch) -> int | None:
    """Commit; return the number of the operation that is refused, or None."""
    try:
        await storage.commit(batch)
    except Conflict as conflict:
        return [*batch.expect, *batch.writes].index(conflict.expectation)  # type: ignore[arg-type]  # it is one of them
    return None


async def _claim(storage: Storage, work: Work, worker: str, lease: float, limit: int) -> Sequence[Claim[Any]]:
    match work:
        case Work.CHECK:
            return await storage.claim_checks(worker, lease, limit)
        case Work.NOTIFICATION:
            return await storage.claim_notifications(worker, lease, limit)
        case Work.HOOK_CALL:
            return await storage.claim_hook_calls(worker, lease, limit, PLUGINS)


def _comparable(shown: dict[str, Json]) -> dict[str, Json]:
    """Return the dump without what two equal stores need not share: tokens, and the cursors' gaps."""
    events = [row | {"cursor": number} for number, row in enumerate(shown["events"])]
    return shown | {"events": events, "leases": [row | {"token": ""} for row in shown["leases"]]}
