"""`komodod alert list` and `show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from komodod.cli import choices, options
from komodod.cli.client import part
from komodod.cli.labels import read_labels
from komodod.cli.output import COLOURS, Column, Line
from komodod.cli.words import NOTHING, fields, instant, pairs

if TYPE_CHECKING:
    from komodod.cli.session import Session

Alert = dict[str, Any]


def _end(alert: Alert) -> str:
    return f"{instant(alert['resolved_at'])} {alert['resolution']}" if alert["resolved_at"] else NOTHING


COLUMNS: Final = (
    Column("ID", lambda alert: alert["id"]),
    Column("SYNC", lambda alert: alert["sync"]),
    Column("KIND", lambda alert: alert["kind"]),
    Column("SEVERITY", lambda alert: alert["severity"]),
    Column("OPENED", lambda alert: instant(alert["opened_at"])),
    Column("RESOLVED", _end),
    Column("SUMMARY", lambda alert: alert["summary"]),
)


@options.command("list", "komodod alert list --severity critical")
@click.option("--all", is_flag=True, help="The resolved ones too.")
@click.option("--sync", metavar="GLOB", help="Of syncs with names like this, deleted ones too.")
@click.option("--kind", type=click.Choice(choices.ALERT_KINDS), help="Of this kind.")
@click.option("--severity", type=click.Choice(choices.SEVERITIES), help="As loud as this.")
@click.option("--label", metavar="KEY=VALUE", multiple=True, help="With this label; all of several.")
@options.limit
@options.client
def list_(session: Session, label: tuple[str, ...], limit: int | None, **match: Any) -> None:
    """List the open alerts, newest first."""
    labels = [f"{key}={value}" for key, value in read_labels(label).items()]
    query = {**match, "all": match["all"] or None, "label": labels or None}
    columns = COLUMNS if match["all"] else [column for column in COLUMNS if column.heading != "RESOLVED"]
    session.out.rows(session.api.pages("/alerts", query, limit), columns, "no alerts")


@options.command("show", "komodod alert show 1f0c9a4e-5a0e-4c8f-9d3b-0f6d2b7a9c11")
@click.argument("id")
@options.client
def show(session: Session, id: str) -> None:  # noqa: A002  what the argument is called
    """Show an alert: what it is about, and where it is shown."""
    alert = session.api.get(f"/alerts/{part(id)}")
    session.out.show(alert, lambda: describe(alert))


def describe(alert: Alert) -> Iterator[Line]:
    """Yield what there is to say of an alert."""
    over = alert["resolved_at"] is not None
    yield alert["summary"], "" if over else COLOURS.get(alert["severity"], "bold")
    yield from fields(_facts(alert))
    for change in alert["headline"]:
        yield f"  {change['action']} {change['kind']} {change['name']}"
    if alert["changes"] > len(alert["headline"]):
        yield f"  and {alert['changes'] - len(alert['headline'])} more"
    for row in alert["notifications"]:
        yield f"notification {row['id']} in {row['notifier']}: {row['state']}", COLOURS.get(row["state"], "")


def _facts(alert: Alert) -> Iterator[tuple[str, str]]:
    yield "id", alert["id"]
    yield "sync", alert["sync"] + (" (paused)" if alert["paused"] else "")
    yield "kind", alert["kind"]
    yield "severity", alert["severity"]
    yield "labels", pairs(alert["labels"])
    yield "opened", instant(alert["opened_at"])
    yield "updated", instant(alert["updated_at"])
    yield "resolved", _end(alert) + (f", {alert['reason']}" if alert["reason"] else "")
