"""What a command prints: a table or sentences for people, or JSON or YAML for programs.

On a terminal a table is drawn by rich, which is imported then and only then; elsewhere it is plain aligned columns,
as wide as they need to be.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import click

from komodod.cli.words import printable

if TYPE_CHECKING:
    from rich.text import Text

    from komodod.model import Json

Format: TypeAlias = Literal["table", "json", "yaml"]

Line: TypeAlias = "str | tuple[str, str]"
"""A line for people, or several with line breaks between them; with `bold` or a colour, if it has one."""

NARROWEST: Final = 24
"""Characters of the last column of a table that there is always room for."""

COLOURS: Final = {
    "ok": "green",
    "shown": "green",
    "done": "green",
    "pending": "yellow",
    "warning": "yellow",
    "in_doubt": "yellow",
    "waiting": "yellow",
    "failed": "red",
    "critical": "red",
    "dead": "red",
    "stranded": "red",
    "broken": "red",
    "wedged": "red",
}
"""What catches the eye, by the first word of a cell."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, and the text for an item."""

    heading: str
    get: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Output:
    """Prints answers in one format."""

    form: Format

    @property
    def people(self) -> bool:
        """Whether people read it."""
        return self.form == "table"

    def rows(self, items: Iterable[Json], columns: Sequence[Column], none: str) -> None:
        """Print a list; `none` is what people are told where it is empty."""
        if not self.people:
            self.value(list(items))
            return
        cells = [[printable(column.get(item)) for column in columns] for item in items]
        if not cells:
            click.echo(none, err=True)
        elif sys.stdout.isatty():
            _draw(columns, cells)
        else:
            _align(columns, cells)

    def show(self, value: Json, describe: Callable[[], Iterable[Line]]) -> None:
        """Print one thing: the value for programs, the lines of `describe` for people."""
        if not self.people:
            self.value(value)
            return
        for line in describe():
            self.line(line)

    def line(self, line: Line, *, err: bool = False) -> None:
        """Print a line, or several, for people; with `err` where questions and errors go."""
        text, look = line if isinstance(line, tuple) else (line, "")
        bold = look == "bold"
        clean = printable(text, keep="\n\t")
        click.echo(click.style(clean, fg=None if bold else look, bold=bold or None) if look else clean, err=err)

    def value(self, value: Json) -> None:
        """Print a value for programs."""
        if self.form == "yaml":
            click.echo(_yaml(value), nl=False)
        else:
            click.echo(json.dumps(value, indent=2))  # ASCII: right in every locale, and no text in it steers a terminal

    def item(self, value: Json, line: Line) -> None:
        """Print one of an endless list at once: a line of JSON, a document of YAML, or a line for people."""
        if self.people:
            self.line(line)
        elif self.form == "json":
            click.echo(json.dumps(value))
        else:
            click.echo("---\n" + _yaml(value), nl=False)
        sys.stdout.flush()


def _yaml(value: Json) -> str:
    import yaml  # noqa: PLC0415  15 ms that only this format costs

    return str(yaml.safe_dump(value, sort_keys=False))  # ASCII, for the same reasons


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    lines = [[column.heading for column in columns], *cells]
    return [max(len(line[place]) for line in lines) for place in range(len(columns))]


def _align(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    widths = _widths(columns, cells)
    for line in ([column.heading for column in columns], *cells):
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _draw(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    """Draw a table whose last column is folded into what is left of a line.

    The others are never folded: on a narrow terminal a line that goes on below is read and copied better.
    """
    from rich.console import Console  # noqa: PLC0415  10 ms and more that only a terminal is worth
    from rich.table import Table  # noqa: PLC0415  see above

    *fixed, last = _widths(columns, cells)
    console = Console(highlight=False)  # honours NO_COLOR
    console.width = max(console.width, sum(fixed) + 2 * len(fixed) + min(last, NARROWEST))
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column, width in zip(columns, [*fixed, None], strict=True):
        table.add_column(column.heading, no_wrap=width is not None, overflow="fold", min_width=width)
    for line in cells:
        table.add_row(*(_tint(cell) for cell in line))
    console.print(table)


def _tint(cell: str) -> Text:
    from rich.text import Text  # noqa: PLC0415  see above

    return Text(cell, style=COLOURS.get(cell.partition(" ")[0], ""))
