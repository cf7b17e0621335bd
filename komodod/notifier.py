"""The notifier contract: how one channel is made to show a message, and to take it back.

A notifier is a thin translation of `Message` to one wire format. Retries, back-off, rate limits, grouping and the
ledger are the engine's. What a raised error means is told by its class: `TemporaryError`, `PermanentError`,
`GoneError` (see `komodod.errors`); any other exception is a fault of the notifier and ends as dead after
`limits.attempts`.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from komodod.model import Alert, Json, Severity, Want

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pydantic import BaseModel

    from komodod.context import Context


class ReceiptClass(StrEnum):
    """Who picks a message's identity, and so what closes the gap between "sent" and "receipt stored" (design D5)."""

    A = "A"
    """The key is ours, for raise and for clear: repeat with the same key."""
    B = "B"
    """The server's id, but a repeat with our key inside a window returns the first message."""
    C = "C"
    """The server's id, findable by a marker that we embedded."""
    D = "D"
    """The server's id, not findable: duplicates or silence, and the doubt is recorded."""
    E = "E"
    """Never retractable: only a follow-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a notifier declares about its channel.

    `withdrawal` says in words what taking back means there. `window` is class B's, in seconds. `timeout` bounds one
    call, in seconds; 45 is the most, as a lease has to cover it. `max_bytes` bounds title and body together, in UTF-8; the engine cuts with a pointer.
    """

    receipt_class: ReceiptClass
    withdrawal: str
    window: float = 0.0
    timeout: float = 20.0
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a channel should say about a group of alerts; a pure function of stored facts.

    `key` is the same from the first raise to the withdrawal and never used again; `sequence` starts at 1 and grows
    whenever anything else here changes. `id` is the idempotency key: key, sequence and a digest of all the rest, so
    that equal ids mean equal messages. `edition` is `opened`, `updated` or
    `withdrawn`. `at` is when the newest of the facts came to be (UTC). `alerts` are the open ones, oldest first, or,
    withdrawn, the one resolved last if it is still known. `reason` is set when withdrawn. `repetition`: a message
    like this one may be standing already.
    """

    id: str
    key: str
    sequence: int
    edition: str
    group: str
    title: str
    body: str
    severity: Severity
    at: datetime
    alerts: tuple[Alert, ...] = ()
    reason: str | None = None
    repetition: bool = False

    @property
    def want(self) -> Want:
        """Whether this message shows or withdraws."""
        return Want.WITHDRAW if self.edition == "withdrawn" else Want.SHOW


class Notifier(abc.ABC):
    """One configured channel, alive between `open()` and `close()`."""

    Config: ClassVar[type[BaseModel]]
    """The model of this notifier's part of the YAML (without `name` and `type`); unknown keys must be forbidden."""

    def __init__(self, config: BaseModel, context: Context) -> None:
        self.config = config
        self.context = context

    @property
    @abc.abstractmethod
    def traits(self) -> Traits:
        """What this channel, as configured, can do."""

    async def open(self) -> None:
        """Get ready; called once before anything else. Must not need the far side to be reachable."""

    async def close(self) -> None:
        """Let go of everything; called once."""

    @abc.abstractmethod
    async def show(self, message: Message, receipt: Json | None) -> Json | None:
        """Make the channel show this: a new message without `receipt`, an edit in place of the one it names.

        Returns:
            What the far side calls the message, to be given back to `show` and `withdraw`. None keeps the given one.

        Raises:
            TemporaryError, PermanentError, GoneError: see the module.
        """

    @abc.abstractmethod
    async def withdraw(self, message: Message, receipt: Json | None) -> None:
        """Take the message back, or say "resolved" where nothing can be taken back. Gone already is success."""

    async def find(self, key: str) -> Json | None:
        """Look for the message of this key (class C, class B after its window). None: proved not to be there.

        Raises:
            TemporaryError: it cannot be told now.
        """
        raise TypeError(f"{type(self).__name__} declares a class that searches, but has no find() (asked for {key})")

    async def shown(self) -> Mapping[str, Json] | None:
        """Return key and receipt of everything of ours that the channel shows; None where a channel cannot list."""
        return None
