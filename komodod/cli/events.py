"""`komodod event list`: the audit log, and its live end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from komodod.cli import choices, options, stream
from komodod.cli.output import Column
from komodod.cli.passes import summarize
from komodod.cli.session import complain
from komodod.cli.words import NOTHING, instant

if TYPE_CHECKING:
    from komodod.cli.faults import UnreachableError
    from komodod.cli.session import Session

Event = dict[str, Any]

TABLE: Final = 50
"""Events in a table for which nobody said how many; programs get them all."""
LAST: Final = 10
"""Events shown before the live ones."""


def essence(event: Event) -> str:
    """Return what an event tells beside its kind: its reason, its data, its alerts."""
    texts = [event["reason"], " ".join(_facts(event["data"] or {}))]
    texts += [f"{alert['kind']}: {alert['summary']}" for alert in event["alerts"]]
    return "; ".join(text for text in texts if text) or NOTHING


def _facts(data: Event) -> Iterator[str]:
    """Yield the data of an event as `key=value`, what nests by its last key."""
    if "invariants" in data:
        yield summarize(data)
        return
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _facts(value)
        elif isinstance(value, list):
            yield from [f"{key}={','.join(map(str, value))}"] if value else []
        elif value is not None:
            yield f"{key}={value}"


COLUMNS: Final = (
    Column("AT", lambda event: instant(event["at"])),
    Column("KIND", lambda event: event["kind"]),
    Column("SYNC", lambda event: event["sync"] or NOTHING),
    Column("ACTOR", lambda event: event["actor"]),
    Column("OP_ID", lambda event: event["op_id"]),
    Column("WHAT", essence),
)


@options.command("list", "komodod event list --sync website --follow")
@click.option("--kind", type=click.Choice(choices.EVENT_KINDS), multiple=True, help="One of these.")
@click.option("--sync", metavar="GLOB", help="About syncs with names like this, deleted ones too.")
@click.option("--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    help=f"The last so many; 0 is all. Default: {TABLE} in a table, {LAST} before those that follow, else all.",
)
@options.client
def list_(session: Session, kind: tuple[str, ...], sync: str | None, *, follow: bool, limit: int | None) -> None:
    """List the events, oldest first."""
    query = {"kind": list(kind) or None, "sync": sync}
    if follow:
        _follow(session, query, LAST if limit is None else limit)
    else:
        session.out.rows(
            _past(session, query, TABLE if limit is None and session.out.people else limit), COLUMNS, "no events"
        )


def _past(session: Session, query: Event, limit: int | None) -> Iterator[Event]:
    """Yield the last events, oldest first; all of them for 0 or None."""
    if not limit:
        yield from session.api.pages("/events", {**query, "order": "asc"})
    else:
        yield from reversed(list(session.api.pages("/events", query, limit)))


def _follow(session: Session, query: Event, limit: int) -> None:
    """Print the last events and then each as it happens: none twice, and none left out in between."""
    newest = session.api.get("/events", {"limit": 1})["items"]
    cursor = newest[0]["cursor"] if newest else 0
    for event in _past(session, query, limit):
        if event["cursor"] <= cursor:
            session.out.item(event, _line(event))
    for event in stream.follow(session.api, query, cursor, _lost):
        session.out.item(event, _line(event))


def _lost(error: UnreachableError) -> None:
    complain(f"{error}; trying to connect again")


def _line(event: Event) -> str:
    sync = f" {event['sync']}" if event["sync"] else ""
    what = essence(event)
    return f"{instant(event['at'])} {event['kind']}{sync} by {event['actor']}" + (
        f": {what}" if what != NOTHING else ""
    )
