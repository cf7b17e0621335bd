"""Work under leases: who gets what is due, and when something will be."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from komodod.model import HookCall, Notification, Sync
from komodod.storage import Claim, Due, Work
from komodod_sqlite.queries import SQL
from komodod_sqlite.reads import notifications
from komodod_sqlite.rows import HOOK_CALLS, SYNCS, instant, records, stamp

R = TypeVar("R", Sync, Notification, HookCall)


class Claimant:
    """A worker that takes leases of `lease` seconds, at one moment of the store's clock."""

    def __init__(self, connection: sqlite3.Connection, worker: str, now: datetime, lease: float) -> None:
        self._connection, self._worker, self._at = connection, worker, now
        self._now = stamp(now)
        self._until = self._now + round(lease * 1_000_000)

    def claim_checks(self, limit: int) -> tuple[Claim[Sync], ...]:
        """Lease syncs that are due, longest due first, and count an attempt in each."""
        rows = records(self._run("claim_checks", limit=limit))
        rows.sort(key=lambda row: (row["due_at"], row["id"]))
        return self._take(Work.CHECK, [SYNCS.build(row) for row in rows])

    def claim_notifications(self, limit: int) -> tuple[Claim[Notification], ...]:
        """Lease notifications that are due, longest due first."""
        due = self._run("due_notifications", limit=limit)
        return self._take(Work.NOTIFICATION, notifications(self._connection, due))

    def claim_hook_calls(self, limit: int, plugins: Sequence[str]) -> tuple[Claim[HookCall], ...]:
        """Lease waiting calls of these plugins that are due, longest due first, and count an attempt in each."""
        due = [row for plugin in set(plugins) for row in self._run("due_hook_calls", plugin=plugin, limit=limit)]
        rows = [HOOK_CALLS.read(self._run("claim_hook_call", id=row_id))[0] for _, row_id in sorted(due)[:limit]]
        return self._take(Work.HOOK_CALL, rows)

    def renew(self) -> None:
        """Let all leases of the worker run as long as one taken now."""
        self._run("renew", worker=self._worker, until=self._until)

    def _take(self, work: Work, rows: Sequence[R]) -> tuple[Claim[R], ...]:
        claims = tuple(Claim(row, str(uuid.uuid4()), self._at) for row in rows)
        fixed = {"work": work.value, "worker": self._worker, "until": self._until}
        taken = [fixed | {"row_id": claim.row.id, "token": claim.token} for claim in claims]
        self._connection.executemany(SQL["take_lease"], taken)
        return claims

    def _run(self, statement: str, **params: str | int) -> sqlite3.Cursor:
        return self._connection.execute(SQL[statement], params | {"now": self._now})


def next_due(connection: sqlite3.Connection, now: datetime, plugins: Sequence[str]) -> Due:
    """Return when each kind of work can first be claimed."""

    def first(names: Iterable[str], params: Iterable[Mapping[str, Any]] = ({},)) -> datetime | None:
        found = [connection.execute(SQL[name], each).fetchone() for name in names for each in params]
        return min((instant(row[0]) for row in found if row is not None and row[0] is not None), default=None)

    return Due(
        now=now,
        checks=first(("next_check", "next_leased_check")),
        notifications=first(("next_notification", "next_leased_notification")),
        hook_calls=first(("next_hook_call", "next_leased_hook_call"), [{"plugin": plugin} for plugin in plugins]),
    )
