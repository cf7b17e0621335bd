"""Work on files: in one thread, and it stops early when nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from komodod.blocking import blocking

T = TypeVar("T")


class StoppedError(Exception):
    """The work was given up because its caller was cancelled; nobody hears of this."""


class Stop(threading.Event):
    """Tells work in a thread to end. Look at it before each file and each piece of a large one."""

    def check(self) -> None:
        """Go on, or end.

        Raises:
            StoppedError: the caller was cancelled.
        """
        if self.is_set():
            raise StoppedError


async def perform(function: Callable[[Stop], T]) -> T:
    """Run `function(stop)` in a thread of its own and return what it returns; cancelling tells the thread to stop.

    The thread is not waited for then: it may hang in the kernel (a dead network mount). It ends at its next look.
    """
    stop = Stop()
    try:
        return await blocking(function, stop)
    finally:
        stop.set()
