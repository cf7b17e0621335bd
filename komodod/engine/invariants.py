"""The invariants about the store's own rows, for the pass: found by the store, mended by pure repairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from komodod.engine.decisions import repairing
from komodod.invariant import Finding, Invariant
from komodod.model import Aggregate, Alert, Notification
from komodod.storage import Batch, Breach, Census, Lease, OwedCalls, Page, Storage, Stored

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act

SWEEPING = frozenset(Stored) - {Stored.NO_EXPIRED_LEASE, Stored.EVENT_HAS_HOOK_CALLS}
"""After a crash many leases run out at once, and owed calls only add: those are never a sign of a mistake."""


class StoredInvariant(Invariant):
    """One of the invariants that the store itself can look for."""

    def __init__(self, act: Act, stored: Stored) -> None:
        self._act = act
        self._stored = stored
        self.name = str(stored)
        self.sweeping = stored in SWEEPING

    async def census(self, storage: Storage) -> Census:
        return await storage.census(self._stored)

    async def findings(self, storage: Storage, after: str | None, limit: int) -> Page[Finding]:
        page = await storage.breaches(self._stored, after, limit)
        return Page(tuple(Finding(breach.id, describe(breach), breach.subject) for breach in page.items), page.next)

    async def repair(self, finding: Finding, storage: Storage) -> Batch | None:  # noqa: ARG002  the batch says it all
        act = self._act
        repairs: dict[Stored, Callable[[Any], Batch]] = {
            Stored.OPEN_ALERT_HAS_SYNC: lambda alert: repairing.orphan(act, alert),
            Stored.OPEN_ALERT_MATCHES_STATE: lambda aggregate: repairing.mismatch(act, aggregate),
            Stored.NOTIFICATION_MATCHES_ALERTS: repairing.sleeper,
            Stored.NO_EXPIRED_LEASE: repairing.released,
            Stored.EVENT_HAS_HOOK_CALLS: lambda owed: repairing.unqueued(act, owed),
        }
        return repairs[self._stored](finding.subject)


def describe(breach: Breach) -> str:
    """Say for people what is wrong."""
    match breach.subject:
        case Alert() as alert:
            return f"alert {alert.id} ({alert.kind} of {alert.sync_name}) is open, its sync is gone"
        case Aggregate() as aggregate:
            wanted = ", ".join(sorted(aggregate.sync.conditions)) or "none"
            found = ", ".join(sorted(alert.kind for alert in aggregate.alerts)) or "none"
            return f"sync {aggregate.sync.name}: open alerts should be {wanted}, and are {found}"
        case Notification() as row:
            return f"notification {row.id} ({row.title} at {row.notifier}) is {row.state} and should not be"
        case Lease() as lease:
            return f"the lease on {lease.work} {lease.row_id} ran out at {lease.until:%Y-%m-%d %H:%M:%S} UTC"
        case OwedCalls() as owed:
            return f"event {owed.event.id} ({owed.event.kind}) owes a call to {', '.join(owed.plugins)}"


def stored_invariants(act: Act) -> tuple[Invariant, ...]:
    """Return all of them for one pass, in its order: leases first, then what follows from what."""
    order = (
        Stored.NO_EXPIRED_LEASE,
        Stored.OPEN_ALERT_HAS_SYNC,
        Stored.OPEN_ALERT_MATCHES_STATE,
        Stored.NOTIFICATION_MATCHES_ALERTS,
        Stored.EVENT_HAS_HOOK_CALLS,
    )
    return tuple(StoredInvariant(act, stored) for stored in order)
