"""The server: the application behind a Unix socket, started and stopped by the daemon."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvicorn

from komodod.api.app import build
from komodod.api.call import Hub
from komodod.api.peers import PeerProtocol
from komodod.api.sockets import Bound, bind

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from komodod.api.service import Service

GRACE: Final = 5
"""Seconds that requests under way have to end when the server stops; what waits or streams is ended at once."""

LAST: Final = 1.0
"""Seconds that requests which were cancelled have to clean up."""


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to the daemon and does not look ten times a second whether to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.leaving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        await self.leaving.wait()


@dataclass(frozen=True, slots=True)
class _Running:
    bound: Bound
    server: _Server
    task: asyncio.Task[None]


class ApiServer:
    """Serves the API on a Unix socket, from `start()` to `stop()`."""

    def __init__(self, service: Service, socket_path: Path, log: FilteringBoundLogger) -> None:
        self._hub = Hub(service, socket_path, log)
        self._running: _Running | None = None

    async def start(self) -> None:
        """Make the socket and answer on it; if that fails or is cancelled, nothing is left.

        Raises:
            ConfigError: there can be no socket of this path.
            RefusedError: another process listens on it.
        """
        bound, server = bind(self._hub.socket), _Server(_configure(self._hub))
        task = asyncio.create_task(server.serve(sockets=[bound.socket]), name="api")
        self._running = _Running(bound, server, task)
        up = asyncio.create_task(server.up.wait())
        try:
            await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            if not server.up.is_set():
                await self.stop()
        self._hub.log.info("api_started", socket=str(bound.path))

    async def stop(self) -> None:
        """Listen no more, end streams and waits, let the rest end, and cut what does not. Safe to call twice."""
        running, self._running = self._running, None
        if running is None:
            return
        self._hub.stopping.set()
        running.server.leaving.set()
        await asyncio.wait({running.task})
        state = running.server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=LAST)
        self._remove(running.bound)
        running.task.result()
        self._hub.log.info("api_stopped", socket=str(running.bound.path))

    def _remove(self, bound: Bound) -> None:
        try:
            bound.remove()
        except OSError as error:
            self._hub.log.warning("socket_not_removed", socket=str(bound.path), error=str(error))


def _configure(hub: Hub) -> uvicorn.Config:
    return uvicorn.Config(
        build(hub),
        http=PeerProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=GRACE,
    )
