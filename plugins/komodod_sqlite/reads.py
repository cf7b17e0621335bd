"""Reads of one thing, each inside one read transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from komodod.model import Aggregate, AlertKind, Changes, HookCallState, Members, SyncState
from komodod.storage import Counts
from komodod_sqlite.queries import SQL
from komodod_sqlite.rows import (
    ALERTS,
    CHANGES,
    DOUBTS,
    EVENTS,
    HOOK_CALLS,
    NOTIFICATIONS,
    SYNCS,
    Table,
    records,
)

if TYPE_CHECKING:
    import sqlite3

    from komodod.model import Alert, Doubt, Event, HookCall, Notification, Sync

T = TypeVar("T")


def get_sync(connection: sqlite3.Connection, sync_id: str) -> Sync | None:
    """Return the sync of this id."""
    return _one(SYNCS, connection, "get_sync", id=sync_id)


def find_sync(connection: sqlite3.Connection, name: str) -> Sync | None:
    """Return the sync of this name."""
    return _one(SYNCS, connection, "find_sync", name=name)


def get_changes(connection: sqlite3.Connection, sync_id: str) -> Changes:
    """Return the stored changes of a sync; none where there is no such sync."""
    return _one(CHANGES, connection, "get_changes", id=sync_id) or Changes()


def load_aggregate(connection: sqlite3.Connection, sync_id: str) -> Aggregate | None:
    """Return the sync and its open alerts, by kind."""
    sync = get_sync(connection, sync_id)
    return None if sync is None else Aggregate(sync=sync, alerts=_alerts(connection, "open_alerts", sync_id))


def get_alert(connection: sqlite3.Connection, alert_id: str) -> Alert | None:
    """Return the alert of this id."""
    return _one(ALERTS, connection, "get_alert", id=alert_id)


def get_notification(connection: sqlite3.Connection, row_id: str) -> Notification | None:
    """Return the notification of this id, its doubts with it."""
    found = notifications(connection, connection.execute(SQL["get_notification"], {"id": row_id}))
    return found[0] if found else None


def get_hook_call(connection: sqlite3.Connection, call_id: str) -> HookCall | None:
    """Return the hook call of this id."""
    return _one(HOOK_CALLS, connection, "get_hook_call", id=call_id)


def get_event(connection: sqlite3.Connection, event_id: str) -> Event | None:
    """Return the event of this id."""
    return _one(EVENTS, connection, "get_event", id=event_id)


def load_members(connection: sqlite3.Connection, row_ids: Sequence[str]) -> Mapping[str, Members]:
    """Return the members of each notification's group."""
    return {row_id: _members(connection, row_id) for row_id in row_ids}


def counts(connection: sqlite3.Connection) -> Counts:
    """Return how much there is of what."""
    [notification] = records(connection.execute(SQL["count_notifications"]))
    [[paused]] = connection.execute(SQL["count_paused"])
    calls = dict(connection.execute(SQL["count_hook_calls"]))
    return Counts(
        syncs={SyncState(state): count for state, count in connection.execute(SQL["count_syncs"])},
        paused=paused,
        open_alerts={AlertKind(kind): count for kind, count in connection.execute(SQL["count_open_alerts"])},
        waiting_hook_calls=calls.get(HookCallState.WAITING, 0),
        dead_hook_calls=calls.get(HookCallState.DEAD, 0),
        **notification,
    )


def notifications(connection: sqlite3.Connection, found: sqlite3.Cursor) -> list[Notification]:
    """Return the notifications that the rows stand for, their doubts with them."""
    rows = records(found)
    doubts = _doubts(connection, [row["id"] for row in rows])
    return [NOTIFICATIONS.build(row, doubts=tuple(doubts.get(row["id"], ()))) for row in rows]


def _doubts(connection: sqlite3.Connection, row_ids: Sequence[str]) -> dict[str, list[Doubt]]:
    found: dict[str, list[Doubt]] = {}
    for row in records(connection.execute(SQL["doubts"], {"ids": json.dumps(row_ids)})):
        found.setdefault(row["notification_id"], []).append(DOUBTS.build(row))
    return found


def _members(connection: sqlite3.Connection, row_id: str) -> Members:
    last = _one(ALERTS, connection, "last_member", id=row_id)
    return Members(open=_alerts(connection, "open_members", row_id), last=last)


def _alerts(connection: sqlite3.Connection, name: str, row_id: str) -> tuple[Alert, ...]:
    return tuple(ALERTS.read(connection.execute(SQL[name], {"id": row_id})))


def _one(table: Table[T], connection: sqlite3.Connection, name: str, /, **params: Any) -> T | None:
    found = table.read(connection.execute(SQL[name], params))
    return found[0] if found else None
