"""How replicas wake each other: LISTEN and NOTIFY as a hint, and a slow look beneath it for what a hint missed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import psycopg

from komodod_postgres.faults import explain

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from komodod_postgres.connections import Lines

LONGEST: Final = 30.0
"""Seconds between two tries to listen again, at most."""


class Listener:
    """Calls `announce` when another process has committed, and every `poll` seconds.

    Args:
        lines: the way to the database.
        sender: what this process signs its notifications with; its own need not wake it.
        announce: wakes whoever waits in this process.
        log: hears of a listener that was cut off.
    """

    def __init__(
        self, lines: Lines, sender: str | None, announce: Callable[[], None], log: FilteringBoundLogger
    ) -> None:
        self._lines, self._sender, self._announce, self._log = lines, sender, announce, log
        duties = [self._look()] if sender is None else [self._look(), self._follow()]
        self._tasks = [asyncio.create_task(duty, name="komodod-postgres-listener") for duty in duties]

    async def close(self) -> None:
        """Stop. Safe to call twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._lines.config.poll)
            self._announce()

    async def _follow(self) -> None:
        """Listen for ever, and wait longer each time that it ends at once."""
        delay = 0.5
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                words = str(explain(error, self._lines.place))
            self._log.warning("replicas_unheard", error=words)
            if asyncio.get_running_loop().time() - began > LONGEST:
                delay = 0.5
            await asyncio.sleep(random.uniform(delay / 2, delay))  # noqa: S311  no secret: not all at once
            delay = min(delay * 2, LONGEST)

    async def _listen(self) -> None:
        """Announce what others commit, until the connection breaks: it ends by psycopg.Error or OSError."""
        async with await self._lines.connect() as connection:
            await connection.execute("LISTEN komodod")
            self._announce()  # what was committed before is not told any more
            async for note in connection.notifies():
                if note.payload != self._sender:
                    self._announce()
        raise ConnectionError("the connection that listened has ended")
