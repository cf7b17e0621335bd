"""Expectations and writes on the rows in memory."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from komodod.errors import Conflict
from komodod.model import Notification
from komodod.storage import (
    AlertOpen,
    AppendEvent,
    Confess,
    DeleteSync,
    DropDoubt,
    DropHookCall,
    DropNotification,
    Expectation,
    HookCallIn,
    Leading,
    LeaseHeld,
    Link,
    MarkDirty,
    NameFree,
    NotificationAt,
    PutAlert,
    PutChanges,
    PutDoubt,
    PutHookCall,
    PutNotification,
    PutSync,
    QueueHookCall,
    Release,
    RequestCheck,
    SyncAt,
    SyncGone,
    Touch,
    Unlink,
    Work,
    Write,
    notification_id,
)

if TYPE_CHECKING:
    from datetime import datetime

    from komodod.model import Alert, Doubt, HookCall, Sync
    from komodod.testing.memory.tables import Tables


class Changer:
    """Judges expectations and applies writes at one moment of the store's clock."""

    def __init__(self, tables: Tables, now: datetime) -> None:
        self._tables, self._now = tables, now

    def holds(self, expectation: Expectation) -> bool:
        """Tell whether the expectation holds."""
        match expectation:
            case SyncAt(sync_id, generation):
                return sync_id in self._tables.syncs and self._tables.syncs[sync_id].generation == generation
            case SyncGone(sync_id):
                return sync_id not in self._tables.syncs
            case NameFree(name):
                return all(sync.name != name for sync in self._tables.syncs.values())
            case AlertOpen(alert_id):
                return alert_id in self._tables.alerts and self._tables.alerts[alert_id].open
            case LeaseHeld(work, row_id, token):
                lease = self._tables.leases.get((work, row_id))
                return lease is not None and lease.token == token
            case NotificationAt(row_id, version):
                row = self._tables.notifications.get(row_id)
                return (
                    row is not None
                    and row.version == version
                    and not self._tables.leased(Work.NOTIFICATION, row_id, self._now)
                )
            case HookCallIn(call_id, state):
                call = self._tables.calls.get(call_id)
                return (
                    call is not None
                    and call.state == state
                    and not self._tables.leased(Work.HOOK_CALL, call_id, self._now)
                )
            case Leading():
                return True  # one process leads every duty

    def apply(self, write: Write) -> None:  # noqa: C901, PLR0912, PLR0915  one case a write; splitting it would hide that
        """Apply the write. Raises Conflict where it must not be."""
        match write:
            case PutSync(sync):
                self._put_sync(write, sync)
            case PutChanges(sync_id, changes):
                if sync_id not in self._tables.syncs:
                    raise Conflict(write)
                self._tables.changes[sync_id] = changes
            case RequestCheck(sync_id) if sync_id in self._tables.syncs:
                sync = self._tables.syncs[sync_id]
                self._tables.syncs[sync_id] = dataclasses.replace(sync, requests=sync.requests + 1)
            case DeleteSync(sync_id):
                if any(alert.open for alert in self._tables.alerts.values() if alert.sync_id == sync_id):
                    raise Conflict(write)
                self._tables.syncs.discard(sync_id)
                self._tables.changes.discard(sync_id)
                self._tables.leases.discard((Work.CHECK, sync_id))
            case PutAlert(alert):
                self._put_alert(write, alert)
            case Link(alert_id, notifier, group, title):
                if alert_id not in self._tables.alerts:
                    raise Conflict(write)
                row = self._ensure(notifier, group, title)
                self._tables.links[alert_id, row] = None
                self._mark(row)
            case Unlink(alert_id, row_id):
                self._tables.links.discard((alert_id, row_id))
                self._mark(row_id)
            case Touch(alert_id):
                for linked, row_id in list(self._tables.links):
                    if linked == alert_id:
                        self._mark(row_id)
            case MarkDirty(row_id):
                self._mark(row_id)
            case PutNotification(row):
                self._put_notification(row)
            case PutDoubt(row_id, doubt) if row_id in self._tables.notifications:
                self._put_doubt(row_id, doubt)
            case DropDoubt(row_id, key, version):
                if (row_id, key) in self._tables.doubts and self._tables.doubts[row_id, key].version <= version:
                    self._tables.doubts.discard((row_id, key))
            case Confess(notifier, group, title, doubt):
                row_id = self._ensure(notifier, group, title)
                self._mark(row_id)
                self._put_doubt(row_id, dataclasses.replace(doubt, version=self._tables.notifications[row_id].version))
            case DropNotification(row_id):
                self._tables.drop_notification(row_id)
            case AppendEvent(event):
                if event.id in self._tables.events:
                    raise Conflict(write)
                self._tables.cursor += 1  # a gap after a conflict is no harm
                self._tables.events[event.id] = dataclasses.replace(event, cursor=self._tables.cursor)
            case QueueHookCall(call) if call.id not in self._tables.calls:
                if call.event_id not in self._tables.events:
                    raise Conflict(write)
                self._tables.calls[call.id] = call
            case PutHookCall(call) if call.id in self._tables.calls:
                self._tables.calls[call.id] = call
            case DropHookCall(call_id) if call_id in self._tables.calls:
                self._drop_call(self._tables.calls[call_id])
            case Release(work, row_id):
                self._tables.leases.discard((work, row_id))
            case _:
                pass  # its row is gone, and the write says that nothing happens then

    def _put_sync(self, write: Write, sync: Sync) -> None:
        if any(other.name == sync.name and other.id != sync.id for other in self._tables.syncs.values()):
            raise Conflict(write)
        old = self._tables.syncs.get(sync.id)
        self._tables.syncs[sync.id] = sync if old is None else dataclasses.replace(sync, requests=old.requests)

    def _put_alert(self, write: Write, alert: Alert) -> None:
        twins = (
            other
            for other in self._tables.alerts.values()
            if other.open and other.sync_id == alert.sync_id and other.kind == alert.kind and other.id != alert.id
        )
        if alert.open and (alert.sync_id not in self._tables.syncs or any(twins)):
            raise Conflict(write)
        self._tables.alerts[alert.id] = alert

    def _ensure(self, notifier: str, group: str, title: str) -> str:
        row_id = notification_id(notifier, group)
        if row_id not in self._tables.notifications:
            self._tables.notifications[row_id] = Notification(id=row_id, notifier=notifier, group=group, title=title)
        return row_id

    def _mark(self, row_id: str) -> None:
        if row_id in self._tables.notifications:
            row = self._tables.notifications[row_id]
            now = self._now
            due = now if row.due_at is None else min(row.due_at, now)
            self._tables.notifications[row_id] = dataclasses.replace(row, version=row.version + 1, due_at=due)

    def _put_notification(self, row: Notification) -> None:
        if row.id not in self._tables.notifications:
            return
        version = self._tables.notifications[row.id].version
        due = self._now if version > row.version else row.due_at
        self._tables.notifications[row.id] = dataclasses.replace(row, version=version, due_at=due, doubts=())

    def _put_doubt(self, row_id: str, doubt: Doubt) -> None:
        old = self._tables.doubts.get((row_id, doubt.key))
        if old is not None and old.version > doubt.version:
            doubt = dataclasses.replace(old, until=max(old.until, doubt.until))
        self._tables.doubts[row_id, doubt.key] = doubt

    def _drop_call(self, call: HookCall) -> None:
        event = self._tables.events[call.event_id]
        owed = tuple(plugin for plugin in event.hooks if plugin != call.plugin)
        self._tables.events[event.id] = dataclasses.replace(event, hooks=owed)
        self._tables.calls.discard(call.id)
        self._tables.leases.discard((Work.HOOK_CALL, call.id))
