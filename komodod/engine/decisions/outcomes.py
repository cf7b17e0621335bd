"""Decide what an attempt to speak to a channel makes of its notification (design D5).

`intend` is committed before anything is sent; `answered`, `unanswered`, `refused` and `confessed` after it.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from komodod.model import Attempt, Doubt, Json, Notification, Shown, Want
from komodod.storage import (
    Batch,
    Confess,
    DropDoubt,
    LeaseHeld,
    PutDoubt,
    PutNotification,
    Release,
    Work,
    Write,
)

if TYPE_CHECKING:
    from komodod.engine.decisions.notifying import Say, Wait

LEDGER = 20
"""How many attempts a notification remembers."""

SEARCHES = 2
"""How often a channel is searched before "not found" is believed (histories lag)."""

SEARCH_GAP = timedelta(seconds=10)
"""The distance between the searches."""

RETRY = "retry"
"""What a notification waits for whose own request failed for a while."""


def intend(row: Notification, say: Say, token: str, now: datetime, lifetime: timedelta) -> tuple[Notification, Batch]:
    """The intent, durable before the first byte leaves: the attempt, and the doubt that stays if nobody can tell.

    Args:
        row: as claimed.
        say: the decision.
        token: the lease.
        now: the store's clock.
        lifetime: how long the request may take to land, counted from now.

    Returns:
        The row as it then stands, and the batch.
    """
    attempt = Attempt(at=now, want=say.want, key=say.key, sequence=say.message.sequence, outcome="unanswered")
    intended = dataclasses.replace(
        row,
        attempts=(row.attempts if row.dead is None else 0) + 1,
        ledger=(*row.ledger, attempt)[-LEDGER:],
        dead=None,
        repeats=row.repeats + say.message.repetition,
    )
    if not _is_stray(row, say):
        intended = dataclasses.replace(intended, key=say.key, sequence=say.message.sequence, digest=say.digest)
    doubt = _doubt(row, say, now, now + lifetime)
    return intended, Batch((_held(row, token),), (PutNotification(intended), PutDoubt(row.id, doubt)))


def _is_stray(row: Notification, say: Say) -> bool:
    """Tell whether the message is about an earlier incarnation's key."""
    return say.older is not None and say.key != row.key


def _doubt(row: Notification, say: Say, now: datetime, until: datetime) -> Doubt:
    older = say.older
    return Doubt(
        key=say.key,
        version=row.version,
        since=older.since if older else now,
        until=max(until, older.until) if older else until,
        sequence=say.message.sequence,
        digest=say.digest,
        alike=say.alike,
        receipt=say.receipt,
    )


def answered(row: Notification, say: Say, token: str, now: datetime, receipt: Json) -> Batch:
    """The channel did what it was told. That settles the key, unless something older may still land.

    Args:
        row: as intended.
        say: what was said.
        token: the lease.
        now: the store's clock.
        receipt: the far side's name for the message; None keeps the one known.
    """
    receipt = say.receipt if receipt is None else receipt
    told = _noted(row, "sent", None, attempts=0, last_error=None, retry_at=None, waiting=None)
    final = say.key == row.key and (say.quiet or say.alike)
    if final:
        told = _settled(told, say, receipt, now)
    if say.older is not None and not say.quiet:
        heard = dataclasses.replace(
            _doubt(row, say, now, now), until=say.older.until, answered=say.want, receipt=receipt
        )
        told = dataclasses.replace(told, due_at=say.older.until, waiting="an older request may still land")
        return _result(row, token, PutNotification(told), PutDoubt(row.id, heard))
    more = say.probe or not final or any(doubt.key != say.key for doubt in row.doubts)
    told = dataclasses.replace(told, due_at=now if more else None)
    return _result(row, token, PutNotification(told), DropDoubt(row.id, say.key, row.version))


def _settled(row: Notification, say: Say, receipt: Json, now: datetime) -> Notification:
    """Return the row once it is certain what the channel shows of the current key."""
    if say.want is Want.WITHDRAW:
        return dataclasses.replace(_ended(row), observed=row.version)
    return dataclasses.replace(
        row,
        observed=row.observed if say.probe else row.version,
        state=Shown.SHOWN,
        receipt=receipt,
        shown_since=row.shown_since or now,
        shown_digest=say.digest,
    )


def _ended(row: Notification) -> Notification:
    """Return the row after the end of an incarnation; the next raise gets a new key."""
    return dataclasses.replace(
        row,
        state=Shown.ABSENT,
        key=None,
        receipt=None,
        sequence=0,
        digest=None,
        shown_digest=None,
        shown_since=None,
    )


def lingered(row: Notification, token: str, doubt: Doubt, now: datetime) -> Batch:
    """The time is over in which an equal request could still land: the key is settled without another word."""
    told = dataclasses.replace(row, due_at=now)
    return _result(row, token, PutNotification(told), DropDoubt(row.id, doubt.key, doubt.version))


def unanswered(
    row: Notification, say: Say, token: str, retry_at: datetime, error: str, *, doubtful: bool, lifted: bool = False
) -> Batch:
    """It did not work, and trying again may help. Without an answer the key stays in doubt.

    Args:
        row: as intended.
        say: what was said.
        token: the lease.
        retry_at: not before this moment again.
        error: what happened, for people.
        doubtful: whether it may have had its effect all the same.
        lifted: whether the attempt was never made, and does not count.
    """
    outcome = "unanswered" if doubtful else "failed"
    attempts = row.attempts - 1 if lifted else row.attempts
    told = _noted(
        row, outcome, error, attempts=attempts, last_error=error, retry_at=retry_at, due_at=retry_at, waiting=RETRY
    )
    doubts = () if doubtful else _as_before(row, say)
    return _result(row, token, PutNotification(told), *doubts)


