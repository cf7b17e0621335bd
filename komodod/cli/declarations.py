"""Declarations of syncs as they are typed: options, a file, a text in an editor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from komodod.cli import choices
from komodod.cli.labels import read_labels, read_settings
from komodod.cli.words import duration
from komodod.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from komodod.cli.options import Body
    from komodod.model import Json
    from komodod.settings.document import Document

FIELDS: Final = (
    "source",
    "every",
    "cron",
    "timezone",
    "apply",
    "severity",
    "labels",
    "fail_after",
    "timeout",
    "diff",
)
"""What a person declares of a sync, beside its name."""


def spec_options(function: Body) -> Body:
    """Give a command the options that describe a sync."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS: Final = (
    click.option("--source", metavar="TYPE", help="How it is looked at: directory, git, command, or a plugin's."),
    click.option(
        "--set",
        "texts",
        metavar="KEY=VALUE",
        multiple=True,
        help="A key of the source; several times for a list. Relative paths are relative to this directory.",
    ),
    click.option("--set-json", "jsons", metavar="KEY=JSON", multiple=True, help="A key of the source, as JSON."),
    click.option("--every", metavar="DURATION", help="The time between two checks: 90s, 5m, 1h30m."),
    click.option("--cron", metavar="CRON", help="Instead of --every: five fields of cron."),
    click.option("--timezone", metavar="ZONE", help="The time zone of --cron."),
    click.option(
        "--apply", type=click.Choice(choices.APPLY_MODES), help="Who brings it in step: a person, or komodod."
    ),
    click.option("--severity", type=click.Choice(choices.SEVERITIES), help="How loud its alerts are."),
    click.option("--label", "label", metavar="KEY=VALUE", multiple=True, help="For routes and filters."),
    click.option("--fail-after", type=click.IntRange(min=1), help="Failed checks in a row that open an alert."),
    click.option("--timeout", metavar="DURATION", help="How long one check or apply may take."),
    click.option("--diff", type=click.Choice(choices.DIFF_MODES), help="Whether the texts of changes are kept."),
)


def read_options(values: Mapping[str, Any]) -> dict[str, Json]:
    """Return what the options of `spec_options` say, and nothing of what they do not say.

    Raises:
        UsageError: a `KEY=VALUE` is none.
    """
    kind = {"type": values["source"]} if values["source"] is not None else {}
    source = {**kind, **read_settings(values["texts"], values["jsons"])}
    labels = read_labels(values["label"])
    rest = {name: values[name] for name in FIELDS if name not in ("source", "labels") and values[name] is not None}
    return {**({"source": source} if source else {}), **rest, **({"labels": labels} if labels else {})}


def read_file(file: Path, environ: Mapping[str, str]) -> tuple[list[dict[str, Json]], bool]:
    """Return the syncs in a file, each a mapping as in `syncs:`, and whether they stand in a list.

    Variables are filled in from the caller's environment.

    Raises:
        UsageError: the file cannot be read or is not that, with all that is wrong with it.
    """
    from komodod.settings import document  # noqa: PLC0415  PyYAML is not needed for options

    found = _plain(document.load(file), environ)
    items = found if isinstance(found, list) else [found]
    if not items or not all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in items):
        raise UsageError(f"{file}: a sync is a mapping with a name, as under 'syncs:', or a list of such")
    return items, isinstance(found, list)


def read_text(text: str) -> dict[str, Json]:
    """Return the sync in a text that was edited, without its name; `${` stands for itself.

    Raises:
        UsageError: it is no mapping, or no YAML, with all that is wrong with it.
    """
    from komodod.settings import document  # noqa: PLC0415  PyYAML is not needed for options

    found = _plain(document.compose(text, Path("the edited text")))
    if not isinstance(found, dict):
        raise UsageError("a sync is a mapping, of 'source', 'every' and so on")
    return found


def _plain(read: Document, environ: Mapping[str, str] | None = None) -> Json:
    """Return a document as plain data, with its variables filled in if there is an environment."""
    from komodod.settings.nodes import Problems, plain  # noqa: PLC0415  see above
    from komodod.settings.substitution import substitute  # noqa: PLC0415  see above

    problems = Problems(list(read.problems))
    if read.root is not None and environ is not None:
        substitute(read.templates, environ, problems)
    if read.root is None or problems.found:
        # Wrong input of this one command, not the daemon's configuration: exit 2, not 78.
        raise UsageError(str(ConfigError(problems.found)))
    return plain(read.root)


def write_text(sync: Mapping[str, Json]) -> str:
    """Return a sync of the API as a text to edit; `read_text` reads it."""
    import yaml  # noqa: PLC0415  15 ms that only an editor costs

    facts = {name: sync.get(name) for name in FIELDS}
    facts |= {name: duration(facts[name]) for name in ("every", "timeout") if facts[name] is not None}
    facts |= {"every": None} if facts["cron"] else {}
    kept = {name: value for name, value in facts.items() if value is not None}
    return str(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


def difference(before: Mapping[str, Json], after: Mapping[str, Json]) -> dict[str, Json]:
    """Return the fields that differ, as they are to be; what is taken out is None, the default."""
    changed = {name: value for name, value in after.items() if name not in before or before[name] != value}
    return dict.fromkeys(before.keys() - after.keys()) | changed
