"""The configured notifiers as the engine sees them: with what it learnt of their channels meanwhile."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from komodod.notifier import Notifier


PARKED: Final = 3600.0
"""Seconds between two looks of a notification at whether its notifier is still parked."""

SHORTEST: Final = 0.1
"""The shortest wait in seconds: two clocks are compared here, and neither may be asked again and again."""

CROWDED: Final = 1.0
"""Seconds until a notification that found no room looks again."""

SELDOM: Final = 15
"""How many times as long that is at most where the channel has not answered for long: each look is a commit."""


@dataclass(slots=True)
class Channel:
    """One notifier and the state of the way to it; nothing of this needs to survive a restart.

    `parked` says why nothing is sent any more (410) until a reload; `paused_until` (monotonic seconds, so that a wall
    clock that is set does not matter) and `failures` keep a channel that does not answer from being hammered by every
    notification it has. `failed_at` (monotonic) is when the newest of the `failures` was counted.
    """

    name: str
    type: str
    notifier: Notifier
    parked: str | None = None
    paused_until: float = 0.0
    failures: int = 0
    failed_at: float = -math.inf
    in_flight: int = 0

    def barred(self, monotonic: float, most: int) -> tuple[float, str] | None:
        """Say for how many seconds nothing can be sent, and why; None if it can."""
        if self.parked is not None:
            return PARKED, f"the notifier is parked: {self.parked}"
        if self.paused_until > monotonic:
            return max(SHORTEST, self.paused_until - monotonic), "the channel does not answer, or asked to wait"
        if self.failures and self.in_flight:
            return CROWDED * min(self.failures, SELDOM), "the channel did not answer last time; one message at a time"
        if self.in_flight >= most:
            return CROWDED, "the channel is slow, and has its share of messages under way"
        return None

    @contextlib.contextmanager
    def occupied(self) -> Iterator[None]:
        """Count a message or search as under way, from the decision that it may be until its result is stored."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def worked(self) -> None:
        """Note that the channel answered."""
        self.failures, self.paused_until = 0, 0.0

    def failed(self, sent: float, now: float, pause: float) -> None:
        """Note that it did not answer what was sent at `sent`; nothing more is sent for `pause` seconds from `now`.

        Messages that were under way together count as one failure: else a second's outage of a busy channel would be
        waited out like one of hours.
        """
        if sent > self.failed_at:
            self.failures += 1
            self.failed_at = now
        self.paused_until = max(self.paused_until, now + pause)

    def renew(self) -> bool:
        """Park it no longer, and send at once; return whether it was parked."""
        parked, self.parked = self.parked is not None, None
        if parked:
            self.hasten()
        return parked

    def hasten(self) -> None:
        """Send again at once, as after a first failure: a person says that the channel answers."""
        self.paused_until, self.failures = 0.0, min(self.failures, 1)


class Channels:
    """All channels by the notifier's name; a reload replaces them."""

    def __init__(self, channels: Iterable[Channel] = ()) -> None:
        self._channels: Mapping[str, Channel] = {channel.name: channel for channel in channels}

    def get(self, name: str) -> Channel | None:
        """Return the channel of this notifier, None if it is not configured."""
        return self._channels.get(name)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._channels.values())

    def replace(self, channels: Iterable[Channel]) -> None:
        """Use these from now on."""
        self._channels = {channel.name: channel for channel in channels}
