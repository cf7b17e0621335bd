"""The effective settings: validated, every default filled in, every path absolute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

    from komodod.engine.decisions.routing import Route
    from komodod.model import Spec
    from komodod.settings.models import (
        ApiSection,
        ConsistencySection,
        LimitsSection,
        LogSection,
        PluginsSection,
        RetentionSection,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredStorage:
    """The store. `declared` is `file:line`, None for the default store."""

    type: str
    config: BaseModel
    declared: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredNotifier:
    """One channel; `declared` is `file:line`."""

    name: str
    type: str
    config: BaseModel
    declared: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSync:
    """One sync; `declared` is `file:line`."""

    name: str
    spec: Spec
    declared: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A whole configuration, as it is in effect.

    `files` are all that were read, the main one first. `socket` is where the API listens. Of `consistency.every` (in
    seconds) and `consistency.cron` exactly one is set; `timezone` is that of every cron, None the system's.
    """

    files: tuple[Path, ...]
    state_dir: Path
    socket: Path
    storage: DeclaredStorage
    api: ApiSection
    log: LogSection
    plugins: PluginsSection
    consistency: ConsistencySection
    limits: LimitsSection
    retention: RetentionSection
    timezone: str | None
    notifiers: tuple[DeclaredNotifier, ...]
    routes: tuple[Route, ...]
    syncs: tuple[DeclaredSync, ...]
