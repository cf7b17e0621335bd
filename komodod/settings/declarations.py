"""Storage, notifiers, routes and syncs: each from its mapping, with the plugin's part checked by the plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from pydantic import BaseModel, SecretStr

from komodod import cron
from komodod.engine.decisions.routing import Route
from komodod.model import Spec
from komodod.redaction import one_line
from komodod.settings.models import NotifierSection, RouteSection, SourceSection, StorageSection, SyncSection
from komodod.settings.nodes import Map, Node, Problems, Scalar, base_of, only, without
from komodod.settings.registry import Registry
from komodod.settings.validation import check, locate, mapping, validation_context
from komodod.settings.values import DeclaredNotifier, DeclaredStorage, DeclaredSync
from komodod.settings.wording import blame, unknown

if TYPE_CHECKING:
    from komodod.settings.registry import Registry

EVERY: Final = 300.0
"""Seconds between two checks of a sync that says neither `every` nor `cron`."""

_TYPE: Final = frozenset({"type"})
_NAME_AND_TYPE: Final = frozenset({"name", "type"})


class Configurable(Protocol):
    """What the classes of storages, notifiers and sources have in common here."""

    Config: ClassVar[type[BaseModel]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a declaration is checked against. `timezone` is the top-level one.

    `base` is what paths are relative to where it is not the file they stand in.
    """

    registry: Registry
    environ: Mapping[str, str]
    disabled: frozenset[str]
    timezone: str | None
    problems: Problems
    base: Path | None = None

    def context(self, node: Node) -> dict[str, Any]:
        """Return pydantic's validation context for what stands in the file of this node."""
        return validation_context(self.base or base_of(node), self.environ)


@dataclass(frozen=True, slots=True)
class Target:
    """A directory that a sync writes to, and the `source:` that says so."""

    path: Path
    sync: str
    node: Map


def declare_storage(node: Node | None, root: Map, around: Surroundings) -> DeclaredStorage | None:
    """Return the store that `storage:` describes; the default one if it is not there."""
    body = mapping(node or Map(root.file, root.line, root.column), around.problems)
    if body is None:
        return None
    head = check(StorageSection, only(body, _TYPE), around.problems, around.context(body))
    if head is None:
        return None
    config = _configure("storage", head.type, body, around.registry.storages, around, head=_TYPE)
    if config is None:
        return None
    return DeclaredStorage(type=head.type, config=config, declared=place(body) if node else None)


def declare_notifier(node: Node, around: Surroundings) -> DeclaredNotifier | None:
    """Return the notifier that an item of `notifiers:` describes."""
    body = mapping(node, around.problems)
    if body is None:
        return None
    head = check(NotifierSection, only(body, _NAME_AND_TYPE), around.problems, around.context(body))
    kind = body.get("type")
    if not isinstance(kind, Scalar):
        return None
    config = _configure("notifier", kind.text, body, around.registry.notifiers, around, head=_NAME_AND_TYPE)
    if head is None or config is None:
        return None
    return DeclaredNotifier(name=head.name, type=head.type, config=config, declared=place(body))


def declare_route(node: Node, around: Surroundings) -> Route | None:
    """Return the route that an item of `routes:` describes."""
    body = mapping(node, around.problems)
    head = None if body is None else check(RouteSection, body, around.problems, around.context(body))
    if head is None:
        return None
    return Route(
        name=head.name,
        notify=tuple(head.notify),
        severities=frozenset(head.match.severity),
        kinds=frozenset(head.match.kind),
        sync=head.match.sync,
        labels=head.match.labels,
        go_on=head.go_on,
    )


