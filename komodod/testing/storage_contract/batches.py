"""A batch is one thing: whole or nothing, in order, against all others."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from komodod.errors import Conflict
from komodod.model import Changes, HookCallState, Sync
from komodod.storage import (
    AppendEvent,
    Batch,
    Confess,
    DeleteSync,
    DropDoubt,
    DropHookCall,
    DropNotification,
    LeaseHeld,
    MarkDirty,
    PutAlert,
    PutChanges,
    PutDoubt,
    PutHookCall,
    PutSync,
    Release,
    RequestCheck,
    SyncAt,
    Touch,
    Unlink,
    Work,
    notification_id,
)
from komodod.testing.samples import complete
from komodod.testing.storage_contract.stage import Bench, scenario
from komodod.testing.storage_contract.values import (
    alert,
    call,
    doubt,
    event,
    ident,
    owed,
    pending,
    resolved,
    showing,
    shown,
    sync,
)

if TYPE_CHECKING:
    from komodod.storage import Write
    from komodod.testing.storage_contract.stage import Stage

ALERT = alert(sync())
NOTIFICATION, CALL = shown(ALERT), call(event())


async def _furnish(on: Stage) -> None:
    """Put something there that every write can change."""
    await on.commit(*pending(), *owed(), PutDoubt(NOTIFICATION, doubt()), RequestCheck(sync().id))
    await on.commit(PutSync(sync("spare")), PutChanges(ident("spare"), complete(Changes)))
    await on.storage.claim_checks("w", 30, 9)


def _everything() -> tuple[Write, ...]:
    """Return one of each write, each of which changes what `_furnish` left."""
    row = notification_id("ops", sync().id)
    return (
        PutSync(sync("new")),
        PutChanges(sync().id, complete(Changes)),
        RequestCheck(sync().id),
        DeleteSync(ident("spare")),
        PutAlert(resolved(sync())),
        showing(ALERT, "pager"),
        Touch(ALERT.id),
        MarkDirty(row),
        DropDoubt(row, "key", 9),
        PutDoubt(row, doubt("another")),
        Confess("mail", "g", "t", doubt("third")),
        Unlink(ALERT.id, row),
        DropNotification(row),
        *owed("newer", "log"),
        PutHookCall(dataclasses.replace(CALL, state=HookCallState.DEAD)),
        DropHookCall(CALL.id),
        Release(Work.CHECK, sync().id),
    )


class Batches(Bench):
    """What holds for every batch, whatever is in it."""

    @scenario
    async def test_a_conflict_at_the_end_undoes_every_write_before_it(self, on: Stage) -> None:
        await _furnish(on)
        last = PutSync(sync("new", id=ident("another")))
        assert await on.refused(*_everything(), last) == last

    @scenario
    async def test_a_conflict_after_any_of_the_writes_undoes_those_before_it(self, on: Stage) -> None:
        await _furnish(on)
        wrong = PutChanges(ident("nobody"), Changes())
        writes = _everything()
        for number in range(1, len(writes) + 1):
            assert await on.refused(*writes[:number], wrong, writes[0]) == wrong

    @scenario
    async def test_nothing_is_written_where_an_expectation_fails(self, on: Stage) -> None:
        await _furnish(on)
        wrong = SyncAt(sync().id, 99)
        assert await on.refused(*_everything(), expect=wrong) == wrong

    @scenario
    async def test_writes_are_applied_in_their_order(self, on: Stage) -> None:
        await on.commit(PutSync(sync("old", name="web")))
        await on.commit(DeleteSync(ident("old")), PutSync(sync("new", name="web")))
        assert (await on.storage.find_sync("web") or sync()).id == ident("new")
        assert await on.refused(PutSync(sync("newer", name="web")), DeleteSync(ident("new")))

    @scenario
    async def test_an_empty_batch_is_taken(self, on: Stage) -> None:
        await on.commit()
        assert await on.dump() == {name: [] for name in await on.dump()}

    @scenario
    async def test_of_many_commits_at_one_generation_one_wins(self, on: Stage) -> None:
        await on.commit(PutSync(sync()))

        async def bump(pending: int) -> bool:
            batch = Batch((SyncAt(sync().id, 1),), (PutSync(sync(generation=2, pending=pending)),))
            try:
                await on.storage.commit(batch)
            except Conflict:
                return False
            return True

        won = await asyncio.gather(*(bump(number) for number in range(20)))
        assert won.count(True) == 1
        row = await on.storage.get_sync(sync().id)
        assert row == sync(generation=2, pending=won.index(True))

    @scenario
    async def test_one_refused_batch_does_not_touch_its_neighbours(self, on: Stage) -> None:
        batches = [Batch(writes=(PutSync(sync(f"s{number // 2}", id=ident(str(number)))),)) for number in range(20)]
        results = await asyncio.gather(*map(on.storage.commit, batches), return_exceptions=True)
        assert [isinstance(result, Conflict) for result in results] == [False, True] * 10
        rows: list[Sync | None] = [await on.storage.find_sync(f"s{number}") for number in range(10)]
        assert [row and row.id for row in rows] == [ident(str(number)) for number in range(0, 20, 2)]

    @scenario
    async def test_what_was_committed_is_there_after_a_restart(self, on: Stage) -> None:
        await _furnish(on)
        before, epoch = await on.dump(), on.storage.epoch
        await on.commit(Release(Work.CHECK, sync().id))
        await on.reopen()
        assert await on.dump() == before | {"leases": []}
        assert on.storage.epoch == epoch

    @scenario
    async def test_a_commit_is_seen_by_every_read_after_it(self, on: Stage) -> None:
        for number in range(20):
            await on.commit(PutSync(sync(generation=number)))
            row = await on.storage.get_sync(sync().id)
            assert row is not None
            assert row.generation == number

    @scenario
    async def test_a_lease_under_another_token_refuses_a_late_result(self, on: Stage) -> None:
        await _furnish(on)
        stale = LeaseHeld(Work.CHECK, sync().id, ident("stale"))
        assert await on.refused(PutSync(sync(pending=9)), AppendEvent(event("late")), expect=stale) == stale

    @scenario
    async def test_an_epoch_is_eight_hex_digits(self, on: Stage) -> None:
        assert len(on.storage.epoch) == 8
        assert int(on.storage.epoch, 16) >= 0

    @scenario
    async def test_a_store_that_can_write_answers_a_ping(self, on: Stage) -> None:
        before = await on.dump()
        await on.storage.ping()
        assert await on.dump() == before

    @scenario
    async def test_closing_twice_is_safe(self, on: Stage) -> None:
        await on.commit(PutSync(sync()))
        await on.storage.close()
        await on.reopen()
        assert await on.storage.get_sync(sync().id) == sync()

    @scenario
    async def test_a_change_wakes_who_waits_and_none_is_lost(self, on: Stage) -> None:
        seen = on.storage.ticks()
        waiter = asyncio.ensure_future(on.storage.changed(seen))
        await asyncio.sleep(0)
        assert not waiter.done()
        await on.commit(PutSync(sync()))
        async with asyncio.timeout(30):
            await waiter
            await on.storage.changed(seen)  # what came before the call wakes it too
        assert on.storage.ticks() > seen
