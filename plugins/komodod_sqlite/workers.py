"""Threads that work for the event loop, each with a connection of its own."""

from __future__ import annotations

import abc
import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from komodod.blocking import blocking
from komodod.errors import StorageError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """Something to do with a connection, and who waits for what it returns. `wakes`: others wait for its effect."""

    work: Work[T]
    future: asyncio.Future[T]
    wakes: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job returned, or the error it ended with."""

    result: Any = None
    error: Exception | None = None


class Workers(abc.ABC):
    """A queue of jobs, and the threads that take from it until it is closed and empty."""

    def __init__(self, name: str, connections: Sequence[sqlite3.Connection]) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._live, args=(connection,), name=f"komodod-sqlite-{name}", daemon=True)
            for connection in connections
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work[T], *, wakes: bool = False) -> asyncio.Future[T]:
        """Queue the work; it is done in the order of the calls. Call it on the event loop.

        Raises:
            StorageError: `close` was called.
        """
        if self._closed:
            raise StorageError("the store is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Job(work, future, wakes))
        return future

    async def close(self) -> None:
        """Let the threads finish what was queued, and wait for them. Safe to call twice."""
        self._closed = True
        self._queue.put(None)
        for thread in self._threads:
            await blocking(thread.join)

    def _live(self, connection: sqlite3.Connection) -> None:
        try:
            self._serve(connection)
        finally:
            connection.close()

    @abc.abstractmethod
    def _serve(self, connection: sqlite3.Connection) -> None:
        """Take jobs off the queue, do them, settle them; return at the None that ends it, leaving it for the others."""

    def _settle(self, jobs: Sequence[Job[Any]], outcomes: Sequence[Outcome], then: Callable[[], None] | None) -> None:
        """Tell on the event loop, all at once, who waits for these jobs; then call `then`."""

        def tell() -> None:
            for job, outcome in zip(jobs, outcomes, strict=True):
                if job.future.done():
                    continue  # its caller was cancelled
                if outcome.error is None:
                    job.future.set_result(outcome.result)
                else:
                    job.future.set_exception(outcome.error)
            if then is not None:
                then()

        try:
            self._loop.call_soon_threadsafe(tell)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more
