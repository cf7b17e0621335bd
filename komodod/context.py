"""What every plugin object is given beside its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp
    from structlog.typing import FilteringBoundLogger

    from komodod.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The surroundings of a plugin object, from its `open()` to its `close()`.

    `name` is what people call it (the notifier's name, the sync's name, the storage's type). `state_dir` is a
    directory of the plugin's own, made by komodod, that outlives the object. `http` is the one shared client session
    (no hidden retries for POST, no redirects unless asked for); it is None where there is no network to speak to, as
    under `komodod config check`. `log` is a structlog logger that already says who speaks. `sync_id` is set for
    sources: whatever is kept outside the store for a sync is named by it, never by the sync's name.
    """

    name: str
    state_dir: Path
    clock: Clock
    log: FilteringBoundLogger
    http: aiohttp.ClientSession | None = None
    sync_id: str | None = None
