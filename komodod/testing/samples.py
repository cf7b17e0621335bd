"""A value of any type of the model with every field set, so that nothing that is new to the model goes untried."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from zlib import crc32

T = TypeVar("T")

HOSTILE = "ü☃𝄞 %_[*?]'\"\\\n\u2028"
"""What every text of a sample ends in: what quoting, globs and encodings go wrong on."""

NESTED = {"none": None, "numbers": [1, 2.5, 2**53], HOSTILE: [{"deep": True}]}
"""What stands where a plugin may keep any JSON."""


def complete(kind: type[T], **fields: Any) -> T:
    """Return a `kind` in which every field is set, none to a default that is empty; `fields` go as they are."""
    hints = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.name not in fields]  # type: ignore[arg-type]  # of the model's dataclasses
    return kind(**{name: _fill(hints[name], name) for name in names}, **fields)


def _fill(hint: Any, name: str) -> Any:
    number = crc32(name.encode()) % 1_000_000 + 1  # microseconds, so that none of them may be lost
    if hint is Any:
        return NESTED
    if arguments := get_args(hint):
        return _gather(hint, arguments, name)
    if dataclasses.is_dataclass(hint):
        return complete(hint)  # type: ignore[arg-type]  # hints are types
    if issubclass(hint, Enum):
        return list(hint)[-1]
    made = {
        str: f"{name} {HOSTILE}",
        bool: True,
        int: number,
        float: number / 7,
        datetime: datetime(2026, 2, 28, tzinfo=UTC) + timedelta(microseconds=number),
    }
    return made[hint]


def _gather(hint: Any, arguments: tuple[Any, ...], name: str) -> Any:
    origin = get_origin(hint)
    if origin is Mapping:
        return {_fill(arguments[0], name): _fill(arguments[1], name)}
    if origin in (tuple, frozenset):
        return origin([_fill(arguments[0], name)])
    return _fill(next(argument for argument in arguments if argument is not NoneType), name)
