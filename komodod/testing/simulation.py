"""An event loop whose time is simulated: whoever waits is woken in order, and nobody really waits.

Time stands still while anything is under way outside the loop (a thread that asks SQLite): such calls are marked with
`outside()`, or made through `komodod.blocking`, whose threads report back to the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

T = TypeVar("T")

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall clock of a simulation that has just begun."""

STALL = 30.0
"""Seconds of real time after which a simulation that waits for something outside is declared stuck."""


class SimulationStuckError(AssertionError):
    """Everybody waits for something that will never come."""


class _Selector(selectors.SelectSelector):
    """Answers the loop's question "wait until the next timer" by moving the time there."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.outside = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.outside:
            ready = super().select(STALL)
            if not ready:
                raise SimulationStuckError(f"a call outside the loop has not come back for {STALL:g} s")
            return ready
        if timeout is None:
            raise SimulationStuckError("every task waits, no timer is set and nothing is under way outside")
        self.time += timeout
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A selector loop on simulated time."""

    def __init__(self) -> None:
        self._simulated = _Selector()
        super().__init__(self._simulated)

    def time(self) -> float:
        return self._simulated.time

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """Let time stand still meanwhile."""
        self._simulated.outside += 1
        try:
            yield
        finally:
            self._simulated.outside -= 1


@contextlib.contextmanager
def outside() -> Iterator[None]:
    """Mark an await on something outside the loop; does nothing on a loop in real time."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, SimulatedLoop):
        with loop.outside():
            yield
    else:
        yield


class SimulatedClock:
    """A clock that follows the running loop. `jump` moves the wall clock alone, as an operator or NTP would."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start

    def now(self) -> datetime:
        """Return the simulated wall clock, in UTC."""
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Return the simulated loop's time in seconds; 0 outside a loop."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0

    def jump(self, seconds: float) -> None:
        """Step the wall clock, both ways; monotonic time does not notice."""
        self._start += timedelta(seconds=seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine to its end on simulated time and return its result.

    Raises:
        SimulationStuckError: nobody can go on.
    """
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)
