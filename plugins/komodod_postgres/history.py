"""History and how it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from komodod_postgres.queries import SQL
from komodod_postgres.rows import fetch

if TYPE_CHECKING:
    from datetime import datetime

    from komodod_postgres.connections import Connection


async def purge(connection: Connection, before: datetime, limit: int) -> int:
    """Remove up to `limit` rows; return how many."""
    [[gone]] = await fetch(connection, SQL["purge"], {"before": before, "limit": limit})
    return int(gone)
