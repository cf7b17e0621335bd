"""The options that commands have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, get_args

import click

from komodod.cli.output import Format, Output
from komodod.cli.session import Session

PATH = click.Path(path_type=Path, readable=False)
"""A path of which click believes nothing: what is wrong with one is told, with its exit code, by who uses it."""

Body: TypeAlias = Callable[..., Any]
"""The function of a command."""


def command(name: str, example: str) -> Callable[[Body], click.Command]:
    """Make a command whose help ends with an example."""
    return click.command(name, epilog=epilog(example))


def epilog(example: str) -> str:
    """Return the end of a help text: an example that click leaves as it is."""
    return f"\b\nExample:\n  {example}"


def place(function: Body) -> Body:
    """Give a command the options by which the daemon is found, and the one for the format."""
    for option in (_OUTPUT, _SOCKET, _CONFIG):
        function = option(function)
    return function


_CONFIG = click.option(
    "--config",
    type=PATH,
    help="The daemon's configuration, read for the socket only. Default: $KOMODOD_CONFIG, else ./komodod.yaml, else "
    "/etc/komodod/komodod.yaml.",
)
_SOCKET = click.option(
    "--socket",
    type=PATH,
    help="The daemon's socket. Default: $KOMODOD_SOCKET, else what the configuration says.",
)
_OUTPUT = click.option("-o", "--output", type=click.Choice(get_args(Format)), help="How to print. Default: table.")


def client(function: Body) -> Body:
    """Give a command the options of `place`, and a `Session` as its first argument.

    The options may also stand before the command; those after it win.
    """

    @place
    @functools.wraps(function)
    def run(*, socket: Path | None, config: Path | None, output: Format | None, **values: Any) -> Any:
        before = click.get_current_context().find_root().params
        if socket is None and config is None:
            socket, config = before.get("socket"), before.get("config")
        return function(Session(socket, config, Output(output or before.get("output") or "table")), **values)

    return run


dry_run = click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
yes = click.option("--yes", is_flag=True, help="Do not ask.")
limit = click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
