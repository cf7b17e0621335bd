"""What the API needs of the daemon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from komodod.engine.channels import Channel
    from komodod.engine.decisions.acting import Act
    from komodod.engine.reports import Report
    from komodod.engine.world import World
    from komodod.model import Json, Spec
    from komodod.redaction import Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """What a reload changed, or would change: by section of the configuration, in words or names.

    `restart_needed` names the keys whose change has no effect before a restart.
    """

    changed: Mapping[str, Json] = field(default_factory=dict)
    restart_needed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStatus:
    """What only the daemon knows of itself.

    `loaded_at` is when the configuration in effect was read; `reload_error` is why the last reload failed, None if it
    did not. `broken` gives the error of each plugin that does not work; `wedged` names those that hang.
    """

    started_at: datetime
    config_file: str
    loaded_at: datetime
    reload_error: str | None
    restart_needed: tuple[str, ...]
    storage_type: str
    channels: Sequence[Channel]
    broken: Mapping[str, str]
    wedged: Collection[str]


class Service(Protocol):
    """The daemon as the API sees it. A reload may change every answer, so each is asked for anew."""

    @property
    def world(self) -> World:
        """The engine's surroundings, the store among them."""

    @property
    def redactor(self) -> Redactor:
        """Masks the secrets that are known."""

    def parse_spec(self, name: str, raw: Mapping[str, Json], others: Sequence[tuple[str, Spec]] = ()) -> Spec:
        """Return the spec that `raw` describes: the keys of an item of `syncs:` but `name`, none of them null.

        Its target must keep away from those of `others`, beside those of the configuration.

        Raises:
            ConfigError: all that is wrong with it, the name included.
        """

    async def reconcile(self, act: Act, *, dry_run: bool, force: bool) -> Report:
        """Run a pass of the consistency check."""

    async def reload(self, act: Act, *, dry_run: bool, force: bool) -> Reload:
        """Read the configuration again and go by it, as a whole or not at all.

        Raises:
            ConfigError: it is not valid, and the old one stays.
            RefusedError: it would delete too much without `force`.
        """

    def plugins(self) -> Sequence[Mapping[str, Json]]:
        """Describe every plugin that was found; each has a `name`."""

    def present_plugins(self) -> Collection[str]:
        """Name the plugins that are loaded, and so can be called."""

    def allow_sources(self) -> Collection[str]:
        """Name the source types that run what they are told and may be used over the API all the same."""

    def status(self) -> DaemonStatus:
        """Describe the daemon at this moment, waiting for nothing."""

    def ready(self) -> str | None:
        """Return None if it does its work, else why not. The store is asked apart from this."""
