"""The writes that are about syncs and their alerts, and what the store forbids among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from komodod.model import Aggregate, AlertKind, Changes
from komodod.storage import (
    AlertFilter,
    DeleteSync,
    Link,
    PutAlert,
    PutChanges,
    PutSync,
    RequestCheck,
    SyncFilter,
)
from komodod.testing.samples import complete
from komodod.testing.storage_contract.stage import Bench, scenario
from komodod.testing.storage_contract.values import after, alert, ident, pending, resolved, showing, shown, sync

if TYPE_CHECKING:
    from komodod.testing.storage_contract.stage import Stage

FAILED, PENDING = AlertKind.FAILED, AlertKind.PENDING


class Syncs(Bench):
    """PutSync, PutChanges, RequestCheck, DeleteSync, PutAlert."""

    @scenario
    async def test_a_put_replaces_the_row_but_keeps_the_requests(self, on: Stage) -> None:
        await on.commit(PutSync(sync(requests=3)))
        await on.commit(RequestCheck(sync().id), PutSync(sync(generation=2, requests=0, requests_seen=3)))
        assert await on.storage.get_sync(sync().id) == sync(generation=2, requests=4, requests_seen=3)

    @scenario
    async def test_a_put_leaves_the_lease_alone(self, on: Stage) -> None:
        await on.commit(PutSync(sync(next_check_at=on.now)))
        await on.storage.claim_checks("w", 30, 9)
        await on.commit(PutSync(sync(generation=2, next_check_at=on.now)))
        assert await on.storage.claim_checks("v", 30, 9) == ()

    @scenario
    async def test_two_syncs_cannot_have_one_name(self, on: Stage) -> None:
        await on.commit(PutSync(sync("web")), PutSync(sync("db")))
        taken, renamed = PutSync(sync("web", id=ident("other"))), PutSync(sync("db", name="web"))
        assert await on.refused(taken) == taken
        assert await on.refused(renamed) == renamed

    @scenario
    async def test_a_sync_is_found_by_its_new_name_after_an_edit(self, on: Stage) -> None:
        await on.commit(PutSync(sync("web")))
        await on.commit(PutSync(sync("web", name="WEB")))
        assert await on.storage.find_sync("web") is None
        assert await on.storage.find_sync("WEB") == sync("web", name="WEB")

    @scenario
    async def test_requests_for_a_check_are_counted_and_expect_nothing(self, on: Stage) -> None:
        await on.commit(PutSync(sync()))
        await on.commit(RequestCheck(sync().id), RequestCheck(sync().id), RequestCheck(ident("nobody")))
        assert await on.storage.get_sync(sync().id) == sync(requests=2)
        assert await on.storage.get_sync(ident("nobody")) is None

    @scenario
    async def test_stored_changes_are_replaced_as_a_whole(self, on: Stage) -> None:
        await on.commit(PutSync(sync()))
        assert await on.storage.get_changes(sync().id) == Changes()
        await on.commit(PutChanges(sync().id, complete(Changes)))
        assert await on.storage.get_changes(sync().id) == complete(Changes)
        await on.commit(PutChanges(sync().id, Changes(omitted=2)))
        assert await on.storage.get_changes(sync().id) == Changes(omitted=2)

    @scenario
    async def test_a_sync_that_is_gone_has_no_changes_and_takes_none(self, on: Stage) -> None:
        write = PutChanges(ident("nobody"), Changes())
        assert await on.refused(write) == write
        assert await on.storage.get_changes(ident("nobody")) == Changes()

    @scenario
    async def test_a_delete_takes_the_row_its_changes_and_its_lease(self, on: Stage) -> None:
        await on.commit(PutSync(sync(next_check_at=on.now)), PutChanges(sync().id, complete(Changes)))
        await on.storage.claim_checks("w", 30, 9)
        await on.commit(DeleteSync(sync().id))
        assert await on.dump() == {name: [] for name in await on.dump()}
        await on.commit(PutSync(sync(next_check_at=on.now)))
        assert await on.storage.get_changes(sync().id) == Changes()
        assert len(await on.storage.claim_checks("w", 30, 9)) == 1

    @scenario
    async def test_deleting_what_is_gone_does_nothing(self, on: Stage) -> None:
        await on.commit(DeleteSync(ident("nobody")))
        assert (await on.storage.list_syncs(SyncFilter())).items == ()

    @scenario
    async def test_a_sync_with_an_open_alert_cannot_be_deleted(self, on: Stage) -> None:
        await on.commit(*pending())
        write = DeleteSync(sync().id)
        assert await on.refused(write) == write

    @scenario
    async def test_a_delete_resolves_first_and_leaves_the_history(self, on: Stage) -> None:
        await on.commit(*pending())
        await on.commit(PutAlert(resolved(sync())), DeleteSync(sync().id))
        assert await on.storage.get_sync(sync().id) is None
        assert await on.storage.get_alert(alert(sync()).id) == resolved(sync())
        members = await on.storage.load_members([shown(alert(sync()))])
        assert members[shown(alert(sync()))].last == resolved(sync())

    @scenario
    async def test_an_open_alert_needs_its_live_sync(self, on: Stage) -> None:
        write = PutAlert(alert(sync()))
        assert await on.refused(write) == write
        await on.commit(PutAlert(resolved(sync())))
        assert await on.refused(write) == write

    @scenario
    async def test_one_alert_of_a_kind_is_open_at_a_time(self, on: Stage) -> None:
        await on.commit(*pending(), PutSync(sync("db")))
        twin = PutAlert(alert(sync(), id=ident("twin")))
        assert await on.refused(twin) == twin
        await on.commit(PutAlert(alert(sync(), FAILED)), PutAlert(alert(sync("db"))))
        await on.commit(PutAlert(resolved(sync(), id=ident("twin"))))
        assert await on.refused(twin) == twin
        await on.commit(PutAlert(resolved(sync())), twin)

    @scenario
    async def test_an_alert_is_replaced_whole_and_may_open_again(self, on: Stage) -> None:
        await on.commit(*pending())
        await on.commit(PutAlert(resolved(sync(), summary="gone", reason="in step")))
        assert await on.storage.get_alert(alert(sync()).id) == resolved(sync(), summary="gone", reason="in step")
        await on.commit(PutAlert(alert(sync(), changes=4)))
        assert await on.storage.get_alert(alert(sync()).id) == alert(sync(), changes=4)
        members = await on.storage.load_members([shown(alert(sync()))])
        assert members[shown(alert(sync()))].open == (alert(sync(), changes=4),)

    @scenario
    async def test_an_aggregate_is_a_sync_and_its_open_alerts_by_kind(self, on: Stage) -> None:
        await on.commit(PutSync(sync()), PutSync(sync("db")), PutAlert(alert(sync("db"))))
        await on.commit(PutAlert(alert(sync(), PENDING)), PutAlert(alert(sync(), FAILED)))
        await on.commit(PutAlert(resolved(sync(), AlertKind.UNCONVERGED)))
        found = await on.storage.load_aggregate(sync().id)
        assert found == Aggregate(sync=sync(), alerts=(alert(sync(), FAILED), alert(sync(), PENDING)))
        assert await on.storage.load_aggregate(ident("nobody")) is None

    @scenario
    async def test_a_row_that_was_read_does_not_change_afterwards(self, on: Stage) -> None:
        await on.commit(*pending())
        row = await on.storage.get_sync(sync().id)
        page = await on.storage.list_alerts(AlertFilter())
        await on.commit(PutSync(sync(generation=2)), PutAlert(resolved(sync(), at=after(1))))
        assert row is not None
        assert row.generation == 1
        assert page.items == (alert(sync()),)

    @scenario
    async def test_an_alert_that_is_nowhere_cannot_be_linked(self, on: Stage) -> None:
        await on.commit(PutSync(sync()))
        write = showing(alert(sync()))
        assert isinstance(write, Link)
        assert await on.refused(write) == write
