"""What a route is given: who asks, under which op_id, and whom to ask."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends, Request

from komodod.api.gate import OP_ID
from komodod.api.peers import PEER, Names
from komodod.api.problems import InvalidError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from pathlib import Path

    from starlette.types import Receive
    from structlog.typing import FilteringBoundLogger

    from komodod.api.service import Service
    from komodod.engine.decisions.acting import Act
    from komodod.engine.world import World
    from komodod.storage import Page, Storage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hub:
    """What all requests share. `stopping` is set when the server is about to stop, and ends whatever waits."""

    service: Service
    socket: Path
    log: FilteringBoundLogger
    names: Names = field(default_factory=Names)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    streams: set[object] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    hub: Hub
    op_id: str
    actor: str

    @property
    def service(self) -> Service:
        """The daemon."""
        return self.hub.service

    @property
    def world(self) -> World:
        """The engine's surroundings."""
        return self.hub.service.world

    @property
    def storage(self) -> Storage:
        """The store."""
        return self.hub.service.world.storage

    def act(self) -> Act:
        """Begin the operation that was asked for."""
        return self.world.act(self.actor, self.op_id)


async def begin(request: Request) -> Call:
    """Return the call that a request is."""
    hub: Hub = request.app.state.hub
    state = request.scope["state"]
    peer = state.get(PEER)
    actor = "unknown" if peer is None else await hub.names.of(peer.uid)
    return Call(hub, state[OP_ID], actor)


Caller = Annotated[Call, Depends(begin)]


async def read(rows: Awaitable[Page[T]]) -> Page[T]:
    """Return a page of the store.

    Raises:
        InvalidError: the cursor is none that an earlier page gave.
    """
    try:
        return await rows
    except ValueError as error:
        raise InvalidError("query.after", "must be the `next` of an earlier page of this list") from error


async def attend(work: Coroutine[Any, Any, T], receive: Receive, stopping: asyncio.Event) -> asyncio.Task[T]:
    """Let `work` run to its end, unless the client leaves or the server stops first: then it is cancelled.

    Returns:
        The task of the work, ended one way or the other.
    """
    task = asyncio.create_task(work)
    others = [asyncio.create_task(left(receive)), asyncio.create_task(stopping.wait())]
    try:
        await asyncio.wait({task, *others}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (task, *others):
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)  # what a client sends while it waits is its own affair
        await asyncio.wait({task})
    return task


async def left(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
