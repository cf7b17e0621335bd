"""The store in one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Concatenate, ParamSpec, TypeVar

from pydantic import BaseModel, Field

from komodod.blocking import blocking
from komodod.durations import Duration
from komodod.errors import StorageError
from komodod.source import AnchoredPath
from komodod.storage import Storage
from komodod_sqlite import breaches, claims, commits, history, lists, reads
from komodod_sqlite.claims import Claimant
from komodod_sqlite.database import Database
from komodod_sqlite.queries import SQL
from komodod_sqlite.readers import Readers
from komodod_sqlite.rows import stamp
from komodod_sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from komodod.context import Context
    from komodod.model import Aggregate, Alert, Changes, Event, HookCall, Members, Notification, Sync
    from komodod.storage import (
        AlertFilter,
        Batch,
        Breach,
        Census,
        Claim,
        Counts,
        Due,
        EventFilter,
        HookCallFilter,
        Lease,
        NotificationFilter,
        Page,
        Stored,
        SyncFilter,
    )

P = ParamSpec("P")
T = TypeVar("T")

FILE = "komodod.db"
"""The database's name where the configuration names none: in the context's state directory."""


class SqliteConfig(BaseModel, extra="forbid"):
    """The keys beside `type: sqlite`."""

    path: AnchoredPath | None = Field(
        None, description="The database file; `komodod.db` in the state directory if it is not set."
    )
    busy_timeout: Duration = Field(
        5.0, description="How long to wait while another program (a backup, the sqlite3 shell) holds the file."
    )


@dataclass(frozen=True, slots=True)
class _Crew:
    """What lives between `open` and `close`."""

    writer: Writer
    readers: Readers
    epoch: str


class SqliteStorage(Storage):
    """Keeps everything in one file, for one process.

    One thread writes: it commits what is queued together, with one fsync. A few threads read, each call at one moment.
    """

    Config: ClassVar[type[BaseModel]] = SqliteConfig

    def __init__(self, config: BaseModel, context: Context) -> None:
        super().__init__(config, context)
        assert isinstance(config, SqliteConfig)  # noqa: S101  what `Config` says
        path = config.path or context.state_dir / FILE
        self._database = Database(path, config.busy_timeout, context.log)
        self._crew: _Crew | None = None

    # -- life

    async def open(self) -> None:
        opened = await blocking(self._database.open, self._now())
        verify = partial(self._database.verify, opened.identity)
        writer = Writer(opened.writer, self._database.path, self.announce, verify)
        readers = Readers(opened.readers, self._database.path)
        self._crew = _Crew(writer, readers, opened.epoch)

    async def close(self) -> None:
        crew, self._crew = self._crew, None
        if crew is not None:
            await crew.readers.close()
            await crew.writer.close()  # the last connection to close folds the log into the database
            self._database.release()

    @property
    def epoch(self) -> str:
        return self._opened().epoch

    async def ping(self) -> None:
        now = str(stamp(self._now()))

        def touch(connection: sqlite3.Connection) -> None:
            connection.execute(SQL["ping"], {"now": now})

        await self._opened().writer.submit(touch)

    def _now(self) -> datetime:
        """Return the store's clock; read on the event loop, where a simulated one goes."""
        return self.context.clock.now()

    def _opened(self) -> _Crew:
        if self._crew is None:
            raise StorageError(f"{self._database.path} is not open")
        return self._crew

    async def _read(
        self, read: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._opened().readers.submit(lambda connection: read(connection, *args, **kwargs))

    # -- the one way to write

    async def commit(self, batch: Batch) -> None:
        now = stamp(self._now())
        await self._opened().writer.submit(lambda connection: commits.commit(connection, batch, now), wakes=True)

    # -- reads

    async def get_sync(self, sync_id: str) -> Sync | None:
        return await self._read(reads.get_sync, sync_id)

    async def find_sync(self, name: str) -> Sync | None:
        return await self._read(reads.find_sync, name)

    async def get_changes(self, sync_id: str) -> Changes:
        return await self._read(reads.get_changes, sync_id)

    async def load_aggregate(self, sync_id: str) -> Aggregate | None:
        return await self._read(reads.load_aggregate, sync_id)

    async def get_alert(self, alert_id: str) -> Alert | None:
        return await self._read(reads.get_alert, alert_id)

    async def get_notification(self, notification_id: str) -> Notification | None:
        return await self._read(reads.get_notification, notification_id)

    async def get_hook_call(self, call_id: str) -> HookCall | None:
        return await self._read(reads.get_hook_call, call_id)

    async def get_event(self, event_id: str) -> Event | None:
        return await self._read(reads.get_event, event_id)

    async def load_members(self, notification_ids: Sequence[str]) -> Mapping[str, Members]:
        return await self._read(reads.load_members, notification_ids)

    async def list_syncs(self, match: SyncFilter, after: str | None = None, limit: int = 100) -> Page[Sync]:
        return await self._read(lists.list_syncs, match, after, limit)

    async def list_alerts(self, match: AlertFilter, after: str | None = None, limit: int = 100) -> Page[Alert]:
        return await self._read(lists.list_alerts, match, after, limit)

    async def list_notifications(
        self, match: NotificationFilter, after: str | None = None, limit: int = 100
    ) -> Page[Notification]:
        return await self._read(lists.list_notifications, match, after, limit)

    async def list_hook_calls(
        self, match: HookCallFilter, after: str | None = None, limit: int = 100
    ) -> Page[HookCall]:
        return await self._read(lists.list_hook_calls, match, after, limit)

    async def list_events(self, match: EventFilter, after: int = 0, limit: int = 100) -> tuple[Event, ...]:
        return await self._read(lists.list_events, match, after, limit)

    async def list_recent_events(
        self, match: EventFilter, before: int | None = None, limit: int = 100
    ) -> tuple[Event, ...]:
        return await self._read(lists.list_recent_events, match, before, limit)

    async def list_leases(self, after: str | None = None, limit: int = 100) -> Page[Lease]:
        return await self._read(lists.list_leases, after, limit)

    async def counts(self) -> Counts:
        return await self._read(reads.counts)

    # -- claims

    async def claim_checks(self, worker: str, lease: float, limit: int) -> tuple[Claim[Sync], ...]:
        return await self._claim(worker, lease, lambda claimant: claimant.claim_checks(limit))

    async def claim_notifications(self, worker: str, lease: float, limit: int) -> tuple[Claim[Notification], ...]:
        return await self._claim(worker, lease, lambda claimant: claimant.claim_notifications(limit))

    async def claim_hook_calls(
        self, worker: str, lease: float, limit: int, plugins: Sequence[str]
    ) -> tuple[Claim[HookCall], ...]:
        return await self._claim(worker, lease, lambda claimant: claimant.claim_hook_calls(limit, plugins))

    async def renew(self, worker: str, lease: float) -> None:
        await self._claim(worker, lease, lambda claimant: claimant.renew())

    async def _claim(self, worker: str, lease: float, claim: Callable[[Claimant], T]) -> T:
        now = self._now()
        return await self._opened().writer.submit(lambda connection: claim(Claimant(connection, worker, now, lease)))

    async def next_due(self, plugins: Sequence[str]) -> Due:
        return await self._read(claims.next_due, self._now(), plugins)

    # -- consistency

    async def census(self, invariant: Stored) -> Census:
        return await self._read(breaches.census, invariant, stamp(self._now()))

    async def breaches(self, invariant: Stored, after: str | None = None, limit: int = 100) -> Page[Breach]:
        return await self._read(breaches.breaches, invariant, stamp(self._now()), after, limit)

    async def purge(self, before: datetime, limit: int) -> int:
        return await self._opened().writer.submit(lambda connection: history.purge(connection, stamp(before), limit))

    async def backup(self, target: Path) -> None:
        self._opened()
        await blocking(self._database.copy, target)
