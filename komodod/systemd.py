"""What the service manager is told and asks for: readiness, status, and signs of life. See sd_notify(3)."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

    from structlog.typing import FilteringBoundLogger

MICROSECONDS: Final = 1_000_000


class Supervisor:
    """The service manager at the other end of `$NOTIFY_SOCKET`; without one, nobody is told anything."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # An address that starts with @ is in the abstract namespace, which the kernel marks with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_interval = _interval(environ)
        """Seconds within which a sign of life must come; None if nobody waits for one."""

    def ready(self, status: str | None = None) -> bool:
        """Say that the start, or a reload, is done, and in one line how things are."""
        return self.tell("READY=1", *([] if status is None else [f"STATUS={status}"]))

    def reloading(self) -> bool:
        """Say that a reload has begun; `ready` ends it."""
        return self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> bool:
        """Say that we are on our way out."""
        return self.tell("STOPPING=1")

    def status(self, text: str) -> bool:
        """Say in one line how things are."""
        return self.tell(f"STATUS={text}")

    def extend(self, seconds: float) -> bool:
        """Ask for `seconds` from now on for a start, reload or stop that takes longer."""
        return self.tell(f"EXTEND_TIMEOUT_USEC={round(seconds * MICROSECONDS)}")

    def alive(self) -> bool:
        """Give a sign of life."""
        return self.tell("WATCHDOG=1")

    def tell(self, *assignments: str) -> bool:
        """Send the assignments in one message; return whether it went out. Never waits, never raises."""
        if not self._address:
            return False
        message = "\n".join(assignment.replace("\n", " ") for assignment in assignments)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                return channel.sendto(message.encode(errors="replace"), self._address) > 0
        except (OSError, ValueError):
            return False


def _interval(environ: Mapping[str, str]) -> float | None:
    pid, microseconds = environ.get("WATCHDOG_PID"), environ.get("WATCHDOG_USEC", "")
    if pid not in (None, str(os.getpid())) or not microseconds.isascii() or not microseconds.isdigit():
        return None
    return int(microseconds) / MICROSECONDS or None


class Watchdog:
    """Gives signs of life as long as the event loop turns and the store responds, be it with an error.

    A store that answers with errors is no reason to be killed: a restart mends neither a full disk nor an absent
    database. One that does not answer at all may be: a thread of ours could be stuck.
    """

    def __init__(
        self, supervisor: Supervisor, probe: Callable[[], Awaitable[object]], log: FilteringBoundLogger
    ) -> None:
        self._supervisor, self._probe, self._log = supervisor, probe, log

    async def run(self) -> None:
        """Go on until cancelled, with two signs of life in each interval; return at once if nobody waits for any."""
        interval = self._supervisor.watchdog_interval
        if interval is None:
            return
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            await self._response(interval / 2)
            self._supervisor.alive()
            await asyncio.sleep(started + interval / 2 - loop.time())

    async def _response(self, patience: float) -> None:
        probe = asyncio.create_task(self._ask())
        try:
            _, waiting = await asyncio.wait({probe}, timeout=patience)
            if waiting:
                self._log.error("store_unresponsive", seconds=patience)
            await probe
        finally:
            probe.cancel()

    async def _ask(self) -> None:
        try:
            await self._probe()
        except Exception as error:  # noqa: BLE001  an error is a response too
            self._log.debug("store_ping_failed", error=error)


class LoopWatch:
    """A thread that notices when the event loop stands still, and logs the call that holds it.

    `limit` is in seconds. What is blocked for longer is told once, and once more when it goes on.
    """

    def __init__(self, log: FilteringBoundLogger, limit: float = 5.0) -> None:
        self._log, self._limit = log, limit
        self._stopped = threading.Event()
        self._last = 0.0

    def start(self) -> None:
        """Begin to watch the running event loop."""
        loop, watched = asyncio.get_running_loop(), threading.get_ident()
        self._beat(loop)
        threading.Thread(target=self._watch, args=(watched,), name="komodod-loop-watch", daemon=True).start()

    def stop(self) -> None:
        """Let go; any thread may call it."""
        self._stopped.set()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._last = time.monotonic()
        if not self._stopped.is_set():
            loop.call_later(self._limit / 4, self._beat, loop)

    def _watch(self, watched: int) -> None:
        looks = 0
        while not self._stopped.wait(self._limit / 4):
            seconds = time.monotonic() - self._last
            frame = sys._current_frames().get(watched)  # noqa: SLF001  documented, whatever its name says
            if seconds < self._limit or frame is None or _idle(frame):
                if looks >= 2:
                    self._log.warning("event_loop_goes_on")
                looks = 0
                continue
            looks += 1
            if looks == 2:  # one look may fall on a loop that has just woken up
                stack = _stack(frame)
                self._log.error("event_loop_blocked", seconds=round(seconds, 1), call=stack[0], stack=stack)


def _idle(frame: FrameType) -> bool:
    """Whether the loop waits for something to happen: the whole process was stopped, not the loop."""
    return frame.f_code.co_name == "select" and frame.f_code.co_filename == selectors.__file__


def _stack(frame: FrameType, limit: int = 12) -> list[str]:
    """Return where a thread is, innermost call first."""
    places: list[str] = []
    at: FrameType | None = frame
    while at is not None and len(places) < limit:
        places.append(f"{at.f_code.co_filename}:{at.f_lineno} in {at.f_code.co_name}")
        at = at.f_back
    return places
