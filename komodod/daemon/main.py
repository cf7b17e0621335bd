"""Start, run and stop the daemon in this process; or run a pass without one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from komodod import __version__, logs
from komodod.api.server import ApiServer
from komodod.clock import SystemClock
from komodod.daemon import comparing
from komodod.daemon.building import Builder, rules, secrets
from komodod.daemon.daemon import Daemon
from komodod.daemon.teardown import Teardown, end
from komodod.engine.clockwatch import ClockWatch
from komodod.engine.consistency import Brake, Consistency
from komodod.engine.invariants import stored_invariants
from komodod.engine.inventory import Inventory
from komodod.engine.world import World
from komodod.errors import ConfigError, KomododError, Problem, StorageError, StorageRefusedError
from komodod.http import session
from komodod.pluginmanager import Plugins
from komodod.redaction import Redactor
from komodod.scheduler import Scheduler
from komodod.settings.loading import load, load_plugins_section
from komodod.settings.location import find_config
from komodod.systemd import LoopWatch, Supervisor, Watchdog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from komodod.engine.reports import Report
    from komodod.settings.values import Settings

T = TypeVar("T")

EXIT_ERROR: Final = 2
EXIT_CONFIG: Final = 78
"""sysexits.h's EX_CONFIG; the unit does not restart on it."""

GRACE: Final = 10.0
"""Seconds that checks, messages and hook calls under way get at a stop."""

LAST: Final = 5.0
"""Seconds after an ordered stop until the process ends, whatever still runs in it."""

AGAIN: Final = 5.0
"""Seconds between two tries to start while the store is away."""

PURGE_EVERY: Final = 3600.0
"""Seconds between two removals of old history."""

EXTEND: Final = 30.0
"""Seconds asked for at a time while a start or stop takes long."""


def run(config: Path | None) -> int:
    """Run the daemon until it is told to stop, and return the exit code.

    0 after SIGTERM or SIGINT; 78 for a configuration that is not valid (each problem on a line of standard error);
    2 where the start failed for another reason.
    """
    environ = dict(os.environ)
    try:
        file = find_config(config, environ)
        settings, plugins = _read(file, environ)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201  there is no log before there is a configuration
        return EXIT_CONFIG
    redactor = Redactor(secrets(settings))
    log = logs.configure(sys.stderr, redactor, level=settings.log.level, style=settings.log.format, environ=environ)
    for name, error_text in plugins.broken.items():
        log.warning("plugin_skipped", plugin=name, error=error_text)
    try:
        asyncio.run(_Run(settings, file.absolute(), environ, plugins=plugins, redactor=redactor, log=log).main())
    except ConfigError as error:
        for problem in error.problems:
            log.critical("failed", error=str(problem))
        return EXIT_CONFIG
    except KomododError as error:
        log.critical("failed", error=str(error))
        return EXIT_ERROR
    return 0


def reconcile_offline(config: Path | None, *, dry_run: bool, force: bool) -> Report:
    """Run one pass on the store of a daemon that is not running. A plugin's channels are not asked.

    Raises:
        ConfigError: the configuration is not valid.
        StorageError: the store cannot be used; a daemon that runs holds it.
    """
    environ = dict(os.environ)
    file = find_config(config, environ)
    settings, plugins = _read(file, environ)
    log = logs.configure(sys.stderr, Redactor(secrets(settings)), level="warning", style=settings.log.format)
    return asyncio.run(_offline(settings, plugins, log, dry_run=dry_run, force=force))


def _read(file: Path, environ: Mapping[str, str]) -> tuple[Settings, Plugins]:
    section = load_plugins_section(file, environ)
    plugins = Plugins.load(section.disabled, section.path)
    refused = [plugins.broken[str(folder)] for folder in section.path if str(folder) in plugins.broken]
    if refused:
        raise ConfigError([Problem(text, file) for text in refused])
    return load(file, plugins.registry(), environ), plugins


def _make_dirs(settings: Settings) -> None:
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        message = f"cannot make the state directory '{settings.state_dir}': {error.strerror}; set state_dir"
        raise StorageError(message) from error


async def _offline(
    settings: Settings, plugins: Plugins, log: FilteringBoundLogger, *, dry_run: bool, force: bool
) -> Report:
    _make_dirs(settings)
    builder = Builder(plugins=plugins, state_dir=settings.state_dir, clock=SystemClock(), log=log, http=None)
    storage = builder.storage(settings)
    await storage.open()
    try:
        world = World(storage=storage, clock=builder.clock, log=log, rules=rules(settings, plugins))
        consistency = Consistency(
            world,
            lambda act: (
                Inventory(world, act, comparing.declared(settings)),
                *stored_invariants(act),
                *builder.invariants(),
            ),
            Brake(settings.consistency.brake.at_least, settings.consistency.brake.fraction),
        )
        return await consistency.run(world.act("offline"), trigger="hand", dry_run=dry_run, force=force)
    finally:
        await storage.close()


