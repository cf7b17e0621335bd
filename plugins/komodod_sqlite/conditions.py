"""The conditions of a list, with their parameters."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LAST = 2**63 - 1
"""What is after every instant and every cursor."""


LABELLED = """NOT EXISTS (
    SELECT 1 FROM json_each(:labels) AS wanted WHERE NOT EXISTS (
        SELECT 1 FROM json_each({place}) AS found WHERE found.key = wanted.key AND found.value = wanted.value
    )
)"""
AMONG = "{column} IN (SELECT value FROM json_each(:values))"


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
        return self.that(f"{column} = :{name}", **{name: value.value if isinstance(value, Enum) else value})

    def glob(self, column: str, pattern: str | None, name: str) -> Where:
        """Ask for a match; a pattern without a wildcard is a value that an index can find."""
        if pattern is None or not any(character in pattern for character in "*?["):
            return self.equal(column, pattern, name)
        return self.that(f"fnmatch({column}, :{name})", **{name: pattern})

    def labels(self, place: str, wanted: Mapping[str, str]) -> Where:
        """Ask for labels; `place` is what json_each takes to find those of a row."""
        if not wanted:
            return self
        return self.that(LABELLED.replace("{place}", place), labels=json.dumps(dict(wanted)))

    def among(self, column: str, values: Iterable[str]) -> Where:
        """Ask for one of these values, if there are any."""
        found = [str(value) for value in values]
        if not found:
            return self
        return self.that(AMONG.replace("{column}", column), values=json.dumps(found))

    def older(self, column: str, after: str | None) -> Where:
        """Go on after the row that the key `after` stands for, newest first.

        Raises:
            ValueError: `after` is no such key.
        """
        stamp, row_id = (LAST, "") if after is None else _split(after)
        return self.that(f"({column}, id) < (:stamp, :row_id)", stamp=stamp, row_id=row_id)


def place(stamp: int, row_id: str) -> str:
    """Return the key that `Where.older` takes to go on after this row."""
    return f"{stamp}.{row_id}"


def _split(after: str) -> tuple[int, str]:
    stamp, _, row_id = after.partition(".")
    if not stamp.removeprefix("-").isascii() or not stamp.removeprefix("-").isdigit() or abs(int(stamp)) > LAST:
        raise ValueError(f"{after!r} is no place in this list; take `next` of the page before")
    return int(stamp), row_id
