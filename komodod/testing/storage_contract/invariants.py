"""The store's invariants: what breaks them is found, by the same answer as the walk in `komodod.storage.breaches`."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from komodod.model import Aggregate, AlertKind, Event, Shown
from komodod.storage import (
    AppendEvent,
    Census,
    Lease,
    MarkDirty,
    OwedCalls,
    PutAlert,
    PutDoubt,
    PutNotification,
    PutSync,
    QueueHookCall,
    Release,
    Stored,
    breaches,
)
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
    from komodod.storage import Breach
    from komodod.testing.storage_contract.stage import Stage


async def found(on: Stage, invariant: Stored) -> dict[str, Any]:
    """Return the subjects of the breaches by their ids, after comparing every way to ask for them."""
    expected = (await breaches.page(on.storage, invariant, None, 1000)).items
    assert await on.storage.census(invariant) == await breaches.census(on.storage, invariant)
    assert (await on.storage.census(invariant)).found == len(expected)
    for limit in (1, 2, len(expected) or 1, 100):
        assert await _walk(on, invariant, limit) == list(expected)
    return {breach.id: breach.subject for breach in expected}


async def _walk(on: Stage, invariant: Stored, limit: int) -> list[Breach]:
    page = await on.storage.breaches(invariant, None, limit)
    rows = list(page.items)
    while page.next is not None:
        page = await on.storage.breaches(invariant, page.next, limit)
        rows += page.items
    return rows


async def _settle(on: Stage, name: str, **fields: Any) -> str:
    """Put a sync with an open alert whose notification is shown and at rest, but for `fields`; return its id."""
    await on.commit(*pending(name))
    row = await on.storage.get_notification(shown(alert(sync(name))))
    assert row is not None
    settled: dict[str, Any] = {"observed": row.version, "state": Shown.SHOWN, "due_at": None}
    await on.commit(PutNotification(dataclasses.replace(row, **settled | fields)))
    return row.id


class Invariants(Bench):
    """`Storage.census` and `Storage.breaches`."""

    @scenario
    async def test_a_healthy_store_breaks_nothing(self, on: Stage) -> None:
        for name in "abc":
            await _settle(on, name)
            await on.commit(*owed(name))
        await on.storage.claim_hook_calls("w", 30, 2, ["git"])
        checked = {invariant: (await on.storage.census(invariant)) for invariant in Stored}
        assert [await found(on, invariant) for invariant in Stored] == [{}] * 5
        assert list(checked.values()) == [Census(3, 0), Census(3, 0), Census(3, 0), Census(2, 0), Census(3, 0)]

    @scenario
    async def test_an_open_alert_without_its_sync(self, on: Stage) -> None:
        for name in ("kept", "lost", "gone"):
            await on.commit(*pending(name))
        await on.commit(PutAlert(resolved(sync("never"))))
        for name in ("lost", "gone"):
            on.orphan(ident(name))
        orphans = [alert(sync(name)) for name in ("lost", "gone")]
        assert await found(on, Stored.OPEN_ALERT_HAS_SYNC) == {row.id: row for row in orphans}
        assert (await on.storage.census(Stored.OPEN_ALERT_HAS_SYNC)) == Census(3, 2)

    @scenario
    async def test_an_orphan_can_be_resolved(self, on: Stage) -> None:
        await on.commit(*pending())
        on.orphan(sync().id)
        await on.commit(PutAlert(resolved(sync())))
        assert await found(on, Stored.OPEN_ALERT_HAS_SYNC) == {}

    @scenario
    async def test_open_alerts_that_are_not_the_conditions_of_their_sync(self, on: Stage) -> None:
        both = frozenset({AlertKind.PENDING, AlertKind.FAILED})
        rows = [
            sync("extra"),
            sync("missing", conditions=both),
            sync("other", conditions=frozenset({AlertKind.FAILED})),
        ]
        right = sync("right", conditions=both)
        await on.commit(*map(PutSync, [*rows, right]), *(PutAlert(alert(row)) for row in [*rows, right]))
        await on.commit(PutAlert(alert(right, AlertKind.FAILED)), PutAlert(resolved(sync("missing"), AlertKind.FAILED)))
        expected = {row.id: Aggregate(sync=row, alerts=(alert(row),)) for row in rows}
        assert await found(on, Stored.OPEN_ALERT_MATCHES_STATE) == expected

    @scenario
    async def test_a_sync_without_any_alert_that_should_have_one(self, on: Stage) -> None:
        lacking = sync(conditions=frozenset({AlertKind.PENDING}))
        await on.commit(PutSync(lacking))
        assert await found(on, Stored.OPEN_ALERT_MATCHES_STATE) == {lacking.id: Aggregate(sync=lacking)}

    @scenario
    async def test_a_notification_at_rest_that_shows_the_wrong_thing(self, on: Stage) -> None:
        absent = await _settle(on, "absent", state=Shown.ABSENT)
        standing = await _settle(on, "standing")
        await on.commit(PutAlert(resolved(sync("standing"))))
        await _settle(on, "right")
        assert set(await found(on, Stored.NOTIFICATION_MATCHES_ALERTS)) == {absent, standing}

    @scenario
    async def test_a_dirty_notification_that_nothing_would_look_at(self, on: Stage) -> None:
        behind = await _settle(on, "behind", observed=0)
        doubtful = await _settle(on, "doubtful")
        await on.commit(PutDoubt(doubtful, doubt()))
        rows = await found(on, Stored.NOTIFICATION_MATCHES_ALERTS)
        assert rows == {row: await on.storage.get_notification(row) for row in (behind, doubtful)}

    @scenario
    async def test_a_notification_that_is_looked_at_later_or_given_up_is_no_breach(self, on: Stage) -> None:
        later = on.now + timedelta(hours=1)
        for name, fields in (("due", {"due_at": later}), ("dead", {"dead": 1}), ("stranded", {"stranded": True})):
            await _settle(on, name, state=Shown.ABSENT, **fields)
        leased = await _settle(on, "leased")
        await on.commit(MarkDirty(leased))
        await on.storage.claim_notifications("w", 30, 9)
        await _settle(on, "leased", state=Shown.ABSENT)
        assert await found(on, Stored.NOTIFICATION_MATCHES_ALERTS) == {}

    @scenario
    async def test_a_notification_given_up_for_an_older_version_is_a_breach(self, on: Stage) -> None:
        row = await _settle(on, "web", state=Shown.ABSENT, dead=0)
        assert set(await found(on, Stored.NOTIFICATION_MATCHES_ALERTS)) == {row}

    @scenario
    async def test_a_lease_that_has_expired(self, on: Stage) -> None:
        await on.commit(*pending("a"), *pending("b"), *owed(), PutSync(sync("c", next_check_at=on.now)))
        await on.storage.claim_checks("w", 10, 9)
        await on.storage.claim_notifications("w", 20, 9)
        await on.storage.claim_hook_calls("w", 30, 9, ["git"])
        on.clock.jump(20)
        rows = {f"{row.work}/{row.row_id}": row for row in (await on.storage.list_leases()).items}
        expired = {key: row for key, row in rows.items() if not key.startswith("hook_call/")}
        assert await found(on, Stored.NO_EXPIRED_LEASE) == expired
        for row in expired.values():
            assert isinstance(row, Lease)
            await on.commit(Release(row.work, row.row_id))
        assert await found(on, Stored.NO_EXPIRED_LEASE) == {}

    @scenario
    async def test_an_event_whose_owed_calls_are_not_all_queued(self, on: Stage) -> None:
        part = event("part", hooks=("log", "git", "mail"))
        await on.commit(AppendEvent(part), QueueHookCall(call(part)), *owed("right"), AppendEvent(event("free")))
        await on.commit(AppendEvent(event("none", hooks=("git",))))
        rows = await found(on, Stored.EVENT_HAS_HOOK_CALLS)
        assert {key: row.plugins for key, row in rows.items()} == {part.id: ("log", "mail"), ident("none"): ("git",)}
        assert rows[part.id] == OwedCalls(await _event(on, "part"), ("log", "mail"))

    @scenario
    async def test_queueing_what_is_missing_mends_it(self, on: Stage) -> None:
        await on.commit(AppendEvent(event(hooks=("git",))))
        await on.commit(QueueHookCall(call(event())))
        assert await found(on, Stored.EVENT_HAS_HOOK_CALLS) == {}

    @scenario
    async def test_looking_for_breaches_changes_nothing(self, on: Stage) -> None:
        await _settle(on, "web", state=Shown.ABSENT)
        await on.commit(showing(alert(sync()), "pager"), *owed())
        before = await on.dump()
        for invariant in Stored:
            await on.storage.census(invariant)
            await on.storage.breaches(invariant)
        assert await on.dump() == before


async def _event(on: Stage, name: str) -> Event:
    row = await on.storage.get_event(ident(name))
    assert row is not None
    return row
