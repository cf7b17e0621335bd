"""Work under leases: what is due, who gets it, until when (design D9)."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

from komodod.model import HookCallState, Origin
from komodod.storage import (
    AppendEvent,
    Due,
    Lease,
    MarkDirty,
    PutHookCall,
    PutNotification,
    PutSync,
    QueueHookCall,
    Release,
    RequestCheck,
    Work,
)
from komodod.testing.storage_contract.stage import Bench, scenario
from komodod.testing.storage_contract.values import after, alert, call, event, ident, owed, pending, shown, sync

if TYPE_CHECKING:
    from komodod.model import HookCall, Notification, Sync
    from komodod.storage import Claim
    from komodod.testing.storage_contract.stage import Stage

ROW, CALL = shown(alert(sync())), call(event())
PLUGINS = ("git",)


async def _checks(on: Stage, worker: str = "w", limit: int = 9, lease: float = 30) -> tuple[Claim[Sync], ...]:
    return await on.storage.claim_checks(worker, lease, limit)


async def _messages(on: Stage, worker: str = "w", limit: int = 9, lease: float = 30) -> tuple[Claim[Notification], ...]:
    return await on.storage.claim_notifications(worker, lease, limit)


async def _duties(on: Stage, worker: str = "w", limit: int = 9, lease: float = 30) -> tuple[Claim[HookCall], ...]:
    return await on.storage.claim_hook_calls(worker, lease, limit, PLUGINS)


class Claims(Bench):
    """claim_checks, claim_notifications, claim_hook_calls, renew."""

    @scenario
    async def test_a_check_is_due_from_its_instant_on(self, on: Stage) -> None:
        await on.commit(PutSync(sync(next_check_at=after(10))), PutSync(sync("never")))
        on.clock.jump(9.999)
        assert await _checks(on) == ()
        on.clock.jump(0.001)
        [claim] = await _checks(on)
        assert claim.row == sync(next_check_at=after(10), attempts=1)
        assert claim.at == on.now

    @scenario
    async def test_a_requested_check_is_due_at_once_until_the_request_is_seen(self, on: Stage) -> None:
        await on.commit(PutSync(sync()), RequestCheck(sync().id))
        on.clock.jump(-3600)
        [claim] = await _checks(on)
        seen = dataclasses.replace(claim.row, requests_seen=claim.row.requests)
        await on.commit(PutSync(seen), Release(Work.CHECK, sync().id))
        assert await _checks(on) == ()

    @scenario
    async def test_paused_and_built_in_syncs_are_never_claimed(self, on: Stage) -> None:
        await on.commit(
            PutSync(sync("paused", paused=True, next_check_at=on.now)),
            PutSync(sync("komodod", origin=Origin.BUILTIN, next_check_at=on.now)),
            *(RequestCheck(ident(name)) for name in ("paused", "komodod")),
        )
        assert await _checks(on) == ()
        assert (await on.storage.next_due(())).checks is None

    @scenario
    async def test_what_is_due_longest_is_claimed_first(self, on: Stage) -> None:
        rows = [sync(str(at), next_check_at=after(at)) for at in (3, 1, 2)]
        await on.commit(*map(PutSync, rows))
        on.clock.jump(10)
        assert [claim.row.name for claim in await _checks(on, limit=2)] == ["1", "2"]
        assert [claim.row.name for claim in await _checks(on, limit=2)] == ["3"]

    @scenario
    async def test_notifications_and_calls_too_are_claimed_in_order_and_limited(self, on: Stage) -> None:
        of = [event(str(number)) for number in range(3)]
        for number, each in zip((3, 1, 2), of, strict=True):
            await on.commit(*pending(str(number)), AppendEvent(each))
            await on.commit(QueueHookCall(call(each, due_at=after(number), sync_name=str(number))))
            row = await on.storage.get_notification(shown(alert(sync(str(number)))))
            assert row is not None
            await on.commit(PutNotification(dataclasses.replace(row, due_at=after(number))))
        on.clock.jump(10)
        assert [claim.row.title for claim in await _messages(on, limit=2)] == ["1", "2"]
        assert [claim.row.title for claim in await _messages(on, limit=2)] == ["3"]
        assert [claim.row.sync_name for claim in await _duties(on, limit=2)] == ["1", "2"]
        assert [claim.row.sync_name for claim in await _duties(on, limit=2)] == ["3"]

    @scenario
    async def test_a_claim_of_a_check_counts_an_attempt_each_time(self, on: Stage) -> None:
        await on.commit(PutSync(sync(next_check_at=on.now)))
        for number in (1, 2):
            [claim] = await _checks(on)
            assert claim.row.attempts == number
            assert await on.storage.get_sync(sync().id) == claim.row
            on.clock.jump(30)

    @scenario
    async def test_a_claim_of_a_hook_call_counts_an_attempt_each_time(self, on: Stage) -> None:
        await on.commit(*owed())
        for number in (1, 2):
            [claim] = await _duties(on)
            assert claim.row == dataclasses.replace(CALL, attempts=number)
            assert await on.storage.get_hook_call(CALL.id) == claim.row
            on.clock.jump(30)

    @scenario
    async def test_a_claim_of_a_notification_changes_nothing_in_it(self, on: Stage) -> None:
        await on.commit(*pending())
        before = await on.storage.get_notification(ROW)
        [claim] = await _messages(on)
        assert claim.row == before
        assert await on.storage.get_notification(ROW) == before

    @scenario
    async def test_a_notification_without_a_due_time_is_not_claimed(self, on: Stage) -> None:
        await on.commit(*pending())
        row = await on.storage.get_notification(ROW)
        assert row is not None
        await on.commit(PutNotification(dataclasses.replace(row, due_at=None)))
        assert await _messages(on) == ()

    @scenario
    async def test_only_waiting_calls_of_the_named_plugins_are_claimed(self, on: Stage) -> None:
        await on.commit(*owed("a", "git"), *owed("b", "gone"), *owed("c", "git"), *owed("d", "git"))
        await on.commit(PutHookCall(call(event("c"), state=HookCallState.DEAD)))
        await on.commit(PutHookCall(call(event("d"), due_at=None)))
        assert await on.storage.claim_hook_calls("w", 30, 9, ()) == ()
        assert [claim.row.event_id for claim in await _duties(on)] == [ident("a")]
        both = await on.storage.claim_hook_calls("w", 30, 9, ["git", "gone"])
        assert [claim.row.event_id for claim in both] == [ident("b")]

    @scenario
    async def test_what_is_leased_is_not_claimed_again_before_the_lease_ends(self, on: Stage) -> None:
        await on.commit(*pending(), RequestCheck(sync().id), *owed())
        for claim in (_checks, _messages, _duties):
            [first] = await claim(on, "a")
            on.clock.jump(29)
            assert await claim(on, "b") == ()
            on.clock.jump(1)
            [second] = await claim(on, "b")
            assert second.token != first.token
        assert {lease.worker for lease in (await on.storage.list_leases()).items} == {"b"}

    @scenario
    async def test_a_released_row_can_be_claimed_at_once(self, on: Stage) -> None:
        await on.commit(PutSync(sync(next_check_at=on.now)))
        await _checks(on)
        await on.commit(Release(Work.CHECK, sync().id), Release(Work.CHECK, ident("nobody")))
        assert len(await _checks(on)) == 1

    @scenario
    async def test_every_claim_has_a_token_of_its_own(self, on: Stage) -> None:
        await on.commit(*(PutSync(sync(str(number), next_check_at=on.now)) for number in range(9)))
        assert len({claim.token for claim in await _checks(on)}) == 9

    @scenario
    async def test_two_workers_at_once_never_get_the_same_row(self, on: Stage) -> None:
        await on.commit(*(PutSync(sync(str(number), next_check_at=on.now)) for number in range(30)))
        claims = await asyncio.gather(*(_checks(on, f"w{number}", limit=4) for number in range(10)))
        rows = [claim.row.id for taken in claims for claim in taken]
        assert len(rows) == len(set(rows)) == 30

    @scenario
    async def test_renewing_prolongs_the_leases_of_this_worker_alone(self, on: Stage) -> None:
        await on.commit(*(PutSync(sync(name, next_check_at=after(at))) for at, name in enumerate("ab", -2)))
        await _checks(on, "a", limit=1)
        await _checks(on, "b", limit=1)
        on.clock.jump(20)
        await on.storage.renew("a", 30)
        leases = (await on.storage.list_leases()).items
        assert {lease.worker: lease.until for lease in leases} == {"a": after(50), "b": after(30)}
        on.clock.jump(10)
        assert [claim.row.name for claim in await _checks(on, "c")] == ["b"]

    @scenario
    async def test_a_lease_says_who_holds_what_until_when(self, on: Stage) -> None:
        await on.commit(*pending(), RequestCheck(sync().id))
        [check], [message] = await _checks(on, "a", lease=1.5), await _messages(on, "b")
        assert (await on.storage.list_leases()).items == (
            Lease(Work.CHECK, sync().id, "a", check.token, after(1.5)),
            Lease(Work.NOTIFICATION, ROW, "b", message.token, after(30)),
        )

    @scenario
    async def test_expired_leases_are_still_listed(self, on: Stage) -> None:
        await on.commit(PutSync(sync(next_check_at=on.now)))
        await _checks(on)
        on.clock.jump(31)
        assert len((await on.storage.list_leases()).items) == 1


class NextDue(Bench):
    """`Storage.next_due`: when there will be something to claim."""

    @scenario
    async def test_nothing_is_ever_due_in_an_empty_store(self, on: Stage) -> None:
        assert await on.storage.next_due(PLUGINS) == Due(on.now, None, None, None)

    @scenario
    async def test_the_earliest_of_each_kind_counts(self, on: Stage) -> None:
        await on.commit(PutSync(sync("late", next_check_at=after(9))), PutSync(sync("early", next_check_at=after(7))))
        await on.commit(*owed("a"), *owed("b"), PutHookCall(call(event("b"), due_at=after(-1))), *pending())
        on.clock.jump(2)
        assert await on.storage.next_due(PLUGINS) == Due(after(2), after(7), after(0), after(-1))

    @scenario
    async def test_a_requested_check_has_been_due_for_long(self, on: Stage) -> None:
        await on.commit(PutSync(sync(next_check_at=after(60))), RequestCheck(sync().id))
        due = (await on.storage.next_due(())).checks
        assert due is not None
        assert due <= on.now

    @scenario
    async def test_the_end_of_a_lease_counts(self, on: Stage) -> None:
        await on.commit(*pending(), RequestCheck(sync().id), *owed())
        for seconds, claim in ((10, _checks), (20, _messages), (30, _duties)):
            await claim(on, lease=seconds)
        assert await on.storage.next_due(PLUGINS) == Due(on.now, after(10), after(20), after(30))

    @scenario
    async def test_a_lease_does_not_hide_what_is_free(self, on: Stage) -> None:
        await on.commit(*(PutSync(sync(name, next_check_at=after(at))) for name, at in (("a", 0), ("b", 5))))
        await _checks(on, limit=1)
        assert (await on.storage.next_due(())).checks == after(5)
        await on.commit(PutSync(sync("b", next_check_at=after(40))))
        assert (await on.storage.next_due(())).checks == after(30)

    @scenario
    async def test_a_lease_that_ends_before_the_row_is_due_does_not_count(self, on: Stage) -> None:
        await on.commit(PutSync(sync(next_check_at=on.now)))
        await _checks(on)
        await on.commit(PutSync(sync(next_check_at=after(99))))
        assert (await on.storage.next_due(())).checks == after(99)

    @scenario
    async def test_calls_count_for_the_named_plugins_only(self, on: Stage) -> None:
        await on.commit(*owed("a", "gone"), *owed("b"), PutHookCall(call(event("b"), state=HookCallState.DEAD)))
        assert (await on.storage.next_due(PLUGINS)).hook_calls is None
        assert (await on.storage.next_due(("git", "gone"))).hook_calls == after(0)

    @scenario
    async def test_a_leased_call_that_is_done_is_not_due_again(self, on: Stage) -> None:
        await on.commit(*owed())
        await _duties(on)
        await on.commit(PutHookCall(call(event(), state=HookCallState.DONE)))
        assert (await on.storage.next_due(PLUGINS)).hook_calls is None

    @scenario
    async def test_what_is_claimable_now_is_never_announced_for_later(self, on: Stage) -> None:
        await on.commit(*pending(), RequestCheck(sync().id), *owed())
        for seconds in (0, 10, 10, 10, 10):
            on.clock.jump(seconds)
            due = await on.storage.next_due(PLUGINS)
            for at, claim in ((due.checks, _checks), (due.notifications, _messages), (due.hook_calls, _duties)):
                assert at is not None
                assert bool(await claim(on, lease=15)) == (at <= on.now)

    @scenario
    async def test_a_mark_between_looking_and_waiting_is_not_lost(self, on: Stage) -> None:
        await on.commit(*pending())
        await _messages(on)
        seen = on.storage.ticks()
        assert (await on.storage.next_due(())).notifications == on.now + timedelta(seconds=30)
        await on.commit(MarkDirty(ROW), Release(Work.NOTIFICATION, ROW))
        async with asyncio.timeout(30):
            await on.storage.changed(seen)
        assert (await on.storage.next_due(())).notifications == on.now
