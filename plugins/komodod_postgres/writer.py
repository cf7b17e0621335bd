"""The one who commits: what is waiting goes to the server together, in one round trip and with one fsync."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from komodod.errors import StorageError
from komodod_postgres.connections import ask
from komodod_postgres.faults import explain_refusal
from komodod_postgres.queries import SQL
from komodod_postgres.rows import fetch

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

    from komodod_postgres.connections import Connection

GROUP: Final = 60
"""Batches in one transaction at most: each is a subtransaction, of which a server keeps 64 at hand."""


@dataclass(frozen=True, slots=True)
class Job:
    """A batch as text, and who waits to hear which operation was refused, if one was."""

    batch: str
    future: asyncio.Future[int | None]


class Writer:
    """Sends batches in groups, one group after the other.

    A batch is applied whole or not at all, whatever its neighbours do. What became of it is told only once it is durable.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[Connection],
        place: str,
        announce: Callable[[], None],
        sender: str | None,
    ) -> None:
        self._pool, self._place, self._announce, self._sender = pool, place, announce, sender
        self._queue: deque[Job] = deque()
        self._more = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._serve(), name="komodod-postgres-writer")

    def submit(self, batch: str) -> asyncio.Future[int | None]:
        """Queue the batch. What comes is the number of the operation that was refused, None if it was applied.

        Raises:
            StorageError: `close` was called.
        """
        if self._closed:
            raise StorageError("the store is closed")
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._queue.append(Job(batch, future))
        self._more.set()
        return future

    async def close(self) -> None:
        """Finish what was queued. Safe to call twice."""
        self._closed = True
        self._more.set()
        await self._task

    async def _serve(self) -> None:
        while True:
            await self._more.wait()
            group = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
            if group:
                await self._commit(group)
            elif self._closed:
                return
            else:
                self._more.clear()

    async def _commit(self, group: Sequence[Job]) -> None:
        try:
            outcomes = await self._send([job.batch for job in group])
        except Exception as error:  # noqa: BLE001  whatever it is, who waits must hear of it
            for job in group:
                _fail(job, error if isinstance(error, StorageError) else StorageError(f"{self._place}: {error!r}"))
            return
        for job, (refused, code, words) in zip(group, outcomes, strict=True):
            if code is not None:
                _fail(job, explain_refusal(code, words, self._place))
            elif not job.future.done():  # else its caller was cancelled
                job.future.set_result(refused)
        if any(refused is None and code is None for refused, code, _ in outcomes):
            self._announce()

    async def _send(self, batches: Sequence[str]) -> list[tuple[Any, ...]]:
        # One text: JSON has no line break of its own, and psycopg would quote each text of an array in Python.
        params = {"batches": "\n".join(batches), "sender": self._sender}
        return await ask(self._pool, self._place, lambda connection: fetch(connection, SQL["commit"], params))


def _fail(job: Job, error: Exception) -> None:
    if not job.future.done():
        job.future.set_exception(error)
