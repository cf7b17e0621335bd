"""The tree of commands. A command's module is imported when it is run, completed, or listed by `--help`."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import click

from komodod import __version__
from komodod.cli import options
from komodod.cli.exits import Exit

VARIABLE: Final = "_KOMODOD_COMPLETE"
"""The environment variable by which a shell asks for words."""

APART: Final = frozenset({"run", "config", "completion"})
"""Commands before which no option can stand: not all of them speak to a daemon."""

EPILOG: Final = f"""\b
Exit codes:
  {Exit.FINE}    fine
  {Exit.DIFFERENT}    differences found (only: reconcile --dry-run, sync check, status --check)
  {Exit.ERROR}    error, wrong usage
  {Exit.UNREACHABLE}    the daemon was not reached
  {Exit.BAD_CONFIG}   the configuration is not valid
  {Exit.INTERRUPTED}  Ctrl-C

\b
The daemon is found by --socket, --config, $KOMODOD_SOCKET, $KOMODOD_CONFIG,
./komodod.yaml or /etc/komodod/komodod.yaml, whichever is there first.
"""


class Imported(UserDict[str, Any]):
    """Commands by name, each given as a command or as `module:attribute` below this package, imported on access."""

    def __getitem__(self, name: str) -> click.Command:
        """Return a command."""
        found = self.data[name]
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            found = self.data[name] = getattr(import_module(f"komodod.cli.{module}"), attribute)
        assert isinstance(found, click.Command)  # noqa: S101  a slip in this file, or an attribute that was renamed
        return found


def group(name: str, help_text: str, commands: Mapping[str, str]) -> click.Group:
    """Make a group of commands that are imported when they are needed."""
    return click.Group(name, help=help_text, commands=Imported(commands))


@click.group(
    epilog=EPILOG,
    commands=Imported(
        {
            "run": "run:run",
            "config": "reload:config",  # the group, with the one command of it that needs a daemon
            "sync": group(
                "sync",
                "Things to keep in step.",
                {
                    "list": "syncs:list_",
                    "show": "syncs:show",
                    "create": "syncedits:create",
                    "edit": "syncedits:edit",
                    "delete": "syncedits:delete",
                    "check": "syncruns:check",
                    "apply": "syncruns:apply",
                    "pause": "syncruns:pause",
                    "resume": "syncruns:resume",
                },
            ),
            "alert": group(
                "alert", "What is open because of a sync, and was.", {"list": "alerts:list_", "show": "alerts:show"}
            ),
            "notification": group(
                "notification",
                "The messages that stand in channels.",
                {
                    "list": "notifications:list_",
                    "show": "notifications:show",
                    "retry": "notifications:retry",
                    "drop": "notifications:drop",
                },
            ),
            "hook": group(
                "hook",
                "What plugins are still to be told.",
                {"list": "hooks:list_", "retry": "hooks:retry", "drop": "hooks:drop"},
            ),
            "event": group("event", "What happened, and who did it.", {"list": "events:list_"}),
            "plugin": group("plugin", "What was installed beside komodod.", {"list": "plugins:list_"}),
            "storage": group("storage", "Where everything is kept.", {"backup": "storage:backup"}),
            "reconcile": "passes:reconcile",
            "status": "status:status",
            "completion": "completion:completion",
        }
    ),
)
@click.version_option(__version__, message="komodod %(version)s")
@options.place
@click.pass_context
def root(context: click.Context, /, **given: Any) -> None:
    """Watch what is declared, alert while reality differs, and take every alert back when it is over."""
    named = [name for name, value in given.items() if value is not None]
    if named and context.invoked_subcommand in APART:
        raise click.UsageError(f"write --{named[0]} after {context.invoked_subcommand!r} and its command")
