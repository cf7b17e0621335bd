"""`komodod sync check`, `apply`, `pause` and `resume`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from komodod.cli import options, waiting
from komodod.cli.client import part
from komodod.cli.exits import Exit
from komodod.cli.faults import StoppedError
from komodod.cli.progress import progress
from komodod.cli.session import each
from komodod.cli.syncs import changes, names
from komodod.cli.words import listed

if TYPE_CHECKING:
    from komodod.cli.output import Line
    from komodod.cli.session import Session

Answer = dict[str, Any]

no_wait = click.option("--no-wait", is_flag=True, help="Do not wait until it is done.")


# --- check -----------------------------------------------------------------------------------------------------------


@options.command("check", "komodod sync check website")
@names
@no_wait
@options.client
def check(session: Session, names: tuple[str, ...], *, no_wait: bool) -> Exit:
    """Look at syncs now; exit 1 if updates are pending."""
    patience = waiting.WAIT if len(names) == 1 and not no_wait else None
    asked, code = each(names, lambda name: _ask(session, name, "check", patience))
    if no_wait:
        session.report(
            asked, lambda answer: [f"sync {answer['sync']['name']!r} will be checked at once"], several=len(names) > 1
        )
        return code
    with progress(f"checking {listed(names)}"):
        found, late = each(asked, lambda answer: _finish_check(session, answer))
    session.report(found, lambda answer: outlook(answer["sync"]), several=len(names) > 1)
    return max(code, late, *(_judge(answer["sync"]) for answer in found))


def _ask(session: Session, name: str, verb: str, patience: int | None, *, force: bool = False) -> Answer:
    query = {"wait": patience, "force": force or None}
    answer: Answer = session.change("POST", f"/syncs/{part(name)}/{verb}", dry_run=False, query=query)
    return answer


def _finish_check(session: Session, answer: Answer) -> Answer:
    sync = waiting.await_sync(session.api, answer["sync"], waiting.checked(answer["sync"]))
    return {**answer, "sync": sync, "done": True}


def _judge(sync: Answer) -> Exit:
    return {"ok": Exit.FINE, "pending": Exit.DIFFERENT}.get(sync["state"], Exit.ERROR)


def outlook(sync: Answer) -> Iterator[Line]:
    """Yield what a check found."""
    match sync["state"]:
        case "ok":
            yield f"sync {sync['name']!r} is in step", "green"
        case "pending":
            yield f"sync {sync['name']!r} is pending", "yellow"
            yield from changes(sync)
        case _:
            yield f"sync {sync['name']!r} could not be checked: {sync['error']}", "red"


# --- apply -----------------------------------------------------------------------------------------------------------


@options.command("apply", "komodod sync apply website")
@names
@click.option("--force", is_flag=True, help="Go through the source's own guards, such as the one against pruning all.")
@options.dry_run
@no_wait
@options.client
def apply(session: Session, names: tuple[str, ...], *, force: bool, dry_run: bool, no_wait: bool) -> Exit:
    """Bring syncs in step, and wait until they are."""
    if dry_run:
        return _preview(session, names, force=force)
    patience = waiting.WAIT if len(names) == 1 and not no_wait else None
    asked, code = each(names, lambda name: _ask(session, name, "apply", patience, force=force))
    if no_wait:
        session.report(
            asked, lambda answer: [f"sync {answer['sync']['name']!r} will be applied"], several=len(names) > 1
        )
        return code
    with progress(f"applying {listed(names)}"):
        done, late = each(asked, lambda answer: _finish_apply(session, answer))
    session.report(done, _tell_applied, several=len(names) > 1)
    good = all(answer["outcome"] == "sync_applied" and answer["sync"]["state"] == "ok" for answer in done)
    return max(code, late, Exit.FINE if good else Exit.ERROR)


def _preview(session: Session, names: tuple[str, ...], *, force: bool) -> Exit:
    def ask(name: str) -> Answer:
        path = f"/syncs/{part(name)}/apply"
        answer: Answer = session.change("POST", path, dry_run=True, query={"force": force or None})
        return answer

    answers, code = each(names, ask)
    session.report(answers, _tell_preview, several=len(names) > 1)
    return code


def _tell_preview(answer: Answer) -> Iterator[Line]:
    sync = answer["sync"]
    yield f"sync {sync['name']!r} would be applied; as of its last check:"
    yield from changes(sync)
    if not sync["pending"]:
        yield "nothing is pending"


def _finish_apply(session: Session, answer: Answer) -> Answer:
    """Wait for the apply, then for the check that follows it; say how the apply ended."""
    op_id, name = answer["op_id"], answer["sync"]["name"]
    sync = waiting.await_sync(session.api, answer["sync"], waiting.no_longer_asked(op_id))
    event = waiting.find_outcome(session.api, name, op_id)
    if event is None:
        raise StoppedError(f"the apply of {name!r} was called off: the sync was edited, or asked to apply again")
    if event["kind"] != "apply_discarded":
        sync = waiting.await_sync(session.api, sync, waiting.looked_after(event["at"]))
    summary = (event["data"] or {}).get("summary") or event["reason"]
    return {**answer, "sync": sync, "done": True, "outcome": event["kind"], "summary": summary}


def _tell_applied(answer: Answer) -> Iterator[Line]:
    name, note = answer["sync"]["name"], f": {answer['summary']}" if answer["summary"] else ""
    match answer["outcome"]:
        case "sync_applied":
            yield f"applied sync {name!r}{note}", "green"
        case "apply_failed":
            yield f"the apply of sync {name!r} failed{note}", "red"
        case _:
            yield f"the apply of sync {name!r} was overtaken by an edit{note}", "red"
    yield from outlook(answer["sync"])


# --- pause, resume ---------------------------------------------------------------------------------------------------


@options.command("pause", "komodod sync pause website")
@names
@options.dry_run
@options.client
def pause(session: Session, names: tuple[str, ...], *, dry_run: bool) -> Exit:
    """Stop checking syncs; their alerts stay."""
    return _switch(session, names, "pause", "paused", dry_run=dry_run)


@options.command("resume", "komodod sync resume website")
@names
@options.dry_run
@options.client
def resume(session: Session, names: tuple[str, ...], *, dry_run: bool) -> Exit:
    """Check paused syncs again, and at once."""
    return _switch(session, names, "resume", "resumed", dry_run=dry_run)


def _switch(session: Session, names: tuple[str, ...], verb: str, done: str, *, dry_run: bool) -> Exit:
    def tell(answer: Answer) -> Iterator[Line]:
        name = answer["sync"]["name"]
        if not answer["changed"]:
            yield f"sync {name!r} {'is paused already' if verb == 'pause' else 'is not paused'}"
        else:
            yield f"sync {name!r} would be {done}" if dry_run else f"{done} sync {name!r}"

    answers, code = each(names, lambda name: session.change("POST", f"/syncs/{part(name)}/{verb}", dry_run=dry_run))
    session.report(answers, tell, several=len(names) > 1)
    return code
