"""`komodod config`: look at a configuration without a daemon."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from komodod.cli import options
from komodod.cli.exits import Exit
from komodod.cli.output import Format, Output
from komodod.cli.words import count, printable
from komodod.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from komodod.cli.options import Body
    from komodod.errors import Problem
    from komodod.settings.registry import Registry
    from komodod.settings.values import Settings


@click.group()
def config() -> None:
    """Look at the configuration, without a daemon.

    FILE is the configuration; without it $KOMODOD_CONFIG, else ./komodod.yaml, else /etc/komodod/komodod.yaml.
    """


def _files(function: Body) -> Body:
    """Give a command the file that it is about, as an argument or an option."""
    named = click.option("--config", "named", type=options.PATH, metavar="FILE", help="The same as FILE.")
    return click.argument("file", type=options.PATH, required=False)(named(function))


@config.command("check", epilog=options.epilog("komodod config check /etc/komodod/komodod.yaml"))
@_files
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", help="How to print.")
def check(file: Path | None, named: Path | None, output: Format) -> None:
    """Tell whether a configuration is valid, or everything that is wrong with it.

    The exit code is 0, or 78 if there is anything wrong.
    """
    settings: Settings | None = None
    problems: Sequence[Problem] = ()
    try:
        settings = _load(_choose(file, named))[0]
    except ConfigError as error:
        problems = error.problems
    lines = [f"ok: {_counts(settings)}"] if settings else [str(problem) for problem in problems]
    Output(output).show(_answer(settings, problems), lambda: lines)
    raise click.exceptions.Exit(Exit.FINE if settings else Exit.BAD_CONFIG)


@config.command("show", epilog=options.epilog("komodod config show --no-origins"))
@_files
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", help="How to print.")
@click.option("--origins/--no-origins", default=True, help="Whether to say where each value came from.")
def show(file: Path | None, named: Path | None, output: str, *, origins: bool) -> None:
    """Show the configuration in effect: defaults and variables filled in, secrets masked, and where each is from."""
    from komodod.settings import effective, loading, rendering  # noqa: PLC0415  a client needs no pydantic
    from komodod.settings import origins as tracing  # noqa: PLC0415  see above
    from komodod.settings.nodes import Problems  # noqa: PLC0415  see above

    path = _choose(file, named)
    settings, registry = _load(path)
    tree = effective.effective(settings, registry, os.environ)
    parts = loading.read_parts(path, os.environ, Problems())
    known = tracing.trace(tree, parts, os.environ) if origins and parts else {}
    if output == "yaml":
        click.echo(printable(rendering.render(tree, known), keep="\n"), nl=False)
        return
    said = {"origins": {".".join(map(str, place)): origin for place, origin in known.items()}} if origins else {}
    Output("json").value({"settings": tree, **said})


@config.command("schema", epilog=options.epilog("komodod config schema > komodod.schema.json"))
@_files
def schema(file: Path | None, named: Path | None) -> None:
    """Print the JSON schema of a configuration, for editors.

    It has the parts of all plugins that are installed, and of those that FILE adds, if there is a FILE.
    """
    from komodod.settings.schema import schema as make  # noqa: PLC0415  a client needs no pydantic

    try:
        path = _choose(file, named)
    except ConfigError:
        path = None
    click.echo(json.dumps(make(_registry(path)), indent=2))


def _choose(file: Path | None, named: Path | None) -> Path:
    from komodod.settings.location import find_config  # noqa: PLC0415  PyYAML is not needed for --help

    if file and named:
        raise click.UsageError("the configuration is given twice; keep FILE or --config FILE")
    return find_config(file or named, os.environ)


def _registry(path: Path | None) -> Registry:
    """Load the plugins, with those that the configuration adds."""
    from komodod.pluginmanager import Plugins  # noqa: PLC0415  a client needs no plugins
    from komodod.settings.loading import load_plugins_section  # noqa: PLC0415  see above
    from komodod.settings.models import PluginsSection  # noqa: PLC0415  see above

    section = load_plugins_section(path, os.environ) if path else PluginsSection()
    return Plugins.load(section.disabled, section.path).registry()


def _load(path: Path) -> tuple[Settings, Registry]:
    from komodod.settings.loading import load  # noqa: PLC0415  a client needs no pydantic

    registry = _registry(path)
    return load(path, registry, os.environ), registry


def _counts(settings: Settings) -> str:
    parts = {"sync": settings.syncs, "notifier": settings.notifiers, "route": settings.routes, "file": settings.files}
    return ", ".join(count(len(items), noun) for noun, items in parts.items())


def _answer(settings: Settings | None, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "ok": settings is not None,
        "files": [str(file) for file in settings.files] if settings else [],
        "syncs": len(settings.syncs) if settings else None,
        "problems": [
            {
                "file": str(problem.file) if problem.file else None,
                "line": problem.line,
                "column": problem.column,
                "message": problem.message,
            }
            for problem in problems
        ],
    }
