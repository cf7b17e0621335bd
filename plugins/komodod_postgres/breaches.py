"""The store's invariants, one query each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from komodod import codec
from komodod.model import Aggregate, Alert, Event, Notification
from komodod.storage import Breach, Census, OwedCalls, Page, Stored
from komodod_postgres.queries import SQL
from komodod_postgres.rows import fetch, lease, page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from komodod_postgres.connections import Connection


async def census(connection: Connection, invariant: Stored, now: datetime | None) -> Census:
    """Count what the invariant looks at, and what breaks it."""
    name = invariant.replace("-", "_")
    [[checked]] = await fetch(connection, SQL[f"checked_{name}"], {})
    counted = f"SELECT count(*) FROM ({SQL[f'breaches_{name}']}) AS found"  # noqa: S608  our own statement
    [[found]] = await fetch(connection, counted, _params(None, None, now))
    return Census(checked, found)


async def breaches(
    connection: Connection, invariant: Stored, now: datetime | None, after: str | None, limit: int
) -> Page[Breach]:
    """Return breaches by their ids, after the breach `after`."""
    statement = SQL[f"breaches_{invariant.replace('-', '_')}"]
    found = await fetch(connection, statement, _params(after, limit + 1, now))
    return page([_SUBJECTS[invariant](row) for row in found], limit, lambda breach: breach.id)


def _params(after: str | None, limit: int | None, now: datetime | None) -> Mapping[str, Any]:
    work, _, row_id = (after or "").partition("/")
    return {"after": after or "", "work": work, "row_id": row_id, "limit": limit, "now": now}


def _lease(row: Sequence[Any]) -> Breach:
    held = lease(row)
    return Breach(f"{held.work}/{held.row_id}", held)


_SUBJECTS: Final[dict[Stored, Callable[[Sequence[Any]], Breach]]] = {
    Stored.OPEN_ALERT_HAS_SYNC: lambda row: Breach(row[1], codec.decode(Alert, row[0])),
    Stored.OPEN_ALERT_MATCHES_STATE: lambda row: Breach(row[1], codec.decode(Aggregate, row[0])),
    Stored.NOTIFICATION_MATCHES_ALERTS: lambda row: Breach(row[1], codec.decode(Notification, row[0])),
    Stored.NO_EXPIRED_LEASE: _lease,
    Stored.EVENT_HAS_HOOK_CALLS: lambda row: Breach(row[1], OwedCalls(codec.decode(Event, row[0]), tuple(row[2]))),
}
