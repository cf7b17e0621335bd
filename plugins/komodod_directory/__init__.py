"""The `directory` source: keeps one directory like another one on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import komodod
from komodod.tree import tidy
from komodod_directory.source import DirectoryConfig, DirectorySource, locate

if TYPE_CHECKING:
    from komodod.context import Context
    from komodod.model import Event
    from komodod.source import Source

__all__ = ["DirectoryConfig", "DirectorySource"]

PATIENCE = 20.0
"""Seconds to wait for an apply of the deleted sync that still runs, before the hook call is tried again later."""


@komodod.hookimpl
def register_sources() -> Mapping[str, type[Source]]:
    """Offer the source."""
    return {"directory": DirectorySource}


@komodod.hookimpl
def on_sync_deleted(event: Event, context: Context) -> None:
    """Remove the temporary files that a killed apply of the sync may have left in its target.

    Raises:
        TemporaryError: an apply of it still runs.
        SourceError: they cannot be removed.
    """
    if event.sync is not None and event.sync.spec.source["type"] == "directory":
        tidy(locate(event.sync.spec.source, event.sync.id), PATIENCE, context.log)
