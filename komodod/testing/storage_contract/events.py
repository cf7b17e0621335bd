"""Events, hook calls, and what a purge may take of the history."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from komodod.model import EventKind, HookCall, HookCallState, Shown
from komodod.storage import (
    AlertFilter,
    AppendEvent,
    Batch,
    Confess,
    DropDoubt,
    DropHookCall,
    EventFilter,
    HookCallFilter,
    MarkDirty,
    NotificationFilter,
    PutAlert,
    PutHookCall,
    PutNotification,
    PutSync,
    QueueHookCall,
    Release,
    SyncAt,
    Work,
)
from komodod.testing.samples import complete
from komodod.testing.storage_contract.stage import Bench, scenario
from komodod.testing.storage_contract.values import (
    after,
    alert,
    call,
    doubt,
    event,
    ident,
    owed,
    pending,
    resolved,
    shown,
    sync,
)

if TYPE_CHECKING:
    from datetime import datetime

    from komodod.testing.storage_contract.stage import Stage

CALL, ALERT = call(event()), alert(sync())
DONE = HookCallState.DONE


class Events(Bench):
    """AppendEvent, QueueHookCall, PutHookCall, DropHookCall."""

    @scenario
    async def test_cursors_grow_in_the_order_of_the_commits(self, on: Stage) -> None:
        for number in range(3):
            await on.commit(AppendEvent(event(f"a{number}")), AppendEvent(event(f"b{number}", at=after(-number))))
        found = await on.storage.list_events(EventFilter())
        assert [row.id for row in found] == [ident(f"{name}{number}") for number in range(3) for name in "ab"]
        cursors = [row.cursor for row in found]
        assert cursors == sorted(set(cursors))
        assert cursors[0] > 0

    @scenario
    async def test_a_refused_batch_leaves_no_event_and_at_most_a_gap(self, on: Stage) -> None:
        await on.commit(AppendEvent(event("a")))
        await on.refused(AppendEvent(event("b")), expect=SyncAt(ident("nobody"), 1))
        await on.refused(AppendEvent(event("b")), AppendEvent(event("a")))
        await on.commit(AppendEvent(event("c")))
        first, second = await on.storage.list_events(EventFilter())
        assert (first.id, second.id) == (ident("a"), ident("c"))
        assert second.cursor > first.cursor

    @scenario
    async def test_a_reader_that_follows_the_cursors_misses_nothing(self, on: Stage) -> None:
        seen: list[int] = []

        async def follow() -> None:
            while len(seen) < 40:
                found = await on.storage.list_events(EventFilter(), seen[-1] if seen else 0, 3)
                seen.extend(row.cursor for row in found)
                await asyncio.sleep(0)

        batches = [Batch(writes=(AppendEvent(event(str(number))),)) for number in range(40)]
        async with asyncio.timeout(60):
            await asyncio.gather(follow(), *map(on.storage.commit, batches))
        assert seen == [row.cursor for row in await on.storage.list_events(EventFilter())]

    @scenario
    async def test_an_event_is_appended_once(self, on: Stage) -> None:
        await on.commit(AppendEvent(event()))
        twin = AppendEvent(event(reason="again"))
        assert await on.refused(twin) == twin

    @scenario
    async def test_the_newest_events_come_first_when_asked_for(self, on: Stage) -> None:
        await on.commit(*(AppendEvent(event(str(number))) for number in range(5)))
        ordered = await on.storage.list_events(EventFilter())
        newest = await on.storage.list_recent_events(EventFilter(), limit=2)
        assert newest == ordered[:2:-1]
        assert await on.storage.list_recent_events(EventFilter(), newest[-1].cursor, 9) == ordered[2::-1]

    @scenario
    async def test_a_call_is_queued_once(self, on: Stage) -> None:
        await on.commit(*owed())
        await on.commit(QueueHookCall(call(event(), attempts=9, state=DONE)))
        assert await on.storage.get_hook_call(CALL.id) == CALL

    @scenario
    async def test_a_call_needs_its_event(self, on: Stage) -> None:
        write = QueueHookCall(call(event("nowhere")))
        assert await on.refused(write) == write

    @scenario
    async def test_a_put_replaces_the_call_but_not_its_lease(self, on: Stage) -> None:
        await on.commit(*owed())
        await on.storage.claim_hook_calls("w", 30, 9, ["git"])
        new = complete(HookCall, id=CALL.id, event_id=CALL.event_id)
        await on.commit(PutHookCall(new))
        assert await on.storage.get_hook_call(CALL.id) == new
        assert len((await on.storage.list_leases()).items) == 1

    @scenario
    async def test_a_put_of_a_call_that_is_gone_does_nothing(self, on: Stage) -> None:
        await on.commit(AppendEvent(event()), PutHookCall(CALL))
        assert await on.storage.get_hook_call(CALL.id) is None

    @scenario
    async def test_a_dropped_call_is_no_longer_owed(self, on: Stage) -> None:
        of = event(hooks=("log", "git", "mail"))
        await on.commit(AppendEvent(of), *(QueueHookCall(call(of, plugin)) for plugin in of.hooks))
        await on.storage.claim_hook_calls("w", 30, 9, ["git"])
        await on.commit(DropHookCall(CALL.id), DropHookCall(ident("nobody")))
        left = await on.storage.get_event(of.id)
        assert left is not None
        assert left.hooks == ("log", "mail")
        assert await on.storage.get_hook_call(CALL.id) is None
        assert (await on.storage.list_leases()).items == ()


async def _purge(on: Stage, before: datetime, limit: int = 100) -> int:
    total = 0
    while removed := await on.storage.purge(before, limit):
        assert removed <= limit
        total += removed
    return total


class Purge(Bench):
    """`Storage.purge`: history goes, what is open or unfinished stays."""

    @scenario
    async def test_old_resolved_alerts_go_and_newer_or_open_ones_stay(self, on: Stage) -> None:
        await on.commit(*pending())
        for name, at in (("old", 1), ("new", 2)):
            await on.commit(PutAlert(resolved(sync(), at=after(at), id=ident(name))))
        assert await _purge(on, after(2)) == 1
        left = await on.storage.list_alerts(AlertFilter(open=None))
        assert {row.id for row in left.items} == {ident("new"), ALERT.id}

    @scenario
    async def test_an_old_event_goes_together_with_its_finished_calls(self, on: Stage) -> None:
        await on.commit(*owed(), PutHookCall(dataclasses.replace(CALL, state=DONE)))
        assert await _purge(on, after(1)) == 1
        assert await on.dump() == {name: [] for name in await on.dump()}

    @scenario
    async def test_an_event_stays_while_a_call_is_unfinished(self, on: Stage) -> None:
        of = event(hooks=("git", "log"))
        await on.commit(*owed("waiting"), *owed("dead"), AppendEvent(of), QueueHookCall(call(of, "git")))
        await on.commit(QueueHookCall(call(of, "log", state=DONE)))
        await on.commit(PutHookCall(call(event("dead"), state=HookCallState.DEAD)))
        assert await _purge(on, after(1)) == 0
        assert len((await on.storage.list_hook_calls(HookCallFilter())).items) == 4

    @scenario
    async def test_an_event_of_the_very_instant_stays(self, on: Stage) -> None:
        await on.commit(AppendEvent(event(at=after(1))))
        assert await _purge(on, after(1)) == 0
        assert await _purge(on, after(1.000001)) == 1

    @scenario
    async def test_cursors_are_not_used_again_after_a_purge(self, on: Stage) -> None:
        await on.commit(AppendEvent(event("a")), AppendEvent(event("b")))
        last = (await on.storage.list_events(EventFilter()))[-1].cursor
        assert await _purge(on, after(1)) == 2
        await on.reopen()
        await on.commit(AppendEvent(event("c")))
        assert (await on.storage.list_events(EventFilter()))[0].cursor > last

    @scenario
    async def test_a_notification_at_rest_goes_once_no_alert_is_linked(self, on: Stage) -> None:
        await on.commit(*pending())
        await _settle(on)
        assert await _purge(on, after(5)) == 0
        await on.commit(PutAlert(resolved(sync(), at=after(1))))
        assert await _purge(on, after(5)) == 2
        assert (await on.storage.list_notifications(NotificationFilter())).items == ()

    @scenario
    async def test_a_notification_with_work_left_stays(self, on: Stage) -> None:
        await on.commit(Confess("ops", sync().id, "web", doubt()))
        await _settle(on)
        assert await _purge(on, after(5)) == 0
        await on.commit(DropDoubt(shown(ALERT), "key", 9))
        await _settle(on, state=Shown.SHOWN)
        assert await _purge(on, after(5)) == 0
        await _settle(on)
        await on.commit(MarkDirty(shown(ALERT)))
        assert await _purge(on, after(5)) == 0
        await _settle(on)
        assert await _purge(on, after(5)) == 1

    @scenario
    async def test_a_notification_under_a_lease_stays(self, on: Stage) -> None:
        await on.commit(Confess("ops", sync().id, "web", doubt()), DropDoubt(shown(ALERT), "key", 9))
        await on.storage.claim_notifications("w", 30, 9)
        await _settle(on)
        assert await _purge(on, after(5)) == 0
        await on.commit(Release(Work.NOTIFICATION, shown(ALERT)))
        assert await _purge(on, after(5)) == 1

    @scenario
    async def test_a_purge_goes_in_steps_of_its_limit(self, on: Stage) -> None:
        await on.commit(*(AppendEvent(event(str(number))) for number in range(5)), PutSync(sync()))
        await on.commit(PutAlert(resolved(sync())))
        steps = [await on.storage.purge(after(1), 2) for _ in range(4)]
        assert steps == [2, 2, 2, 0]
        assert await on.storage.list_events(EventFilter(kinds=frozenset(EventKind))) == ()
        assert await on.storage.get_sync(sync().id) == sync()


async def _settle(on: Stage, state: Shown = Shown.ABSENT) -> None:
    row = await on.storage.get_notification(shown(ALERT))
    assert row is not None
    await on.commit(PutNotification(dataclasses.replace(row, observed=row.version, state=state, due_at=None)))
