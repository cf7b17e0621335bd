"""Decide what a finished check or apply makes of a sync."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from komodod.engine.decisions.alerting import follow
from komodod.engine.decisions.syncing import bumped
from komodod.model import (
    Aggregate,
    AlertKind,
    Applied,
    ApplyMode,
    ApplyRequest,
    Change,
    Changes,
    DiffMode,
    EventKind,
    Observation,
    Resolution,
    Sync,
    SyncState,
)
from komodod.storage import Batch, LeaseHeld, PutChanges, PutSync, Release, RequestCheck, SyncAt, Work, Write
from komodod.texts import clean

if TYPE_CHECKING:
    from komodod.engine.decisions.acting import Act

STORED_CHANGES = 1000
STORED_BYTES = 256 * 1024
HEADLINE = 20
"""How many changes the sync's own row names."""

AUTO = "komodod"
"""The actor of an apply that `apply: auto` asks for."""


def observed(act: Act, token: str, aggregate: Aggregate, observation: Observation) -> Batch:
    """A look that succeeded: pending or in step, its alerts accordingly, and when to look again.

    Args:
        act: the operation.
        token: the lease of the check.
        aggregate: the sync as it was claimed, and its open alerts.
        observation: what the source saw.
    """
    old, observation = aggregate.sync, _readable(observation)
    sync = _seen(act, old, observation)
    applied = old.applied_digest is not None and not sync.pending
    alerts = follow(act, sync, aggregate.alerts, Resolution.APPLIED if applied else Resolution.IN_STEP)
    known = (sync.digest, sync.state, None) == (old.digest, old.state, old.cause)
    changes = () if known else (PutChanges(sync.id, stored(observation.changes, sync.spec.diff)),)
    return _result(old, token, (PutSync(sync), *changes, *alerts, *_news(act, old, sync)))


def _readable(observation: Observation) -> Observation:
    """Return what was seen in texts that any store takes: a file's name can hold bytes that are no text."""
    changes = tuple(
        Change(
            action=clean(change.action),
            kind=clean(change.kind),
            name=clean(change.name),
            diff=None if change.diff is None else clean(change.diff),
        )
        for change in observation.changes
    )
    revision = None if observation.revision is None else clean(observation.revision)
    return Observation(revision=revision, changes=changes)


def _seen(act: Act, old: Sync, observation: Observation) -> Sync:
    """Return the sync after a successful look."""
    pending = len(observation.changes)
    digest = digest_of(observation) if pending else None
    stuck = pending > 0 and digest == old.applied_digest
    sync = bumped(
        act,
        old,
        state=SyncState.PENDING if pending else SyncState.OK,
        conditions=frozenset(_conditions(pending=pending > 0, stuck=stuck)),
        revision=observation.revision,
        pending=pending,
        digest=digest,
        headline=tuple(dataclasses.replace(change, diff=None) for change in observation.changes[:HEADLINE]),
        failures=0,
        error=None,
        checked_at=act.now,
        next_check_at=act.next_check(old.spec),
        requests_seen=old.requests,
        applied_digest=digest if stuck else None,
        cause=None,
    )
    if not pending:
        return dataclasses.replace(sync, apply_error=None, apply_rounds=0, auto_apply_at=None)
    return _self_applying(act, sync)


def _conditions(*, pending: bool, stuck: bool) -> Iterable[AlertKind]:
    if pending:
        yield AlertKind.PENDING
    if stuck:
        yield AlertKind.UNCONVERGED


def _self_applying(act: Act, sync: Sync) -> Sync:
    """Ask for an apply where a pending sync brings itself in step; after a vain one, when its wait is over.

    An apply is vain if anything is pending after it, be it something else: a source that never says the same twice
    would be applied without a pause. A wait longer than any can be meant was begun before the clock was set back.
    """
    if sync.spec.apply is not ApplyMode.AUTO or sync.apply_request is not None:
        return sync
    longest = act.now + timedelta(seconds=act.rules.backoff_max)
    if sync.auto_apply_at is not None and act.now < sync.auto_apply_at <= longest:
        planned = sync.next_check_at or sync.auto_apply_at
        return dataclasses.replace(sync, next_check_at=min(planned, sync.auto_apply_at))
    request = ApplyRequest(op_id=act.op_id, actor=AUTO, at=act.now)
    return dataclasses.replace(sync, apply_request=request, next_check_at=act.now)


def _news(act: Act, old: Sync, sync: Sync) -> tuple[Write, ...]:
    """Tell of a change of state, and of other pending updates than before; a look that finds nothing new is silent."""
    if sync.pending and (old.state is not SyncState.PENDING or sync.digest != old.digest):
        return act.tell(EventKind.SYNC_PENDING, sync=sync, data={"pending": sync.pending, "revision": sync.revision})
    if not sync.pending and old.state is not SyncState.OK:
        return act.tell(EventKind.SYNC_IN_STEP, sync=sync)
    return ()


