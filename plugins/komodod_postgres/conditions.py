"""The conditions of a list, with their parameters."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LAST: Final = 2**63 - 1
"""What is after every cursor."""

EPOCH: Final = datetime.fromtimestamp(0, UTC)
NEVER: Final = "(?!)"
"""The expression that nothing matches."""


class Where:
    """Conditions joined by "and". What a filter leaves unset adds none, so that each set of them has a plan of its own."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.params: dict[str, Any] = {}

    def __str__(self) -> str:
        return " AND ".join(self._conditions) or "true"

    def that(self, condition: str, **params: Any) -> Where:
        """Add a condition."""
        self._conditions.append(condition)
        self.params |= params
        return self

    def equal(self, column: str, value: str | float | None, name: str | None = None) -> Where:
        """Ask for a value; `name` is the parameter's where the column is no plain word."""
        if value is None:
            return self
        name = name or column
        return self.that(f"{column} = %({name})s", **{name: value.value if isinstance(value, Enum) else value})

    def glob(self, column: str, pattern: str | None, name: str) -> Where:
        """Ask for a match; a pattern without a wildcard is a value that an index can find."""
        if pattern is None or not any(character in pattern for character in "*?["):
            return self.equal(column, pattern, name)
        return self.that(f"{column} ~ %({name})s", **{name: translate(pattern)})

    def labels(self, wanted: Mapping[str, str]) -> Where:
        """Ask for labels."""
        if not wanted:
            return self
        return self.that("labels @> %(labels)s::text::jsonb", labels=json.dumps(dict(wanted)))

    def among(self, column: str, values: Iterable[str]) -> Where:
        """Ask for one of these values, if there are any."""
        found = [str(value) for value in values]
        if not found:
            return self
        return self.that(f"{column} = ANY (%(values)s::text[])", values=found)

    def older(self, column: str, after: str | None) -> Where:
        """Go on after the row that the key `after` stands for, newest first.

        Raises:
            ValueError: `after` is no such key.
        """
        if after is None:
            return self
        at, row_id = _split(after)
        return self.that(f"({column}, id) < (%(at)s, %(row_id)s)", at=at, row_id=row_id)


def place(at: datetime, row_id: str) -> str:
    """Return the key that `Where.older` takes to go on after this row."""
    return f"{(at - EPOCH) // timedelta(microseconds=1)}.{row_id}"


def _split(after: str) -> tuple[datetime, str]:
    stamp, _, row_id = after.partition(".")
    try:
        return EPOCH + timedelta(microseconds=int(stamp)), row_id
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{after!r} is no place in this list; take `next` of the page before") from error


def translate(glob: str) -> str:
    """Return the regular expression of PostgreSQL that matches what `fnmatch.fnmatchcase` matches by the glob."""
    return f"^(?:{''.join(_parts(glob))})$"


def _parts(glob: str) -> Iterator[str]:
    at = 0
    while at < len(glob):
        character, end = glob[at], -1
        if character == "[":
            first = at + 2 if glob[at + 1 : at + 2] == "!" else at + 1
            end = glob.find("]", first + 1)  # one that comes first stands for itself
        if end > 0:
            yield _set(glob[at + 1 : end])
            at = end + 1
        else:
            yield {"*": ".*", "?": "."}.get(character) or _escape(character)
            at += 1


def _set(inside: str) -> str:
    """Return the expression of what stands between brackets; a range that is empty matches nothing."""
    inverted = inside.startswith("!")
    members = list(_members(inside.removeprefix("!") if inverted else inside))
    if not members:
        return "." if inverted else NEVER
    return f"[{'^' if inverted else ''}{''.join(members)}]"


def _members(inside: str) -> Iterator[str]:
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            low, high = inside[at], inside[at + 2]
            if low <= high:
                yield f"{_escape(low)}-{_escape(high)}"
            at += 3
        else:
            yield _escape(inside[at])
            at += 1


def _escape(character: str) -> str:
    return f"\\{character}" if character.isascii() and not character.isalnum() else character
