"""`komodod sync list` and `show`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from komodod.cli import choices, options
from komodod.cli.client import part
from komodod.cli.labels import read_labels
from komodod.cli.names import complete_sync
from komodod.cli.output import COLOURS, Column, Line
from komodod.cli.words import NOTHING, count, duration, fields, instant, pairs

if TYPE_CHECKING:
    from komodod.cli.session import Session

name = click.argument("name", shell_complete=complete_sync)
names = click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=complete_sync)


def state(sync: dict[str, Any]) -> str:
    """Return the state of a sync in a few words."""
    return f"{sync['state']} (paused)" if sync["paused"] else str(sync["state"])


COLUMNS: Final = (
    Column("NAME", lambda sync: sync["name"]),
    Column("STATE", state),
    Column("PENDING", lambda sync: str(sync["pending"])),
    Column("SEVERITY", lambda sync: sync["severity"]),
    Column("SOURCE", lambda sync: sync["source"].get("type", NOTHING)),
    Column("ORIGIN", lambda sync: sync["origin"]),
    Column("CHECKED", lambda sync: instant(sync["checked_at"])),
    Column("NEXT CHECK", lambda sync: NOTHING if sync["paused"] else instant(sync["next_check_at"])),
    Column("LABELS", lambda sync: pairs(sync["labels"])),
)


@options.command("list", "komodod sync list --state pending --label team=web")
@click.option("--name", metavar="GLOB", help="Names like this: 'web-*'.")
@click.option("--state", type=click.Choice(choices.SYNC_STATES), help="In this state.")
@click.option("--label", metavar="KEY=VALUE", multiple=True, help="With this label; all of several.")
@click.option("--origin", type=click.Choice(choices.ORIGINS), help="Declared there.")
@click.option("--paused/--not-paused", default=None, help="Only those that are paused, or are not.")
@options.limit
@options.client
def list_(session: Session, label: tuple[str, ...], limit: int | None, **match: Any) -> None:
    """List the syncs."""
    labels = [f"{key}={value}" for key, value in read_labels(label).items()]
    found = session.api.pages("/syncs", {**match, "label": labels or None}, limit)
    session.out.rows(found, COLUMNS, "no syncs")


@options.command("show", "komodod sync show website --diff")
@name
@click.option("--diff", is_flag=True, help="Show what an apply would change; it can hold secrets.")
@options.client
def show(session: Session, name: str, *, diff: bool) -> None:
    """Show a sync: its state, alerts, pending changes."""
    sync = session.api.get(f"/syncs/{part(name)}")
    if diff:
        sync |= {"changes": session.api.get(f"/syncs/{part(sync['id'])}/changes")}
    session.out.show(sync, lambda: describe(sync))


def describe(sync: dict[str, Any]) -> Iterator[Line]:
    """Yield what there is to say of a sync."""
    yield f"{sync['name']}: {state(sync)}", COLOURS.get(sync["state"], "")
    yield from fields(_facts(sync))
    for alert in sync.get("alerts", ()):
        yield f"alert {alert['kind']}, open since {instant(alert['opened_at'])}: {alert['summary']}", "yellow"
    if "changes" in sync:
        yield from diffs(sync["changes"])
    else:
        yield from changes(sync)


def _facts(sync: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "id", sync["id"]
    yield "origin", f"{sync['origin']}, {sync['declared']}" if sync.get("declared") else sync["origin"]
    yield "source", ", ".join(f"{key}: {_plain(value)}" for key, value in sync["source"].items())
    yield "schedule", schedule(sync)
    yield "apply", sync["apply"]
    yield "severity", sync["severity"]
    yield "labels", pairs(sync["labels"])
    yield "revision", sync["revision"] or NOTHING
    yield "checked", instant(sync["checked_at"])
    yield "next check", NOTHING if sync["paused"] else instant(sync["next_check_at"])
    if sync.get("applied_at"):
        yield "applied", instant(sync["applied_at"])
    if sync.get("apply_request"):
        yield "apply asked", f"by {sync['apply_request']['actor']} at {instant(sync['apply_request']['at'])}"
    if sync.get("apply_error"):
        yield "apply error", sync["apply_error"]
    if sync.get("error"):
        yield "error", f"{sync['error']} ({count(sync['failures'], 'failure')} in a row)"


def schedule(sync: dict[str, Any]) -> str:
    """Return when a sync is checked."""
    if sync.get("cron"):
        return f"cron {sync['cron']}" + (f" in {sync['timezone']}" if sync.get("timezone") else "")
    return f"every {duration(sync.get('every'))}"


def changes(sync: dict[str, Any]) -> Iterator[Line]:
    """Yield the first pending changes of a sync, by action and name."""
    headline = sync.get("headline") or ()
    if sync["pending"]:
        yield f"{count(sync['pending'], 'change')} pending:", "bold"
    for change in headline:
        yield f"  {change['action']} {change['kind']} {change['name']}"
    if sync["pending"] > len(headline):
        yield f"  and {sync['pending'] - len(headline)} more"


def diffs(stored: dict[str, Any]) -> Iterator[Line]:
    """Yield changes with their texts."""
    for change in stored["items"]:
        yield f"{change['action']} {change['kind']} {change['name']}", "bold"
        for line in (change["diff"] or "").splitlines():
            yield line, {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
    if stored["omitted"]:
        yield f"{count(stored['omitted'], 'change')} more {'is' if stored['omitted'] == 1 else 'are'} not kept"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
