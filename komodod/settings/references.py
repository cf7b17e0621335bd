"""What one part of a configuration says about another: names, references, targets.

A walk over the nodes, whatever was found wrong with each by itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from komodod.redaction import one_line
from komodod.settings.declarations import place
from komodod.settings.nodes import Map, Node, Problems, Scalar, Seq, base_of, shorten
from komodod.settings.wording import unknown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from komodod.settings.declarations import Target
    from komodod.settings.registry import Registry


def check_names(what: str, items: Iterable[Node], problems: Problems) -> set[str]:
    """Note names that are there twice, and return all names."""
    first: dict[str, Node] = {}
    for item in items:
        node = item.get("name") if isinstance(item, Map) else None
        if not isinstance(node, Scalar):
            continue
        twin = first.setdefault(node.text, node)
        if twin is not node:
            problems.at(node, f"two {what} are named {shorten(node.text)}; the other stands at {place(twin)}")
    return set(first)


def check_routes(routes: Iterable[Node], notifiers: set[str], problems: Problems) -> None:
    """Note notifiers that a route names and nobody defines."""
    for route in routes:
        for node in texts(route, "notify"):
            if node.text not in notifiers:
                problems.at(node, unknown("notifier", node.text, notifiers))


def check_plugins(root: Map, registry: Registry, problems: Problems) -> None:
    """Note plugins and source types that are named in `plugins:` and `api:` and do not exist."""
    plugins = registry.plugins | set(registry.broken)
    for node in texts(root, "plugins", "disabled"):
        if node.text not in plugins:
            problems.at(node, unknown("plugin", node.text, plugins))
    for node in texts(root, "plugins", "path"):
        error = registry.broken.get(str(_path(node)))
        if error:
            problems.at(node, one_line(error))
    for node in texts(root, "api", "allow_sources"):
        if node.text not in registry.sources:
            problems.at(node, unknown("source type", node.text, registry.sources))


def check_targets(targets: Iterable[Target], problems: Problems) -> None:
    """Note targets of two syncs of which one is the other, or is inside it."""
    around: list[tuple[tuple[str, ...], Target]] = []
    """The targets that the next one may be inside of, outermost first."""
    for parts, target in sorted(((_parts(target.path), target) for target in targets), key=lambda pair: pair[0]):
        while around and parts[: len(around[-1][0])] != around[-1][0]:
            around.pop()
        other = next((each for _, each in reversed(around) if each.sync != target.sync), None)
        if other is not None:
            problems.at(_said(target), _overlap(target, other))
        around.append((parts, target))


def check_state_dir(target: Target, state_dir: Path, problems: Problems) -> None:
    """Note a target that is the state directory, or holds it: an apply would write over the daemon's own files."""
    parts = _parts(target.path)
    if _parts(state_dir)[: len(parts)] == parts:
        problems.at(_said(target), f"sync {target.sync!r} would write over komodod's own state in {state_dir}")


def touches(one: Path, other: Path) -> bool:
    """Tell whether two directories are the same, or one is inside the other; links are followed."""
    parts = [_parts(one), _parts(other)]
    shared = min(map(len, parts))
    return parts[0][:shared] == parts[1][:shared]


def _overlap(target: Target, other: Target) -> str:
    relation = "also the target" if target.path == other.path else "inside the target"
    where = f"{other.path} ({place(_said(other))})"
    return f"the target of sync {target.sync!r} is {relation} of sync {other.sync!r}, {where}"


def texts(node: Node, *keys: str) -> list[Scalar]:
    """Return the texts that stand at the end of these keys: one, or a list of them."""
    found: Node | None = node
    for key in keys:
        found = found.get(key) if isinstance(found, Map) else None
    items = found.items if isinstance(found, Seq) else [found]
    return [item for item in items if isinstance(item, Scalar)]


def _path(node: Scalar) -> Path | None:
    """Return the path that a text means; None if it cannot be told."""
    try:
        return (base_of(node) or Path("/")) / Path(node.text).expanduser()
    except RuntimeError:
        return None


def _parts(path: Path) -> tuple[str, ...]:
    return Path(os.path.realpath(path)).parts


def _said(target: Target) -> Node:
    """Return the value in the source that means this target, else the source itself."""
    for _, value in target.node.entries.values():
        if isinstance(value, Scalar) and value.text and target.path == _path(value):
            return value
    return target.node
