"""A notification in words: what is wanted, what stands, what was tried, what it waits for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from komodod.cli.output import COLOURS, Line
from komodod.cli.words import count, instant

Row = dict[str, Any]


def condition(row: Row) -> str:
    """Return the state of a notification in a few words, the troublesome first."""
    troubles = [name for name in ("dead", "stranded") if row[name]]
    return " ".join([*troubles, row["state"]])


def tell(row: Row) -> Iterator[Line]:
    """Yield the story of a notification."""
    yield f"notification {row['id']}: sync {row['sync']!r} in {row['notifier']}", "bold"
    yield f"wanted: {_wanted(row)}"
    yield f"standing: {_standing(row)}", COLOURS.get(row["state"], "")
    for doubt in row["doubts"]:
        yield (
            f"in doubt: a request of {instant(doubt['since'])} was not settled and may have its effect until "
            f"{instant(doubt['until'])} (key {doubt['key']})"
        )
    yield from _attempts(row)
    yield _next(row)
    yield from _losses(row)
    if row["ledger"]:
        yield "ledger, oldest first:"
    for line in row["ledger"]:
        error = f": {line['error']}" if line["error"] else ""
        yield f"  {instant(line['at'])}  {line['want']} #{line['sequence']} {line['outcome']}{error}"


def _wanted(row: Row) -> str:
    return "to be shown: an open alert is routed here" if row["wanted"] else "not to be shown: no open alert is left"


def _standing(row: Row) -> str:
    match row["state"]:
        case "shown":
            return f"shown since {instant(row['shown_since'])}"
        case "in_doubt" if row["shown_since"]:
            return f"shown since {instant(row['shown_since'])}, as far as is known"
        case "in_doubt":
            return "not known: a request had no answer that settles it"
        case _:
            return "not shown"


def _attempts(row: Row) -> Iterator[Line]:
    if row["attempts"]:
        yield f"attempts: {row['attempts']} since the last success"
    if row["last_error"]:
        yield f"last error: {row['last_error']}"


def _next(row: Row) -> Line:
    """Return what will happen next, and when."""
    if row["stranded"]:
        return (
            (
                f"stranded: notifier {row['notifier']!r} is not configured any more; configure it again, or "
                f"`komodod notification drop {row['id']}`"
            ),
            "red",
        )
    if row["dead"]:
        return f"dead: it was given up; `komodod notification retry {row['id']}` tries it afresh", "red"
    until = row["retry_at"] or row.get("due_at")
    if row["waiting"]:
        return f"waiting: {row['waiting']}" + (f", until {instant(until)}" if until else "")
    if row["version"] != row["observed"] or row["doubts"]:
        return "waiting: for a free worker"
    return "waiting: for nothing; the channel shows what it should, as far as can be known"


def _losses(row: Row) -> Iterator[Line]:
    if row["repeats"]:
        yield f"repeats: {count(row['repeats'], 'message')} sent again although the first may stand"
    if row["abandoned"]:
        yield f"abandoned: {count(row['abandoned'], 'message')} may stand for ever; remove by hand what shows", "yellow"
