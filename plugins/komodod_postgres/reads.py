"""Reads of one thing, one statement each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from komodod import codec
from komodod.model import (
    Aggregate,
    Alert,
    AlertKind,
    Changes,
    Event,
    HookCall,
    Members,
    Notification,
    Sync,
    SyncState,
)
from komodod.storage import Counts
from komodod_postgres.queries import SQL
from komodod_postgres.rows import fetch, fetch_one

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from komodod_postgres.connections import Connection


async def get_sync(connection: Connection, sync_id: str) -> Sync | None:
    """Return the sync of this id."""
    return await fetch_one(connection, Sync, SQL["get_sync"], {"id": sync_id})


async def find_sync(connection: Connection, name: str) -> Sync | None:
    """Return the sync of this name."""
    return await fetch_one(connection, Sync, SQL["find_sync"], {"name": name})


async def get_changes(connection: Connection, sync_id: str) -> Changes:
    """Return the stored changes of a sync; none where there is no such sync."""
    return await fetch_one(connection, Changes, SQL["get_changes"], {"id": sync_id}) or Changes()


async def load_aggregate(connection: Connection, sync_id: str) -> Aggregate | None:
    """Return the sync and its open alerts, by kind."""
    return await fetch_one(connection, Aggregate, SQL["load_aggregate"], {"id": sync_id})


async def get_alert(connection: Connection, alert_id: str) -> Alert | None:
    """Return the alert of this id."""
    return await fetch_one(connection, Alert, SQL["get_alert"], {"id": alert_id})


async def get_notification(connection: Connection, row_id: str) -> Notification | None:
    """Return the notification of this id, its doubts with it."""
    return await fetch_one(connection, Notification, SQL["get_notification"], {"id": row_id})


async def get_hook_call(connection: Connection, call_id: str) -> HookCall | None:
    """Return the hook call of this id."""
    return await fetch_one(connection, HookCall, SQL["get_hook_call"], {"id": call_id})


async def get_event(connection: Connection, event_id: str) -> Event | None:
    """Return the event of this id."""
    return await fetch_one(connection, Event, SQL["get_event"], {"id": event_id})


async def load_members(connection: Connection, row_ids: Sequence[str]) -> Mapping[str, Members]:
    """Return the members of each notification's group."""
    found = await fetch(connection, SQL["load_members"], {"ids": list(row_ids)})
    return {row_id: codec.decode(Members, members) for row_id, members in found}


async def counts(connection: Connection) -> Counts:
    """Return how much there is of what."""
    found = await connection.execute(SQL["counts"].encode())
    names = [column.name for column in found.description or ()]
    [row] = await found.fetchall()
    counted = dict(zip(names, row, strict=True))
    syncs = {SyncState(state): count for state, count in (counted.pop("syncs") or {}).items()}
    alerts = {AlertKind(kind): count for kind, count in (counted.pop("open_alerts") or {}).items()}
    return Counts(syncs=syncs, open_alerts=alerts, **counted)


async def ping(connection: Connection) -> None:
    """Return when the server has shown that it can write."""
    await connection.execute(SQL["ping"].encode())
