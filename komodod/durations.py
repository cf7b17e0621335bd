"""Durations as people write them: a number of seconds, or a text such as `90s`, `10m`, `1h30m`, `2d`."""

from __future__ import annotations

import math
import re
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
"""Seconds in each unit, largest first; a text names each at most once and in this order."""

LONGEST: Final = 36_500 * UNITS["d"]
"""A hundred years, so that adding a duration to an instant never overflows."""

_TEXT: Final = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in UNITS), re.ASCII)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def parse(value: object) -> float:
    """Return the seconds that a value of a configuration stands for.

    Raises:
        ValueError: it is no duration, is not above zero, or is above a hundred years.
    """
    seconds = _seconds(value)
    if seconds is None or math.isnan(seconds):
        raise ValueError(f"{value!r} is no duration; write seconds, or a text like '90s', '10m', '1h30m', '2d'")
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{value!r} is out of range; a duration is above zero and at most a hundred years")
    return seconds


def spell(seconds: float) -> str:
    """Return the text that `parse` reads as this many seconds, to the millisecond: `1h30m`, `0.25s`."""
    parts, rest = [], round(seconds, 3)
    for unit, size in UNITS.items():
        if unit == "s":
            break
        count, rest = divmod(rest, size)
        parts.append(f"{count:.0f}{unit}" if count else "")
    if rest or not any(parts):
        parts.append(f"{round(rest, 3):g}s")
    return "".join(parts)


def _seconds(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(min(value, 2 * LONGEST))  # an int may be too large for a float
    if not isinstance(value, str):
        return None
    if _NUMBER.fullmatch(value):
        return float(value)
    match = _TEXT.fullmatch(value)
    if not value or match is None:
        return None
    return sum(float(number) * size for number, size in zip(match.groups(), UNITS.values(), strict=True) if number)


Duration = Annotated[
    float,
    BeforeValidator(parse),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST},
                {"type": "string", "pattern": r"^(?=.)(\d+(\.\d+)?d)?(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s?)?$"},
            ]
        }
    ),
]
"""A duration in a configuration; seconds as float afterwards, and when dumped."""
