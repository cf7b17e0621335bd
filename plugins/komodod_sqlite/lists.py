"""Lists: a page each, in the order of an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from komodod.model import HookCallState
from komodod.storage import (
    AlertFilter,
    EventFilter,
    HookCallFilter,
    Lease,
    NotificationFilter,
    Page,
    SyncFilter,
)
from komodod_sqlite.conditions import LAST, Where, place
from komodod_sqlite.queries import SQL
from komodod_sqlite.reads import notifications
from komodod_sqlite.rows import ALERTS, EVENTS, HOOK_CALLS, SYNCS, lease, records, stamp

if TYPE_CHECKING:
    import sqlite3

    from komodod.model import Alert, Event, HookCall, Notification, Sync

T = TypeVar("T")


def list_syncs(connection: sqlite3.Connection, match: SyncFilter, after: str | None, limit: int) -> Page[Sync]:
    """Return syncs by name."""
    where = Where().that("name > :after", after=after or "").glob("name", match.name, "name")
    where.equal("state", match.state).equal("origin", match.origin).equal("paused", match.paused)
    where.labels("spec, '$.labels'", match.labels)
    rows = SYNCS.read(_select(connection, "list_syncs", where, limit + 1))
    return _page(rows, limit, lambda row: row.name)


def list_alerts(connection: sqlite3.Connection, match: AlertFilter, after: str | None, limit: int) -> Page[Alert]:
    """Return alerts, newest first."""
    where = Where().older("opened_at", after).glob("sync_name", match.sync, "name")
    where.equal("sync_id", match.sync_id).equal("kind", match.kind).equal("severity", match.severity)
    where.labels("labels", match.labels)
    if match.open is not None:
        where.that("resolved_at IS NULL" if match.open else "resolved_at IS NOT NULL")
    rows = ALERTS.read(_select(connection, "list_alerts", where, limit + 1))
    return _page(rows, limit, lambda row: place(stamp(row.opened_at), row.id))


def list_notifications(
    connection: sqlite3.Connection, match: NotificationFilter, after: str | None, limit: int
) -> Page[Notification]:
    """Return notifications by id, their doubts with them."""
    where = Where().that("id > :after", after=after or "").glob("title", match.title, "title")
    where.equal("notifier", match.notifier).equal('"group"', match.group, "group").equal("state", match.state)
    if match.alert_id is not None:
        links = "SELECT notification_id FROM alert_notifications WHERE alert_id = :alert_id"
        where.that(f"id IN ({links})", alert_id=match.alert_id)
    if match.attention:
        doubtful = "EXISTS (SELECT 1 FROM doubts WHERE notification_id = notifications.id)"
        where.that(f"(dead = version OR stranded OR {doubtful})")
    rows = notifications(connection, _select(connection, "list_notifications", where, limit + 1))
    return _page(rows, limit, lambda row: row.id)


def list_hook_calls(
    connection: sqlite3.Connection, match: HookCallFilter, after: str | None, limit: int
) -> Page[HookCall]:
    """Return hook calls, newest first."""
    where = Where().older("created_at", after).glob("ifnull(sync_name, '')", match.sync, "name")
    where.equal("plugin", match.plugin).equal("event_id", match.event_id).equal("state", match.state)
    if match.state not in (None, HookCallState.DONE):
        where.that("state <> 'done'")  # says in so many words that the index of the unfinished will do
    rows = HOOK_CALLS.read(_select(connection, "list_hook_calls", where, limit + 1))
    return _page(rows, limit, lambda row: place(stamp(row.created_at), row.id))


def list_events(connection: sqlite3.Connection, match: EventFilter, after: int, limit: int) -> tuple[Event, ...]:
    """Return events after the cursor, in the order of the cursors."""
    where = _events(match).that('"cursor" > :after', after=after)
    return tuple(EVENTS.read(_select(connection, "list_events", where, limit)))


def list_recent_events(
    connection: sqlite3.Connection, match: EventFilter, before: int | None, limit: int
) -> tuple[Event, ...]:
    """Return events before the cursor, newest first."""
    where = _events(match).that('"cursor" < :before', before=LAST if before is None else before)
    return tuple(EVENTS.read(_select(connection, "list_recent_events", where, limit)))


def list_leases(connection: sqlite3.Connection, after: str | None, limit: int) -> Page[Lease]:
    """Return leases by work and row."""
    work, _, row_id = (after or "").partition("/")
    params = {"work": work, "row_id": row_id, "limit": limit + 1}
    rows = [lease(row) for row in records(connection.execute(SQL["list_leases"], params))]
    return _page(rows, limit, lambda row: f"{row.work}/{row.row_id}")


def _events(match: EventFilter) -> Where:
    where = Where().glob("sync_name", match.sync, "name").equal("sync_id", match.sync_id)
    return where.among("kind", sorted(match.kinds))


def _select(connection: sqlite3.Connection, name: str, where: Where, limit: int) -> sqlite3.Cursor:
    return connection.execute(SQL[name].replace("{where}", str(where)), where.params | {"limit": limit})


def _page(rows: Sequence[T], limit: int, key: Callable[[T], str]) -> Page[T]:
    """Return a page of one row more than was asked for, if there is one."""
    return Page(tuple(rows[:limit]), key(rows[limit - 1]) if len(rows) > limit else None)
