"""The lists: order, pages, filters, counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from komodod.model import AlertKind, EventKind, HookCallState, Origin, Severity, Shown, Spec, SyncState
from komodod.storage import (
    AlertFilter,
    AppendEvent,
    Confess,
    Counts,
    DeleteSync,
    EventFilter,
    HookCallFilter,
    NotificationFilter,
    Page,
    PutAlert,
    PutHookCall,
    PutNotification,
    PutSync,
    SyncFilter,
)
from komodod.testing.samples import HOSTILE
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
    showing,
    shown,
    sync,
)

if TYPE_CHECKING:
    from komodod.storage import Storage
    from komodod.testing.storage_contract.stage import Stage

Read = Callable[[str | None, int], Awaitable[Page[Any]]]

GLOBS = {
    "web": {"web"},
    "w*": {"web", "w%b", "w_b", "w[eb", "w*b", "wéb"},
    "w?b": {"web", "w%b", "w_b", "w*b", "wéb"},
    "w%b": {"w%b"},
    "w_b": {"w_b"},
    "w[*]b": {"w*b"},
    "w[a-f]b": {"web"},
    "w[!e]b": {"w%b", "w_b", "w*b", "wéb"},
    "w[eb": {"w[eb"},
    "W*": {"WEB"},
    "*b": {"web", "w%b", "w_b", "w[eb", "w*b", "wéb"},
    "": set(),
    "x'; --": set(),
}
"""What a glob matches among `NAMES`."""

NAMES = ("web", "WEB", "w%b", "w_b", "w[eb", "w*b", "wéb")


async def walk(read: Read, limit: int) -> list[Any]:
    """Return all rows, page by page."""
    rows: list[Any] = []
    page = await read(None, limit)
    while True:
        assert len(page.items) <= limit
        rows += page.items
        if page.next is None:
            return rows
        page = await read(page.next, limit)


def reads(storage: Storage) -> dict[str, Read]:
    """Return every list that is paged by a key."""
    return {
        "syncs": lambda after, limit: storage.list_syncs(SyncFilter(), after, limit),
        "alerts": lambda after, limit: storage.list_alerts(AlertFilter(open=None), after, limit),
        "notifications": lambda after, limit: storage.list_notifications(NotificationFilter(), after, limit),
        "hook_calls": lambda after, limit: storage.list_hook_calls(HookCallFilter(), after, limit),
        "leases": storage.list_leases,
    }


async def furnish(on: Stage, count: int = 7) -> None:
    """Put `count` rows into every list, some of them at the same instant."""
    for number in range(count):
        at = after(number // 2)
        of = sync(str(number), next_check_at=on.now)
        await on.commit(PutSync(of), PutAlert(alert(of, opened_at=at)), showing(alert(of)), *owed(str(number)))
        await on.commit(PutHookCall(call(event(str(number)), created_at=at)))
    await on.storage.claim_checks("w", 30, count)


class Pages(Bench):
    """Keyset paging, in the order that is promised."""

    @scenario
    async def test_pages_of_any_size_give_the_same_walk(self, on: Stage) -> None:
        await furnish(on)
        for name, read in reads(on.storage).items():
            whole = await walk(read, 100)
            assert len(whole) == 7, name
            for limit in (1, 2, 6, 7):
                assert await walk(read, limit) == whole, name

    @scenario
    async def test_the_last_page_says_so_even_when_it_is_full(self, on: Stage) -> None:
        await furnish(on)
        for read in reads(on.storage).values():
            assert (await read(None, 7)).next is None
            assert (await read(None, 6)).next is not None

    @scenario
    async def test_the_lists_are_in_their_orders(self, on: Stage) -> None:
        await furnish(on)
        rows = {name: await walk(read, 3) for name, read in reads(on.storage).items()}
        assert rows["syncs"] == sorted(rows["syncs"], key=lambda row: row.name)
        assert rows["alerts"] == sorted(rows["alerts"], key=lambda row: (row.opened_at, row.id), reverse=True)
        assert rows["notifications"] == sorted(rows["notifications"], key=lambda row: row.id)
        assert rows["hook_calls"] == sorted(rows["hook_calls"], key=lambda row: (row.created_at, row.id), reverse=True)
        assert rows["leases"] == sorted(rows["leases"], key=lambda row: (row.work, row.row_id))

    @scenario
    async def test_names_are_in_the_order_of_their_code_points(self, on: Stage) -> None:
        await on.commit(*(PutSync(sync(name)) for name in ("b", "B", "é", "𝄞", "�", "a b")))
        page = await on.storage.list_syncs(SyncFilter())
        assert [row.name for row in page.items] == ["B", "a b", "b", "é", "�", "𝄞"]

    @scenario
    async def test_what_exists_during_the_walk_is_seen_once_while_rows_come_and_go(self, on: Stage) -> None:
        await on.commit(*(PutSync(sync(f"{number}")) for number in range(0, 10, 2)))
        seen, key = [], None
        for number in range(20):
            page = await on.storage.list_syncs(SyncFilter(), key, 1)
            seen += [row.name for row in page.items]
            if page.next is None:
                break
            key = page.next
            await on.commit(PutSync(sync(f"{number}.new")), DeleteSync(page.items[0].id))
        assert [name for name in seen if "." not in name] == ["0", "2", "4", "6", "8"]
        assert len(seen) == len(set(seen))

    @scenario
    async def test_a_walk_over_alerts_goes_on_where_its_last_row_was_purged(self, on: Stage) -> None:
        rows = [resolved(sync(), at=after(1), id=ident(str(number)), opened_at=after(number)) for number in range(4)]
        await on.commit(*map(PutAlert, rows))
        page = await on.storage.list_alerts(AlertFilter(open=None), None, 2)
        await on.storage.purge(after(9), 100)
        await on.commit(PutAlert(rows[0]), PutAlert(rows[2]))
        rest = await on.storage.list_alerts(AlertFilter(open=None), page.next, 9)
        assert rest.items == (rows[0],)

    @scenario
    async def test_events_are_followed_by_cursor_and_filter(self, on: Stage) -> None:
        for number in range(6):
            kind = EventKind.SYNC_PENDING if number % 2 else EventKind.SYNC_DELETED
            await on.commit(AppendEvent(event(str(number), kind=kind)))
        match = EventFilter(kinds=frozenset({EventKind.SYNC_PENDING}))
        [first] = await on.storage.list_events(match, 0, 1)
        rest = await on.storage.list_events(match, first.cursor, 9)
        assert [first.id, *(row.id for row in rest)] == [ident("1"), ident("3"), ident("5")]
        [last] = await on.storage.list_recent_events(match, None, 1)
        assert last.id == ident("5")


class Filters(Bench):
    """Every field of every filter."""

    @scenario
    async def test_globs_match_names_as_a_shell_would(self, on: Stage) -> None:
        for name in NAMES:
            await on.commit(*pending(name), *owed(name))
            await on.commit(PutHookCall(call(event(name), sync_name=name)))
            await on.commit(AppendEvent(event(f"about {name}", sync=sync(name))))
        for glob, expected in GLOBS.items():
            assert await _names(on, glob) == [expected] * 5, glob

    @scenario
    async def test_a_hostile_name_is_found_as_it_is(self, on: Stage) -> None:
        await on.commit(PutSync(sync(HOSTILE)))
        assert await on.storage.find_sync(HOSTILE) == sync(HOSTILE)

    @scenario
    async def test_an_event_without_a_sync_matches_no_glob(self, on: Stage) -> None:
        await on.commit(AppendEvent(event()))
        assert await on.storage.list_events(EventFilter(sync="*")) == ()
        assert await on.storage.list_recent_events(EventFilter(sync_id=ident("web"))) == ()

    @scenario
    async def test_syncs_by_each_field(self, on: Stage) -> None:
        labels = {"team": "web", 'a"b.c': HOSTILE}
        full = sync("full", state=SyncState.FAILED, origin=Origin.CONFIG, paused=True, spec=_labelled(labels))
        await on.commit(PutSync(full), PutSync(sync("plain")), PutSync(sync("half", spec=_labelled({"team": "db"}))))
        for match in (
            SyncFilter(name="full"),
            SyncFilter(state=SyncState.FAILED),
            SyncFilter(origin=Origin.CONFIG),
            SyncFilter(paused=True),
            SyncFilter(labels={"team": "web"}),
            SyncFilter(labels=labels),
            SyncFilter(name="f*", state=SyncState.FAILED, origin=Origin.CONFIG, paused=True, labels=labels),
        ):
            assert (await on.storage.list_syncs(match)).items == (full,), match
        both = await on.storage.list_syncs(SyncFilter(paused=False))
        assert {row.name for row in both.items} == {"plain", "half"}
        assert (await on.storage.list_syncs(SyncFilter(labels={"team": "web", "x": "y"}))).items == ()

    @scenario
    async def test_alerts_by_each_field(self, on: Stage) -> None:
        full = alert(sync("full"), AlertKind.FAILED, severity=Severity.CRITICAL, labels={"team": "web"})
        await on.commit(PutSync(sync("full")), PutAlert(full), *pending("db"), PutAlert(resolved(sync("old"))))
        for match in (
            AlertFilter(sync="full"),
            AlertFilter(sync_id=ident("full")),
            AlertFilter(kind=AlertKind.FAILED),
            AlertFilter(severity=Severity.CRITICAL),
            AlertFilter(labels={"team": "web"}),
            AlertFilter(sync="f*", sync_id=ident("full"), kind=AlertKind.FAILED, labels={"team": "web"}),
        ):
            assert (await on.storage.list_alerts(match)).items == (full,), match
        assert len((await on.storage.list_alerts(AlertFilter())).items) == 2
        assert (await on.storage.list_alerts(AlertFilter(open=False))).items == (resolved(sync("old")),)
        assert len((await on.storage.list_alerts(AlertFilter(open=None))).items) == 3

    @scenario
    async def test_notifications_by_each_field(self, on: Stage) -> None:
        await on.commit(*pending(), *pending("db"), showing(alert(sync("db")), "pager"))
        row = await on.storage.get_notification(shown(alert(sync())))
        assert row is not None
        row = dataclasses.replace(row, state=Shown.SHOWN)
        await on.commit(PutNotification(row))
        for match in (
            NotificationFilter(title="web"),
            NotificationFilter(title="w*", notifier="ops"),
            NotificationFilter(group=sync().id),
            NotificationFilter(state=Shown.SHOWN),
            NotificationFilter(alert_id=alert(sync()).id),
        ):
            assert (await on.storage.list_notifications(match)).items == (row,), match
        pager = await on.storage.list_notifications(NotificationFilter(notifier="pager"))
        assert [found.title for found in pager.items] == ["db"]
        both = await on.storage.list_notifications(NotificationFilter(alert_id=alert(sync("db")).id))
        assert {found.notifier for found in both.items} == {"ops", "pager"}

    @scenario
    async def test_attention_is_for_what_is_dead_in_doubt_or_stranded(self, on: Stage) -> None:
        cases: dict[str, dict[str, Any]] = {
            "dead": {"dead": 1},
            "was dead": {"dead": 0},
            "stranded": {"stranded": True},
        }
        for name, fields in cases.items():
            await on.commit(*pending(name))
            row = await on.storage.get_notification(shown(alert(sync(name))))
            assert row is not None
            await on.commit(PutNotification(dataclasses.replace(row, **fields)))
        await on.commit(Confess("ops", "g", "in doubt", doubt()))
        found = await on.storage.list_notifications(NotificationFilter(attention=True))
        assert {row.title for row in found.items} == {"dead", "stranded", "in doubt"}

    @scenario
    async def test_hook_calls_by_each_field(self, on: Stage) -> None:
        await on.commit(*owed("a", "log"), *owed("b"), PutHookCall(call(event("a"), "log", state=HookCallState.DEAD)))
        for match in (
            HookCallFilter(plugin="log"),
            HookCallFilter(event_id=ident("a")),
            HookCallFilter(state=HookCallState.DEAD),
            HookCallFilter(sync="web", plugin="log", event_id=ident("a"), state=HookCallState.DEAD),
        ):
            assert [row.plugin for row in (await on.storage.list_hook_calls(match)).items] == ["log"], match
        await on.commit(PutHookCall(call(event("b"), sync_name=None)))
        assert len((await on.storage.list_hook_calls(HookCallFilter(sync="*"))).items) == 2

    @scenario
    async def test_events_by_each_field(self, on: Stage) -> None:
        about = event("a", sync=sync(), kind=EventKind.SYNC_PENDING)
        await on.commit(AppendEvent(about), AppendEvent(event("b", sync=sync("db"))))
        for match in (
            EventFilter(sync="web"),
            EventFilter(sync="w*"),
            EventFilter(sync_id=sync().id),
            EventFilter(kinds=frozenset({EventKind.SYNC_PENDING, EventKind.SYNC_FAILED})),
            EventFilter(sync="w*", sync_id=sync().id, kinds=frozenset({EventKind.SYNC_PENDING})),
        ):
            found = await on.storage.list_events(match)
            assert [row.id for row in found] == [ident("a")], match
            assert await on.storage.list_recent_events(match) == found
        assert len(await on.storage.list_events(EventFilter())) == 2


class Counting(Bench):
    """`Storage.counts`."""

    @scenario
    async def test_an_empty_store_counts_nothing(self, on: Stage) -> None:
        assert await on.storage.counts() == Counts()

    @scenario
    async def test_everything_is_counted_once(self, on: Stage) -> None:
        await on.commit(*pending(), *pending("db"), PutSync(sync("p", paused=True, state=SyncState.OK)))
        await on.commit(PutSync(sync("komodod", origin=Origin.BUILTIN)), PutAlert(resolved(sync("old"))))
        fields: list[dict[str, Any]] = [{"dead": 1, "stranded": True}, {"state": Shown.SHOWN, "observed": 1}]
        for name, changed in zip(("web", "db"), fields, strict=True):
            row = await on.storage.get_notification(shown(alert(sync(name))))
            assert row is not None
            await on.commit(PutNotification(dataclasses.replace(row, **changed)))
        await on.commit(Confess("ops", "g", "t", doubt()), *owed("a"), *owed("b"), *owed("c"))
        await on.commit(PutHookCall(call(event("a"), state=HookCallState.DEAD)))
        await on.commit(PutHookCall(call(event("b"), state=HookCallState.DONE)))
        assert await on.storage.counts() == Counts(
            syncs={SyncState.UNKNOWN: 2, SyncState.OK: 1},
            paused=1,
            open_alerts={AlertKind.PENDING: 2},
            shown=1,
            dirty=1,
            in_doubt=1,
            dead_notifications=1,
            stranded=1,
            waiting_hook_calls=1,
            dead_hook_calls=1,
        )


def _labelled(labels: dict[str, str]) -> Spec:
    return Spec(source={"type": "directory"}, labels=labels)


async def _names(on: Stage, glob: str) -> list[set[str | None]]:
    """Return what each of the lists finds by the glob."""
    events = await on.storage.list_events(EventFilter(sync=glob))
    return [
        {row.name for row in (await on.storage.list_syncs(SyncFilter(name=glob))).items},
        {row.sync_name for row in (await on.storage.list_alerts(AlertFilter(sync=glob))).items},
        {row.title for row in (await on.storage.list_notifications(NotificationFilter(title=glob))).items},
        {row.sync_name for row in (await on.storage.list_hook_calls(HookCallFilter(sync=glob))).items},
        {row.sync.name for row in events if row.sync is not None},
    ]
