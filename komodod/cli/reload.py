"""`komodod config reload`, and the group it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from komodod.cli import options
from komodod.cli.config import config
from komodod.cli.exits import Exit
from komodod.cli.faults import AnswerError
from komodod.cli.progress import progress
from komodod.cli.session import complain
from komodod.cli.words import listed

if TYPE_CHECKING:
    from komodod.cli.output import Line
    from komodod.cli.session import Session
    from komodod.model import Json

__all__ = ["config", "reload"]


@options.command("reload", "komodod config reload --dry-run")
@options.dry_run
@click.option("--force", is_flag=True, help="Go through the brake, which stops a reload that would delete too much.")
@options.client
def reload(session: Session, *, dry_run: bool, force: bool) -> Exit:
    """Make the daemon read its configuration again."""
    try:
        with progress("reloading"):
            answer = session.change(
                "POST", "/config/reload", dry_run=dry_run, query={"force": force or None}, timeout=None
            )
    except AnswerError as error:
        if error.status != 422:
            raise
        complain(error)
        return Exit.BAD_CONFIG
    session.out.show(answer, lambda: _describe(answer, dry_run=dry_run))
    return Exit.FINE


config.add_command(reload)


def _describe(answer: dict[str, Any], *, dry_run: bool) -> Iterator[Line]:
    if not answer["changed"] and not answer["restart_needed"]:
        yield "nothing has changed"
    elif answer["changed"]:
        yield "would change:" if dry_run else "changed:"
    yield from (f"  {line}" for line in _flatten(answer["changed"]))
    if answer["restart_needed"]:
        yield f"needs a restart: {listed(answer['restart_needed'])}", "yellow"


def _flatten(value: Json, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a line for each thing that differs: `syncs deleted: a, b`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(inner, (*path, key))
    else:
        text = listed(map(str, value)) if isinstance(value, list) else str(value)
        yield f"{' '.join(path)}: {text}"
