"""Cron expressions: five fields of text, read as cron itself reads them.

They are read here and not by APScheduler, which counts weekdays from Monday (0 is Sunday in cron, and so is 7), drops
the step of `mon-fri/2` without a word, and wants both where a day of the month *and* a weekday are given (cron: either).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST_MONTH: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The instants that an expression stands for, as the values each field allows, ascending.

    `weekdays` counts from 0, Sunday. `either` says that a day counts if `days` or `weekdays` has it: so it is in cron
    where both fields are given; else it must be in both. `zone` is the zone of the wall clock meant, None the system's.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either: bool
    zone: ZoneInfo | None


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """Return the value that `text` names."""
        if text.lower() in self.names:
            return self.low + self.names.index(text.lower())
        if not re.fullmatch(r"[0-9]{1,9}", text) or not self.low <= int(text) <= self.high:
            known = f" or one of {self.names[0]} to {self.names[-1]}" if self.names else ""
            raise ValueError(f"{self.name} {text!r} is no number from {self.low} to {self.high}{known}")
        return int(text)


_MINUTE: Final = _Field("minute", 0, 59)
_HOUR: Final = _Field("hour", 0, 23)
_DAY: Final = _Field("day", 1, 31)
_MONTH: Final = _Field("month", 1, 12, MONTHS)
_WEEKDAY: Final = _Field("weekday", 0, 7, WEEKDAYS)


def parse(expression: str, timezone: str | None = None) -> Cron:
    """Read the five fields `minute hour day month weekday`, each `*`, `5`, `1-5`, `*/10`, `8-18/2` or a list of those.

    Months and weekdays may be named by their first three letters.

    Raises:
        ValueError: the expression or the time zone is not valid, or no date ever fits.
    """
    texts = expression.split()
    if len(texts) != 5:
        raise ValueError(f"{expression!r} has {len(texts)} fields; cron has five: minute hour day month weekday")
    minute, hour, day, month, weekday = texts
    try:
        cron = Cron(
            minutes=_values(_MINUTE, minute),
            hours=_values(_HOUR, hour),
            days=_values(_DAY, day),
            months=_values(_MONTH, month),
            weekdays=tuple(sorted({value % 7 for value in _values(_WEEKDAY, weekday)})),
            either=not (day.startswith("*") or weekday.startswith("*")),
            zone=zone(timezone),
        )
    except ValueError as error:
        raise ValueError(f"{expression!r}: {error}") from error
    if not cron.either and min(cron.days) > max(LONGEST_MONTH[month - 1] for month in cron.months):
        raise ValueError(f"{expression!r} never comes: none of its months has a day {min(cron.days)}")
    return cron


def zone(name: str | None) -> ZoneInfo | None:
    """Return the time zone of this name; None, the system's, for None.

    Raises:
        ValueError: there is none of this name.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}; they are named like 'Europe/Berlin' or 'UTC'") from error


def _values(field: _Field, text: str) -> tuple[int, ...]:
    values: set[int] = set()
    for part in text.split(","):
        values.update(_part(field, part))
    return tuple(sorted(values))


def _part(field: _Field, text: str) -> range:
    span, slash, step = text.partition("/")
    if slash and not re.fullmatch(r"[1-9][0-9]{0,8}", step):
        raise ValueError(f"{field.name} {text!r} has the step {step!r}; a step is a number above zero")
    low, high = _span(field, span, open_ended=bool(slash))
    return range(low, high + 1, int(step) if slash else 1)


def _span(field: _Field, text: str, *, open_ended: bool) -> tuple[int, int]:
    if text == "*":
        return field.low, 6 if field is _WEEKDAY else field.high
    first, dash, last = text.partition("-")
    low = field.number(first)
    if not dash:
        return low, field.high if open_ended else low
    # A week that ends on Sunday: `sat-sun` is 6-7.
    high = 7 if field is _WEEKDAY and last.lower() == "sun" else field.number(last)
    if high < low:
        raise ValueError(f"{field.name} {text!r} ends before it begins; write two ranges with a comma")
    return low, high
