"""The two questions about time, asked of an argument so that tests can answer them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the engine and the stores know of time.

    Waiting is done with the running event loop (`asyncio.sleep`, `asyncio.timeout`), whose time is simulated in tests.
    """

    def now(self) -> datetime:
        """Return the wall clock: an aware datetime in UTC. It may jump both ways."""

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
