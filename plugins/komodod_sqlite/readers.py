"""The threads that read: each call sees the store at one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from komodod_sqlite.faults import explain
from komodod_sqlite.workers import Outcome, Work, Workers

if TYPE_CHECKING:
    from pathlib import Path

READERS: Final = 3
"""So that a walk through the history does not keep everybody else waiting."""


class Readers(Workers):
    """A pool of connections that cannot write."""

    def __init__(self, connections: Sequence[sqlite3.Connection], path: Path) -> None:
        self._path = path
        super().__init__("reader", connections)

    def _serve(self, connection: sqlite3.Connection) -> None:
        while (job := self._queue.get()) is not None:
            self._settle([job], [self._attempt(connection, job.work)], None)
        self._queue.put(None)

    def _attempt(self, connection: sqlite3.Connection, work: Work[Any]) -> Outcome:
        try:
            connection.execute("BEGIN")
            try:
                return Outcome(result=work(connection))
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")
        except sqlite3.Error as error:
            explained = explain(error, self._path)
            explained.__cause__ = error
            return Outcome(error=explained)
        except Exception as error:  # noqa: BLE001  its caller hears of it
            return Outcome(error=error)
