"""The `git` source: keeps a directory like a branch of a git repository, through a cached clone per sync."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

import komodod
from komodod.blocking import blocking
from komodod.tree import tidy
from komodod_git.config import GitConfig
from komodod_git.invariants import CloneHasSync, TombstoneIsYoung
from komodod_git.shelf import Shelf
from komodod_git.source import GitSource, locate

if TYPE_CHECKING:
    from komodod.context import Context
    from komodod.invariant import Invariant
    from komodod.model import Event
    from komodod.source import Source

__all__ = ["CloneHasSync", "GitConfig", "GitSource", "TombstoneIsYoung"]

PATIENCE: Final = 10.0
"""Seconds to wait, twice, for a check or apply of the deleted sync; after that the hook call is tried again later."""


@komodod.hookimpl
def register_sources() -> Mapping[str, type[Source]]:
    """Offer the source."""
    return {"git": GitSource}


@komodod.hookimpl
def register_invariants() -> Mapping[str, type[Invariant]]:
    """Look after what the hook could not remove."""
    return {kind.name: kind for kind in (CloneHasSync, TombstoneIsYoung)}


@komodod.hookimpl
async def on_sync_deleted(event: Event, context: Context) -> None:
    """Remove the clone of the sync, and the temporary files that a killed apply may have left in its target.

    Raises:
        TemporaryError: a check or apply of it still runs.
        OSError, SourceError: something cannot be removed.
    """
    if event.sync is None:
        return
    shelf, sync_id, source = Shelf(context.state_dir), event.sync.id, event.sync.spec.source
    is_git = source["type"] == "git"
    if is_git or await blocking(shelf.clone(sync_id).exists):  # it may have been a git sync before it was edited
        async with shelf.clearing(sync_id, PATIENCE):
            await blocking(shelf.bury, sync_id, context.clock.now())
    if is_git:
        await blocking(partial(tidy, locate(source, sync_id), PATIENCE, context.log))
