"""`komodod sync create`, `edit` and `delete`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from komodod.cli import declarations, options
from komodod.cli.client import part
from komodod.cli.declarations import spec_options
from komodod.cli.faults import AnswerError, DeclinedError
from komodod.cli.session import complain, confirm, each, require_person
from komodod.cli.syncs import name, names
from komodod.cli.words import count, instant
from komodod.errors import UsageError

if TYPE_CHECKING:
    from komodod.cli.exits import Exit
    from komodod.cli.output import Line
    from komodod.cli.session import Session
    from komodod.model import Json

Answer = dict[str, Any]


# --- create ----------------------------------------------------------------------------------------------------------


@options.command(
    "create", "komodod sync create website --source directory --set from=./site --set to=/srv/www --every 5m"
)
@click.argument("name", required=False)
@spec_options
@click.option(
    "-f",
    "--file",
    type=options.PATH,
    help="A YAML file with a sync as under 'syncs:', or a list of them; - reads standard input.",
)
@options.dry_run
@options.client
def create(session: Session, name: str | None, file: Path | None, *, dry_run: bool, **values: Any) -> Exit:
    """Create a sync, or all in a file; it is checked at once."""
    described = declarations.read_options(values)
    if (name is None) == (file is None) or (file is not None and described):
        raise click.UsageError("give NAME and options, or --file and nothing else")
    bodies, several = ([{"name": name, **described}], False) if file is None else _read(file)
    base = str(Path.cwd() if file is None or str(file) == "-" else file.absolute().parent)

    def post(body: Answer, *, dry_run: bool = dry_run) -> Json:
        return session.change("POST", "/syncs", dry_run=dry_run, body={**body, "base": base})

    if len(bodies) > 1:  # all of them are judged before any is made
        _, code = each(bodies, lambda body: post(body, dry_run=True))
        if code:
            return code
    answers, code = each(bodies, post)
    session.report(answers, lambda answer: _tell_created(answer, dry_run=dry_run), several=several)
    return code


def _read(file: Path) -> tuple[list[Answer], bool]:
    return declarations.read_file(Path("/dev/stdin") if str(file) == "-" else file, os.environ)


def _tell_created(answer: Answer, *, dry_run: bool) -> Iterator[Line]:
    name = answer["sync"]["name"]
    yield f"would create sync {name!r}" if dry_run else f"created sync {name!r}; it is checked at once"


# --- edit ------------------------------------------------------------------------------------------------------------


@options.command("edit", "komodod sync edit website --every 10m --label team=web")
@name
@spec_options
@click.option("--unlabel", metavar="KEY", multiple=True, help="Take this label off.")
@options.dry_run
@options.client
def edit(session: Session, name: str, unlabel: tuple[str, ...], *, dry_run: bool, **values: Any) -> None:
    """Change a sync by options, or without any in $EDITOR."""
    described = declarations.read_options(values)
    if described or unlabel:
        sync = session.api.get(f"/syncs/{part(name)}")
        answer = _send(session, name, merge(sync, described, unlabel), dry_run=dry_run)
    else:
        answer = _edit(session, name, dry_run=dry_run)
    session.out.show(answer, lambda: [_tell_edited(answer, dry_run=dry_run)])


def merge(sync: Answer, described: Answer, unlabel: tuple[str, ...]) -> Answer:
    """Return the fields to change for these options.

    A field is replaced as a whole, so the source and the labels are sent with what they have already. Keys of one type
    of source mean nothing to another. An interval takes the place of a cron line, and the other way round.
    """
    patch: Answer = {"cron": None} if "every" in described else {"every": None} if "cron" in described else {}
    patch |= described
    if "source" in described and described["source"].get("type", sync["source"]["type"]) == sync["source"]["type"]:
        patch["source"] = {**sync["source"], **described["source"]}
    if "labels" in described or unlabel:
        labels = {key: value for key, value in sync["labels"].items() if key not in unlabel}
        patch["labels"] = {**labels, **described.get("labels", {})}
    return patch


def _send(session: Session, name: str, patch: Answer, *, dry_run: bool) -> Answer:
    body = {**patch, "base": str(Path.cwd())}
    answer: Answer = session.change("PATCH", f"/syncs/{part(name)}", dry_run=dry_run, body=body)
    return answer


_HEAD: Final = """\
# Sync {name}. A key that is taken out goes back to its default.
# Leave the editor without saving, and nothing changes.
"""


def _edit(session: Session, name: str, *, dry_run: bool) -> Answer:
    """Let the person edit the sync as YAML until the daemon takes it, or they give up."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("say what to change, as with --every 10m: there is no terminal for an editor")
    answer = _send(session, name, {}, dry_run=True)  # refused now rather than after the work, if it is to be refused
    original = text = _HEAD.format(name=name) + declarations.write_text(answer["sync"])
    before = declarations.read_text(original)
    while True:
        edited = click.edit(text, extension=".yaml")
        if edited is None or edited == original:
            return answer
        try:
            patch = declarations.difference(before, declarations.read_text(edited))
            return _send(session, name, patch, dry_run=dry_run)
        except (UsageError, AnswerError) as error:
            complain(error)
        if not click.confirm("edit it again?", default=True, err=True):
            raise DeclinedError("nothing was changed")
        text = edited


def _tell_edited(answer: Answer, *, dry_run: bool) -> str:
    name = answer["sync"]["name"]
    if not answer["changed"]:
        return f"sync {name!r} stays as it is"
    return f"would change sync {name!r}" if dry_run else f"changed sync {name!r}; it is checked at once"


# --- delete ----------------------------------------------------------------------------------------------------------


@options.command("delete", "komodod sync delete website --yes")
@names
@options.yes
@options.dry_run
@options.client
def delete(session: Session, names: tuple[str, ...], *, yes: bool, dry_run: bool) -> Exit:
    """Delete syncs, and take back everything they caused."""

    def remove(name: str, *, dry_run: bool) -> Answer:
        answer: Answer = session.change("DELETE", f"/syncs/{part(name)}", dry_run=dry_run)
        return answer

    if not yes and not dry_run:
        require_person()
        previews, code = each(names, lambda name: remove(name, dry_run=True))
        if code:
            return code
        for line in (line for answer in previews for line in _tell_deleted(answer, dry_run=True)):
            session.out.line(line, err=True)
        confirm(f"delete {count(len(names), 'sync')}?")
    answers, code = each(names, lambda name: remove(name, dry_run=dry_run))
    session.report(answers, lambda answer: _tell_deleted(answer, dry_run=dry_run), several=len(names) > 1)
    return code


def _tell_deleted(answer: Answer, *, dry_run: bool) -> Iterator[Line]:
    name = answer["sync"]["name"]
    yield f"would delete sync {name!r}" if dry_run else f"deleted sync {name!r}"
    for alert in answer["alerts"]:
        did = "would resolve" if dry_run else "resolved"
        yield f"  {did} alert {alert['kind']}, open since {instant(alert['opened_at'])}: {alert['summary']}"
    for row in answer["notifications"]:
        if row["state"] != "absent":
            did = "would withdraw" if dry_run else "withdraws"
            yield f"  {did} the message in {row['notifier']}, shown since {instant(row['shown_since'])}"
