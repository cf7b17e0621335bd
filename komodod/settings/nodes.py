"""The values of a YAML file, each with its place.

A scalar keeps the text that was written: whether `010` or `off` is a text, a number or a truth is for the model that
wants it to say, not for YAML 1.1. Only `null`, `~` and nothing at all mean "no value", unless quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from komodod.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Collection

    from komodod.model import Json

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\d{1,18}\.\d{0,18}|\.\d{1,18})(?:[eE][-+]?\d{1,3})?", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(slots=True, eq=False)
class Scalar:
    """A value as it was written. `plain` means without quotes; `variables` names those that were filled in.

    `spoilt`: a problem with it is known, so that what follows from it is not worth telling.
    """

    file: Path
    line: int
    column: int
    text: str
    plain: bool = True
    variables: tuple[str, ...] = ()
    spoilt: bool = False

    @property
    def null(self) -> bool:
        """Whether it stands for no value. A variable that is empty is an empty text."""
        return self.plain and self.text in _NULLS and not self.variables


@dataclass(slots=True, eq=False)
class Seq:
    """A list."""

    file: Path
    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Map:
    """A mapping, by the text of its keys: each key's own node, then its value."""

    file: Path
    line: int
    column: int
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)

    def get(self, key: str) -> Node | None:
        """Return the value of `key`; None if there is none, or it is null."""
        entry = self.entries.get(key)
        return None if entry is None or is_null(entry[1]) else entry[1]


Node: TypeAlias = Scalar | Seq | Map


@dataclass(slots=True)
class Problems:
    """What is wrong, as it is found."""

    found: list[Problem] = field(default_factory=list)

    def at(self, node: Node, message: str) -> None:
        """Note a mistake, unless it only follows from one that is known."""
        if not (isinstance(node, Scalar) and node.spoilt):
            self.found.append(Problem(message, node.file, node.line, node.column))


def is_null(node: Node) -> bool:
    """Tell whether the node is a scalar that stands for no value."""
    return isinstance(node, Scalar) and node.null


def plain(node: Node, typed: Collection[int] = ()) -> Json:
    """Return the node as plain data: texts, None, lists and mappings.

    `typed` holds the `id()` of scalars to be read as YAML 1.2 reads them: `5` as a number, `true` as a truth.
    """
    if isinstance(node, Scalar):
        return read(node) if id(node) in typed else None if node.null else node.text
    if isinstance(node, Seq):
        return [plain(item, typed) for item in node.items]
    return {name: plain(value, typed) for name, (_, value) in node.entries.items()}


def read(node: Scalar) -> Json:
    """Return what YAML 1.2 (core schema, decimal) takes the scalar for."""
    if not node.plain:
        return node.text
    if node.null or node.text in _TRUTHS:
        return _TRUTHS.get(node.text)
    if _INTEGER.fullmatch(node.text):
        return int(node.text)
    return float(node.text) if _FLOAT.fullmatch(node.text) else node.text


def complain(text: str) -> str | None:
    """Return what is wrong with a text that holds a control character (tab and line breaks may stand), else None."""
    match = _CONTROL.search(text)
    return f"holds the control character U+{ord(match[0]):04X}; take it out" if match else None


def describe(node: Node) -> str:
    """Return what kind of thing a node is."""
    if isinstance(node, Scalar):
        return "nothing" if node.null else "a single value"
    return "a list" if isinstance(node, Seq) else "a mapping"


def without(node: Map, keys: Collection[str]) -> Map:
    """Return the mapping without these keys."""
    return Map(node.file, node.line, node.column, {k: entry for k, entry in node.entries.items() if k not in keys})


def only(node: Map, keys: Collection[str]) -> Map:
    """Return the mapping with these keys alone."""
    return Map(node.file, node.line, node.column, {k: entry for k, entry in node.entries.items() if k in keys})


def is_own(name: str) -> bool:
    """Tell whether a top-level key is the writer's own (`x-...`): a place for anchors."""
    return name.startswith("x-")


def base_of(node: Node) -> Path | None:
    """Return the directory that relative paths of this node start from; None for what stands in no file."""
    return node.file.absolute().parent if node.line else None


def shorten(text: str) -> str:
    """Return the text in quotes, on one line, cut where it would fill the line."""
    return repr(text) if len(text) <= 60 else f"{text[:57]!r}..."
