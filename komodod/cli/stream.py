"""The daemon's live stream of events (server-sent events), followed through restarts."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from komodod.cli.faults import UnreachableError

if TYPE_CHECKING:
    from komodod.cli.client import Client, Query
    from komodod.model import Json

SILENCE: Final = 50.0
"""Seconds without a byte after which the stream counts as lost; the daemon sends a comment every 15."""
DISTANCE: Final = 1.0
"""Seconds between two attempts to connect again."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event of the stream: the cursor after which to go on, and the text."""

    cursor: str
    data: str


def follow(
    client: Client,
    query: Query,
    cursor: int,
    lost: Callable[[UnreachableError], None],
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Json]:
    """Yield every event after `cursor`, for ever; connect again when the connection is lost.

    Args:
        client: the daemon.
        query: which events.
        cursor: the last one that is known.
        lost: told once of each outage.
        pause: waits so many seconds.

    Raises:
        AnswerError: the daemon does not give the stream.
        UnreachableError: it could not be reached even once.
    """
    last, began, told = str(cursor), False, False
    while True:
        try:
            for message in connect(client, query, last):
                began, told = True, False
                if message is not None:
                    last = message.cursor
                    yield json.loads(message.data)
        except UnreachableError as error:
            if not began:
                raise
            if not told:
                lost(error)
            told = True
        pause(DISTANCE)


def connect(client: Client, query: Query, cursor: str) -> Iterator[Message | None]:
    """Yield the events of one connection; first of all None, when it stands."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": cursor}
    with client.ask("GET", "/events/stream", {**query, "after": cursor}, timeout=SILENCE, headers=headers) as response:
        yield None
        yield from parse(_lines(response))


def parse(lines: Iterable[str]) -> Iterator[Message]:
    """Yield the messages of a stream of server-sent events; comments and what has no data are left out.

    One that is cut off before its empty line is no message.
    """
    cursor, data = "", list[str]()
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Message(cursor, "\n".join(data))
            data = []
        elif field == "data":
            data.append(value)
        elif field == "id":
            cursor = value


def _lines(response: http.client.HTTPResponse) -> Iterator[str]:
    while line := response.readline():
        if not line.endswith(b"\n"):
            return
        yield line.decode("utf-8").rstrip("\r\n")
