"""The shortest store that keeps the storage contract; the oracle for all others."""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from komodod.errors import Conflict
from komodod.model import (
    Aggregate,
    Alert,
    Changes,
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
    Batch,
    Claim,
    Counts,
    Due,
    EventFilter,
    HookCallFilter,
    Lease,
    NotificationFilter,
    Page,
    Storage,
    SyncFilter,
    Work,
)
from komodod.testing.memory.matching import (
    alert_matches,
    at_rest,
    call_due,
    call_matches,
    check_due,
    descending,
    event_matches,
    flip,
    notification_matches,
    page,
    sync_matches,
)
from komodod.testing.memory.tables import Tables
from komodod.testing.memory.writes import Changer

if TYPE_CHECKING:
    from komodod.context import Context

R = TypeVar("R", Sync, Notification, HookCall)


class MemoryConfig(BaseModel, extra="forbid"):
    """The memory store has nothing to configure."""


class MemoryStorage(Tables, Storage):
    """Keeps everything in dicts; `close()` and `open()` again, as a restart would, keep what is there."""

    Config = MemoryConfig

    def __init__(self, config: BaseModel, context: Context) -> None:
        Tables.__init__(self)
        Storage.__init__(self, config, context)
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
        self.begin()
        changer = Changer(self, self._now())
        try:
            for expectation in batch.expect:
                if not changer.holds(expectation):
                    raise Conflict(expectation)
            for write in batch.writes:
                changer.apply(write)
        except BaseException:
            self.rollback()
            raise
        self.announce()

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
        return None if row is None else self.whole(row)

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
        rows = (sync for sync in self.syncs.values() if sync_matches(match, sync))
        return page(sorted(rows, key=lambda sync: sync.name), lambda sync: sync.name, after, limit)

    async def list_alerts(self, match: AlertFilter, after: str | None = None, limit: int = 100) -> Page[Alert]:
        rows = [alert for alert in self.alerts.values() if alert_matches(match, alert)]
        rows.sort(key=lambda alert: (alert.opened_at, alert.id), reverse=True)
        return page(rows, lambda alert: f"{descending(alert.opened_at)}{flip(alert.id)}", after, limit)

    async def list_notifications(
        self, match: NotificationFilter, after: str | None = None, limit: int = 100
    ) -> Page[Notification]:
        rows = (self.whole(row) for row in self.notifications.values())
        kept = (row for row in rows if notification_matches(match, row) and self._linked(match.alert_id, row.id))
        return page(sorted(kept, key=lambda row: row.id), lambda row: row.id, after, limit)

    def _linked(self, alert_id: str | None, row_id: str) -> bool:
        return alert_id is None or (alert_id, row_id) in self.links

    async def list_hook_calls(
        self, match: HookCallFilter, after: str | None = None, limit: int = 100
    ) -> Page[HookCall]:
        rows = [call for call in self.calls.values() if call_matches(match, call)]
        rows.sort(key=lambda call: (call.created_at, call.id), reverse=True)
        return page(rows, lambda call: f"{descending(call.created_at)}{flip(call.id)}", after, limit)

    async def list_events(self, match: EventFilter, after: int = 0, limit: int = 100) -> tuple[Event, ...]:
        rows = (event for event in self.events.values() if event.cursor > after and event_matches(match, event))
        return tuple(sorted(rows, key=lambda event: event.cursor)[:limit])

    async def list_recent_events(
        self, match: EventFilter, before: int | None = None, limit: int = 100
    ) -> tuple[Event, ...]:
        rows = [event for event in self.events.values() if event_matches(match, event)]
        kept = (event for event in rows if before is None or event.cursor < before)
        return tuple(sorted(kept, key=lambda event: -event.cursor)[:limit])

    async def list_leases(self, after: str | None = None, limit: int = 100) -> Page[Lease]:
        rows = sorted(self.leases.values(), key=lambda lease: f"{lease.work}/{lease.row_id}")
        return page(rows, lambda lease: f"{lease.work}/{lease.row_id}", after, limit)

    async def counts(self) -> Counts:
        rows = [self.whole(row) for row in self.notifications.values()]
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
        due = [(at, sync) for sync in self.syncs.values() if (at := check_due(sync)) and at <= now]
        free = [
            sync for _, sync in sorted(due, key=lambda d: (d[0], d[1].id)) if not self.leased(Work.CHECK, sync.id, now)
        ]
        rows = [dataclasses.replace(sync, attempts=sync.attempts + 1) for sync in free[:limit]]
        for row in rows:
            self.syncs[row.id] = row
        return self._claim(Work.CHECK, worker, lease, rows)

    async def claim_notifications(self, worker: str, lease: float, limit: int) -> tuple[Claim[Notification], ...]:
        now = self._now()
        due = [(row.due_at, row) for row in self.notifications.values() if row.due_at is not None and row.due_at <= now]
        free = [
            row
            for _, row in sorted(due, key=lambda d: (d[0], d[1].id))
            if not self.leased(Work.NOTIFICATION, row.id, now)
        ]
        return self._claim(Work.NOTIFICATION, worker, lease, [self.whole(row) for row in free[:limit]])

    async def claim_hook_calls(
        self, worker: str, lease: float, limit: int, plugins: Sequence[str]
    ) -> tuple[Claim[HookCall], ...]:
        now = self._now()
        due = [(at, call) for call in self.calls.values() if (at := call_due(call, plugins)) and at <= now]
        free = [
            call
            for _, call in sorted(due, key=lambda d: (d[0], d[1].id))
            if not self.leased(Work.HOOK_CALL, call.id, now)
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
            checks=first(Work.CHECK, ((sync.id, check_due(sync)) for sync in self.syncs.values())),
            notifications=first(Work.NOTIFICATION, ((row.id, row.due_at) for row in self.notifications.values())),
            hook_calls=first(Work.HOOK_CALL, ((call.id, call_due(call, plugins)) for call in self.calls.values())),
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
        idle = [row for row in map(self.whole, self.notifications.values()) if row.id not in linked and at_rest(row)]
        for row in [row for row in idle if (Work.NOTIFICATION, row.id) not in self.leases][: limit - gone]:
            self.drop_notification(row.id)
            gone += 1
        return gone
