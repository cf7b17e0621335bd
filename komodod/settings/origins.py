"""Where each value of the configuration in effect came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from komodod.settings.models import INCLUDED
from komodod.settings.nodes import Map, Node, Scalar, Seq

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from komodod.settings.loading import Parts

Path = tuple[str | int, ...]
"""Keys and indices from the root to a value."""

DEFAULT: Final = "default"


def trace(tree: Mapping[str, Any], parts: Parts, environ: Mapping[str, str]) -> dict[Path, str]:
    """Return for each leaf of the tree `file:line` (and the variables in it), the variable it is, or `default`.

    `tree` is `effective()` of the settings that these files describe. A list of single values is a leaf.
    """
    roots: dict[str, Node | list[Node] | None] = {key: parts.main.get(key) for key in tree}
    roots |= {key: parts.items(key) for key in INCLUDED}
    return {path: _origin(path, roots, environ) for path in leaves(tree)}


def leaves(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all leaves, in order; what is empty is a leaf too."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value) and len(path) == 1:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def _origin(path: Path, roots: Mapping[str, Node | list[Node] | None], environ: Mapping[str, str]) -> str:
    node = _find(path, roots)
    if node is not None:
        return _said(node)
    if path == ("state_dir",):
        return next((f"${name}" for name in ("STATE_DIRECTORY", "XDG_STATE_HOME") if environ.get(name)), DEFAULT)
    if path == ("api", "socket"):
        return "$RUNTIME_DIRECTORY" if environ.get("RUNTIME_DIRECTORY") else "state_dir"
    if path[-1] == "timezone" and len(path) > 1:
        return _origin(("timezone",), roots, environ)
    return DEFAULT


def _find(path: Path, roots: Mapping[str, Node | list[Node] | None]) -> Node | None:
    """Return the node that a path of the tree leads to; None where the files say nothing."""
    node: Node | list[Node] | None = roots[str(path[0])]
    for step in path[1:]:
        if isinstance(node, list) and isinstance(step, int):
            node = node[step]
        else:
            node = node.get(str(step)) if isinstance(node, Map) else None
    return None if isinstance(node, list) else node


def _said(node: Node) -> str:
    """Return `file:line` of a node, and the variables that had a say in it."""
    variables = " ".join(f"${name}" for name in dict.fromkeys(_variables(node)))
    return f"{node.file}:{node.line}" + (f" {variables}" if variables else "")


def _variables(node: Node) -> Iterator[str]:
    if isinstance(node, Scalar):
        yield from node.variables
    elif isinstance(node, Seq):
        for item in node.items:
            yield from _variables(item)
