"""Events: the audit log, page by page and as a live stream."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query

from komodod.api.call import Caller
from komodod.api.inputs import Glob, Limit
from komodod.api.problems import InvalidError
from komodod.api.stream import EventStream, head
from komodod.api.views import EventView, Listing, event_view
from komodod.model import EventKind
from komodod.storage import EventFilter

router = APIRouter(prefix="/events", tags=["events"])

Kinds = Annotated[list[EventKind], Query(alias="kind", description="Only these.")]

NO_KINDS: Final[list[EventKind]] = []

STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events: `id` is the cursor, `event` the kind, `data` the event as JSON.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


class Order(StrEnum):
    """Which events come first."""

    ASC = "asc"
    DESC = "desc"


@router.get("")
async def list_events(
    call: Caller,
    *,
    kind: Kinds = NO_KINDS,
    sync: Glob = None,
    after: Annotated[
        str | None,
        Query(
            pattern=r"^-?\d{1,18}$",
            description="A cursor: events newer than it, oldest first. The `next` of a page that lists the newest "
            "first has a minus before it, and goes on to older ones.",
        ),
    ] = None,
    order: Annotated[Order | None, Query(description="desc, unless there is an `after` without a minus.")] = None,
    limit: Limit = 50,
) -> Listing[EventView]:
    """List events."""
    match = EventFilter(sync=sync, kinds=frozenset(kind))
    cursor = None if after is None else int(after.lstrip("-"))
    older = after is None or after.startswith("-")
    if after is not None and older and order is Order.ASC:
        raise InvalidError("query.after", "is from a list that has the newest first; leave order=asc away")
    if older if order is None else order is Order.DESC:
        found = await call.storage.list_recent_events(match, cursor, limit + 1)
        sign = "-"
    else:
        found = await call.storage.list_events(match, cursor or 0, limit + 1)
        sign = ""
    shown = found[:limit]
    more = f"{sign}{shown[-1].cursor}" if len(found) > limit else None
    return Listing(items=[event_view(event) for event in shown], next=more)


@router.get("/stream", status_code=200, response_class=EventStream, responses=STREAM)
async def stream_events(
    call: Caller,
    *,
    kind: Kinds = NO_KINDS,
    sync: Glob = None,
    after: Annotated[
        int | None, Query(ge=0, lt=10**18, description="The cursor to start after; now if absent.")
    ] = None,
    last_event_id: Annotated[int | None, Header(ge=0, lt=10**18, description="Where a cut stream goes on.")] = None,
) -> EventStream:
    """Follow events as they happen. A comment every 15 seconds shows that the stream lives."""
    start = after if last_event_id is None else last_event_id
    if start is None:
        start = await head(call.storage)
    return EventStream(call.hub, EventFilter(sync=sync, kinds=frozenset(kind)), start)
