"""A sync that somebody asks for without a file: its keys and values as JSON, checked as an item of `syncs:` is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from komodod.errors import ConfigError
from komodod.settings.composer import DEEPEST
from komodod.settings.declarations import Surroundings, declare_sync
from komodod.settings.nodes import Map, Node, Problems, Scalar, Seq, complain
from komodod.settings.references import check_state_dir, touches

if TYPE_CHECKING:
    from komodod.model import Json, Spec
    from komodod.settings.registry import Registry

_NOWHERE: Final = 0
"""The line and column of what stands in no file."""


def parse_spec(
    name: str,
    raw: Mapping[str, Json],
    registry: Registry,
    *,
    state_dir: Path,
    base: Path | None = None,
    timezone: str | None = None,
    others: Sequence[tuple[str, Spec]] = (),
) -> Spec:
    """Return the spec that `raw` describes: the keys of an item of `syncs:` but `name`.

    A path must be absolute, or relative to `base`, the caller's directory. No variable is filled in, no credential
    looked for: who asks is not the file that the daemon was told to trust. `timezone` is the top-level one. `others`
    are the syncs whose targets this one must keep away from; one of the same name is passed over.

    Raises:
        ConfigError: all that is wrong with it; the path of keys stands in place of a problem's file.
    """
    problems = Problems()
    node = _node({**raw, "name": name}, (), problems)
    around = Surroundings(
        registry=registry, environ={}, disabled=frozenset(), timezone=timezone, problems=problems, base=base
    )
    found = declare_sync(node, around)
    for target in found[1] if found else ():
        check_state_dir(target, state_dir, problems)
        for other, spec in others:
            if other != name and any(touches(target.path, path) for path in targets(spec, registry)):
                problems.at(target.node, f"the target {target.path} touches the target of sync {other!r}")
    if found is None or problems.found:
        raise ConfigError(problems.found)
    return found[0].spec


def targets(spec: Spec, registry: Registry) -> Sequence[Path]:
    """Return the directories that a sync writes to; none if its source type is not known now."""
    kind = spec.source["type"]
    if kind not in registry.sources:
        return ()
    source = registry.sources[kind]
    return source.targets(source.Config.model_validate({key: spec.source[key] for key in spec.source if key != "type"}))


def _node(value: Json, path: tuple[str, ...], problems: Problems) -> Node:
    """Return JSON as nodes, each with its path of keys in place of a file."""
    place = Path(".".join(path) or "sync")
    if len(path) > DEEPEST:
        return _spoilt(place, f"more than {DEEPEST} lists and mappings inside one another", problems)
    if isinstance(value, Mapping):
        entries = {
            str(key): (_scalar(str(key), place, problems), _node(inner, (*path, str(key)), problems))
            for key, inner in value.items()
        }
        return Map(place, _NOWHERE, _NOWHERE, entries)
    if isinstance(value, list | tuple):
        items = [_node(inner, (*path, str(index)), problems) for index, inner in enumerate(value)]
        return Seq(place, _NOWHERE, _NOWHERE, items)
    return _scalar(value, place, problems)


def _scalar(value: Json, place: Path, problems: Problems) -> Scalar:
    if value is None or isinstance(value, bool | int | float):
        return Scalar(place, _NOWHERE, _NOWHERE, json.dumps(value))
    complaint = complain(str(value))
    if complaint:
        return _spoilt(place, f"the text {complaint}", problems)
    return Scalar(place, _NOWHERE, _NOWHERE, str(value), plain=False)


def _spoilt(place: Path, message: str, problems: Problems) -> Scalar:
    node = Scalar(place, _NOWHERE, _NOWHERE, "")
    problems.at(node, message)
    node.spoilt = True
    return node
