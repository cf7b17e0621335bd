"""The one thread that writes: many jobs, one transaction, one fsync."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from queue import Empty
from typing import TYPE_CHECKING, Any, Final

from komodod.errors import StorageError
from komodod_sqlite.faults import explain
from komodod_sqlite.workers import Job, Outcome, Work, Workers

if TYPE_CHECKING:
    from pathlib import Path

GROUP: Final = 256
"""Jobs in one transaction at most, so that the first of them does not wait for those that keep coming."""

ITS_OWN: Final = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
"""Errors that are the fault of one job; any other of SQLite's may have ended the transaction of them all."""


class Writer(Workers):
    """Commits jobs in groups. A job is applied whole or not at all, whatever its neighbours do.

    What a job returned is told only after the COMMIT that made it durable. If that fails, so do all jobs of the group.
    A job whose caller was cancelled is done all the same. `verify` raises StorageError where the file is no longer the
    one at its path: what is written there would be lost with it, so nothing is.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, announce: Callable[[], None], verify: Callable[[], None]
    ) -> None:
        self._path, self._announce, self._verify = path, announce, verify
        super().__init__("writer", [connection])

    def _serve(self, connection: sqlite3.Connection) -> None:
        while group := self._gather():
            outcomes = self._commit(connection, group)
            news = any(job.wakes and outcome.error is None for job, outcome in zip(group, outcomes, strict=True))
            self._settle(group, outcomes, self._announce if news else None)

    def _gather(self) -> list[Job[Any]]:
        """Wait for a job and take along what is queued behind it; nothing means the end."""
        group: list[Job[Any]] = []
        job = self._queue.get()
        while job is not None:
            group.append(job)
            if len(group) == GROUP:
                return group
            try:
                job = self._queue.get_nowait()
            except Empty:
                return group
        self._queue.put(None)  # found again by the next call
        return group

    def _commit(self, connection: sqlite3.Connection, group: Sequence[Job[Any]]) -> list[Outcome]:
        try:
            self._verify()
            if connection.in_transaction:
                connection.execute("ROLLBACK")  # what the last group could not undo
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(connection, job.work) for job in group]
            connection.execute("COMMIT")
        except StorageError as error:
            return [Outcome(error=StorageError(str(error))) for _ in group]
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):  # it is tried, and told of, again before the next group
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return [Outcome(error=self._explain(error)) for _ in group]
        return outcomes

    def _attempt(self, connection: sqlite3.Connection, work: Work[Any]) -> Outcome:
        connection.execute("SAVEPOINT job")
        try:
            outcome = Outcome(result=work(connection))
        except ITS_OWN as error:
            connection.execute("ROLLBACK TO job")
            outcome = Outcome(error=self._explain(error))
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001  a Conflict or a mistake: its caller hears of it, the others do not
            connection.execute("ROLLBACK TO job")
            outcome = Outcome(error=error)
        connection.execute("RELEASE job")
        return outcome

    def _explain(self, error: sqlite3.Error) -> Exception:
        explained = explain(error, self._path)
        explained.__cause__ = error
        return explained
