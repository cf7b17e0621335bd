"""Decide what to say to a channel next (design D5); `outcomes` decides what its answer means.

A notification is reconciled by level: what should stand in the channel follows from the alerts that are open now, never
from what happened. Doubts, one a key, carry what may still land.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from komodod.engine.decisions.composing import Draft, raising, withdrawing
from komodod.model import Doubt, Json, Members, Notification, Shown, Want
from komodod.notifier import Message, ReceiptClass, Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Show or withdraw under `key`. `older` is the doubt about that key, if there is one.

    `quiet`: nothing older of this key can land any more, so the answer settles it. `alike`: something older may, and
    all of it says the same. `probe`: not the wanted end, but the way to learn the receipt (class B).
    """

    message: Message
    digest: str
    receipt: Json
    older: Doubt | None
    quiet: bool
    probe: bool = False

    @property
    def alike(self) -> bool:
        """Whether everything of this key that may still land, this included, says the same."""
        return self.quiet or self.older is None or (self.older.alike and self.older.digest == self.digest)

    @property
    def key(self) -> str:
        """The key it is said under."""
        return self.message.key

    @property
    def want(self) -> Want:
        """The end it is to have."""
        return self.message.want


@dataclass(frozen=True, slots=True)
class Search:
    """Ask the channel whether the message of a doubtful key is there."""

    doubt: Doubt


@dataclass(frozen=True, slots=True)
class Abandon:
    """A message that may stand and that nothing can find is no longer wanted: count it, and say so."""

    doubt: Doubt


@dataclass(frozen=True, slots=True)
class Settle:
    """What was answered holds: the equal requests that might still have landed no longer can."""

    doubt: Doubt


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be said before `until`."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Rest:
    """The channel shows what it should, as far as it can be known."""


Step = Say | Search | Abandon | Settle | Wait | Rest


def decide(row: Notification, members: Members, traits: Traits, now: datetime, new_key: Callable[[], str]) -> Step:
    """Return the next step for a claimed notification.

    Doubtful keys of earlier incarnations come first: they are withdrawn until settled, whatever else is true. While
    one of them has to wait, the current key goes on.

    Args:
        row: as claimed; its version was read before the members.
        members: the open alerts of its group.
        traits: what the channel can do.
        now: the store's clock.
        new_key: makes the key of a new incarnation.
    """
    if row.settled_dead:
        return Rest()
    strays = [_clear(row, doubt, members, traits, now) for doubt in row.doubts if doubt.key != row.key]
    steps = [*strays, _current(row, members, traits, now, new_key)]
    ready = [step for step in steps if not isinstance(step, Wait | Rest)]
    waits = sorted((step for step in steps if isinstance(step, Wait)), key=lambda wait: wait.until)
    if ready and isinstance(ready[0], Say | Search) and row.retry_at is not None and row.retry_at > now:
        return Wait(row.retry_at, row.waiting or "retry")
    return (ready or waits or [Rest()])[0]


def _current(row: Notification, members: Members, traits: Traits, now: datetime, new_key: Callable[[], str]) -> Step:
    """Return the next step about the current incarnation."""
    doubt = next((doubt for doubt in row.doubts if doubt.key == row.key), None)
    if not members.open:
        if doubt is not None:
            return _clear(row, doubt, members, traits, now)
        return _withdraw(row, row.key, None, members, traits) if row.state is Shown.SHOWN and row.key else Rest()
    if doubt is not None:
        return _raise(row, doubt, members, traits, now)
    if row.state is Shown.ABSENT:
        return _show(row, row.key or new_key(), None, raising(row, members, traits), quiet=True)
    draft = raising(row, members, traits)
    if draft.digest == row.shown_digest:
        return Rest()
    return _show(row, row.key or new_key(), None, draft, quiet=True)


def _raise(row: Notification, doubt: Doubt, members: Members, traits: Traits, now: datetime) -> Step:
    """The message should stand, and what the channel made of the last request is not known."""
    draft = raising(row, members, traits)
    quiet = doubt.until <= now
    if _addressable(doubt.receipt or row.receipt, traits):
        said = doubt.answered is Want.SHOW and doubt.digest == draft.digest
        if said and not (quiet and not doubt.alike):
            return _linger(doubt, quiet=quiet)
        return _show(row, doubt.key, doubt, draft, quiet=quiet)
    if _repeatable(doubt, traits, now):
        return _show(row, doubt.key, doubt, draft, quiet=True)
    if not quiet:
        return Wait(doubt.until, "an unanswered request may still land")
    if traits.receipt_class in (ReceiptClass.B, ReceiptClass.C):
        return Search(doubt)
    return _show(row, doubt.key, doubt, raising(row, members, traits, repetition=True), quiet=True)


def _clear(row: Notification, doubt: Doubt, members: Members, traits: Traits, now: datetime) -> Step:
    """The message should not stand, and what the channel made of the last request is not known."""
    receipt = doubt.receipt or (row.receipt if doubt.key == row.key else None)
    quiet = doubt.until <= now
    if _addressable(receipt, traits):
        if doubt.answered is Want.WITHDRAW and not (quiet and not doubt.alike):
            return _linger(doubt, quiet=quiet)
        return _withdraw(row, doubt.key, doubt, members, traits, quiet=quiet)
    if _repeatable(doubt, traits, now):
        return dataclasses.replace(_show(row, doubt.key, doubt, raising(row, members, traits), quiet=True), probe=True)
    if not quiet:
        return Wait(doubt.until, "an unanswered request may still land")
    match traits.receipt_class:
        case ReceiptClass.B | ReceiptClass.C:
            return Search(doubt)
        case ReceiptClass.D:
            return Abandon(doubt)
        case _:
            return _withdraw(row, doubt.key, doubt, members, traits)


def _addressable(receipt: Json, traits: Traits) -> bool:
    """Tell whether a repeat reaches the very message: the key is ours, or the far side's name for it is known."""
    return traits.receipt_class is ReceiptClass.A or (
        receipt is not None and traits.receipt_class is not ReceiptClass.E
    )


def _repeatable(doubt: Doubt, traits: Traits, now: datetime) -> bool:
    """Tell whether a repeat under this key would be recognised as one (class B, inside its window)."""
    return traits.receipt_class is ReceiptClass.B and now < doubt.since + timedelta(seconds=traits.window)


def _linger(doubt: Doubt, *, quiet: bool) -> Step:
    return Settle(doubt) if quiet else Wait(doubt.until, "said and answered; an older request may still land")


def _show(row: Notification, key: str, doubt: Doubt | None, draft: Draft, *, quiet: bool) -> Say:
    receipt = (doubt.receipt if doubt else None) or (row.receipt if key == row.key else None)
    return _say(row, key, doubt, draft, receipt, quiet=quiet)


def _withdraw(
    row: Notification, key: str, doubt: Doubt | None, members: Members, traits: Traits, *, quiet: bool = True
) -> Say:
    receipt = (doubt.receipt if doubt else None) or (row.receipt if key == row.key else None)
    return _say(row, key, doubt, withdrawing(row, members, traits), receipt, quiet=quiet)


def _say(row: Notification, key: str, doubt: Doubt | None, draft: Draft, receipt: Json, *, quiet: bool) -> Say:
    """Number the draft: what was said under this key already keeps its number, anything else gets the next one."""
    current = key == row.key
    sequence = row.sequence if current else doubt.sequence if doubt else 0
    digest = row.digest if current else doubt.digest if doubt else None
    if draft.digest != digest:
        sequence += 1
    message = draft.message(row, key, sequence)
    return Say(message=message, digest=draft.digest, receipt=receipt, older=doubt, quiet=quiet)
