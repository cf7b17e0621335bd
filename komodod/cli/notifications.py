"""`komodod notification list`, `show`, `retry` and `drop`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from komodod.cli import choices, options
from komodod.cli.client import part
from komodod.cli.output import Column
from komodod.cli.session import confirm, each
from komodod.cli.story import condition, tell
from komodod.cli.words import NOTHING, count, instant

if TYPE_CHECKING:
    from komodod.cli.exits import Exit
    from komodod.cli.session import Session

Answer = dict[str, Any]

COLUMNS: Final = (
    Column("ID", lambda row: row["id"]),
    Column("NOTIFIER", lambda row: row["notifier"]),
    Column("SYNC", lambda row: row["sync"]),
    Column("WANTED", lambda row: "yes" if row["wanted"] else "no"),
    Column("STATE", condition),
    Column("SHOWN SINCE", lambda row: instant(row["shown_since"])),
    Column("ATTEMPTS", lambda row: str(row["attempts"])),
    Column("LAST ERROR", lambda row: row["last_error"] or NOTHING),
)

ids = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@options.command("list", "komodod notification list --attention")
@click.option("--sync", metavar="GLOB", help="About syncs with names like this, deleted ones too.")
@click.option("--notifier", metavar="NAME", help="In this channel.")
@click.option("--state", type=click.Choice(choices.NOTIFICATION_STATES), help="In this state.")
@click.option("--attention", is_flag=True, help="Only those that are dead, in doubt or stranded.")
@click.option("--alert", metavar="ID", help="Only those that show this alert.")
@options.limit
@options.client
def list_(session: Session, limit: int | None, **match: Any) -> None:
    """List the notifications: what stands in which channel."""
    query = {**match, "attention": match["attention"] or None}
    session.out.rows(session.api.pages("/notifications", query, limit), COLUMNS, "no notifications")


@options.command("show", "komodod notification show 5b2e7d10-93c4-4f5e-8a56-2c6f1f0d7e42")
@click.argument("id")
@options.client
def show(session: Session, id: str) -> None:  # noqa: A002  what the argument is called
    """Tell the story of a notification: what is wanted, what stands, what it waits for."""
    row = session.api.get(f"/notifications/{part(id)}")
    session.out.show(row, lambda: tell(row))


@options.command("retry", "komodod notification retry 5b2e7d10-93c4-4f5e-8a56-2c6f1f0d7e42")
@ids
@options.dry_run
@options.client
def retry(session: Session, ids: tuple[str, ...], *, dry_run: bool) -> Exit:
    """Try notifications afresh, at once, whatever they wait for."""
    answers, code = each(ids, lambda id_: session.change("POST", f"/notifications/{part(id_)}/retry", dry_run=dry_run))
    did = "would be tried" if dry_run else "is tried"
    session.report(answers, lambda answer: [f"{_name(answer)} {did} afresh"], several=len(ids) > 1)
    return code


@options.command("drop", "komodod notification drop 5b2e7d10-93c4-4f5e-8a56-2c6f1f0d7e42 --yes")
@ids
@options.yes
@options.dry_run
@options.client
def drop(session: Session, ids: tuple[str, ...], *, yes: bool, dry_run: bool) -> Exit:
    """Forget notifications; what their channels show stays there."""
    if not yes and not dry_run:
        confirm(f"forget {count(len(ids), 'notification')}? what their channels show will stay there")
    answers, code = each(ids, lambda id_: session.change("DELETE", f"/notifications/{part(id_)}", dry_run=dry_run))
    session.report(answers, lambda answer: _dropped(answer, dry_run=dry_run), several=len(ids) > 1)
    return code


def _dropped(answer: Answer, *, dry_run: bool) -> Iterator[str]:
    yield f"{'would drop' if dry_run else 'dropped'} {_name(answer)}"
    if answer["notification"]["state"] != "absent":
        yield f"  {answer['notification']['notifier']} may go on showing it; remove it there by hand"


def _name(answer: Answer) -> str:
    row = answer["notification"]
    return f"notification {row['id']} (sync {row['sync']!r} in {row['notifier']})"
