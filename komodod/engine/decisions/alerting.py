"""Decide which alerts are open: those that a sync's stored state asks for, saying what it says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from komodod.engine.decisions.routing import Destination, route
from komodod.model import Alert, AlertKind, Change, EventKind, Notification, Resolution, Sync
from komodod.storage import Link, PutAlert, Touch, Unlink, Write

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act

NAMED_CHANGES = 3
"""How many changes a summary names."""


def follow(
    act: Act,
    sync: Sync,
    alerts: Iterable[Alert],
    resolution: Resolution = Resolution.IN_STEP,
    reason: str | None = None,
) -> tuple[Write, ...]:
    """Make the sync's open alerts what its conditions ask for: open, rewrite or resolve each kind.

    Args:
        act: the operation.
        sync: as it will be stored.
        alerts: those open now.
        resolution: why those are resolved whose condition is gone.
        reason: the same for people.
    """
    standing = {alert.kind: alert for alert in alerts}
    writes: list[Write] = []
    for kind in sorted(sync.conditions | standing.keys()):
        if kind not in standing:
            writes += opened(act, sync, kind)
        elif kind not in sync.conditions:
            writes += settled(act, sync, close(act, standing[kind], resolution, reason))
        else:
            writes += rewritten(act, sync, standing[kind])
    return tuple(writes)


def opened(act: Act, sync: Sync, kind: AlertKind) -> tuple[Write, ...]:
    """Open an alert of this kind and say where it is to be shown."""
    alert = replace(_describe(sync, kind, act.new_id(), act.now, act.now), op_id=act.op_id)
    links = (_link(alert, place) for place in route(act.rules.routes, alert))
    return (PutAlert(alert), *links, *act.tell(EventKind.ALERT_OPENED, sync=sync, alerts=[alert]))


def rewritten(act: Act, sync: Sync, alert: Alert) -> tuple[Write, ...]:
    """Let an open alert say what is true now; nothing, if it does already."""
    described = _describe(sync, alert.kind, alert.id, alert.opened_at, alert.updated_at)
    if described == replace(alert, op_id=None):
        return ()
    return (PutAlert(replace(described, updated_at=act.now, op_id=act.op_id)), Touch(alert.id))


def close(act: Act, alert: Alert, resolution: Resolution, reason: str | None = None) -> Alert:
    """Return the alert as it is once it is resolved."""
    return replace(
        alert,
        updated_at=act.now,
        resolved_at=act.now,
        resolution=resolution,
        reason=reason or act.reason,
        op_id=act.op_id,
    )


def settled(act: Act, sync: Sync | None, closed: Alert) -> tuple[Write, ...]:
    """Store a resolved alert and have its notifications look again."""
    told = act.tell(EventKind.ALERT_RESOLVED, sync=sync, alerts=[closed], reason=closed.reason)
    return (PutAlert(closed), Touch(closed.id), *told)


def rerouted(act: Act, alert: Alert, linked: Iterable[Notification]) -> tuple[Write, ...]:
    """Bring the stored links of an open alert to what the routes say now."""
    wanted = {(place.notifier, place.group): place for place in route(act.rules.routes, alert)}
    stored = {(row.notifier, row.group): row for row in linked}
    gone = (Unlink(alert.id, row.id) for pair, row in stored.items() if pair not in wanted)
    new = (_link(alert, place) for pair, place in wanted.items() if pair not in stored)
    return (*gone, *new)


def _link(alert: Alert, place: Destination) -> Link:
    return Link(alert.id, place.notifier, place.group, place.title)


def _describe(sync: Sync, kind: AlertKind, alert_id: str, opened_at: datetime, updated_at: datetime) -> Alert:
    """Return the alert of this kind as the sync's state words it."""
    counted = kind in (AlertKind.PENDING, AlertKind.UNCONVERGED)
    return Alert(
        id=alert_id,
        sync_id=sync.id,
        sync_name=sync.name,
        kind=kind,
        severity=sync.spec.severity,
        summary=_summary(sync, kind),
        opened_at=opened_at,
        updated_at=updated_at,
        labels=sync.spec.labels,
        changes=sync.pending if counted else 0,
        headline=sync.headline if counted else (),
        paused=sync.paused,
    )


def _summary(sync: Sync, kind: AlertKind) -> str:
    match kind:
        case AlertKind.PENDING:
            return f"{_count(sync.pending)}: {_name(sync.headline, sync.pending)}"
        case AlertKind.UNCONVERGED:
            why = f" ({sync.apply_error})" if sync.apply_error else ""
            return f"not in step after an apply{why}: {_name(sync.headline, sync.pending)}"
        case AlertKind.FAILED:
            return f"cannot be checked: {sync.error}"
        case AlertKind.BRAKE | AlertKind.DEAD_LETTER | AlertKind.RELOAD_FAILED:
            return sync.notes.get(kind, str(kind))


def _count(pending: int) -> str:
    return "1 pending update" if pending == 1 else f"{pending} pending updates"


def _name(headline: tuple[Change, ...], pending: int) -> str:
    named = [f"{change.action} {change.name}" for change in headline[:NAMED_CHANGES]]
    more = pending - len(named)
    return ", ".join([*named, f"{more} more"] if more > 0 else named)
