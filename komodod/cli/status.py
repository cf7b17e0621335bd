"""`komodod status`: the daemon at a glance, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from komodod.cli import options
from komodod.cli.exits import Exit
from komodod.cli.passes import summarize
from komodod.cli.words import NOTHING, count, fields, instant, listed

if TYPE_CHECKING:
    from komodod.cli.output import Line
    from komodod.cli.session import Session

Status = dict[str, Any]


@options.command("status", "komodod status --check")
@click.option(
    "--check", is_flag=True, help="Exit 1 if anything needs a person: dead, in doubt, parked, unanswered, not ready."
)
@options.client
def status(session: Session, *, check: bool) -> Exit:
    """Show how the daemon is, and what needs a person."""
    found = session.api.get("/status")
    session.out.show(found, lambda: describe(found))
    return Exit.DIFFERENT if check and any(troubles(found)) else Exit.FINE


def troubles(status: Status) -> Iterator[str]:
    """Yield what needs a person."""
    if not status["ready"]:
        yield f"not ready: {status['why']}"
    if status["storage"].get("error"):
        yield f"the store does not answer: {status['storage']['error']}"
    yield from _left(status["counts"] or {})
    if status["config"]["error"]:
        yield f"the last reload failed, the configuration before it holds: {status['config']['error']}"
    for notifier in status["notifiers"]:
        if notifier["parked"]:
            yield f"notifier {notifier['name']!r} is parked until a reload: {notifier['parked']}"
        elif notifier["failures"]:
            yield (
                f"notifier {notifier['name']!r} does not answer: {count(notifier['failures'], 'failure')} in a row; "
                f"see `komodod notification list --notifier {notifier['name']}`"
            )
    yield from (f"plugin {name!r} does not work: {error}" for name, error in status["plugins"]["broken"].items())
    yield from (f"plugin {name!r} hangs; it needs a restart" for name in status["plugins"]["wedged"])
    if (status["last_pass"] or {}).get("braked"):
        yield f"the last pass was braked: {listed(status['last_pass']['braked'])}; see `komodod reconcile --dry-run`"


def _left(counts: Status) -> Iterator[str]:
    """Yield what was given up, cannot be told, or has nobody to do it."""
    for key, noun, what, command in (
        ("dead_notifications", "notification", "dead", "notification list --attention"),
        ("in_doubt", "notification", "in doubt", "notification list --attention"),
        ("stranded", "notification", "stranded", "notification list --attention"),
        ("dead_hook_calls", "hook call", "dead", "hook list --state dead"),
    ):
        if counts.get(key):
            yield f"{count(counts[key], noun)} {what}; see `komodod {command}`"


def describe(status: Status) -> Iterator[Line]:
    """Yield the daemon at a glance."""
    yield (
        f"komodod {status['version']}: {'ready' if status['ready'] else 'not ready'}",
        ("green" if status["ready"] else "red"),
    )
    yield from fields(_facts(status))
    yield from ((trouble, "red") for trouble in troubles(status))


def _facts(status: Status) -> Iterator[tuple[str, str]]:
    config, counts = status["config"], status["counts"]
    yield "pid", f"{status['pid']}, since {instant(status['started_at'])}"
    yield "socket", status["socket"]
    yield "config", f"{config['file']}, read {instant(config['loaded_at'])}"
    if config["restart_needed"]:
        yield "restart", f"needed for {listed(config['restart_needed'])}"
    yield "storage", status["storage"]["type"]
    if counts:
        yield "syncs", _numbers({**counts["syncs"], "paused": counts["paused"]})
        yield "open alerts", _numbers(counts["open_alerts"])
        yield "notifications", _numbers({"shown": counts["shown"], "to be said": counts["dirty"]})
        yield "hook calls", _numbers({"waiting": counts["waiting_hook_calls"]})
    yield "last pass", _pass(status["last_pass"])
    for notifier in status["notifiers"]:
        yield "notifier", f"{notifier['name']} ({notifier['type']}): {notifier['withdrawal']}"


def _numbers(counts: dict[str, int]) -> str:
    return listed(f"{number} {name}" for name, number in counts.items() if number)


def _pass(report: Status | None) -> str:
    if report is None:
        return NOTHING
    return f"{instant(report['started_at'])}, {summarize(report)}"
