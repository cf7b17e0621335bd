"""`KEY=VALUE` as it is written on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from komodod.errors import UsageError

if TYPE_CHECKING:
    from komodod.model import Json


def read_labels(texts: Iterable[str]) -> dict[str, str]:
    """Return labels by their keys.

    Raises:
        UsageError: one is not `KEY=VALUE`.
    """
    return dict(_split(text, "--label") for text in texts)


def read_settings(texts: Iterable[str], jsons: Iterable[str]) -> dict[str, Json]:
    """Return the keys of a source: texts, as lists where a key stands several times, and JSON values.

    Raises:
        UsageError: one is not `KEY=VALUE`, is no JSON, or stands in both.
    """
    found: dict[str, Json] = {}
    for key, value in (_split(text, "--set") for text in texts):
        found[key] = value if key not in found else [*_listed(found[key]), value]
    for key, value in (_split(text, "--set-json") for text in jsons):
        if key in found:
            raise UsageError(f"the key {key!r} is set twice; give it once")
        found[key] = _read(key, value)
    return found


def _split(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"{option} {text!r}: write KEY=VALUE")
    return key, value


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _read(key: str, value: str) -> Json:
    try:
        return json.loads(value)
    except ValueError as error:
        raise UsageError(f"--set-json {key}: {value!r} is no JSON: {error}") from error
