"""History and how it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from komodod_sqlite.queries import SQL

if TYPE_CHECKING:
    import sqlite3


def purge(connection: sqlite3.Connection, before: int, limit: int) -> int:
    """Remove up to `limit` rows: alerts first, whose links hold notifications; return how many."""
    gone = 0
    for name in ("purge_alerts", "purge_events", "purge_notifications"):
        gone += connection.execute(SQL[name], {"before": before, "limit": limit - gone}).rowcount
    return gone