class _Run:
    """One life of the daemon."""

    def __init__(
        self,
        settings: Settings,
        file: Path,
        environ: Mapping[str, str],
        *,
        plugins: Plugins,
        redactor: Redactor,
        log: FilteringBoundLogger,
    ) -> None:
        self._settings, self._file, self._environ = settings, file, environ
        self._plugins, self._redactor, self._log = plugins, redactor, log
        self._supervisor = Supervisor(environ)
        self._teardown = Teardown(log)
        self._stop, self._hung_up = asyncio.Event(), asyncio.Event()
        self._fatal: str | None = None

    async def main(self) -> None:
        """Start, wait for the word to stop, stop.

        Raises:
            KomododError: the start failed, or something died that the daemon cannot do without.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)  # one that comes while we start is heard after that
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(self._stop.wait())
        code = EXIT_ERROR
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await stopping
            code = 0 if self._fatal is None else EXIT_ERROR
        finally:
            self._supervisor.stopping()
            self._log.info("stopping")
            for task in (starting, stopping):
                task.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
            await self._teardown.run()
            self._log.info("stopped")
            _leave_in_time(code)
        if self._fatal is not None:
            raise KomododError(self._fatal)

    async def _start(self) -> None:
        """Start everything in order; what was started is in the teardown by then."""
        log, settings = self._log, self._settings
        log.info("starting", version=__version__, pid=os.getpid(), config=str(self._file))
        extending = asyncio.create_task(self._extend())
        try:
            _make_dirs(settings)
            daemon = await self._build()
            api = ApiServer(daemon, settings.socket, log)
            await api.start()
            self._teardown.add("api", api.stop)
            report = await self._patiently(daemon.prepare)
            self._begin(daemon)
            daemon.set_ready(None)
            self._task("reloads", self._reload(daemon))
            self._supervisor.ready(daemon.headline)
            braked = [] if report is None else list(report.braked)
            log.info("ready", socket=str(settings.socket), syncs=len(settings.syncs), braked=braked)
        finally:
            await end(extending)

    async def _build(self) -> Daemon:
        """Open the store and put the daemon together."""
        http = session()
        self._teardown.add("http", http.close)
        builder = Builder(
            plugins=self._plugins,
            state_dir=self._settings.state_dir,
            clock=SystemClock(),
            log=self._log,
            http=http,
            mask=self._redactor.text,
        )
        storage = builder.storage(self._settings)
        self._teardown.add("storage", storage.close, EXTEND)
        await self._patiently(storage.open)
        daemon = Daemon(
            self._settings,
            self._file,
            self._environ,
            plugins=self._plugins,
            builder=builder,
            storage=storage,
            redactor=self._redactor,
            supervisor=self._supervisor,
            log=self._log,
        )
        self._teardown.add("notifiers", daemon.close)
        return daemon

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """Take a step that needs the store, again and again while the store is away: a restart would mend nothing.

        Raises:
            StorageRefusedError: waiting does not help.
        """
        while True:
            try:
                return await step()
            except StorageRefusedError:
                raise
            except StorageError as error:
                self._log.error("store_unavailable", error=str(error), again_in=AGAIN)
                self._supervisor.status(f"waiting for the store: {error}")
            await asyncio.sleep(AGAIN)

    def _begin(self, daemon: Daemon) -> None:
        """Begin to work: leases, pump, schedule, watchdog, SIGHUP."""
        self._task("leases", daemon.leases.keep())
        pump = self._task("pump", daemon.pump.run())
        self._teardown.add("work", lambda: daemon.pump.stop(GRACE), 3 * GRACE)
        self._teardown.add("claims", lambda: end(pump))
        self._task("clock watch", ClockWatch(daemon.world).run())
        scheduler = Scheduler(SystemClock(), self._log)
        _schedule(scheduler, daemon, self._settings)
        scheduler.start()
        self._teardown.add("scheduler", scheduler.stop)
        daemon.on_reload.append(lambda new: _reschedule(scheduler, new))
        daemon.on_reload.append(self._relog)
        watchdog = Watchdog(self._supervisor, daemon.world.storage.ping, self._log)
        self._task("watchdog", watchdog.run())
        watch = LoopWatch(self._log)
        watch.start()

        async def watch_stop() -> None:
            watch.stop()

        self._teardown.add("loop watch", watch_stop)

    def _task(self, name: str, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)  # type: ignore[arg-type]  # coroutines all
        task.add_done_callback(self._watch_over)
        self._teardown.add(name, lambda: end(task))
        return task

    def _watch_over(self, task: asyncio.Task[None]) -> None:
        """Stop the daemon if one of its own tasks dies: better a restart than half a daemon."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.critical("task_died", task=task.get_name(), exc_info=error)
            self._fatal = f"its own task {task.get_name()!r} died: {error}"
            self._stop.set()

    async def _reload(self, daemon: Daemon) -> None:
        """Reload at each SIGHUP, for ever; one for all that come while another is under way."""
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            try:
                await daemon.reload(daemon.world.act("SIGHUP"), dry_run=False, force=False)
            except KomododError as error:
                self._log.debug("reload_refused", error=str(error))  # the daemon has said so, aloud
            except Exception as error:  # noqa: BLE001  a fault of ours: the next reload may go well
                self._log.error("reload_failed", exc_info=error)

    def _relog(self, new: Settings) -> None:
        logs.configure(sys.stderr, self._redactor, level=new.log.level, style=new.log.format, environ=self._environ)

    async def _extend(self) -> None:
        """Ask systemd for more time for as long as the start takes."""
        while True:
            self._supervisor.extend(EXTEND)
            await asyncio.sleep(EXTEND / 3)


def _leave_in_time(code: int) -> None:
    """End the process, if something of a plugin's that swallows its cancellation still keeps it from ending by itself."""
    timer = threading.Timer(LAST, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _schedule(scheduler: Scheduler, daemon: Daemon, settings: Settings) -> None:
    consistency = settings.consistency
    if consistency.cron is not None:
        scheduler.cron("pass", consistency.cron, settings.timezone, daemon.scheduled_pass)
    else:
        scheduler.every("pass", consistency.every or PURGE_EVERY, daemon.scheduled_pass)
    scheduler.every("retention", PURGE_EVERY, daemon.purge)


def _reschedule(scheduler: Scheduler, new: Settings) -> None:
    consistency = new.consistency
    scheduler.reschedule("pass", seconds=consistency.every, cron=consistency.cron, timezone=new.timezone)
