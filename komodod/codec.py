"""Values of the model as JSON, and back.

Instants are ISO 8601 in UTC with a `Z`, enums their values, sets sorted lists, dataclasses objects of all their fields.
What is read back is equal to what was written. Unknown keys are ignored and absent ones take their default, so what an
older komodod wrote stays readable.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from komodod.model import Json

T = TypeVar("T")


def dump(value: object) -> Json:
    """Return the value as what `json.dumps` takes, always in the same order.

    Raises:
        TypeError: there is something in it that JSON has no word for.
    """
    match value:
        case Enum():
            return value.value
        case None | str() | bool() | int() | float():
            return value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Mapping():
            return {str(key): dump(item) for key, item in value.items()}
        case tuple() | list():
            return [dump(item) for item in value]
        case set() | frozenset():
            return sorted(dump(item) for item in value)
    if dataclasses.is_dataclass(value):
        return {name: dump(getattr(value, name)) for name in _names(type(value))}
    raise TypeError(f"a {type(value).__name__} has no JSON: {value!r}")


def load(kind: type[T], value: Json) -> T:
    """Return the `kind` that `dump` made `value` of.

    Raises:
        ValueError: it is no such thing (pydantic's ValidationError, which says where).
    """
    return _adapter(kind).validate_python(value)  # type: ignore[no-any-return]  # the adapter is of this kind


def encode(kind: type[T], value: T) -> str:
    """Return the value as JSON text; the order within sets is not specified.

    Raises:
        ValueError: a text in it is not valid Unicode (a lone surrogate).
    """
    return _adapter(kind).dump_json(value).decode()


def decode(kind: type[T], text: str | bytes) -> T:
    """Return the `kind` that `encode` made `text` of.

    Raises:
        ValueError: as `load`.
    """
    return _adapter(kind).validate_json(text)  # type: ignore[no-any-return]  # as in load


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


_names: Callable[[Any], tuple[str, ...]] = cache(_fields)
