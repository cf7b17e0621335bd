"""The shortest store that keeps the storage contract; the oracle for all others."""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from komodod.errors import Conflict
from komodod.model import (
    Aggregate,
    Alert,
    Changes,
    Doubt,
    Event,
    HookCall,
    HookCallState,
    Members,
    Notification,
    Origin,
    Shown,
    Sync,
)
from komodod.storage import (
    AlertFilter,
    AlertOpen,
    AppendEvent,
    Batch,
    Claim,
    Confess,
    Counts,
    DeleteSync,
    DropDoubt,
    DropHookCall,
    DropNotification,
    Due,
    EventFilter,
    Expectation,
    HookCallFilter,
    HookCallIn,
    Leading,
    Lease,
    LeaseHeld,
    Link,
    MarkDirty,
    NameFree,
    NotificationAt,
    NotificationFilter,
    Page,
    PutAlert,
    PutChanges,
    PutDoubt,
    PutHookCall,
    PutNotification,
    PutSync,
    QueueHookCall,
    Release,
    RequestCheck,
    Storage,
    SyncAt,
    SyncFilter,
    SyncGone,
    Touch,
    Unlink,
    Work,
    Write,
    notification_id,
)

if TYPE_CHECKING:
    from komodod.context import Context

AT_ONCE = datetime.fromtimestamp(0, UTC)
"""When a requested check is due: before all that has an instant, also after the wall clock was set back."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
R = TypeVar("R", Sync, Notification, HookCall)


class MemoryConfig(BaseModel, extra="forbid"):
    """The memory store has nothing to configure."""


class Table(dict[K, V]):
    """A dict that writes down how to undo what is done to it."""

    def __init__(self, journal: list[Callable[[], None]]) -> None:
        super().__init__()
        self._journal = journal

    def __setitem__(self, key: K, value: V) -> None:
        if key in self:
            old = self[key]
            self._journal.append(lambda: dict.__setitem__(self, key, old))
        else:
            self._journal.append(lambda: dict.__delitem__(self, key))
        super().__setitem__(key, value)

    def discard(self, key: K) -> None:
        """Remove the key if it is there."""
        if key in self:
            old = self[key]
            self._journal.append(lambda: dict.__setitem__(self, key, old))
            super().__delitem__(key)


class MemoryStorage(Storage):
    """Keeps everything in dicts; `close()` and `open()` again, as a restart would, keep what is there."""

    Config = MemoryConfig

    def __init__(self, config: BaseModel, context: Context) -> None:
        super().__init__(config, context)
        self._journal: list[Callable[[], None]] = []
        self.syncs: Table[str, Sync] = Table(self._journal)
        self.changes: Table[str, Changes] = Table(self._journal)
        self.alerts: Table[str, Alert] = Table(self._journal)
        self.links: Table[tuple[str, str], None] = Table(self._journal)
        self.notifications: Table[str, Notification] = Table(self._journal)
        self.doubts: Table[tuple[str, str], Doubt] = Table(self._journal)
        self.events: Table[str, Event] = Table(self._journal)
        self.calls: Table[str, HookCall] = Table(self._journal)
        self.leases: Table[tuple[Work, str], Lease] = Table(self._journal)
        self._cursor = 0
        self._epoch = uuid.uuid4().hex[:8]

    # -- life

    async def open(self) -> None:
        self.leases.clear()

    async def close(self) -> None:
        pass

    @property
    def epoch(self) -> str:
        return self._epoch

    async def ping(self) -> None:
        pass

    def _now(self) -> datetime:
        return self.context.clock.now()

    # -- commit

    async def commit(self, batch: Batch) -> None:
        self._journal.clear()
        try:
            for expectation in batch.expect:
                if not self._holds(expectation):
                    raise Conflict(expectation)
            for write in batch.writes:
                self._apply(write)
        except BaseException:
            for undo in reversed(self._journal):
                undo()
            raise
        self.announce()

    def _holds(self, expectation: Expectation) -> bool:
        match expectation:
            case SyncAt(sync_id, generation):
                return sync_id in self.syncs and self.syncs[sync_id].generation == generation
            case SyncGone(sync_id):
                return sync_id not in self.syncs
            case NameFree(name):
                return all(sync.name != name for sync in self.syncs.values())
            case AlertOpen(alert_id):
                return alert_id in self.alerts and self.alerts[alert_id].open
            case LeaseHeld(work, row_id, token):
                lease = self.leases.get((work, row_id))
                return lease is not None and lease.token == token
            case NotificationAt(row_id, version):
                row = self.notifications.get(row_id)
                return row is not None and row.version == version and not self._leased(Work.NOTIFICATION, row_id)
            case HookCallIn(call_id, state):
                call = self.calls.get(call_id)
                return call is not None and call.state == state and not self._leased(Work.HOOK_CALL, call_id)
            case Leading():
                return True  # one process leads every duty

    def _apply(self, write: Write) -> None:  # noqa: C901, PLR0912, PLR0915  one case a write; splitting it would hide that
        match write:
            case PutSync(sync):
                self._put_sync(write, sync)
            case PutChanges(sync_id, changes):
                if sync_id not in self.syncs:
                    raise Conflict(write)
                self.changes[sync_id] = changes
            case RequestCheck(sync_id) if sync_id in self.syncs:
                sync = self.syncs[sync_id]
                self.syncs[sync_id] = dataclasses.replace(sync, requests=sync.requests + 1)
            case DeleteSync(sync_id):
                if any(alert.open for alert in self.alerts.values() if alert.sync_id == sync_id):
                    raise Conflict(write)
                self.syncs.discard(sync_id)
                self.changes.discard(sync_id)
                self.leases.discard((Work.CHECK, sync_id))
            case PutAlert(alert):
                self._put_alert(write, alert)
            case Link(alert_id, notifier, group, title):
                if alert_id not in self.alerts:
                    raise Conflict(write)
                row = self._ensure(notifier, group, title)
                self.links[alert_id, row] = None
                self._mark(row)
            case Unlink(alert_id, row_id):
                self.links.discard((alert_id, row_id))
                self._mark(row_id)
            case Touch(alert_id):
                for linked, row_id in list(self.links):
                    if linked == alert_id:
                        self._mark(row_id)
            case MarkDirty(row_id):
                self._mark(row_id)
            case PutNotification(row):
                self._put_notification(row)
            case PutDoubt(row_id, doubt) if row_id in self.notifications:
                self._put_doubt(row_id, doubt)
            case DropDoubt(row_id, key, version):
                if (row_id, key) in self.doubts and self.doubts[row_id, key].version <= version:
                    self.doubts.discard((row_id, key))
            case Confess(notifier, group, title, doubt):
                row_id = self._ensure(notifier, group, title)
                self._mark(row_id)
                self._put_doubt(row_id, dataclasses.replace(doubt, version=self.notifications[row_id].version))
            case DropNotification(row_id):
                self._drop_notification(row_id)
            case AppendEvent(event):
                if event.id in self.events:
                    raise Conflict(write)
                self._cursor += 1  # a gap after a conflict is no harm
                self.events[event.id] = dataclasses.replace(event, cursor=self._cursor)
            case QueueHookCall(call) if call.id not in self.calls:
                if call.event_id not in self.events:
                    raise Conflict(write)
                self.calls[call.id] = call
            case PutHookCall(call) if call.id in self.calls:
                self.calls[call.id] = call
            case DropHookCall(call_id) if call_id in self.calls:
                self._drop_call(self.calls[call_id])
            case Release(work, row_id):
                self.leases.discard((work, row_id))
            case _:
                pass  # its row is gone, and the write says that nothing happens then

    def _put_sync(self, write: Write, sync: Sync) -> None:
        if any(other.name == sync.name and other.id != sync.id for other in self.syncs.values()):
            raise Conflict(write)
        old = self.syncs.get(sync.id)
        self.syncs[sync.id] = sync if old is None else dataclasses.replace(sync, requests=old.requests)

    def _put_alert(self, write: Write, alert: Alert) -> None:
        twins = (
            other
            for other in self.alerts.values()
            if other.open and other.sync_id == alert.sync_id and other.kind == alert.kind and other.id != alert.id
        )
        if alert.open and (alert.sync_id not in self.syncs or any(twins)):
            raise Conflict(write)
        self.alerts[alert.id] = alert

    def _ensure(self, notifier: str, group: str, title: str) -> str:
        row_id = notification_id(notifier, group)
        if row_id not in self.notifications:
            self.notifications[row_id] = Notification(id=row_id, notifier=notifier, group=group, title=title)
        return row_id

    def _mark(self, row_id: str) -> None:
        if row_id in self.notifications:
            row = self.notifications[row_id]
            now = self._now()
            due = now if row.due_at is None else min(row.due_at, now)
            self.notifications[row_id] = dataclasses.replace(row, version=row.version + 1, due_at=due)

    def _put_notification(self, row: Notification) -> None:
        if row.id not in self.notifications:
            return
        version = self.notifications[row.id].version
        due = self._now() if version > row.version else row.due_at
        self.notifications[row.id] = dataclasses.replace(row, version=version, due_at=due, doubts=())

    def _put_doubt(self, row_id: str, doubt: Doubt) -> None:
        old = self.doubts.get((row_id, doubt.key))
        if old is not None and old.version > doubt.version:
            doubt = dataclasses.replace(old, until=max(old.until, doubt.until))
        self.doubts[row_id, doubt.key] = doubt

    def _drop_notification(self, row_id: str) -> None:
        self.notifications.discard(row_id)
        self.leases.discard((Work.NOTIFICATION, row_id))
        for link in [link for link in self.links if link[1] == row_id]:
            self.links.discard(link)
        for doubt in [doubt for doubt in self.doubts if doubt[0] == row_id]:
            self.doubts.discard(doubt)

    def _drop_call(self, call: HookCall) -> None:
        event = self.events[call.event_id]
        owed = tuple(plugin for plugin in event.hooks if plugin != call.plugin)
        self.events[event.id] = dataclasses.replace(event, hooks=owed)
        self.calls.discard(call.id)
        self.leases.discard((Work.HOOK_CALL, call.id))

    # -- reads

    async def get_sync(self, sync_id: str) -> Sync | None:
        return self.syncs.get(sync_id)

    async def find_sync(self, name: str) -> Sync | None:
        return next((sync for sync in self.syncs.values() if sync.name == name), None)

    async def get_changes(self, sync_id: str) -> Changes:
        return self.changes.get(sync_id, Changes())

    async def load_aggregate(self, sync_id: str) -> Aggregate | None:
        sync = self.syncs.get(sync_id)
        if sync is None:
            return None
        alerts = (alert for alert in self.alerts.values() if alert.open and alert.sync_id == sync_id)
        return Aggregate(sync=sync, alerts=tuple(sorted(alerts, key=lambda alert: alert.kind)))

    async def get_alert(self, alert_id: str) -> Alert | None:
        return self.alerts.get(alert_id)

    async def get_notification(self, notification_id: str) -> Notification | None:
        row = self.notifications.get(notification_id)
        return None if row is None else self._whole(row)

    def _whole(self, row: Notification) -> Notification:
        doubts = sorted((doubt for (row_id, _), doubt in self.doubts.items() if row_id == row.id), key=lambda d: d.key)
        return dataclasses.replace(row, doubts=tuple(doubts))

    async def get_hook_call(self, call_id: str) -> HookCall | None:
        return self.calls.get(call_id)

    async def get_event(self, event_id: str) -> Event | None:
        return self.events.get(event_id)

    async def load_members(self, notification_ids: Sequence[str]) -> Mapping[str, Members]:
        return {row_id: self._members(row_id) for row_id in notification_ids}

    def _members(self, row_id: str) -> Members:
        linked = [self.alerts[alert] for alert, row in self.links if row == row_id and alert in self.alerts]
        open_alerts = sorted((alert for alert in linked if alert.open), key=lambda alert: (alert.opened_at, alert.id))
        resolved = [(alert.resolved_at, alert.id, alert) for alert in linked if alert.resolved_at is not None]
        return Members(open=tuple(open_alerts), last=max(resolved, key=lambda r: r[:2])[2] if resolved else None)

    async def list_syncs(self, match: SyncFilter, after: str | None = None, limit: int = 100) -> Page[Sync]:
        rows = (sync for sync in self.syncs.values() if _sync_matches(match, sync))
        return _page(sorted(rows, key=lambda sync: sync.name), lambda sync: sync.name, after, limit)

    async def list_alerts(self, match: AlertFilter, after: str | None = None, limit: int = 100) -> Page[Alert]:
        rows = [alert for alert in self.alerts.values() if _alert_matches(match, alert)]
        rows.sort(key=lambda alert: (alert.opened_at, alert.id), reverse=True)
        return _page(rows, lambda alert: f"{_descending(alert.opened_at)}{_flip(alert.id)}", after, limit)

    async def list_notifications(
        self, match: NotificationFilter, after: str | None = None, limit: int = 100
    ) -> Page[Notification]:
        rows = (self._whole(row) for row in self.notifications.values())
        kept = (row for row in rows if _notification_matches(match, row) and self._linked(match.alert_id, row.id))
        return _page(sorted(kept, key=lambda row: row.id), lambda row: row.id, after, limit)

    def _linked(self, alert_id: str | None, row_id: str) -> bool:
        return alert_id is None or (alert_id, row_id) in self.links

    async def list_hook_calls(
        self, match: HookCallFilter, after: str | None = None, limit: int = 100
    ) -> Page[HookCall]:
        rows = [call for call in self.calls.values() if _call_matches(match, call)]
        rows.sort(key=lambda call: (call.created_at, call.id), reverse=True)
        return _page(rows, lambda call: f"{_descending(call.created_at)}{_flip(call.id)}", after, limit)

    async def list_events(self, match: EventFilter, after: int = 0, limit: int = 100) -> tuple[Event, ...]:
        rows = (event for event in self.events.values() if event.cursor > after and _event_matches(match, event))
        return tuple(sorted(rows, key=lambda event: event.cursor)[:limit])

    async def list_recent_events(
        self, match: EventFilter, before: int | None = None, limit: int = 100
    ) -> tuple[Event, ...]:
        rows = [event for event in self.events.values() if _event_matches(match, event)]
        kept = (event for event in rows if before is None or event.cursor < before)
        return tuple(sorted(kept, key=lambda event: -event.cursor)[:limit])

    async def list_leases(self, after: str | None = None, limit: int = 100) -> Page[Lease]:
        rows = sorted(self.leases.values(), key=lambda lease: f"{lease.work}/{lease.row_id}")
        return _page(rows, lambda lease: f"{lease.work}/{lease.row_id}", after, limit)

    async def counts(self) -> Counts:
        rows = [self._whole(row) for row in self.notifications.values()]
        calls = Counter(call.state for call in self.calls.values())
        return Counts(
            syncs=Counter(sync.state for sync in self.syncs.values() if sync.origin is not Origin.BUILTIN),
            paused=sum(sync.paused for sync in self.syncs.values()),
            open_alerts=Counter(alert.kind for alert in self.alerts.values() if alert.open),
            shown=sum(row.state is Shown.SHOWN for row in rows),
            dirty=sum(row.dirty and not row.settled_dead for row in rows),
            in_doubt=sum(bool(row.doubts) for row in rows),
            dead_notifications=sum(row.settled_dead for row in rows),
            stranded=sum(row.stranded for row in rows),
            waiting_hook_calls=calls[HookCallState.WAITING],
            dead_hook_calls=calls[HookCallState.DEAD],
        )

    # -- claims

    def _leased(self, work: Work, row_id: str) -> bool:
        lease = self.leases.get((work, row_id))
        return lease is not None and lease.until > self._now()

    def _claim(self, work: Work, worker: str, lease: float, rows: Iterable[R]) -> tuple[Claim[R], ...]:
        now = self._now()
        claims = []
        for row in rows:
            token = str(uuid.uuid4())
            self.leases[work, row.id] = Lease(work, row.id, worker, token, now + timedelta(seconds=lease))
            claims.append(Claim(row, token, now))
        return tuple(claims)

    async def claim_checks(self, worker: str, lease: float, limit: int) -> tuple[Claim[Sync], ...]:
        now = self._now()
        due = [(at, sync) for sync in self.syncs.values() if (at := _check_due(sync)) and at <= now]
        free = [sync for _, sync in sorted(due, key=lambda d: (d[0], d[1].id)) if not self._leased(Work.CHECK, sync.id)]
        rows = [dataclasses.replace(sync, attempts=sync.attempts + 1) for sync in free[:limit]]
        for row in rows:
            self.syncs[row.id] = row
        return self._claim(Work.CHECK, worker, lease, rows)

    async def claim_notifications(self, worker: str, lease: float, limit: int) -> tuple[Claim[Notification], ...]:
        now = self._now()
        due = [(row.due_at, row) for row in self.notifications.values() if row.due_at is not None and row.due_at <= now]
        free = [
            row for _, row in sorted(due, key=lambda d: (d[0], d[1].id)) if not self._leased(Work.NOTIFICATION, row.id)
        ]
        return self._claim(Work.NOTIFICATION, worker, lease, [self._whole(row) for row in free[:limit]])

    async def claim_hook_calls(
        self, worker: str, lease: float, limit: int, plugins: Sequence[str]
    ) -> tuple[Claim[HookCall], ...]:
        now = self._now()
        due = [(at, call) for call in self.calls.values() if (at := _call_due(call, plugins)) and at <= now]
        free = [
            call for _, call in sorted(due, key=lambda d: (d[0], d[1].id)) if not self._leased(Work.HOOK_CALL, call.id)
        ]
        rows = [dataclasses.replace(call, attempts=call.attempts + 1) for call in free[:limit]]
        for row in rows:
            self.calls[row.id] = row
        return self._claim(Work.HOOK_CALL, worker, lease, rows)

    async def renew(self, worker: str, lease: float) -> None:
        until = self._now() + timedelta(seconds=lease)
        for key, held in list(self.leases.items()):
            if held.worker == worker:
                self.leases[key] = dataclasses.replace(held, until=until)

    async def next_due(self, plugins: Sequence[str]) -> Due:
        def first(work: Work, due: Iterable[tuple[str, datetime | None]]) -> datetime | None:
            free = [(self.leases.get((work, row_id)), at) for row_id, at in due if at is not None]
            return min((at if lease is None else max(at, lease.until) for lease, at in free), default=None)

        return Due(
            now=self._now(),
            checks=first(Work.CHECK, ((sync.id, _check_due(sync)) for sync in self.syncs.values())),
            notifications=first(Work.NOTIFICATION, ((row.id, row.due_at) for row in self.notifications.values())),
            hook_calls=first(Work.HOOK_CALL, ((call.id, _call_due(call, plugins)) for call in self.calls.values())),
        )

    # -- history

    async def purge(self, before: datetime, limit: int) -> int:
        gone = 0
        for alert in [a for a in self.alerts.values() if a.resolved_at is not None and a.resolved_at < before][:limit]:
            self.alerts.discard(alert.id)
            for link in [link for link in self.links if link[0] == alert.id]:
                self.links.discard(link)
            gone += 1
        unfinished = {call.event_id for call in self.calls.values() if call.state is not HookCallState.DONE}
        old = [e for e in self.events.values() if e.at < before and e.id not in unfinished]
        for event in old[: limit - gone]:
            self.events.discard(event.id)
            for call in [call for call in self.calls.values() if call.event_id == event.id]:
                self.calls.discard(call.id)
                self.leases.discard((Work.HOOK_CALL, call.id))
            gone += 1
        linked = {row for _, row in self.links}
        idle = [row for row in map(self._whole, self.notifications.values()) if row.id not in linked and _at_rest(row)]
        for row in [row for row in idle if (Work.NOTIFICATION, row.id) not in self.leases][: limit - gone]:
            self._drop_notification(row.id)
            gone += 1
        return gone


def _at_rest(row: Notification) -> bool:
    return row.state is Shown.ABSENT and not row.dirty


def _check_due(sync: Sync) -> datetime | None:
    if sync.paused or sync.origin is Origin.BUILTIN:
        return None
    if sync.requests > sync.requests_seen:
        return AT_ONCE
    return sync.next_check_at


def _call_due(call: HookCall, plugins: Sequence[str]) -> datetime | None:
    return call.due_at if call.state is HookCallState.WAITING and call.plugin in plugins else None


def _glob(pattern: str | None, name: str | None) -> bool:
    return pattern is None or fnmatchcase(name or "", pattern)


def _same(wanted: object, found: object) -> bool:
    return wanted is None or wanted == found


def _labelled(wanted: Mapping[str, str], found: Mapping[str, str]) -> bool:
    return all(found.get(label) == value for label, value in wanted.items())


def _sync_matches(match: SyncFilter, sync: Sync) -> bool:
    return (
        _glob(match.name, sync.name)
        and _same(match.state, sync.state)
        and _same(match.origin, sync.origin)
        and _same(match.paused, sync.paused)
        and _labelled(match.labels, sync.spec.labels)
    )


def _alert_matches(match: AlertFilter, alert: Alert) -> bool:
    return (
        _glob(match.sync, alert.sync_name)
        and _same(match.sync_id, alert.sync_id)
        and _same(match.kind, alert.kind)
        and _same(match.severity, alert.severity)
        and _same(match.open, alert.open)
        and _labelled(match.labels, alert.labels)
    )


def _notification_matches(match: NotificationFilter, row: Notification) -> bool:
    return (
        _glob(match.title, row.title)
        and _same(match.notifier, row.notifier)
        and _same(match.group, row.group)
        and _same(match.state, row.state)
        and (not match.attention or row.settled_dead or row.stranded or bool(row.doubts))
    )


def _call_matches(match: HookCallFilter, call: HookCall) -> bool:
    return (
        _glob(match.sync, call.sync_name)
        and _same(match.plugin, call.plugin)
        and _same(match.event_id, call.event_id)
        and _same(match.state, call.state)
    )


def _event_matches(match: EventFilter, event: Event) -> bool:
    return (
        (match.sync is None or (event.sync is not None and fnmatchcase(event.sync.name, match.sync)))
        and (match.sync_id is None or (event.sync is not None and event.sync.id == match.sync_id))
        and (not match.kinds or event.kind in match.kinds)
    )


def _page(rows: Iterable[V], key: Callable[[V], str], after: str | None, limit: int) -> Page[V]:
    kept = [row for row in rows if after is None or key(row) > after]
    more = len(kept) > limit
    return Page(tuple(kept[:limit]), key(kept[limit - 1]) if more else None)


def _descending(at: datetime) -> str:
    """Return a text that sorts the other way round than the instant."""
    return f"{10**17 - int(at.timestamp() * 10**6):018d}"


def _flip(text: str) -> str:
    """Return a text that sorts the other way round than an identifier of the same length."""
    return "".join(chr(0xFFFF - ord(character)) for character in text)
