"""The storage `postgres`: everything in a PostgreSQL database, for as many processes as there are.

psycopg is imported when a store is opened: without the extra `komodod[postgres]` nothing of this is missed until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import komodod
from komodod_postgres.config import PostgresConfig
from komodod_postgres.storage import PostgresStorage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from komodod.storage import Storage

__all__ = ["PostgresConfig", "PostgresStorage", "register_storages"]


@komodod.hookimpl
def register_storages() -> Mapping[str, type[Storage]]:
    """Return the storage by its type."""
    return {"postgres": PostgresStorage}