def refused(row: Notification, say: Say, token: str, error: str, *, doubtful: bool = False) -> Batch:
    """It will not work, however often: dead for this version, until what should be shown changes (D5, rule 8)."""
    told = _noted(row, "refused", error, last_error=error, dead=row.version, retry_at=None, due_at=None, waiting=None)
    doubts = () if doubtful else _as_before(row, say)
    return _result(row, token, PutNotification(told), *doubts)


def _as_before(row: Notification, say: Say) -> tuple[Write, ...]:
    """Take the intent's doubt back: the request certainly had no effect."""
    if say.older is None:
        return (DropDoubt(row.id, say.key, row.version),)
    return (PutDoubt(row.id, dataclasses.replace(say.older, version=row.version)),)


def rested(row: Notification, token: str) -> Batch:
    """Nothing is to be said: what was found is what should be."""
    calm = dataclasses.replace(row, observed=row.version, due_at=None, retry_at=None, waiting=None, attempts=0)
    kept = row if row.settled_dead else calm
    return _result(row, token, PutNotification(dataclasses.replace(kept, due_at=None)))


def waited(row: Notification, token: str, wait: Wait) -> Batch:
    """Nothing can be said yet: look again then."""
    later = dataclasses.replace(row, due_at=wait.until, waiting=wait.why)
    return _result(row, token, PutNotification(later))


def stranded(row: Notification, token: str) -> Batch:
    """Its notifier is not configured any more: nobody can speak to that channel."""
    return _result(row, token, PutNotification(dataclasses.replace(row, stranded=True, due_at=None)))


def abandoned(row: Notification, token: str, doubt: Doubt, now: datetime) -> Batch:
    """Give up on a message that may stand for ever, visibly."""
    note = Attempt(
        at=now,
        want=Want.WITHDRAW,
        key=doubt.key,
        sequence=doubt.sequence,
        outcome="abandoned",
        error="this channel cannot be searched: the message may still show, and has to be removed there by hand",
    )
    told = dataclasses.replace(
        row, abandoned=row.abandoned + 1, ledger=(*row.ledger, note)[-LEDGER:], due_at=now, last_error=note.error
    )
    if doubt.key == row.key:
        told = _ended(told)
    return _result(row, token, PutNotification(told), DropDoubt(row.id, doubt.key, row.version))


def found(row: Notification, token: str, doubt: Doubt, receipt: Json, now: datetime) -> Batch:
    """The search brought the message to light: from now on it can be edited and withdrawn by its receipt."""
    told = dataclasses.replace(row, due_at=now, attempts=0, retry_at=None, waiting=None)
    if doubt.key != row.key:
        known = dataclasses.replace(doubt, version=row.version, receipt=receipt)
        return _result(row, token, PutNotification(told), PutDoubt(row.id, known))
    told = dataclasses.replace(
        told, state=Shown.SHOWN, receipt=receipt, shown_digest=doubt.digest, shown_since=row.shown_since or doubt.since
    )
    return _result(row, token, PutNotification(told), DropDoubt(row.id, doubt.key, row.version))


def missed(row: Notification, token: str, doubt: Doubt, now: datetime) -> Batch:
    """The search found nothing. The second time that is believed: the request never landed."""
    if doubt.searched + 1 < SEARCHES:
        again = dataclasses.replace(doubt, version=row.version, searched=doubt.searched + 1)
        later = dataclasses.replace(row, due_at=now + SEARCH_GAP, retry_at=now + SEARCH_GAP, waiting="a second search")
        return _result(row, token, PutNotification(later), PutDoubt(row.id, again))
    told = dataclasses.replace(row, due_at=now, retry_at=None, waiting=None, attempts=0)
    if doubt.key == row.key:
        told = _ended(told)
    return _result(row, token, PutNotification(told), DropDoubt(row.id, doubt.key, row.version))


def search_failed(row: Notification, token: str, retry_at: datetime, error: str) -> Batch:
    """Whether the message is there could not be told: unknown is not absent."""
    told = dataclasses.replace(
        row,
        attempts=row.attempts + 1,
        last_error=error,
        retry_at=retry_at,
        due_at=retry_at,
        waiting="retry of a search",
    )
    return _result(row, token, PutNotification(told))


def confessed(row: Notification, say: Say, now: datetime, lifetime: timedelta, receipt: Json) -> Batch:
    """What a worker whose result was refused leaves behind: its request was sent, and may land (D5, rule 5)."""
    doubt = Doubt(
        key=say.key,
        version=0,
        since=now,
        until=now + lifetime,
        sequence=say.message.sequence,
        digest=say.digest,
        alike=False,  # whoever took over may have said anything meanwhile
        receipt=say.receipt if receipt is None else receipt,
    )
    return Batch((), (Confess(row.notifier, row.group, row.title, doubt),))


def _noted(row: Notification, outcome: str, error: str | None, **changes: object) -> Notification:
    """Complete the last line of the ledger."""
    last = dataclasses.replace(row.ledger[-1], outcome=outcome, error=error)
    return dataclasses.replace(row, ledger=(*row.ledger[:-1], last), **changes)  # type: ignore[arg-type]  # fields of row


def _held(row: Notification, token: str) -> LeaseHeld:
    return LeaseHeld(Work.NOTIFICATION, row.id, token)


def _result(row: Notification, token: str, *writes: Write) -> Batch:
    return Batch((_held(row, token),), (*writes, Release(Work.NOTIFICATION, row.id)))
