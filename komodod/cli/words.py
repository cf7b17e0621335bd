"""Instants, durations, counts and foreign texts as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

NOTHING: Final = "-"

_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60))


def instant(text: str | None) -> str:
    """Return an instant of the API in local time, to the second, with its offset."""
    if text is None:
        return NOTHING
    return datetime.fromisoformat(text).astimezone().isoformat(sep=" ", timespec="seconds")


def duration(seconds: float | None) -> str:
    """Return seconds as the YAML writes them: `90` is `1m30s`.

    It is `komodod.durations.spell`, whose module needs pydantic (150 ms); a test holds the two together.
    """
    if seconds is None:
        return NOTHING
    parts, rest = [], round(seconds, 3)
    for unit, size in _UNITS:
        number, rest = divmod(rest, size)
        parts.append(f"{number:.0f}{unit}" if number else "")
    if rest or not any(parts):
        parts.append(f"{round(rest, 3):g}s")
    return "".join(parts)


def count(number: int, noun: str) -> str:
    """Return `1 change`, `2 changes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def pairs(labels: Mapping[str, str] | None) -> str:
    """Return labels as `team=web,tier=1`."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NOTHING


def listed(names: Iterable[str]) -> str:
    """Return names with commas between them."""
    return ", ".join(names) or NOTHING


def printable(text: object, keep: str = "") -> str:
    r"""Return a text that cannot steer a terminal: what is not printable stands as `\x1b`; `keep` may stand as it is."""
    return "".join(char if char.isprintable() or char in keep else _escape(char) for char in str(text))


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def fields(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return lines of `name  value`, the values below one another; a value of several lines is indented."""
    kept = list(rows)
    width = max((len(name) for name, _ in kept), default=0) + 2
    return [f"{name:<{width}}" + value.replace("\n", "\n" + " " * width) for name, value in kept]
