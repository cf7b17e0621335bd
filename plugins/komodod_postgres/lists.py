"""Lists: a page each, in the order of an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from komodod.model import Alert, Event, HookCall, HookCallState, Notification, Sync
from komodod_postgres.conditions import LAST, Where, place
from komodod_postgres.queries import SQL
from komodod_postgres.rows import fetch, fetch_all, lease, page

if TYPE_CHECKING:
    from komodod.storage import (
        AlertFilter,
        EventFilter,
        HookCallFilter,
        Lease,
        NotificationFilter,
        Page,
        SyncFilter,
    )
    from komodod_postgres.connections import Connection

T = TypeVar("T")


async def list_syncs(connection: Connection, match: SyncFilter, after: str | None, limit: int) -> Page[Sync]:
    """Return syncs by name."""
    where = Where().glob("name", match.name, "name")
    where.equal("state", match.state).equal("origin", match.origin).equal("paused", match.paused).labels(match.labels)
    rows = await _select(connection, Sync, "list_syncs", _past(where, "name", after), limit + 1)
    return page(rows, limit, lambda row: row.name)


async def list_alerts(connection: Connection, match: AlertFilter, after: str | None, limit: int) -> Page[Alert]:
    """Return alerts, newest first."""
    where = Where().older("opened_at", after).glob("sync_name", match.sync, "name")
    where.equal("sync_id", match.sync_id).equal("kind", match.kind).equal("severity", match.severity)
    where.labels(match.labels)
    if match.open is not None:
        where.that("resolved_at IS NULL" if match.open else "resolved_at IS NOT NULL")
    rows = await _select(connection, Alert, "list_alerts", where, limit + 1)
    return page(rows, limit, lambda row: place(row.opened_at, row.id))


async def list_notifications(
    connection: Connection, match: NotificationFilter, after: str | None, limit: int
) -> Page[Notification]:
    """Return notifications by id, their doubts with them."""
    where = Where().glob("title", match.title, "title")
    where.equal("notifier", match.notifier).equal('"group"', match.group, "group").equal("state", match.state)
    if match.alert_id is not None:
        links = "SELECT notification_id FROM komodod.alert_notifications WHERE alert_id = %(alert_id)s"
        where.that(f"id IN ({links})", alert_id=match.alert_id)
    if match.attention:
        where.that("(dead = version OR stranded OR id IN (SELECT notification_id FROM komodod.doubts))")
    rows = await _select(connection, Notification, "list_notifications", _past(where, "id", after), limit + 1)
    return page(rows, limit, lambda row: row.id)


async def list_hook_calls(
    connection: Connection, match: HookCallFilter, after: str | None, limit: int
) -> Page[HookCall]:
    """Return hook calls, newest first."""
    where = Where().older("created_at", after).glob("coalesce(sync_name, '')", match.sync, "name")
    where.equal("plugin", match.plugin).equal("event_id", match.event_id).equal("state", match.state)
    if match.state not in (None, HookCallState.DONE):
        where.that("state <> 'done'")  # says in so many words that the index of the unfinished will do
    rows = await _select(connection, HookCall, "list_hook_calls", where, limit + 1)
    return page(rows, limit, lambda row: place(row.created_at, row.id))


async def list_events(connection: Connection, match: EventFilter, after: int, limit: int) -> tuple[Event, ...]:
    """Return events after the cursor, in the order of the cursors."""
    where = _events(match).that('"cursor" > %(after)s', after=after)
    return tuple(await _select(connection, Event, "list_events", where, limit))


async def list_recent_events(
    connection: Connection, match: EventFilter, before: int | None, limit: int
) -> tuple[Event, ...]:
    """Return events before the cursor, newest first."""
    where = _events(match).that('"cursor" < %(before)s', before=LAST if before is None else before)
    return tuple(await _select(connection, Event, "list_recent_events", where, limit))


async def list_leases(connection: Connection, after: str | None, limit: int) -> Page[Lease]:
    """Return leases by work and row."""
    work, _, row_id = (after or "").partition("/")
    params = {"work": work, "row_id": row_id, "limit": limit + 1}
    rows = [lease(row) for row in await fetch(connection, SQL["list_leases"], params)]
    return page(rows, limit, lambda row: f"{row.work}/{row.row_id}")


def _events(match: EventFilter) -> Where:
    where = Where().glob("sync_name", match.sync, "name").equal("sync_id", match.sync_id)
    return where.among("kind", sorted(match.kinds))


def _past(where: Where, column: str, after: str | None) -> Where:
    return where if after is None else where.that(f"{column} > %(after)s", after=after)


async def _select(connection: Connection, kind: type[T], name: str, where: Where, limit: int) -> list[T]:
    statement = SQL[name].replace("{where}", str(where))
    return await fetch_all(connection, kind, statement, where.params | {"limit": limit})
