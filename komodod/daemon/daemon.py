"""One running daemon: its parts, what it answers to the API, and how it follows a new configuration."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from komodod import codec
from komodod.api.service import DaemonStatus, Reload
from komodod.blocking import blocking
from komodod.daemon import comparing
from komodod.daemon.building import Builder, rules, secrets, shut
from komodod.engine import own
from komodod.engine.channels import Channel, Channels
from komodod.engine.checking import Checker
from komodod.engine.clockwatch import ClockWatch
from komodod.engine.consistency import Brake, Consistency
from komodod.engine.hooking import Teller
from komodod.engine.invariants import stored_invariants
from komodod.engine.inventory import Inventory
from komodod.engine.leases import Leases
from komodod.engine.notifying import Speaker
from komodod.engine.pump import Pump
from komodod.engine.rerouting import reroute, wake_stranded, wake_waiting
from komodod.engine.world import World
from komodod.errors import KomododError, RefusedError, StorageError
from komodod.hookcalls import HookCaller
from komodod.model import AlertKind, EventKind, Origin, Sync
from komodod.settings.loading import load
from komodod.settings.request import parse_spec
from komodod.storage import Batch, Census, SyncFilter

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from komodod.engine.decisions.acting import Act
    from komodod.engine.reports import Report
    from komodod.invariant import Invariant
    from komodod.model import Json, Spec
    from komodod.pluginmanager import Plugins
    from komodod.redaction import Redactor
    from komodod.settings.values import Settings
    from komodod.storage import Storage
    from komodod.systemd import Supervisor

CLOSING = 30.0
"""Seconds that a replaced notifier gets to finish what it has under way."""

LOOK = 0.2
"""Seconds between two looks at whether it has."""

PURGE_STEP = 200
"""Rows of history removed in one commit, so that the write lock is held briefly."""


class Daemon:
    """The parts of a daemon. `main` starts and stops it; the API asks it (`komodod.api.service.Service`)."""

    def __init__(
        self,
        settings: Settings,
        config_file: Path,
        environ: Mapping[str, str],
        *,
        plugins: Plugins,
        builder: Builder,
        storage: Storage,
        redactor: Redactor,
        supervisor: Supervisor,
        log: FilteringBoundLogger,
    ) -> None:
        self.settings = self._started_with = settings
        self._config_file, self._environ = config_file, environ
        self._plugins, self._builder = plugins, builder
        self._redactor = redactor
        self._supervisor = supervisor
        self._log = log
        self._world = World(
            storage=storage, clock=builder.clock, log=log, rules=rules(settings, plugins), mask=redactor.text
        )
        self.leases = Leases(self._world)
        self.channels = Channels()
        implementations = plugins.implementations()
        self.caller = HookCaller(
            implementations, builder.hook_contexts(), timeout=settings.limits.hook_timeout, mask=redactor.text
        )
        self.speaker = Speaker(self._world, self.channels, self.leases, _share(settings))
        self.pump = Pump(
            self._world,
            self.leases,
            checker=Checker(self._world, builder.source),
            speaker=self.speaker,
            teller=Teller(self._world, self.caller),
            plugins=lambda: tuple(implementations),
            checks=settings.limits.checks,
            notifications=settings.limits.notifications,
        )
        self.consistency = Consistency(self._world, self._invariants, _brake(settings))
        self.on_reload: list[Any] = []
        self._started_at = self._loaded_at = builder.clock.now()
        self._reload_error: str | None = None
        self._restart_needed: tuple[str, ...] = ()
        self._why_not: str | None = "starting"
        self._reloading = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    # -- the parts in order

    def _invariants(self, act: Act) -> Sequence[Invariant]:
        inventory = Inventory(self._world, act, comparing.declared(self.settings))
        return (inventory, *stored_invariants(act), *self._builder.invariants())

    async def prepare(self) -> Report | None:
        """Do what must be done before READY: channels, the built-in sync, today's routes, and the first pass.

        What comes is that pass's report; None where a replica that leads it is busy with a long one.

        It may be called again after a StorageError.
        """
        if not list(self.channels):
            self.channels.replace(await self._builder.channels(self.settings.notifiers))
        await own.ensure(self._world)
        act = self._world.act("komodod")
        await ClockWatch(self._world).look_at_start()
        report = await self._pass(act, "start")
        await reroute(self._world, act)
        await wake_stranded(self._world, self.channels)
        for channel in self.channels:
            await wake_waiting(self._world, channel.name, dead=False)
        return report

    def set_ready(self, why_not: str | None) -> None:
        """Say whether the daemon does its work, and if not, why."""
        self._why_not = why_not

    async def close(self) -> None:
        """Close the notifiers, those replaced by a reload too."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await shut(self.channels, self._log)

    # -- duties

    async def scheduled_pass(self) -> None:
        """Run the pass of the schedule, and make up for what a reload that was cut short left to be rerouted."""
        act = self._world.act("komodod")
        await self._pass(act, "schedule")
        await reroute(self._world, act)

    async def _pass(self, act: Act, trigger: str) -> Report | None:
        try:
            return await self.consistency.run(act, trigger=trigger)
        except RefusedError as error:
            self._log.info("pass_left_to_another_replica", why=str(error))
            return None

    async def purge(self) -> None:
        """Remove history that is older than it is kept."""
        before = self._world.clock.now() - timedelta(seconds=self.settings.retention.history)
        removed = 0
        while step := await self._world.storage.purge(before, PURGE_STEP):
            removed += step
        if removed:
            self._log.info("history_removed", rows=removed, before=before.isoformat())

    # -- reload

    async def reload(self, act: Act, *, dry_run: bool, force: bool) -> Reload:
        """Read the configuration again and go by it, as a whole or not at all.

        Raises:
            ConfigError: it is not valid, or a notifier does not open, and the old one stays.
            RefusedError: it would delete too many syncs without `force`, or the start is not over yet.
            StorageError: the store did not answer; the next pass goes on with what is left to do.
        """
        if self._why_not is not None:
            raise RefusedError(f"komodod is not ready yet ({self._why_not}); reload it when it is")
        async with self._reloading:
            if dry_run:
                return await self._reload(act, dry_run=True, force=force)
            self._supervisor.reloading()
            try:
                return await self._reload(act, dry_run=False, force=force)
            except KomododError as error:
                await self._note_failure(act, error)
                raise
            finally:
                self._supervisor.ready(self.headline)

    @property
    def headline(self) -> str:
        """What the service manager shows as the status."""
        return f"{len(self.settings.syncs)} syncs declared; API on {self.settings.socket}"

    async def _reload(self, act: Act, *, dry_run: bool, force: bool) -> Reload:
        new = await blocking(load, self._config_file, self._plugins.registry(), self._environ)
        stored = await self._stored()
        changed = comparing.changes(self.settings, new, stored)
        needed = comparing.restart_needed(self._started_with, new)
        self._brake(new, changed, len(stored), force=force)
        if dry_run:
            return Reload(changed=changed, restart_needed=needed)
        self._redactor.add(*secrets(new))
        renewed = await self._follow(new)
        act = dataclasses.replace(act, rules=self._world.rules)  # what follows is decided by the new routes
        report = await self.consistency.run(act, trigger="reload", force=force)
        self._reload_error, self._restart_needed = None, needed
        self._loaded_at = self._world.clock.now()
        await reroute(self._world, act)
        await wake_stranded(self._world, self.channels)
        for name in renewed:
            await wake_waiting(self._world, name, dead=True)
        await own.count_dead(self._world, act)
        await own.clear(self._world, act, AlertKind.RELOAD_FAILED)
        data = {"changed": changed, "restart_needed": list(needed), "report": codec.dump(report)}
        await self._world.storage.commit(Batch((), act.tell(EventKind.CONFIG_RELOADED, data=data)))
        self._log.info("config_reloaded", op_id=act.op_id, changed=changed, restart_needed=needed)
        return Reload(changed=changed, restart_needed=needed)

    def _brake(self, new: Settings, changed: Mapping[str, Any], stored: int, *, force: bool) -> None:
        deletes = changed.get("syncs", {}).get("delete", [])
        if not force and _brake(new).stops(Census(stored, len(deletes))):
            raise RefusedError(
                f"the new configuration no longer declares {len(deletes)} of {stored} syncs; if that is meant, "
                "`komodod config reload --force` deletes them"
            )

    async def _follow(self, new: Settings) -> Sequence[str]:
        """Let the parts go by the new settings; the notifiers first, as they may fail to open.

        Returns:
            the notifiers that are new, changed, or no longer parked.
        """
        replaced = list(self.channels)
        fresh = await self._channels(new)
        renewed = [channel.name for channel in fresh if channel.renew() or channel not in replaced]
        self.settings = new
        self.channels.replace(fresh)
        self._world.rules = rules(new, self._plugins)
        self.pump.checks, self.pump.notifications = new.limits.checks, new.limits.notifications
        self.speaker.share = _share(new)
        self.caller.timeout = new.limits.hook_timeout
        self.consistency.brake = _brake(new)
        for follow in self.on_reload:
            follow(new)
        task = asyncio.create_task(_retire([channel for channel in replaced if channel not in fresh], self._log))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return renewed

    async def _channels(self, new: Settings) -> list[Channel]:
        """Return the channels of new settings; one whose configuration is the same goes on as it is."""
        known = {one.name: (one.type, one.config) for one in self.settings.notifiers}
        same = {one.name for one in new.notifiers if known.get(one.name) == (one.type, one.config)}
        opened = await self._builder.channels(one for one in new.notifiers if one.name not in same)
        return [*(channel for channel in self.channels if channel.name in same), *opened]

    async def _note_failure(self, act: Act, error: KomododError) -> None:
        """Keep the old configuration, and let people know that it is not what the file says."""
        self._reload_error = str(error)
        self._log.error("reload_failed", op_id=act.op_id, error=str(error))
        words = f"the configuration was not reloaded, the old one stays: {str(error).splitlines()[0]}"
        try:
            await own.raise_(self._world, act, AlertKind.RELOAD_FAILED, words)
        except StorageError as trouble:
            self._log.warning("alert_not_stored", op_id=act.op_id, kind="reload_failed", error=str(trouble))

    async def _stored(self) -> list[Sync]:
        found: list[Sync] = []
        after = None
        while True:
            page = await self._world.storage.list_syncs(SyncFilter(origin=Origin.CONFIG), after, 500)
            found += page.items
            if (after := page.next) is None:
                return found

    # -- what the API asks

    @property
    def world(self) -> World:
        """The engine's surroundings."""
        return self._world

    @property
    def redactor(self) -> Redactor:
        """Masks the secrets that are known."""
        return self._redactor

    def parse_spec(self, name: str, raw: Mapping[str, Json], others: Sequence[tuple[str, Spec]] = ()) -> Spec:
        """Return the spec that a client describes, by the rules of the configuration.

        `base`, the client's directory, may stand beside the keys of a sync. Its target must keep away from those of
        `others` and of the syncs that the configuration declares.
        """
        given = dict(raw)
        base = given.pop("base", None)
        return parse_spec(
            name,
            given,
            self._plugins.registry(),
            state_dir=self.settings.state_dir,
            base=Path(base) if base else None,
            timezone=self.settings.timezone,
            others=[*((one.name, one.spec) for one in self.settings.syncs), *others],
        )

    async def reconcile(self, act: Act, *, dry_run: bool, force: bool) -> Report:
        """Run a pass by hand."""
        return await self.consistency.run(act, trigger="hand", dry_run=dry_run, force=force)

    def plugins(self) -> Sequence[Mapping[str, Json]]:
        """Describe every plugin that was found."""
        return [_describe(plugin, self.caller.wedged) for plugin in self._plugins.all]

    def present_plugins(self) -> Collection[str]:
        """Name the plugins that are loaded."""
        return self._plugins.implementations().keys()

    def allow_sources(self) -> Collection[str]:
        """Name the source types that run what they are told and may be used over the API."""
        return self.settings.api.allow_sources

    def status(self) -> DaemonStatus:
        """Describe the daemon at this moment."""
        return DaemonStatus(
            started_at=self._started_at,
            config_file=str(self._config_file),
            loaded_at=self._loaded_at,
            reload_error=self._reload_error,
            restart_needed=self._restart_needed,
            storage_type=self.settings.storage.type,
            channels=list(self.channels),
            broken=self._plugins.broken,
            wedged=self.caller.wedged,
        )

    def ready(self) -> str | None:
        """Return None if the daemon does its work, else why not."""
        return self._why_not


def _share(settings: Settings) -> int:
    """Return how many messages one channel may have under way: three quarters of all."""
    return max(1, settings.limits.notifications * 3 // 4)


def _brake(settings: Settings) -> Brake:
    brake = settings.consistency.brake
    return Brake(brake.at_least, brake.fraction)


async def _retire(channels: Sequence[Channel], log: FilteringBoundLogger) -> None:
    """Close notifiers that are no longer configured, once they have nothing under way, or when we stop."""
    try:
        for _ in range(int(CLOSING / LOOK)):
            if not any(channel.in_flight for channel in channels):
                break
            await asyncio.sleep(LOOK)
    finally:
        await shut(channels, log)


def _describe(plugin: Any, wedged: Collection[str]) -> dict[str, Json]:
    return {
        "name": plugin.name,
        "state": "wedged" if plugin.name in wedged else str(plugin.state),
        "origin": plugin.origin,
        "registers": {kind: sorted(classes) for kind, classes in plugin.registers.items() if classes},
        "hooks": sorted(plugin.hooks),
        "error": plugin.error,
    }
