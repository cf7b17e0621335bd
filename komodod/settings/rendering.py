"""Plain data as YAML for people, with a comment behind each value."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from komodod.settings.origins import Path

_PLAIN: Final = re.compile(r"(?:[A-Za-z/][A-Za-z0-9_./@+-]*|(?:\d+(?:\.\d+)?[dhms])+)", re.ASCII)
_NOT_PLAIN: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that YAML 1.1 takes for something else than a text."""


def render(tree: Mapping[str, Any], comments: Mapping[Path, str]) -> str:
    """Return the tree as YAML that komodod reads as the same tree; `comments` are put behind the leaves."""
    return "".join(f"{line}\n" for line in _block(tree, (), comments, ""))


def _block(tree: Mapping[str, Any], path: Path, comments: Mapping[Path, str], indent: str) -> Iterator[str]:
    """Yield the lines of a mapping."""
    for key, value in tree.items():
        here = (*path, key)
        if isinstance(value, dict) and value:
            yield f"{indent}{scalar(key)}:"
            yield from _block(value, here, comments, f"{indent}  ")
        elif isinstance(value, list) and here not in comments and any(isinstance(item, dict) for item in value):
            yield f"{indent}{scalar(key)}:"
            yield from _list(value, here, comments, f"{indent}  ")
        else:
            comment = f"  # {comments[here]}" if here in comments else ""
            yield f"{indent}{scalar(key)}: {flow(value)}{comment}"


def _list(items: list[Any], path: Path, comments: Mapping[Path, str], indent: str) -> Iterator[str]:
    for index, item in enumerate(items):
        for number, line in enumerate(_block(item, (*path, index), comments, f"{indent}  ")):
            yield line if number else f"{indent}- {line.removeprefix(f'{indent}  ')}"


def flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """Return a single value as YAML; a text in quotes unless it is plain in every reading of YAML."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN:
        return value
    return '"' + "".join(_escape(char) for char in value.replace("${", "$${")) + '"'


def _escape(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char == "\n":
        return "\\n"
    return char if char.isprintable() else f"\\U{ord(char):08x}"
