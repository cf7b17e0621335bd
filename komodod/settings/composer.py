"""Nodes out of the parser's events.

Equal keys, tags, a second document and keys that are no texts are mistakes. Anchors, aliases and merge keys (`<<`)
work. There is no recursion here: depth and copies are refused before they cost anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from komodod.errors import Problem
from komodod.settings.nodes import Map, Node, Scalar, Seq, complain, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

DEEPEST: Final = 50
"""Mappings and lists inside one another."""
MOST_COPIES: Final = 500_000
"""Values that the aliases of one file may stand for in all: enough for defaults merged into 10,000 syncs."""

_TEXT_TAGS: Final = frozenset({"!", "tag:yaml.org,2002:str"})


class Composer:
    """Takes the events of one file, in order.

    `only` are the keys of the root that are wanted, None for all; the values of the others are passed over, with their
    anchors. `root` is what the events made; `templates` are the values with `${` in them, each once, by their `id()`; `problems` are
    the mistakes that composing could go on after. `feed` raises `Problem` for the others.
    """

    def __init__(self, file: Path, only: Collection[str] | None = None) -> None:
        self.file = file
        self.only = only
        self.root: Node | None = None
        self.templates: dict[int, Scalar] = {}
        self.problems: list[Problem] = []
        self._open: list[tuple[Seq | Map, str | None, int]] = []
        """The collections around the next node, innermost last; each with its anchor and the count at its start."""
        self._keys: list[Scalar | None] = []
        """For each of them the key that waits for its value."""
        self._anchors: dict[str, tuple[Node, int]] = {}
        """Finished nodes and how many values each stands for."""
        self._count = 0
        self._copies = 0
        self._passed: int | None = None
        """Collections that are open in a value that is passed over; None where none is."""
        self._handlers: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.SequenceStartEvent: self._start,
            yaml.MappingStartEvent: self._start,
            yaml.SequenceEndEvent: self._end,
            yaml.MappingEndEvent: self._end,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._begin,
        }

    def feed(self, event: yaml.Event) -> None:
        """Take the next event."""
        if self._passed is not None:
            self._pass(event)
            return
        handle = self._handlers.get(type(event))
        if handle is not None:
            handle(event)

    def _pass(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.CollectionStartEvent):
            self._passed = (self._passed or 0) + 1
        elif isinstance(event, yaml.CollectionEndEvent):
            self._passed = (self._passed or 0) - 1
        if self._passed == 0:
            self._passed = self._keys[-1] = None

    def _problem(self, event: Any, message: str) -> Problem:
        return Problem(message, self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _begin(self, event: Any) -> None:
        if self.root is not None:
            raise self._problem(event, "a second document starts here; a file holds one")

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        node = Scalar(self.file, mark.line + 1, mark.column + 1, event.value, event.implicit[0])
        if event.tag is not None:
            self._check_tag(event)
        if event.style == '"':  # only an escape can bring a control character this far
            complaint = complain(event.value)
            if complaint:
                node.spoilt = True
                self.problems.append(self._problem(event, f"the text {complaint}"))
        self._count += 1
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, 1)
        self._add(node)

    def _check_tag(self, event: Any) -> None:
        if event.tag not in _TEXT_TAGS:
            message = f"the tag {shorten(event.tag)} means nothing here; write the value without it"
            self.problems.append(self._problem(event, message))

    def _start(self, event: Any) -> None:
        if event.tag is not None:
            self._check_tag(event)
        if len(self._open) >= DEEPEST:
            raise self._problem(event, f"more than {DEEPEST} lists and mappings inside one another")
        mark = event.start_mark
        kind = Map if isinstance(event, yaml.MappingStartEvent) else Seq
        node = kind(self.file, mark.line + 1, mark.column + 1)
        self._add(node)
        self._open.append((node, event.anchor, self._count))
        self._keys.append(None)
        self._count += 1

    def _end(self, _event: Any) -> None:
        node, anchor, count = self._open.pop()
        self._keys.pop()
        if isinstance(node, Map) and "<<" in node.entries:
            self._merge(node)
        if anchor is not None:
            self._anchors[anchor] = (node, self._count - count)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self._problem(event, f"no anchor {shorten(event.anchor)} ends before this alias")
        node, size = self._anchors[event.anchor]
        self._count += size
        self._copies += size
        if self._copies > MOST_COPIES:
            raise self._problem(event, f"the aliases up to here stand for more than {MOST_COPIES} values")
        self._add(node)

    def _add(self, node: Node) -> None:
        """Put a node where it belongs: the root, an item, a key, or the value of the key before."""
        parent = self._open[-1][0] if self._open else None
        if isinstance(parent, Map) and self._keys[-1] is None:
            self._keys[-1] = self._key(node)
            if (
                self.only is not None
                and len(self._open) == 1
                and isinstance(node, Scalar)
                and node.text not in self.only
            ):
                self._passed = 0
            return
        if isinstance(node, Scalar) and "${" in node.text:
            self.templates[id(node)] = node
        if parent is None:
            self.root = node
        elif isinstance(parent, Seq):
            parent.items.append(node)
        else:
            key, self._keys[-1] = self._keys[-1], None
            self._enter(parent, key, node)

    def _key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar):
            return node
        self.problems.append(Problem("a key is a text, not a list or a mapping", node.file, node.line, node.column))
        return Scalar(node.file, node.line, node.column, "", spoilt=True)

    def _enter(self, parent: Map, key: Scalar | None, node: Node) -> None:
        if key is None or key.spoilt:
            return
        first = parent.entries.setdefault(key.text, (key, node))[0]
        if first is not key:
            message = f"key {shorten(key.text)} stands twice, first in line {first.line}"
            self.problems.append(Problem(message, key.file, key.line, key.column))

    def _merge(self, node: Map) -> None:
        """Resolve `<<`: what stands in the mapping itself wins, then the earlier of several merged ones."""
        key, value = node.entries["<<"]
        if not key.plain:
            return
        del node.entries["<<"]
        for source in value.items if isinstance(value, Seq) else [value]:
            if isinstance(source, Map):
                for name, entry in source.entries.items():
                    node.entries.setdefault(name, entry)
            else:
                self.problems.append(Problem("'<<' takes mappings only", source.file, source.line, source.column))
