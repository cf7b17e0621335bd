"""Build the objects that the settings name: the store, the notifiers, a sync's source, the plugins' surroundings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, SecretStr, ValidationError

from komodod.context import Context
from komodod.engine.channels import Channel
from komodod.engine.decisions.acting import Rules
from komodod.engine.strangers import StrangerInvariant
from komodod.errors import ConfigError, Problem, SourceError
from komodod.guard import guarded
from komodod.redaction import one_line
from komodod.scheduler import next_cron

if TYPE_CHECKING:
    import aiohttp
    from structlog.typing import FilteringBoundLogger

    from komodod.clock import Clock
    from komodod.invariant import Invariant
    from komodod.model import Sync
    from komodod.notifier import Notifier
    from komodod.pluginmanager import Plugins
    from komodod.settings.values import DeclaredNotifier, Settings
    from komodod.source import Source
    from komodod.storage import Storage


OPENING: Final = 30.0
"""Seconds that a notifier gets to open."""

CLOSING: Final = 5.0
"""Seconds that it gets to close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builds plugin objects with their surroundings; each plugin has one state directory for all that it registers."""

    plugins: Plugins
    state_dir: Path
    clock: Clock
    log: FilteringBoundLogger
    http: aiohttp.ClientSession | None
    mask: Callable[[str], str] = str
    """Takes the secrets out of what a plugin says."""

    def context(self, plugin: str, name: str, sync_id: str | None = None) -> Context:
        """Return the surroundings of an object of this plugin that people call `name`."""
        directory = self.state_dir / "plugins" / plugin
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = self.log.bind(plugin=plugin, name=name)
        return Context(name=name, state_dir=directory, clock=self.clock, log=log, http=self.http, sync_id=sync_id)

    def storage(self, settings: Settings) -> Storage:
        """Return the store, not yet open. Its directory is the daemon's own."""
        declared = settings.storage
        context = Context(name=declared.type, state_dir=self.state_dir, clock=self.clock, log=self.log, http=self.http)
        return self.plugins.registry().storages[declared.type](declared.config, context)

    def source(self, sync: Sync) -> Source:
        """Return the source of a sync, from what the store has of its configuration.

        Raises:
            SourceError: its type is not installed, or takes the configuration no longer.
        """
        raw = dict(sync.spec.source)
        kind = raw.pop("type", None)
        cls = self.plugins.registry().sources.get(str(kind))
        if cls is None:
            raise SourceError(
                f"no source of type {kind!r} is loaded; `komodod plugin list` says which are, and why not"
            )
        try:
            config = cls.Config.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            message = f"its source is no longer valid: {place}: {one_line(first['msg'])}; edit the sync"
            raise SourceError(message) from error
        return cls(config, self.context(self._owner("sources", str(kind)), sync.name, sync.id))

    async def channels(self, declared: Iterable[DeclaredNotifier]) -> list[Channel]:
        """Return the configured notifiers, open. If one does not open, those that did are closed again.

        Raises:
            ConfigError: one did not open, which needs nothing but its configuration and its plugin.
        """
        opened: list[Channel] = []
        try:
            for one in declared:
                opened.append(await self._channel(one))  # noqa: PERF401  what is open must be known when one fails
        except BaseException:
            await shut(opened, self.log)
            raise
        return opened

    async def _channel(self, declared: DeclaredNotifier) -> Channel:
        owner = self._owner("notifiers", declared.type)

        async def work() -> Notifier:
            cls = self.plugins.registry().notifiers[declared.type]
            notifier = cls(declared.config, self.context(owner, declared.name))
            await notifier.open()
            return notifier

        try:
            return Channel(declared.name, declared.type, await guarded(work(), OPENING))
        except Exception as error:
            file, _, line = declared.declared.rpartition(":")
            message = (
                f"notifier {declared.name!r} does not open: {one_line(self.mask(str(error)))}; "
                f"mend plugin {owner!r}, or take the notifier out"
            )
            raise ConfigError([Problem(message, Path(file), int(line), 1)]) from error

    def invariants(self) -> list[Invariant]:
        """Return the plugins' invariants."""
        return [self._invariant(name, cls) for name, cls in self.plugins.invariants().items()]

    def _invariant(self, name: str, cls: type[Invariant]) -> Invariant:
        owner = self._owner("invariants", name)
        return StrangerInvariant(name, lambda: cls(self.context(owner, name)), sweeping=cls.sweeping)

    def hook_contexts(self) -> Mapping[str, Context]:
        """Return the surroundings that each plugin's hooks are given."""
        return {name: self.context(name, name) for name in self.plugins.implementations()}

    def _owner(self, kind: str, name: str) -> str:
        """Return the plugin that registers this."""
        return next(plugin.name for plugin in self.plugins.all if name in plugin.registers.get(kind, {}))


async def shut(channels: Iterable[Channel], log: FilteringBoundLogger) -> None:
    """Close notifiers, all at once, so that none waits for another."""

    async def close(channel: Channel) -> None:
        try:
            await guarded(channel.notifier.close(), CLOSING)
        except Exception as error:  # noqa: BLE001  a plugin's code; nobody waits for what it has to say
            log.warning("notifier_not_closed", notifier=channel.name, error=one_line(str(error)))

    await asyncio.gather(*(close(channel) for channel in channels))


def rules(settings: Settings, plugins: Plugins) -> Rules:
    """Return what decisions go by under these settings."""
    return Rules(
        routes=settings.routes,
        hooks=plugins.hooks(),
        attempts=settings.limits.attempts,
        backoff_max=settings.limits.backoff_max,
        next_cron=next_cron,
    )


def secrets(settings: Settings) -> Iterator[str]:
    """Yield every secret that the settings hold, so that logs and errors can be kept clean of them."""
    for model in (settings.storage.config, *(one.config for one in settings.notifiers)):
        yield from _secrets(model)


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets(inner)
