"""A real API server on a real Unix socket, over a store in memory, and a real client."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import structlog

from komodod.api.server import ApiServer
from komodod.api.service import DaemonStatus, Reload
from komodod.clock import SystemClock
from komodod.engine import syncs
from komodod.engine.channels import Channel
from komodod.engine.decisions import observing
from komodod.engine.decisions.acting import Rules
from komodod.engine.decisions.routing import Route
from komodod.engine.reports import Checked, Report
from komodod.engine.world import World
from komodod.errors import ConfigError, Problem
from komodod.model import Applied, Change, Observation, Spec, Sync
from komodod.redaction import Redactor
from komodod.testing import MemoryConfig, MemoryStorage
from komodod.testing.fakes import FakeChannel, Outside, fake_context

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act
    from komodod.model import Json
    from komodod.storage import Storage

SOURCES = ("directory", "git", "command")
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
REPORT = Report(dry_run=False, forced=False, trigger="hand", started_at=STARTED)
STATUS = DaemonStatus(
    started_at=STARTED,
    config_file="/etc/komodod/komodod.yaml",
    loaded_at=STARTED,
    reload_error=None,
    restart_needed=("storage.path",),
    storage_type="memory",
    channels=(),
    broken={"bad": "cannot be imported"},
    wedged=frozenset({"slow"}),
)


@dataclass
class FakeDaemon:
    """What the API asks of the daemon, answered from fields that a test can set."""

    world: World
    redactor: Redactor = field(default_factory=Redactor)
    allowed: Collection[str] = ()
    present: Collection[str] = ("cleaner",)
    why: str | None = None
    asked: list[tuple[str, Act, bool, bool]] = field(default_factory=list)
    report: Report = REPORT
    reloaded: Reload | Exception = field(default_factory=Reload)
    state: DaemonStatus = STATUS

    def parse_spec(self, name: str, raw: Mapping[str, Json], others: Sequence[tuple[str, Spec]] = ()) -> Spec:
        del others  # this source has no targets
        problems = [Problem(f"unknown key {key!r}") for key in raw if key not in Spec.__dataclass_fields__]
        if raw.get("source", {}).get("type") not in SOURCES:
            problems.append(Problem(f"unknown source type of {name!r}"))
        if problems:
            raise ConfigError(problems)
        every = raw.get("every", None if "cron" in raw else 300.0)
        return Spec(**{**raw, "every": every})

    async def reconcile(self, act: Act, *, dry_run: bool, force: bool) -> Report:
        self.asked.append(("reconcile", act, dry_run, force))
        line = Checked(name="open-alert-has-sync", checked=4, found=1, repaired=0 if dry_run else 1)
        return dataclasses.replace(self.report, dry_run=dry_run, forced=force, invariants=(line,))

    async def reload(self, act: Act, *, dry_run: bool, force: bool) -> Reload:
        self.asked.append(("reload", act, dry_run, force))
        if isinstance(self.reloaded, Exception):
            raise self.reloaded
        return self.reloaded

    def plugins(self) -> Sequence[Mapping[str, Json]]:
        return [{"name": "cleaner", "state": "loaded"}]

    def present_plugins(self) -> Collection[str]:
        return self.present

    def allow_sources(self) -> Collection[str]:
        return self.allowed

    def status(self) -> DaemonStatus:
        return self.state

    def ready(self) -> str | None:
        return self.why


@dataclass(frozen=True)
class Answer:
    """A response that was read to its end."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Logbook:
    """Every line that was logged, and a way to wait for one."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []
        self._more = asyncio.Event()

    def __call__(self, _logger: Any, method: str, line: Any) -> Any:
        self.lines.append({**line, "level": method})
        self._more.set()
        raise structlog.DropEvent

    async def find(self, **fields: Any) -> Mapping[str, Any]:
        """Return the first line with these fields, as soon as there is one."""
        while True:
            self._more.clear()
            for line in self.lines:
                if fields.items() <= line.items():
                    return line
            await self._more.wait()


@dataclass
class Stage:
    """A server that runs, a client of it, and what is behind it."""

    daemon: FakeDaemon
    socket: Path
    server: ApiServer
    client: aiohttp.ClientSession
    log: Logbook
    forced: list[bool] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.daemon.world

    @property
    def store(self) -> Storage:
        return self.daemon.world.storage

    def url(self, path: str) -> str:
        return f"http://komodod{path if path.endswith('z') else '/api/v1' + path}"

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request and read the answer."""
        async with self.client.request(method, self.url(path), **options) as response:
            return Answer(response.status, await response.json(content_type=None), response.headers)

    async def get(self, path: str, **params: Any) -> Any:
        """Return the body of a GET that succeeds."""
        answer = await self.ask("GET", path, params=params)
        assert answer.status == 200, answer.body
        return answer.body

    async def sync(self, name: str = "web", **fields: Any) -> Sync:
        """Make a sync behind the API's back."""
        source = fields.pop("source", {"type": "directory", "from": "/a", "to": "/b"})
        made = await syncs.create(self.world, self.world.act("tester"), name, Spec(source=source, **fields))
        return made.sync

    async def look(self, sync: Sync, *changes: str, diff: str | None = None) -> Sync:
        """Play the worker: claim the sync's check and commit what it found."""
        (claim,) = (c for c in await self.store.claim_checks("worker", 30.0, 10) if c.row.id == sync.id)
        whole = await self.store.load_aggregate(sync.id)
        assert whole is not None
        found = Observation(
            revision="r1", changes=tuple(Change(action="update", kind="file", name=n, diff=diff) for n in changes)
        )
        await self.store.commit(observing.observed(self.world.act("komodod"), claim.token, whole, found))
        after = await self.store.get_sync(sync.id)
        assert after is not None
        return after

    async def apply(self, sync: Sync) -> Sync:
        """Play the worker: claim the sync's apply and commit that it went well."""
        (claim,) = (c for c in await self.store.claim_checks("worker", 30.0, 10) if c.row.id == sync.id)
        assert claim.row.apply_request is not None
        self.forced.append(claim.row.apply_request.force)
        done = observing.applied(self.world.act("komodod"), claim.token, claim.row, Applied(summary="done"))
        await self.store.commit(done)
        after = await self.store.get_sync(sync.id)
        assert after is not None
        return after

    async def pending(self, name: str = "web", **fields: Any) -> Sync:
        """Make a sync with one pending update, and so with an alert and its notification."""
        return await self.look(await self.sync(name, **fields), "index.html")


Story = Callable[[Stage], Awaitable[None]]
Play = Callable[[Story], None]


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="kd-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def api(short_path: Path) -> Play:
    """Play a story on a stage, within half a minute."""

    async def play(story: Story) -> None:
        async with asyncio.timeout(30):
            clock = SystemClock()
            store = MemoryStorage(MemoryConfig(), fake_context("memory", clock))
            rules = Rules(
                routes=(Route(name="all", notify=("console",)),), hooks={"on_sync_deleted": ("cleaner", "absent")}
            )
            logbook = Logbook()
            log = structlog.wrap_logger(None, processors=[logbook])
            daemon = FakeDaemon(World(storage=store, clock=clock, log=log, rules=rules))
            daemon.state = dataclasses.replace(
                daemon.state,
                channels=(Channel("console", "fake", FakeChannel(Outside(), fake_context("console", clock))),),
            )
            server = ApiServer(daemon, short_path / "api.sock", log)
            await server.start()
            try:
                connector = aiohttp.UnixConnector(str(short_path / "api.sock"))
                async with aiohttp.ClientSession(connector=connector) as client:
                    await story(Stage(daemon, short_path / "api.sock", server, client, logbook))
            finally:
                await server.stop()

    return lambda story: asyncio.run(play(story))
