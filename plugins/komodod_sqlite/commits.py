"""A batch, applied to the database inside a transaction of the writer's."""

from __future__ import annotations

import dataclasses
import sqlite3
from typing import TYPE_CHECKING, Any

from komodod.errors import Conflict
from komodod.storage import (
    AlertOpen,
    AppendEvent,
    Batch,
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
    Write,
    notification_id,
)
from komodod_sqlite.faults import forbids
from komodod_sqlite.queries import SQL
from komodod_sqlite.rows import ALERTS, CHANGES, DOUBTS, EVENTS, HOOK_CALLS, NOTIFICATIONS, SYNCS

if TYPE_CHECKING:
    from komodod.model import Doubt, Event


def commit(connection: sqlite3.Connection, batch: Batch, now: int) -> None:
    """Apply the batch; a part of it is left behind where this raises, for the caller to roll back.

    Raises:
        Conflict: an expectation does not hold, or the schema forbids a write.
    """
    for expectation in batch.expect:
        if not _holds(connection, expectation, now):
            raise Conflict(expectation)
    changes = Changer(connection, now)
    for write in batch.writes:
        try:
            changes.apply(write)
        except sqlite3.IntegrityError as error:
            if not forbids(error):
                raise
            raise Conflict(write) from error


def _holds(connection: sqlite3.Connection, expectation: Expectation, now: int) -> bool:
    def found(statement: str, /, **params: str | int) -> bool:
        return connection.execute(SQL[statement], params).fetchone() is not None

    match expectation:
        case SyncAt(sync_id, generation):
            return found("sync_at", sync_id=sync_id, generation=generation)
        case SyncGone(sync_id):
            return found("sync_gone", sync_id=sync_id)
        case NameFree(name):
            return found("name_free", name=name)
        case AlertOpen(alert_id):
            return found("alert_open", alert_id=alert_id)
        case LeaseHeld(work, row_id, token):
            return found("lease_held", work=work.value, row_id=row_id, token=token)
        case NotificationAt(row_id, version):
            return found("notification_at", row_id=row_id, version=version, now=now)
        case HookCallIn(row_id, state):
            return found("hook_call_in", row_id=row_id, state=state.value, now=now)
        case Leading():
            return True  # one process leads every duty


class Changer:
    """Applies writes at one moment of the store's clock."""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection, self._now = connection, now

    def apply(self, write: Write) -> None:  # noqa: C901, PLR0912  one case a write; splitting it would hide that
        """Apply one write. Raises sqlite3.IntegrityError where the schema forbids it."""
        match write:
            case PutSync(sync):
                self._run("put_sync", SYNCS.write(sync))
            case PutChanges(sync_id, changes):
                self._run("put_changes", CHANGES.write(changes), sync_id=sync_id)
            case RequestCheck(sync_id):
                self._run("request_check", sync_id=sync_id)
            case DeleteSync(sync_id):
                self._run("delete_sync", sync_id=sync_id)
            case PutAlert(alert):
                self._put_alert(ALERTS.write(alert))
            case Link(alert_id, notifier, group, title):
                self._raise(notifier, group, title)
                self._run("link", alert_id=alert_id, row_id=notification_id(notifier, group))
            case Unlink(alert_id, row_id):
                self._run("unlink", alert_id=alert_id, row_id=row_id)
                self._run("mark_dirty", row_id=row_id, now=self._now)
            case Touch(alert_id):
                self._run("touch", alert_id=alert_id, now=self._now)
            case MarkDirty(row_id):
                self._run("mark_dirty", row_id=row_id, now=self._now)
            case PutNotification(row):
                self._run("put_notification", NOTIFICATIONS.write(row), now=self._now)
            case PutDoubt(row_id, doubt):
                self._put_doubt(row_id, doubt)
            case DropDoubt(row_id, key, version):
                self._run("drop_doubt", row_id=row_id, key=key, version=version)
            case Confess(notifier, group, title, doubt):
                version = self._raise(notifier, group, title)
                self._put_doubt(notification_id(notifier, group), dataclasses.replace(doubt, version=version))
            case DropNotification(row_id):
                self._run("drop_notification", row_id=row_id)
            case AppendEvent(event):
                self._append(event)
            case QueueHookCall(call):
                self._run("queue_hook_call", HOOK_CALLS.write(call))
            case PutHookCall(call):
                self._run("put_hook_call", HOOK_CALLS.write(call))
            case DropHookCall(call_id):
                self._run("forgive_hook_call", call_id=call_id)
                self._run("drop_hook_call", call_id=call_id)
            case Release(work, row_id):
                self._run("release", work=work.value, row_id=row_id)

    def _run(self, statement: str, row: dict[str, Any] | None = None, **params: str | int) -> None:
        self._connection.execute(SQL[statement], params if row is None else row | params)

    def _put_alert(self, row: dict[str, Any]) -> None:
        if self._connection.execute(SQL["change_alert"], row).rowcount == 0:
            self._run("put_alert", row)

    def _raise(self, notifier: str, group: str, title: str) -> int:
        """Mark the notification dirty, making it if it is new; return its version."""
        params = {"id": notification_id(notifier, group), "notifier": notifier, "group": group, "title": title}
        [[version]] = self._connection.execute(SQL["raise_notification"], params | {"now": self._now})
        return int(version)

    def _put_doubt(self, row_id: str, doubt: Doubt) -> None:
        row = DOUBTS.write(doubt)
        self._run("prolong_doubt", row, row_id=row_id)
        self._run("put_doubt", row, row_id=row_id)

    def _append(self, event: Event) -> None:
        of = event.sync
        named = {"sync_id": of and of.id, "sync_name": of and of.name}
        self._run("append_event", EVENTS.write(event) | named)
