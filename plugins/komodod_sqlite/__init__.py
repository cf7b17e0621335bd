"""The storage `sqlite`: everything in one file, for one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import komodod
from komodod_sqlite.storage import SqliteConfig, SqliteStorage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from komodod.storage import Storage

__all__ = ["SqliteConfig", "SqliteStorage", "register_storages"]


@komodod.hookimpl
def register_storages() -> Mapping[str, type[Storage]]:
    """Return the storage by its type."""
    return {"sqlite": SqliteStorage}
