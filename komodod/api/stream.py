"""The live stream of events, as server-sent events.

Each stream reads the store behind a cursor of its own, so nothing is queued for a client that is slow, and one that
comes back goes on where it was. A stream reads at most so often, however much happens.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from fastapi import Response

from komodod.api.call import attend
from komodod.api.peers import PEER
from komodod.api.problems import answer
from komodod.api.views import event_view
from komodod.errors import StorageError
from komodod.storage import EventFilter

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from komodod.api.call import Hub
    from komodod.model import Event
    from komodod.storage import Storage

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent."""

PACE: Final = 0.1
"""Seconds between two reads of one stream, so that a storm of commits costs each stream ten reads a second."""

STEP: Final = 100
"""Events a read: what a stream holds in memory."""

STREAMS: Final = 100
"""Streams at the same time."""

PATIENCE: Final = 30.0
"""Seconds that a client may take none of what is sent before its connection is cut."""


async def head(storage: Storage) -> int:
    """Return the newest cursor."""
    newest = await storage.list_recent_events(EventFilter(), None, 1)
    return newest[0].cursor if newest else 0


class EventStream(Response):
    """Answers with events after a cursor until the client leaves, the server stops or the store fails."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, match: EventFilter, after: int) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._hub, self._match, self._cursor = hub, match, after
        self._spoke = asyncio.get_running_loop().time()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream."""
        hub = self._hub
        if len(hub.streams) >= STREAMS:
            refusal = answer(503, f"{STREAMS} streams are open already", headers={"Retry-After": "60"})
            await refusal(scope, receive, send)
            return
        hub.streams.add(self)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            ended = await attend(self._run(send), receive, hub.stopping)
            if ended.cancelled() or ended.result():
                await self._finish(scope, send)
            else:
                cut(scope)
        finally:
            hub.streams.discard(self)

    async def _run(self, send: Send) -> bool:
        """Send events for ever; end with True when the store does not answer, False when the client takes nothing."""
        storage = self._hub.service.world.storage
        try:
            while True:
                ticks = storage.ticks()
                await self._catch_up(storage, send)
                await asyncio.sleep(PACE)
                await self._idle(storage, ticks, send)
        except StorageError as error:
            self._hub.log.warning("event_stream_ended", error=str(error))
            return True
        except TimeoutError:
            return False

    async def _catch_up(self, storage: Storage, send: Send) -> None:
        """Send what there is after the cursor."""
        while True:
            newest = await head(storage) if self._match != EventFilter() else 0
            events = await storage.list_events(self._match, self._cursor, STEP)
            if events:
                self._cursor = events[-1].cursor
                await self._emit(send, b"".join(map(spell, events)))
            if len(events) < STEP:
                # What does not match was looked at; next time the store need not look at it again.
                self._cursor = max(self._cursor, newest)
                return

    async def _idle(self, storage: Storage, ticks: int, send: Send) -> None:
        """Wait until something happened in the store, or it is time for a sign of life."""
        quiet = self._spoke + HEARTBEAT - asyncio.get_running_loop().time()
        if quiet <= 0:
            await self._emit(send, b": alive\n\n")
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(quiet):
                await storage.changed(ticks)

    async def _emit(self, send: Send, chunk: bytes) -> None:
        """Send some bytes; raise TimeoutError where the client does not take what it was sent before."""
        async with asyncio.timeout(PATIENCE):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._spoke = asyncio.get_running_loop().time()

    async def _finish(self, scope: Scope, send: Send) -> None:
        """End the answer as HTTP has it, unless the client takes too long over that too."""
        try:
            async with asyncio.timeout(1.0):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            cut(scope)


def cut(scope: Scope) -> None:
    """Drop the connection without waiting for what it still has to carry."""
    peer = scope["state"].get(PEER)
    if peer is not None:
        peer.abort()


def spell(event: Event) -> bytes:
    """Return an event as server-sent events spell it; JSON has no line breaks in it."""
    data = event_view(event).model_dump_json()
    return f"id: {event.cursor}\nevent: {event.kind}\ndata: {data}\n\n".encode()