def declare_sync(node: Node, around: Surroundings) -> tuple[DeclaredSync, list[Target]] | None:
    """Return the sync that an item of `syncs:` describes, and the directories that it writes to."""
    body = mapping(node, around.problems)
    if body is None:
        return None
    head = check(SyncSection, body, around.problems, around.context(body))
    check_schedule(body, around.problems)
    source = body.get("source")
    found = _source(source, around) if isinstance(source, Map) else None
    if head is None or found is None or not isinstance(source, Map):
        return None
    spec = Spec(
        source=found[0],
        every=head.every or (None if head.cron else EVERY),
        cron=head.cron,
        timezone=(head.timezone or around.timezone) if head.cron else None,
        apply=head.apply,
        severity=head.severity,
        labels=head.labels,
        fail_after=head.fail_after,
        timeout=head.timeout,
        diff=head.diff,
    )
    targets = [Target(path, head.name, source) for path in found[1]]
    return DeclaredSync(name=head.name, spec=spec, declared=place(body)), targets


def check_schedule(body: Map, problems: Problems) -> None:
    """Note what is wrong with `every`, `cron` and `timezone` of one mapping, beside their own texts."""
    every, expression = body.get("every"), body.get("cron")
    if expression is None:
        if body.get("timezone") is not None:
            problems.at(body.entries["timezone"][0], "'timezone' is for 'cron', which is not given")
        return
    if every is not None:
        problems.at(body.entries["cron"][0], "'every' and 'cron' are both given; keep one")
    if isinstance(expression, Scalar):
        try:
            cron.parse(expression.text)
        except ValueError as error:
            problems.at(expression, one_line(str(error), 300))


def place(node: Node) -> str:
    """Return `file:line` of a node."""
    return f"{node.file.absolute()}:{node.line}"


def _configure(
    what: str,
    kind: str,
    body: Map,
    classes: Mapping[str, type[Configurable]],
    around: Surroundings,
    *,
    head: frozenset[str],
) -> BaseModel | None:
    """Return the plugin's configuration: `body` without komodod's keys `head`, checked by the class of this type."""
    if kind not in classes:
        around.problems.at(body.get("type") or body, _unknown_type(what, kind, classes, around))
        return None
    return check(classes[kind].Config, without(body, head), around.problems, around.context(body))


def _unknown_type(what: str, kind: str, classes: Mapping[str, Any], around: Surroundings) -> str:
    if kind in around.disabled:
        return f"no {what} of type {kind!r}: the plugin of that name is disabled (plugins.disabled)"
    broken = around.registry.broken
    if kind in broken:
        return f"no {what} of type {kind!r}: {one_line(broken[kind])}"
    complaint = unknown(f"{what} type", kind, classes)
    return complaint if complaint.endswith("?") else "; ".join([complaint, *map(one_line, broken.values())])


def _source(body: Map, around: Surroundings) -> tuple[dict[str, Any], Sequence[Path]] | None:
    """Return the `source` of a spec, as it is stored, and the directories that it writes to."""
    head = check(SourceSection, only(body, _TYPE), around.problems, around.context(body))
    if head is None:
        return None
    config = _configure("source", head.type, body, around.registry.sources, around, head=_TYPE)
    if config is None:
        return None
    try:
        return _stored(head.type, config, body, around.problems), around.registry.sources[head.type].targets(config)
    except (Exception, SystemExit) as error:  # noqa: BLE001  the plugin's code; it is the plugin that is wrong
        around.problems.at(body, f"cannot be told where it writes: source type {head.type!r} raised {blame(error)}")
        return None


def _stored(kind: str, config: BaseModel, body: Map, problems: Problems) -> dict[str, Any]:
    """Return what a spec keeps of a source: what differs from the defaults, every path absolute, and no secret.

    A default may depend on the file that declares the sync; then it differs.
    """
    data = config.model_dump(exclude_defaults=True, by_alias=True)
    read = {key for key in data if f"{key}_file" in data and isinstance(data[key], SecretStr)}
    for path in _secrets({key: value for key, value in data.items() if key not in read}):
        node, key = locate(body, path)
        message = "a source is stored and shown, so it holds no secret; put it in a file and give the file's name"
        problems.at(key or node, f"{message} ({path[-1]}_file)")
    stored = config.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    return {"type": kind, **{key: value for key, value in stored.items() if key not in read}}


def _secrets(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, SecretStr):
        yield path
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, each in inner:
        yield from _secrets(each, (*path, key))
