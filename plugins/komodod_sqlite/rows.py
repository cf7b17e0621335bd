"""Values of the model as rows, and back.

A column for each field, by the same name. Instants are microseconds since 1970, booleans 0 or 1, enums their values;
whatever has a structure is JSON.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from operator import attrgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, get_args, get_type_hints

from komodod import codec
from komodod.errors import StorageError
from komodod.model import Alert, Changes, Doubt, Event, HookCall, Notification, Sync
from komodod.storage import Lease, Work

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")
Convert = Callable[[Any], Any] | None
"""How a field that is set becomes a column or a column a field; None where they are the same."""

EPOCH: Final = datetime.fromtimestamp(0, UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def stamp(at: datetime) -> int:
    """Return the instant as microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def instant(number: int) -> datetime:
    """Return the instant that is this many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=number)


class Table(Generic[T]):
    """How the rows of one type are written and read; the fields in `apart` are kept elsewhere."""

    def __init__(self, kind: type[T], apart: Sequence[str] = ()) -> None:
        hints = get_type_hints(kind)
        self.columns = tuple(field.name for field in dataclasses.fields(kind) if field.name not in apart)  # type: ignore[arg-type]  # of the model's dataclasses
        self._kind = kind
        self._writers = [(name, _writer(_plain(hints[name]))) for name in self.columns]
        self._readers = [(name, _reader(_plain(hints[name]))) for name in self.columns]

    def write(self, value: T) -> dict[str, Any]:
        """Return the parameters that stand for the value."""
        fields = ((name, convert, getattr(value, name)) for name, convert in self._writers)
        return {name: field if convert is None or field is None else convert(field) for name, convert, field in fields}

    def build(self, row: Mapping[str, Any], **apart: Any) -> T:
        """Return the value that the row stands for.

        Raises:
            StorageError: a column holds what komodod did not write.
        """
        columns = ((name, convert, row[name]) for name, convert in self._readers)
        try:
            fields = {name: it if convert is None or it is None else convert(it) for name, convert, it in columns}
        except (ValueError, TypeError, OverflowError) as error:
            which = f"{self._kind.__name__.lower()} {row.get('id', '')}".strip()
            raise StorageError(
                f"the {which} in the store cannot be read; restore a backup, or mend it by hand"
            ) from error
        return self._kind(**fields, **apart)

    def read(self, found: sqlite3.Cursor) -> list[T]:
        """Return the values that the rows stand for."""
        return [self.build(row) for row in records(found)]


def records(found: sqlite3.Cursor) -> list[dict[str, Any]]:
    """Return the rows by the names of their columns."""
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def lease(row: Mapping[str, Any]) -> Lease:
    """Return the lease that the row stands for."""
    return Lease(Work(row["work"]), row["row_id"], row["worker"], row["token"], instant(row["until"]))


def _plain(hint: Any) -> Any:
    """Return the type of a field that is set."""
    if NoneType in (arguments := get_args(hint)):
        return next(argument for argument in arguments if argument is not NoneType)
    return hint


def _writer(hint: Any) -> Convert:
    if hint in (str, int):
        return None
    if hint is bool:
        return int
    if hint is datetime:
        return stamp
    if isinstance(hint, type) and issubclass(hint, Enum):
        return attrgetter("value")
    return lambda field: codec.encode(hint, field)


def _reader(hint: Any) -> Convert:
    if hint in (str, int):
        return None
    if hint is datetime:
        return instant
    if hint is bool or (isinstance(hint, type) and issubclass(hint, Enum)):
        return hint
    return lambda field: codec.decode(hint, field)


SYNCS: Final = Table(Sync)
CHANGES: Final = Table(Changes)
ALERTS: Final = Table(Alert)
NOTIFICATIONS: Final = Table(Notification, apart=("doubts",))
DOUBTS: Final = Table(Doubt)
EVENTS: Final = Table(Event)
HOOK_CALLS: Final = Table(HookCall)
