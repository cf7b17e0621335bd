"""Every write under a sync expects the generation that was read: whoever comes late writes nothing (design D2)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from komodod.engine.decisions import observing, repairing, syncing
from komodod.engine.decisions.acting import Act, Rules
from komodod.errors import Conflict
from komodod.model import Aggregate, Applied, ApplyRequest, Observation, Origin, Spec, Sync
from komodod.storage import Batch, PutSync
from komodod.testing import SimulatedClock, run
from komodod.testing.dump import dump
from komodod.testing.fakes import change, fake_context
from komodod.testing.memory import MemoryConfig, MemoryStorage

Decision = Callable[[Act, str, Aggregate], Batch | None]


def request(act: Act) -> ApplyRequest:
    return ApplyRequest(op_id=act.op_id, actor="tester", at=act.now)


LATE: dict[str, Decision] = {
    "an observation": lambda act, token, whole: observing.observed(
        act, token, whole, Observation(changes=(change("a"),))
    ),
    "a failed check": lambda act, token, whole: observing.failed(act, token, whole, "unreachable"),
    "the start of an apply": lambda act, token, whole: observing.apply_started(act, token, whole.sync, request(act))[1],
    "an apply": lambda act, token, whole: observing.applied(act, token, whole.sync, Applied()),
    "a failed apply": lambda act, token, whole: observing.apply_failed(act, token, whole.sync, "no space"),
    "an edit": lambda act, _, whole: syncing.edited(act, whole, {}, Spec(source={"type": "other"})),
    "a pause": lambda act, _, whole: syncing.paused(act, whole),
    "a wish to apply": lambda act, _, whole: syncing.apply_requested(act, whole.sync, force=False),
    "a delete": lambda act, _, whole: syncing.deleted(act, whole, "asked for"),
    "a repair": lambda act, _, whole: repairing.mismatch(act, whole),
}


async def claimed(store: MemoryStorage, act: Act) -> tuple[str, Aggregate]:
    await store.commit(syncing.created(act, "web", Spec(source={"type": "fake"}), Origin.API))
    (claim,) = await store.claim_checks("worker", 60.0, 1)
    whole = await store.load_aggregate(claim.row.id)
    assert whole is not None
    return claim.token, whole


def bump(sync: Sync, act: Act) -> Batch:
    return Batch((), (PutSync(syncing.bumped(act, sync)),))


@pytest.mark.parametrize("late", LATE)
def test_what_was_decided_on_an_older_generation_is_refused_whole(late: str) -> None:
    async def main() -> None:
        clock = SimulatedClock()
        store = MemoryStorage(MemoryConfig(), fake_context("store", clock))
        ids = iter(range(1000))
        act = Act(
            now=clock.now(),
            op_id="op",
            actor="tester",
            rules=Rules(),
            new_id=lambda: str(next(ids)),
            rng=random.Random(0),
        )
        token, whole = await claimed(store, act)
        batch = LATE[late](act, token, whole)
        assert batch is not None
        await store.commit(bump(whole.sync, act))
        before = await dump(store)
        with pytest.raises(Conflict):
            await store.commit(batch)
        assert await dump(store) == before

    run(main())
