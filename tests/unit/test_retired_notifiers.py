"""Notifiers that a reload replaced are closed: when they are idle, or when the daemon stops, whatever they raise."""

from __future__ import annotations

import asyncio
import contextlib

from komodod.daemon.building import shut
from komodod.daemon.daemon import CLOSING, _retire
from komodod.engine.channels import Channel
from komodod.testing import SimulatedClock, run
from komodod.testing.fakes import FakeChannel, Outside, fake_context

CONTEXT = fake_context("ops", SimulatedClock())


class Closing(FakeChannel):
    """Notes that it was closed, and may raise or hang then."""

    def __init__(self, *, fault: Exception | None = None, seconds: float = 0.0) -> None:
        super().__init__(Outside(), CONTEXT)
        self.closed, self.fault, self.seconds = 0, fault, seconds

    async def close(self) -> None:
        self.closed += 1
        await asyncio.sleep(self.seconds)
        if self.fault is not None:
            raise self.fault


def channel(notifier: Closing, in_flight: int = 0) -> Channel:
    return Channel("ops", "fake", notifier, in_flight=in_flight)


def test_one_that_is_busy_is_closed_when_its_time_is_over() -> None:
    async def main() -> None:
        notifier = Closing()
        retiring = asyncio.create_task(_retire([channel(notifier, in_flight=1)], CONTEXT.log))
        await asyncio.sleep(CLOSING / 2)
        assert notifier.closed == 0
        await retiring
        assert notifier.closed == 1

    run(main())


def test_one_that_is_busy_when_the_daemon_stops_is_closed_then() -> None:
    async def main() -> None:
        notifier = Closing()
        retiring = asyncio.create_task(_retire([channel(notifier, in_flight=1)], CONTEXT.log))
        await asyncio.sleep(1)
        retiring.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await retiring
        assert notifier.closed == 1

    run(main())


def test_one_that_raises_or_hangs_does_not_keep_the_next_from_being_closed() -> None:
    async def main() -> None:
        last = Closing()
        notifiers = [Closing(fault=RuntimeError("no")), Closing(seconds=10**6), last]
        closing = asyncio.create_task(shut([channel(notifier) for notifier in notifiers], CONTEXT.log))
        await asyncio.sleep(0.1)
        assert last.closed == 1
        await closing

    run(main())
