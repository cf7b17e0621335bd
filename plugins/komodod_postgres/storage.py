"""The store in a PostgreSQL database."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, Concatenate, ParamSpec, TypeVar

from komodod.errors import Conflict, StorageError, StorageRefusedError
from komodod.storage import Storage
from komodod_postgres import breaches, claims, commits, history, lists, reads
from komodod_postgres.claims import REMEMBERED, Claimant
from komodod_postgres.config import PostgresConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pydantic import BaseModel

    from komodod.clock import Clock
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
        Lead,
        Lease,
        NotificationFilter,
        Page,
        Stored,
        SyncFilter,
    )
    from komodod_postgres.connections import Connection
    from komodod_postgres.database import Database

P = ParamSpec("P")
T = TypeVar("T")


class PostgresStorage(Storage):
    """Keeps everything in a PostgreSQL database, for as many processes as there are.

    Args:
        config: a `PostgresConfig`.
        context: its clock is not asked for leases and due times.
        clock: rules them instead of the server's own clock, which is what processes share; for tests.
    """

    Config: ClassVar[type[BaseModel]] = PostgresConfig

    def __init__(self, config: BaseModel, context: Context, clock: Clock | None = None) -> None:
        super().__init__(config, context)
        assert isinstance(config, PostgresConfig)  # noqa: S101  what `Config` says
        self._settings, self._clock = config, clock
        self._database: Database | None = None
        self._lost: deque[str] = deque(maxlen=REMEMBERED)

    # -- life

    async def open(self) -> None:
        try:
            from komodod_postgres.database import open_database  # noqa: PLC0415  psycopg may be absent, and is heavy
        except ModuleNotFoundError as error:
            raise StorageRefusedError(
                f"the storage 'postgres' needs the package {error.name!r}; install komodod[postgres]"
            ) from error
        self._database = await open_database(self._settings, self.announce, self.context.log)

    async def close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    @property
    def epoch(self) -> str:
        return self._opened().epoch

    async def ping(self) -> None:
        await self._opened().write(reads.ping)

    def _now(self) -> datetime | None:
        """Return the time that the store goes by; None where that is the server's."""
        return None if self._clock is None else self._clock.now()

    def _opened(self) -> Database:
        if self._database is None:
            raise StorageError("the PostgreSQL store is not open")
        return self._database

    async def _read(
        self, read: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._opened().read(lambda connection: read(connection, *args, **kwargs))

    # -- the one way to write

    async def commit(self, batch: Batch) -> None:
        refused = await self._opened().writer.submit(commits.encode(batch, self._now()))
        if refused is not None:
            raise Conflict((*batch.expect, *batch.writes)[refused])

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

    async def _claim(self, worker: str, lease: float, claim: Callable[[Claimant], Awaitable[T]]) -> T:
        now = self._now()
        return await self._opened().write(
            lambda connection: claim(Claimant(connection, worker, now, lease, self._lost))
        )

    async def next_due(self, plugins: Sequence[str]) -> Due:
        return await self._read(claims.next_due, self._now(), plugins)

    async def lead(self, duty: str, holder: str, ttl: float) -> Lead | None:
        now = self._now()
        return await self._opened().write(lambda connection: claims.lead(connection, now, duty, holder, ttl))

    # -- consistency

    async def census(self, invariant: Stored) -> Census:
        return await self._read(breaches.census, invariant, self._now())

    async def breaches(self, invariant: Stored, after: str | None = None, limit: int = 100) -> Page[Breach]:
        return await self._read(breaches.breaches, invariant, self._now(), after, limit)

    async def purge(self, before: datetime, limit: int) -> int:
        return await self._opened().write(lambda connection: history.purge(connection, before, limit))
