"""Decide what a person's wish, or an inventory's, makes of a sync."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from komodod.engine.decisions.alerting import close, follow, rerouted, settled
from komodod.model import (
    Aggregate,
    ApplyRequest,
    Changes,
    DiffMode,
    EventKind,
    Notification,
    Origin,
    Resolution,
    Spec,
    Sync,
    SyncState,
)
from komodod.storage import Batch, DeleteSync, NameFree, PutChanges, PutSync, SyncAt, Write

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act

Links = Mapping[str, Iterable[Notification]]
"""The notifications that each open alert is linked to, by alert id."""


def created(act: Act, name: str, spec: Spec, origin: Origin, declared: str | None = None) -> Batch:
    """A new sync, to be checked at once (the built-in one never is)."""
    sync = Sync(
        id=act.new_id(),
        name=name,
        origin=origin,
        spec=spec,
        declared=declared,
        created_at=act.now,
        updated_at=act.now,
        next_check_at=None if origin is Origin.BUILTIN else act.now,
        cause=act.op_id,
    )
    told = () if origin is Origin.BUILTIN else act.tell(EventKind.SYNC_CREATED, sync=sync)
    return Batch((NameFree(name),), (PutSync(sync), *told))


def edited(act: Act, aggregate: Aggregate, links: Links, spec: Spec, declared: str | None = None) -> Batch | None:
    """The sync as it is to be from now on, to be checked at once; None if that is what it is.

    Another source makes what was observed of the old one unknown, and calls off a requested apply. Open alerts stay
    until a check has spoken, with today's severity, labels and routes.
    """
    old = aggregate.sync
    changed = spec_difference(old.spec, spec)
    if not changed and declared == old.declared:
        return None
    sync = bumped(act, old, spec=spec, declared=declared)
    if not changed:  # it only stands on another line of the file
        return Batch((_fence(old),), (PutSync(sync),))
    sync = dataclasses.replace(sync, next_check_at=act.now, auto_apply_at=None, cause=act.op_id)
    if old.spec.source != spec.source:
        sync = dataclasses.replace(
            sync, state=SyncState.UNKNOWN, apply_request=None, applied_digest=None, apply_error=None, apply_rounds=0
        )
    alerts = [dataclasses.replace(alert, severity=spec.severity, labels=spec.labels) for alert in aggregate.alerts]
    moves = (write for alert in alerts for write in rerouted(act, alert, links.get(alert.id, ())))
    told = act.tell(EventKind.SYNC_UPDATED, sync=sync, data={"changed": sorted(changed)})
    return Batch(
        (_fence(old),), (PutSync(sync), *_bared(old, sync), *follow(act, sync, aggregate.alerts), *moves, *told)
    )


def _bared(old: Sync, sync: Sync) -> tuple[Write, ...]:
    """Take the texts of changes, which can hold secrets, out of the store at once where they are no longer wanted."""
    if old.spec.diff is sync.spec.diff or sync.spec.diff is not DiffMode.NONE:
        return ()
    return (PutChanges(sync.id, Changes(items=sync.headline, omitted=sync.pending - len(sync.headline))),)


def paused(act: Act, aggregate: Aggregate) -> Batch | None:
    """No more checks until it is resumed; alerts stay open and shown, and say so. None if it is paused."""
    if aggregate.sync.paused:
        return None
    sync = bumped(act, aggregate.sync, paused=True)
    return _switched(act, aggregate, sync, EventKind.SYNC_PAUSED)


def resumed(act: Act, aggregate: Aggregate) -> Batch | None:
    """Checks go on, with one at once. None if it is not paused."""
    if not aggregate.sync.paused:
        return None
    sync = bumped(act, aggregate.sync, paused=False, next_check_at=act.now, cause=act.op_id)
    return _switched(act, aggregate, sync, EventKind.SYNC_RESUMED)


def _switched(act: Act, aggregate: Aggregate, sync: Sync, kind: EventKind) -> Batch:
    writes = (PutSync(sync), *follow(act, sync, aggregate.alerts), *act.tell(kind, sync=sync))
    return Batch((_fence(aggregate.sync),), writes)


def apply_requested(act: Act, sync: Sync, *, force: bool) -> Batch:
    """Have the sync applied as soon as a worker is free; a second wish while one waits replaces it."""
    request = ApplyRequest(op_id=act.op_id, actor=act.actor, at=act.now, force=force)
    asked = bumped(act, sync, apply_request=request, next_check_at=act.now)
    return Batch((_fence(sync),), (PutSync(asked), *act.tell(EventKind.APPLY_REQUESTED, sync=asked)))


def deleted(act: Act, aggregate: Aggregate, reason: str) -> Batch:
    """Everything a delete does, in one commit (design D6): nothing of it waits for a plugin or a channel."""
    sync = aggregate.sync
    alerts = [close(act, alert, Resolution.DELETED, reason) for alert in aggregate.alerts]
    resolved = (write for alert in alerts for write in settled(act, sync, alert))
    told = act.tell(EventKind.SYNC_DELETED, sync=sync, alerts=alerts, reason=reason)
    return Batch((_fence(sync),), (*resolved, DeleteSync(sync.id), *told))


def spec_difference(old: Spec, new: Spec) -> frozenset[str]:
    """Return the names of the fields in which two specs differ."""
    fields = (field.name for field in dataclasses.fields(Spec))
    return frozenset(name for name in fields if getattr(old, name) != getattr(new, name))


def bumped(act: Act, sync: Sync, **changes: Any) -> Sync:
    """Return the sync with these changes, one generation on.

    Claims are counted anew: a check that is under way will be dropped for it, and not because it did not live to tell.
    """
    return dataclasses.replace(sync, generation=sync.generation + 1, updated_at=act.now, attempts=0, **changes)


def _fence(sync: Sync) -> SyncAt:
    return SyncAt(sync.id, sync.generation)
