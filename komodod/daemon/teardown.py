"""What was started is stopped: by name, in reverse order, each step bounded in time, whatever another step does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

STEP = 10.0
"""Seconds a step gets, unless it says otherwise."""


class Teardown:
    """The steps that undo a start."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._steps: list[tuple[str, Callable[[], Awaitable[object]], float]] = []

    def add(self, name: str, step: Callable[[], Awaitable[object]], seconds: float = STEP) -> None:
        """Have `step` run before those that are there already."""
        self._steps.append((name, step, seconds))

    async def run(self) -> None:
        """Run all steps; one that fails or hangs is logged, and the others run all the same."""
        while self._steps:
            name, step, seconds = self._steps.pop()
            try:
                async with asyncio.timeout(seconds):
                    await step()
            except TimeoutError:
                self._log.warning("stop_step_hangs", step=name, seconds=seconds)
            except Exception:  # noqa: BLE001  one step must not keep the others from running
                self._log.exception("stop_step_failed", step=name)


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended; what it raised besides is raised here."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
