"""The store's invariants, one query each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from komodod.model import Aggregate, Notification
from komodod.storage import Breach, Census, OwedCalls, Page, Stored
from komodod_sqlite.queries import SQL
from komodod_sqlite.reads import load_aggregate, notifications
from komodod_sqlite.rows import ALERTS, EVENTS, lease, records

EVERYTHING: Final = -1
"""The limit that is none."""


def census(connection: sqlite3.Connection, invariant: Stored, now: int) -> Census:
    """Count what the invariant looks at, and what breaks it."""
    name = invariant.replace("-", "_")
    [[checked]] = connection.execute(SQL[f"checked_{name}"])
    breaches = SQL[f"breaches_{name}"].rstrip(";")
    [[found]] = connection.execute(f"SELECT count(*) FROM ({breaches})", _params(None, EVERYTHING, now))  # noqa: S608  our own statement
    return Census(checked, found)


def breaches(
    connection: sqlite3.Connection, invariant: Stored, now: int, after: str | None, limit: int
) -> Page[Breach]:
    """Return breaches by their ids, after the breach `after`."""
    found = connection.execute(SQL[f"breaches_{invariant.replace('-', '_')}"], _params(after, limit + 1, now))
    items = _SUBJECTS[invariant](connection, found)
    return Page(tuple(items[:limit]), items[limit - 1].id if len(items) > limit else None)


def _params(after: str | None, limit: int, now: int) -> Mapping[str, Any]:
    work, _, row_id = (after or "").partition("/")
    return {"after": after or "", "work": work, "row_id": row_id, "limit": limit, "now": now}


def _orphans(_: sqlite3.Connection, found: sqlite3.Cursor) -> list[Breach]:
    return [Breach(alert.id, alert) for alert in ALERTS.read(found)]


def _mismatches(connection: sqlite3.Connection, found: sqlite3.Cursor) -> list[Breach]:
    aggregates = [load_aggregate(connection, row["id"]) for row in records(found)]
    return [Breach(each.sync.id, each) for each in aggregates if isinstance(each, Aggregate)]


def _sleepers(connection: sqlite3.Connection, found: sqlite3.Cursor) -> list[Breach]:
    rows: list[Notification] = notifications(connection, found)
    return [Breach(row.id, row) for row in rows]


def _leases(_: sqlite3.Connection, found: sqlite3.Cursor) -> list[Breach]:
    return [Breach(f"{row['work']}/{row['row_id']}", lease(row)) for row in records(found)]


def _unqueued(connection: sqlite3.Connection, found: sqlite3.Cursor) -> list[Breach]:
    owed = []
    for event in EVENTS.read(found):
        queued = {plugin for [plugin] in connection.execute(SQL["queued_plugins"], {"id": event.id})}
        owed.append(OwedCalls(event, tuple(plugin for plugin in event.hooks if plugin not in queued)))
    return [Breach(each.event.id, each) for each in owed]


_SUBJECTS: Final[dict[Stored, Callable[[sqlite3.Connection, sqlite3.Cursor], list[Breach]]]] = {
    Stored.OPEN_ALERT_HAS_SYNC: _orphans,
    Stored.OPEN_ALERT_MATCHES_STATE: _mismatches,
    Stored.NOTIFICATION_MATCHES_ALERTS: _sleepers,
    Stored.NO_EXPIRED_LEASE: _leases,
    Stored.EVENT_HAS_HOOK_CALLS: _unqueued,
}
