"""The writes that are about notifications: links, marks, doubts (design D4 and D5)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from komodod.model import Members, Notification, Shown
from komodod.storage import (
    Confess,
    DropDoubt,
    DropNotification,
    MarkDirty,
    NotificationFilter,
    PutAlert,
    PutDoubt,
    PutNotification,
    PutSync,
    Touch,
    Unlink,
    notification_id,
)
from komodod.testing.samples import complete
from komodod.testing.storage_contract.stage import Bench, scenario
from komodod.testing.storage_contract.values import (
    after,
    alert,
    doubt,
    ident,
    pending,
    resolved,
    showing,
    shown,
    sync,
)

if TYPE_CHECKING:
    from typing import Any

    from komodod.model import Doubt
    from komodod.testing.storage_contract.stage import Stage

ALERT = alert(sync())
ROW = shown(ALERT)


def row(version: int = 1, **fields: Any) -> Notification:
    """Return the notification that `pending` makes."""
    return Notification(id=ROW, notifier="ops", group=sync().id, title="web", version=version, **fields)


async def _read(on: Stage, row_id: str = ROW) -> Notification:
    found = await on.storage.get_notification(row_id)
    assert found is not None
    return found


async def _doubts(on: Stage) -> tuple[Doubt, ...]:
    return (await _read(on)).doubts


class Notifications(Bench):
    """Link, Unlink, Touch, MarkDirty, PutNotification, PutDoubt, DropDoubt, Confess, DropNotification."""

    @scenario
    async def test_a_link_makes_the_notification_and_marks_it(self, on: Stage) -> None:
        await on.commit(*pending())
        assert await _read(on) == row(due_at=on.now)
        assert (await on.storage.load_members([ROW]))[ROW] == Members(open=(ALERT,))

    @scenario
    async def test_a_link_to_what_is_there_keeps_the_row_and_marks_it(self, on: Stage) -> None:
        await on.commit(*pending(), PutNotification(row(observed=1, state=Shown.SHOWN)))
        await on.commit(dataclasses.replace(showing(ALERT), title="renamed"))
        assert await _read(on) == row(2, observed=1, state=Shown.SHOWN, due_at=on.now)

    @scenario
    async def test_an_unlink_takes_the_alert_away_and_marks(self, on: Stage) -> None:
        await on.commit(*pending(), PutNotification(row(observed=1)))
        await on.commit(Unlink(ALERT.id, ROW))
        assert (await on.storage.load_members([ROW]))[ROW] == Members()
        assert await _read(on) == row(2, observed=1, due_at=on.now)

    @scenario
    async def test_a_touch_marks_all_that_show_the_alert_and_no_other(self, on: Stage) -> None:
        await on.commit(*pending(), showing(ALERT, "pager"), *pending("db"))
        await on.commit(Touch(ALERT.id), Touch(ident("nobody")))
        versions = {row.notifier + row.title: row.version for row in (await _list(on))}
        assert versions == {"opsweb": 2, "pagerweb": 2, "opsdb": 1}

    @scenario
    async def test_a_mark_counts_the_version_and_makes_it_due(self, on: Stage) -> None:
        await on.commit(*pending(), PutNotification(row(observed=1)))
        assert (await _read(on)).due_at is None
        await on.commit(MarkDirty(ROW), MarkDirty(ROW), MarkDirty(ident("nobody")))
        assert await _read(on) == row(3, observed=1, due_at=on.now)
        assert len(await _list(on)) == 1

    @scenario
    async def test_a_mark_brings_a_later_due_time_forward_and_keeps_an_earlier_one(self, on: Stage) -> None:
        await on.commit(*pending(), PutNotification(row(due_at=after(60))), MarkDirty(ROW))
        assert (await _read(on)).due_at == on.now
        on.clock.jump(30)
        await on.commit(MarkDirty(ROW))
        assert (await _read(on)).due_at == after(0)

    @scenario
    async def test_a_result_replaces_the_row_but_not_version_and_doubts(self, on: Stage) -> None:
        await on.commit(*pending(), PutDoubt(ROW, doubt()))
        wrong = {"doubts": (doubt("other"),), "version": 1}
        new = complete(Notification, id=ROW, notifier="ops", group=sync().id, **wrong)
        await on.commit(PutNotification(new))
        assert await _read(on) == dataclasses.replace(new, doubts=(doubt(),))

    @scenario
    async def test_a_mark_after_the_claim_outlives_the_result(self, on: Stage) -> None:
        await on.commit(*pending())
        [claim] = await on.storage.claim_notifications("w", 30, 1)
        on.clock.jump(5)
        await on.commit(MarkDirty(ROW))
        done = dataclasses.replace(claim.row, observed=claim.row.version, state=Shown.SHOWN, due_at=None)
        on.clock.jump(5)
        await on.commit(PutNotification(done))
        assert await _read(on) == row(2, observed=1, state=Shown.SHOWN, due_at=on.now)

    @scenario
    async def test_a_result_for_what_is_gone_does_nothing(self, on: Stage) -> None:
        await on.commit(PutNotification(row()), PutDoubt(ROW, doubt()), DropDoubt(ROW, "key", 9), Unlink(ALERT.id, ROW))
        assert await _list(on) == ()

    @scenario
    async def test_doubts_are_kept_per_key_and_in_their_order(self, on: Stage) -> None:
        await on.commit(*pending())
        await on.commit(PutDoubt(ROW, doubt("b")), PutDoubt(ROW, doubt("a", 7)))
        assert await _doubts(on) == (doubt("a", 7), doubt("b"))

    @scenario
    async def test_a_doubt_keeps_all_that_is_known(self, on: Stage) -> None:
        full = complete(type(doubt()))
        await on.commit(*pending(), PutDoubt(ROW, full))
        assert await _doubts(on) == (full,)

    @scenario
    async def test_a_newer_doubt_replaces_an_older_one(self, on: Stage) -> None:
        await on.commit(*pending(), PutDoubt(ROW, doubt(version=3, searched=1)))
        for version in (3, 4):
            newer = doubt(version=version, until=after(version), receipt={"ts": version})
            await on.commit(PutDoubt(ROW, newer))
            assert await _doubts(on) == (newer,)

    @scenario
    async def test_an_older_doubt_only_raises_until(self, on: Stage) -> None:
        newer = doubt(version=3, until=after(60), receipt="r", sequence=2)
        await on.commit(*pending(), PutDoubt(ROW, newer))
        await on.commit(PutDoubt(ROW, doubt(version=2, until=after(30))))
        assert await _doubts(on) == (newer,)
        await on.commit(PutDoubt(ROW, doubt(version=2, until=after(90))))
        assert await _doubts(on) == (dataclasses.replace(newer, until=after(90)),)

    @scenario
    async def test_a_doubt_that_came_later_is_not_dropped(self, on: Stage) -> None:
        await on.commit(*pending(), PutDoubt(ROW, doubt(version=3)), PutDoubt(ROW, doubt("other", 1)))
        await on.commit(DropDoubt(ROW, "key", 2))
        assert await _doubts(on) == (doubt(version=3), doubt("other", 1))
        await on.commit(DropDoubt(ROW, "key", 3))
        assert await _doubts(on) == (doubt("other", 1),)

    @scenario
    async def test_a_confession_marks_and_adds_the_doubt_at_the_new_version(self, on: Stage) -> None:
        await on.commit(*pending(), PutNotification(row(observed=1, state=Shown.SHOWN)))
        await on.commit(Confess("ops", sync().id, "ignored", doubt(version=99)))
        expected = row(2, observed=1, state=Shown.SHOWN, due_at=on.now, doubts=(doubt(version=2),))
        assert await _read(on) == expected

    @scenario
    async def test_a_confession_makes_the_notification_that_is_gone(self, on: Stage) -> None:
        await on.commit(Confess("ops", sync().id, "web", doubt(version=99)))
        assert await _read(on) == row(1, due_at=on.now, doubts=(doubt(version=1),))

    @scenario
    async def test_a_result_claimed_before_a_confession_cannot_erase_it(self, on: Stage) -> None:
        await on.commit(*pending())
        [claim] = await on.storage.claim_notifications("w", 30, 1)
        await on.commit(Confess("ops", sync().id, "web", doubt()))
        await on.commit(DropDoubt(ROW, "key", claim.row.version))
        assert await _doubts(on) == (doubt(version=2),)

    @scenario
    async def test_a_drop_takes_links_doubts_and_lease(self, on: Stage) -> None:
        await on.commit(*pending(), PutDoubt(ROW, doubt()))
        await on.storage.claim_notifications("w", 30, 1)
        await on.commit(DropNotification(ROW), DropNotification(ident("nobody")))
        assert await _list(on) == ()
        await on.commit(Confess("ops", sync().id, "web", doubt("new")))
        assert (await on.storage.load_members([ROW]))[ROW] == Members()
        assert await _doubts(on) == (doubt("new"),)
        assert len(await on.storage.claim_notifications("w", 30, 1)) == 1

    @scenario
    async def test_members_are_the_open_ones_oldest_first_and_the_last_resolved(self, on: Stage) -> None:
        await on.commit(*pending())
        kinds = [kind for kind in type(ALERT.kind) if kind is not ALERT.kind]
        old = [resolved(sync(), kinds[0], after(at), id=ident(f"old{at}")) for at in (5, 9, 7)]
        late, early = alert(sync(), kinds[1], opened_at=after(-1)), alert(sync(), kinds[2], opened_at=after(-2))
        for row in (*old, late, early):
            await on.commit(PutAlert(row), showing(row))
        members = await on.storage.load_members([ROW, ident("nobody")])
        assert members == {ROW: Members(open=(early, late, ALERT), last=old[1]), ident("nobody"): Members()}

    @scenario
    async def test_members_follow_an_alert_that_is_resolved(self, on: Stage) -> None:
        await on.commit(*pending(), PutSync(sync("db")))
        await on.commit(PutAlert(resolved(sync(), at=after(3))))
        assert (await on.storage.load_members([ROW]))[ROW] == Members(last=resolved(sync(), at=after(3)))

    @scenario
    async def test_a_pair_of_notifier_and_group_is_one_notification(self, on: Stage) -> None:
        await on.commit(*pending(), PutSync(sync("db")), PutAlert(alert(sync("db"))))
        await on.commit(dataclasses.replace(showing(alert(sync("db"))), group=sync().id))
        assert [row.id for row in await _list(on)] == [notification_id("ops", sync().id)]
        assert len((await on.storage.load_members([ROW]))[ROW].open) == 2


async def _list(on: Stage) -> tuple[Notification, ...]:
    return (await on.storage.list_notifications(NotificationFilter())).items
