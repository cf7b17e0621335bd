"""Rows for the tests of the contract, by short names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from komodod.model import (
    Alert,
    AlertKind,
    Doubt,
    Event,
    EventKind,
    HookCall,
    Origin,
    Resolution,
    Severity,
    Spec,
    Sync,
)
from komodod.storage import AppendEvent, Link, PutAlert, PutSync, QueueHookCall, hook_call_id, notification_id
from komodod.testing.simulation import START

if TYPE_CHECKING:
    from datetime import datetime

    from komodod.storage import Write


def ident(name: str) -> str:
    """Return a UUID that stands for the name."""
    return str(uuid5(NAMESPACE_OID, name))


def after(seconds: float) -> datetime:
    """Return the instant this long after the clock's start."""
    return START + timedelta(seconds=seconds)


def sync(name: str = "web", /, **fields: Any) -> Sync:
    """Return a sync that is at rest; its id goes by the first name."""
    spec = Spec(source={"type": "directory"})
    row = Sync(id=ident(name), name=name, origin=Origin.API, spec=spec, created_at=START, updated_at=START)
    return replace(row, **fields)


def alert(of: Sync, kind: AlertKind = AlertKind.PENDING, **fields: Any) -> Alert:
    """Return an open alert of the sync."""
    row = Alert(
        id=ident(f"{of.name}/{kind}"),
        sync_id=of.id,
        sync_name=of.name,
        kind=kind,
        severity=Severity.WARNING,
        summary="pending updates",
        opened_at=START,
        updated_at=START,
    )
    return replace(row, **fields)


def resolved(of: Sync, kind: AlertKind = AlertKind.PENDING, at: datetime = START, **fields: Any) -> Alert:
    """Return a resolved alert of the sync."""
    return replace(alert(of, kind), resolved_at=at, resolution=Resolution.IN_STEP, **fields)


def event(name: str = "event", **fields: Any) -> Event:
    """Return an event."""
    row = Event(id=ident(name), at=START, kind=EventKind.SYNC_DELETED, actor="uid 0", op_id="op")
    return replace(row, **fields)


def call(of: Event, plugin: str = "git", **fields: Any) -> HookCall:
    """Return the waiting hook call that tells the plugin of the event, due at the start."""
    row = HookCall(
        id=hook_call_id(of.id, plugin),
        event_id=of.id,
        plugin=plugin,
        hook="on_sync_deleted",
        sync_name="web",
        created_at=START,
        due_at=START,
    )
    return replace(row, **fields)


def doubt(key: str = "key", version: int = 1, **fields: Any) -> Doubt:
    """Return a doubt about the key that ends in a minute."""
    return replace(Doubt(key=key, version=version, since=START, until=after(60)), **fields)


def shown(of: Alert, notifier: str = "ops") -> str:
    """Return the id of the notification that `showing` links the alert to."""
    return notification_id(notifier, of.sync_id)


def showing(of: Alert, notifier: str = "ops") -> Link:
    """Return the write that links the alert to the notification of its sync."""
    return Link(of.id, notifier, of.sync_id, of.sync_name)


def pending(name: str = "web") -> tuple[Write, ...]:
    """Return the writes that make a sync with an open alert that is linked to a notification."""
    of = sync(name, conditions=frozenset({AlertKind.PENDING}))
    return PutSync(of), PutAlert(alert(of)), showing(alert(of))


def owed(name: str = "event", plugin: str = "git") -> tuple[Write, ...]:
    """Return the writes that append an event and queue the hook call it owes."""
    of = event(name, hooks=(plugin,))
    return AppendEvent(of), QueueHookCall(call(of, plugin))
