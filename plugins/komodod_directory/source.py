"""A directory that should be like another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from komodod.source import AnchoredPath, Source
from komodod.tree import (
    DirectoryOrigin,
    Pattern,
    Patterns,
    Stop,
    Target,
    apply,
    check_pair,
    check_places,
    observe,
    perform,
)

if TYPE_CHECKING:
    from komodod.context import Context
    from komodod.model import Applied, Json, Observation


class DirectoryConfig(BaseModel):
    """Keep a directory like another one: contents, permissions, symlinks. Owners and times are not looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    origin: AnchoredPath = Field(alias="from", description="The directory as it should be.")
    to: AnchoredPath = Field(description="The directory that is kept like it; made if only its last part is missing.")
    prune: bool = Field(
        default=False,
        description="Remove what is in `to` alone. Otherwise it is left, and not looked at.",
    )
    ignore: tuple[Pattern, ...] = Field(
        default=(),
        description=(
            "Patterns as in a .gitignore of what is neither copied, nor compared, nor removed: "
            "`*.tmp` at every level, `/cache/` the directory at the top, `**`, `?`, `[a-z]`, `!` to take back."
        ),
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        check_pair(self.origin, self.to)
        return self


class DirectorySource(Source):
    """Compares by content (SHA-256), permissions and symlinks; see `komodod.tree`.

    The revision is a digest of the origin. Every byte of both trees is read in every check, unless sizes tell already
    that a file is different: a cache of digests by size and time would believe the clock of whoever wrote the file.
    """

    Config = DirectoryConfig

    def __init__(self, config: BaseModel, context: Context) -> None:
        super().__init__(config, context)
        self._config = cast("DirectoryConfig", config)
        self._target = _target(self._config, context.sync_id or context.name)
        self._opening = partial(DirectoryOrigin.open, self._config.origin, self._target.ignore)

    @classmethod
    def targets(cls, config: BaseModel) -> Sequence[Path]:
        return [cast("DirectoryConfig", config).to]

    async def observe(self) -> Observation:
        return await perform(self._observe)

    async def apply(self, *, force: bool) -> Applied:
        return await perform(partial(self._apply, force=force))

    def _observe(self, stop: Stop) -> Observation:
        self._check_places()
        return observe(self._opening, self._target, stop)

    def _apply(self, stop: Stop, *, force: bool) -> Applied:
        self._check_places()
        return apply(self._opening, self._target, stop, force=force)

    def _check_places(self) -> None:
        check_places(self._config.origin, self._config.to, self.context.state_dir)


def locate(source: Mapping[str, Json], sync_id: str) -> Target:
    """Return the target of a sync; `source` is its mapping, as it was stored, with `type`."""
    stored = {key: value for key, value in source.items() if key != "type"}
    return _target(DirectoryConfig.model_validate(stored), sync_id)


def _target(config: DirectoryConfig, sync_id: str) -> Target:
    return Target(place=config.to, sync_id=sync_id, prune=config.prune, ignore=Patterns(config.ignore))
