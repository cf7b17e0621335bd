"""`komodod hook list`, `retry` and `drop`: what plugins are owed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from komodod.cli import choices, options
from komodod.cli.client import part
from komodod.cli.output import Column
from komodod.cli.session import confirm, each
from komodod.cli.words import NOTHING, count, instant

if TYPE_CHECKING:
    from komodod.cli.exits import Exit
    from komodod.cli.session import Session

Answer = dict[str, Any]

COLUMNS: Final = (
    Column("ID", lambda call: call["id"]),
    Column("PLUGIN", lambda call: call["plugin"] + ("" if call["present"] else " (absent)")),
    Column("HOOK", lambda call: call["hook"]),
    Column("SYNC", lambda call: call["sync"] or NOTHING),
    Column("STATE", lambda call: call["state"]),
    Column("ATTEMPTS", lambda call: str(call["attempts"])),
    Column("CREATED", lambda call: instant(call["created_at"])),
    Column("DUE", lambda call: instant(call["due_at"])),
    Column("LAST ERROR", lambda call: call["last_error"] or NOTHING),
)

ids = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@options.command("list", "komodod hook list --state dead")
@click.option("--sync", metavar="GLOB", help="About syncs with names like this, deleted ones too.")
@click.option("--plugin", metavar="NAME", help="Owed to this plugin.")
@click.option("--state", type=click.Choice(choices.HOOK_CALL_STATES), help="In this state.")
@options.limit
@options.client
def list_(session: Session, limit: int | None, **match: Any) -> None:
    """List the hook calls, newest first."""
    session.out.rows(session.api.pages("/hook-calls", match, limit), COLUMNS, "no hook calls")


@options.command("retry", "komodod hook retry 0f4c8a52-6b1d-5c3e-9f27-8d1e5a7b3c64")
@ids
@options.dry_run
@options.client
def retry(session: Session, ids: tuple[str, ...], *, dry_run: bool) -> Exit:
    """Make hook calls at once, their attempts counted anew."""
    answers, code = each(ids, lambda id_: session.change("POST", f"/hook-calls/{part(id_)}/retry", dry_run=dry_run))
    did = "would be made" if dry_run else "is made"
    session.report(answers, lambda answer: [f"{_name(answer)} {did} at once"], several=len(ids) > 1)
    return code


@options.command("drop", "komodod hook drop 0f4c8a52-6b1d-5c3e-9f27-8d1e5a7b3c64 --yes")
@ids
@options.yes
@options.dry_run
@options.client
def drop(session: Session, ids: tuple[str, ...], *, yes: bool, dry_run: bool) -> Exit:
    """Release plugins from the duty to hear of events."""
    if not yes and not dry_run:
        confirm(f"drop {count(len(ids), 'hook call')}? the plugins will never hear of those events")
    answers, code = each(ids, lambda id_: session.change("DELETE", f"/hook-calls/{part(id_)}", dry_run=dry_run))
    did = "would drop" if dry_run else "dropped"
    session.report(answers, lambda answer: [f"{did} {_name(answer)}"], several=len(ids) > 1)
    return code


def _name(answer: Answer) -> str:
    call = answer["hook_call"]
    return f"hook call {call['id']} ({call['hook']} of plugin {call['plugin']!r})"
