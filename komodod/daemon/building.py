"""Build the objects that the settings name: the store, the notifiers, a sync's source, the plugins' surroundings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, SecretStr, ValidationError

from komodod.context import Context
from komodod.engine.channels import Channel
from komodod.engine.decisions.acting import Rules
from komodod.errors import PluginError, SourceError
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builds plugin objects with their surroundings; each plugin has one state directory for all that it registers."""

    plugins: Plugins
    state_dir: Path
    clock: Clock
    log: FilteringBoundLogger
    http: aiohttp.ClientSession | None

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
            PluginError: one did not open.
        """
        opened: list[Channel] = []
        try:
            for one in declared:
                cls = self.plugins.registry().notifiers[one.type]
                owner = self._owner("notifiers", one.type)
                notifier = await _opened(owner, cls(one.config, self.context(owner, one.name)))
                opened.append(Channel(one.name, one.type, notifier))
        except BaseException:
            for channel in opened:
                await channel.notifier.close()
            raise
        return opened

    def invariants(self) -> list[Invariant]:
        """Return the plugins' invariants."""
        return [
            cls(self.context(self._owner("invariants", name), name)) for name, cls in self.plugins.invariants().items()
        ]

    def hook_contexts(self) -> Mapping[str, Context]:
        """Return the surroundings that each plugin's hooks are given."""
        return {name: self.context(name, name) for name in self.plugins.implementations()}

    def _owner(self, kind: str, name: str) -> str:
        """Return the plugin that registers this."""
        return next(plugin.name for plugin in self.plugins.all if name in plugin.registers.get(kind, {}))


OPENING: Final = 30.0
"""Seconds that a notifier gets to open."""


async def _opened(plugin: str, notifier: Notifier) -> Notifier:
    try:
        await guarded(notifier.open(), OPENING)
    except Exception as error:
        raise PluginError(
            plugin, f"notifier {notifier.context.name!r} does not open: {one_line(str(error))}"
        ) from error
    return notifier


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
