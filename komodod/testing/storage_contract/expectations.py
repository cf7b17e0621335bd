"""Each expectation, where it holds and where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from komodod.model import HookCallState
from komodod.storage import (
    AlertOpen,
    HookCallIn,
    Leading,
    LeaseHeld,
    NameFree,
    NotificationAt,
    PutAlert,
    PutHookCall,
    PutSync,
    Release,
    RequestCheck,
    SyncAt,
    SyncGone,
    Work,
)
from komodod.testing.storage_contract.stage import Bench, scenario
from komodod.testing.storage_contract.values import alert, call, event, ident, owed, pending, resolved, shown, sync

if TYPE_CHECKING:
    from komodod.testing.storage_contract.stage import Stage

NOTIFICATION, CALL = shown(alert(sync())), call(event())


class Expectations(Bench):
    """What a batch may expect."""

    @scenario
    async def test_a_sync_is_expected_at_its_generation(self, on: Stage) -> None:
        await on.commit(PutSync(sync(generation=7)))
        assert await on.holds(SyncAt(sync().id, 7))
        assert not await on.holds(SyncAt(sync().id, 6))
        assert not await on.holds(SyncAt(sync().id, 8))
        assert not await on.holds(SyncAt(ident("nobody"), 7))

    @scenario
    async def test_a_sync_is_expected_gone_by_its_id(self, on: Stage) -> None:
        await on.commit(PutSync(sync()))
        assert not await on.holds(SyncGone(sync().id))
        assert await on.holds(SyncGone(ident("nobody")))

    @scenario
    async def test_a_name_is_free_unless_a_sync_has_exactly_it(self, on: Stage) -> None:
        await on.commit(PutSync(sync("web%")))
        assert not await on.holds(NameFree("web%"))
        assert await on.holds(NameFree("Web%"), NameFree("web"), NameFree("web_"))

    @scenario
    async def test_an_alert_is_open_until_it_is_resolved(self, on: Stage) -> None:
        await on.commit(*pending())
        assert await on.holds(AlertOpen(alert(sync()).id))
        await on.commit(PutAlert(resolved(sync())))
        assert not await on.holds(AlertOpen(alert(sync()).id))
        assert not await on.holds(AlertOpen(ident("nobody")))

    @scenario
    async def test_a_lease_is_held_under_its_token_in_each_kind_of_work(self, on: Stage) -> None:
        await on.commit(*pending(), RequestCheck(sync().id), *owed())
        [check] = await on.storage.claim_checks("w", 30, 9)
        [message] = await on.storage.claim_notifications("w", 30, 9)
        [duty] = await on.storage.claim_hook_calls("w", 30, 9, ["git"])
        for work, claim in (
            (Work.CHECK, check),
            (Work.NOTIFICATION, message),
            (Work.HOOK_CALL, duty),
        ):
            assert await on.holds(LeaseHeld(work, claim.row.id, claim.token))
            assert not await on.holds(LeaseHeld(work, claim.row.id, ident("stranger")))
            await on.commit(Release(work, claim.row.id))
            assert not await on.holds(LeaseHeld(work, claim.row.id, claim.token))

    @scenario
    async def test_a_lease_belongs_to_its_kind_of_work(self, on: Stage) -> None:
        await on.commit(*pending(), RequestCheck(sync().id))
        [claim] = await on.storage.claim_checks("w", 30, 9)
        assert not await on.holds(LeaseHeld(Work.NOTIFICATION, claim.row.id, claim.token))

    @scenario
    async def test_an_expired_lease_counts_until_somebody_takes_over(self, on: Stage) -> None:
        await on.commit(PutSync(sync()), RequestCheck(sync().id))
        [late] = await on.storage.claim_checks("a", 30, 9)
        on.clock.jump(31)
        assert await on.holds(LeaseHeld(Work.CHECK, sync().id, late.token))
        await on.storage.claim_checks("b", 30, 9)
        assert not await on.holds(LeaseHeld(Work.CHECK, sync().id, late.token))

    @scenario
    async def test_a_notification_is_expected_at_its_version(self, on: Stage) -> None:
        await on.commit(*pending())
        assert await on.holds(NotificationAt(NOTIFICATION, 1))
        assert not await on.holds(NotificationAt(NOTIFICATION, 0))
        assert not await on.holds(NotificationAt(ident("nobody"), 1))

    @scenario
    async def test_a_claimed_notification_is_not_at_its_version(self, on: Stage) -> None:
        await on.commit(*pending())
        await on.storage.claim_notifications("w", 30, 9)
        assert not await on.holds(NotificationAt(NOTIFICATION, 1))
        on.clock.jump(30)
        assert await on.holds(NotificationAt(NOTIFICATION, 1))

    @scenario
    async def test_a_hook_call_is_expected_in_its_state(self, on: Stage) -> None:
        await on.commit(*owed())
        assert await on.holds(HookCallIn(CALL.id, HookCallState.WAITING))
        assert not await on.holds(HookCallIn(CALL.id, HookCallState.DEAD))
        assert not await on.holds(HookCallIn(ident("nobody"), HookCallState.WAITING))
        await on.commit(PutHookCall(call(event(), state=HookCallState.DEAD)))
        assert await on.holds(HookCallIn(CALL.id, HookCallState.DEAD))

    @scenario
    async def test_a_claimed_hook_call_is_in_no_state_until_its_lease_ends(self, on: Stage) -> None:
        await on.commit(*owed())
        await on.storage.claim_hook_calls("w", 30, 9, ["git"])
        assert not await on.holds(HookCallIn(CALL.id, HookCallState.WAITING))
        on.clock.jump(30)
        assert await on.holds(HookCallIn(CALL.id, HookCallState.WAITING))

    @scenario
    async def test_who_leads_a_duty_commits_under_its_token(self, on: Stage) -> None:
        lead = await on.storage.lead("pass", "a", 60)
        assert lead is not None
        assert lead.duty == "pass"
        assert await on.holds(Leading("pass", lead.token or ""))

    @scenario
    async def test_a_duty_is_led_by_one_holder_or_by_the_one_process(self, on: Stage) -> None:
        first = await on.storage.lead("pass", "a", 60)
        second = await on.storage.lead("pass", "b", 60)
        assert first is not None
        assert second is None if first.token else second == first
        assert await on.storage.lead("pass", "a", 60) is not None

    @scenario
    async def test_a_conflict_names_the_first_expectation_that_fails(self, on: Stage) -> None:
        good, bad, worse = SyncGone(ident("nobody")), SyncAt(sync().id, 1), AlertOpen(ident("nobody"))
        assert await on.refused(expect=(good, bad, worse)) == bad

    @scenario
    async def test_expectations_are_judged_before_anything_is_written(self, on: Stage) -> None:
        await on.commit(PutSync(sync()), expect=(NameFree("web"), SyncGone(sync().id)))
        assert await on.refused(PutSync(sync("other")), expect=SyncAt(ident("other"), 1)) == SyncAt(ident("other"), 1)
