"""`komodod reconcile`: a pass of the consistency check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from komodod.cli import options
from komodod.cli.exits import Exit
from komodod.cli.output import Column, Line
from komodod.cli.progress import progress
from komodod.cli.words import NOTHING, listed

if TYPE_CHECKING:
    from komodod.cli.session import Session

Report = dict[str, Any]

COLUMNS: Final = (
    Column("INVARIANT", lambda line: line["name"]),
    Column("CHECKED", lambda line: str(line["checked"])),
    Column("FOUND", lambda line: str(line["found"])),
    Column("REPAIRED", lambda line: str(line["repaired"])),
    Column("SKIPPED", lambda line: str(line["skipped"])),
    Column("SECONDS", lambda line: f"{line['seconds']:.2f}"),
    Column("WHY", lambda line: line["error"] or line["why"] or NOTHING),
)


@options.command("reconcile", "komodod reconcile --dry-run")
@options.dry_run
@click.option("--force", is_flag=True, help="Go through the brake, which stops a pass that would repair too much.")
@click.option("--offline", is_flag=True, help="Work on the store of a daemon that is not running.")
@options.client
def reconcile(session: Session, *, dry_run: bool, force: bool, offline: bool) -> Exit:
    """Run a pass of the consistency check."""
    if offline and session.socket is not None:
        raise click.UsageError("--offline speaks to no daemon; leave --socket out")
    with progress("looking at everything"):
        report = _offline(session, dry_run, force) if offline else _online(session, dry_run, force)
    if session.out.people:
        session.out.rows(report["invariants"], COLUMNS, "no invariants")
    session.out.show(report, lambda: _conclude(report))
    return judge(report)


def _online(session: Session, dry_run: bool, force: bool) -> Report:  # noqa: FBT001  the caller's own flags
    report: Report = session.change("POST", "/passes", dry_run=dry_run, query={"force": force or None}, timeout=None)
    return report


def _offline(session: Session, dry_run: bool, force: bool) -> Report:  # noqa: FBT001  see above
    from komodod import codec, daemon  # noqa: PLC0415  everything that a daemon needs, and a client does not

    report: Report = codec.dump(daemon.reconcile_offline(session.config, dry_run=dry_run, force=force))
    return report


def judge(report: Report) -> Exit:
    """Return the exit code: 2 where something could not be told or was braked, 1 where a dry run found something."""
    if any(line["error"] for line in report["invariants"]):
        return Exit.ERROR
    if report["dry_run"]:
        return Exit.DIFFERENT if any(line["found"] for line in report["invariants"]) else Exit.FINE
    return Exit.ERROR if report["braked"] else Exit.FINE


def summarize(report: Report) -> str:
    """Return what a pass came to, as `start: 3 found, 3 repaired`."""
    found, repaired = (sum(line[key] for line in report["invariants"]) for key in ("found", "repaired"))
    braked = f", braked: {listed(report['braked'])}" if report["braked"] else ""
    return f"{report['trigger']}: {found} found, {repaired} repaired{braked}"


def _conclude(report: Report) -> Iterator[Line]:
    lines = report["invariants"]
    for line in lines:
        yield from (f"{line['name']}: {finding}" for finding in line.get("findings") or ())
    found, repaired = sum(line["found"] for line in lines), sum(line["repaired"] for line in lines)
    if report["dry_run"]:
        yield f"{found} found; nothing was changed"
    else:
        yield f"{found} found, {repaired} repaired"
    if report["braked"]:
        yield f"braked: {listed(report['braked'])}; look at what was found, then say --force if it is right", "red"