def failed(act: Act, token: str, aggregate: Aggregate, error: str) -> Batch:
    """A look that told nothing: what was pending stays so (design D7), and enough of them in a row open `failed`."""
    old = aggregate.sync
    failures = old.failures + 1
    failing = {AlertKind.FAILED} if failures >= old.spec.fail_after else set()
    sync = bumped(
        act,
        old,
        state=SyncState.FAILED,
        conditions=old.conditions | failing,
        failures=failures,
        error=error,
        checked_at=act.now,
        next_check_at=act.next_retry(old.spec, failures),
        requests_seen=old.requests,
        cause=None,
    )
    told = act.tell(EventKind.SYNC_FAILED, sync=sync, reason=error) if not old.failures else ()
    return _result(old, token, (PutSync(sync), *follow(act, sync, aggregate.alerts), *told))


def apply_started(act: Act, token: str, sync: Sync, request: ApplyRequest) -> tuple[Sync, Batch]:
    """The intent of an apply, durable before the source is called; returns the sync as it then stands."""
    begun = dataclasses.replace(request, started_at=act.now, starts=request.starts + 1)
    started = bumped(act, sync, apply_request=begun)
    return started, Batch(
        (SyncAt(sync.id, sync.generation), LeaseHeld(Work.CHECK, sync.id, token)), (PutSync(started),)
    )


def applied(act: Act, token: str, sync: Sync, outcome: Applied) -> Batch:
    """An apply that ended well as far as the source can tell: look at once whether it is so."""
    done = _tried(act, sync, error=None)
    data = {"summary": clean(outcome.summary), "revision": outcome.revision and clean(outcome.revision)}
    return _result(sync, token, (PutSync(done), *act.tell(EventKind.SYNC_APPLIED, sync=done, data=data)))


def apply_failed(act: Act, token: str, sync: Sync, error: str) -> Batch:
    """An apply that was not (all) done: look at once what it left."""
    done = _tried(act, sync, error=error)
    told = act.tell(EventKind.APPLY_FAILED, sync=done, reason=error)
    hooked = act.tell(EventKind.SYNC_FAILED, sync=done, reason=f"apply failed: {error}") if not sync.apply_error else ()
    return _result(sync, token, (PutSync(done), *told, *hooked))


def _tried(act: Act, sync: Sync, error: str | None) -> Sync:
    """Return the sync after an apply; `apply: auto` waits longer after each one that does not bring it in step."""
    rounds = sync.apply_rounds + 1
    wait = min(act.rules.backoff_max, 10.0 * 2.0 ** min(rounds - 1, 32))
    return bumped(
        act,
        sync,
        apply_request=None,
        applied_at=act.now,
        applied_digest=sync.digest,
        apply_error=error,
        apply_rounds=rounds,
        auto_apply_at=act.now + timedelta(seconds=wait),
        next_check_at=act.now,
        cause=act.op_id,
    )


def discarded(act: Act, sync: Sync, outcome: str) -> Batch:
    """An apply whose sync was deleted or edited meanwhile: it is not undone, and kept as an event only (design D6)."""
    return Batch((), act.tell(EventKind.APPLY_DISCARDED, sync=sync, reason=clean(outcome)))


def carried_out(act: Act, token: str, sync: Sync) -> Batch:
    """A sync that was edited while it was applied: that wish is not carried out again, and what is there is looked at.

    Args:
        act: the operation of the apply.
        token: the lease of the apply.
        sync: as it is now; a wish that came meanwhile stays.
    """
    waiting = sync.apply_request
    left = None if waiting is not None and waiting.op_id == act.op_id else waiting
    done = bumped(act, sync, apply_request=left, cause=act.op_id)
    return _result(sync, token, (PutSync(done), RequestCheck(sync.id)))


def overtaken(token: str, sync: Sync) -> Batch:
    """A check whose sync was written meanwhile: drop it, and have the sync checked at once."""
    held = LeaseHeld(Work.CHECK, sync.id, token)
    return Batch((held,), (RequestCheck(sync.id), Release(Work.CHECK, sync.id)))


def _result(sync: Sync, token: str, writes: tuple[Write, ...]) -> Batch:
    expect = (LeaseHeld(Work.CHECK, sync.id, token), SyncAt(sync.id, sync.generation))
    return Batch(expect, (*writes, Release(Work.CHECK, sync.id)))


def digest_of(observation: Observation) -> str:
    """Return what identifies an observation's changes: equal digests mean the same pending updates."""
    facts = [observation.revision, *([c.action, c.kind, c.name, c.diff] for c in observation.changes)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def stored(changes: tuple[Change, ...], mode: DiffMode) -> Changes:
    """Return the changes as they are kept: at most 1,000 and 256 KiB, the rest counted; without diffs if so declared."""
    kept: list[Change] = []
    size = 0
    for change in changes[:STORED_CHANGES]:
        slim = dataclasses.replace(change, diff=None) if mode is DiffMode.NONE else change
        size += sum(
            len(text.encode(errors="surrogatepass")) for text in (slim.action, slim.kind, slim.name, slim.diff or "")
        )
        if size > STORED_BYTES:
            break
        kept.append(slim)
    return Changes(items=tuple(kept), omitted=len(changes) - len(kept))


def lost(sync: Sync, limit: int) -> str | None:
    """Say why a sync that was claimed again and again without a result is not tried as usual; None if it may be."""
    if sync.attempts <= limit:
        return None
    return (
        f"{sync.attempts - 1} checks in a row did not live to tell: they ended the daemon or outlived their lease; "
        "see the log of the time, and the source's time-out"
    )
