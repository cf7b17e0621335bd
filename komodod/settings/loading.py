"""A whole configuration: read, filled in, checked, put together. All that is wrong is told at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from komodod.errors import ConfigError, Problem
from komodod.settings import document
from komodod.settings.declarations import (
    Surroundings,
    Target,
    check_schedule,
    declare_notifier,
    declare_route,
    declare_storage,
    declare_sync,
)
from komodod.settings.includes import include
from komodod.settings.location import default_socket, settle_state_dir
from komodod.settings.models import INCLUDED, Configuration, PluginsSection
from komodod.settings.nodes import Map, Node, Problems, base_of, describe, is_own, only, without
from komodod.settings.references import check_names, check_plugins, check_routes, check_state_dir, check_targets, texts
from komodod.settings.substitution import STATE_DIR, substitute
from komodod.settings.validation import check, sequence, validation_context
from komodod.settings.values import DeclaredSync, Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from komodod.settings.registry import Registry

EVERY: Final = 900.0
"""Seconds between two consistency passes if neither `every` nor `cron` is given."""

SOCKET_LONGEST: Final = 107
"""Bytes; the kernel's 108 hold a final zero."""

_APART: Final = INCLUDED | {"state_dir", "storage"}
"""Top-level keys that are checked by themselves."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of a configuration, variables filled in: the main one, and the included ones."""

    main: Map
    included: tuple[Map, ...]
    state_dir: Path

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(root.file.absolute() for root in (self.main, *self.included))

    def items(self, key: str, problems: Problems | None = None) -> list[Node]:
        """Return the items of a list that is spread over the files."""
        problems = problems or Problems()  # None: they were told before
        return [item for root in (self.main, *self.included) for item in sequence(root.get(key), problems)]


def load(path: Path, registry: Registry, environ: Mapping[str, str]) -> Settings:
    """Return the settings that a configuration file describes.

    Raises:
        ConfigError: something is wrong with it; holds everything that is.
    """
    problems = Problems()
    parts = read_parts(path, environ, problems)
    settings = None if parts is None else _settings(parts, registry, environ, problems)
    if settings is None or problems.found:
        raise ConfigError(_ordered(problems.found, path))
    return settings


def load_plugins_section(path: Path, environ: Mapping[str, str]) -> PluginsSection:
    """Return which plugins a configuration wants, before they are loaded and the rest of it can be checked.

    Whatever is wrong counts as not there; `load` tells of it.
    """
    ignored = Problems()
    parts = read_parts(path, environ, ignored, only={"state_dir", "plugins"})
    node = None if parts is None else parts.main.get("plugins")
    if not isinstance(node, Map):
        return PluginsSection()
    found: dict[str, object] = {}
    for key in PluginsSection.model_fields:
        section = check(PluginsSection, only(node, {key}), ignored, validation_context(base_of(node), environ))
        found |= {key: getattr(section, key)} if section else {}
    return PluginsSection.model_validate(found)


def read_parts(
    path: Path, environ: Mapping[str, str], problems: Problems, *, only: Collection[str] | None = None
) -> Parts | None:
    """Read a configuration with the files that it includes; None, and a problem, if there is nothing to go on with.

    With `only`, these keys of the main file alone.
    """
    read = document.load(path, only)
    problems.found += read.problems
    main = read.root
    if not isinstance(main, Map):
        if main is not None:
            problems.at(main, f"a configuration is a mapping, such as 'syncs: []', not {describe(main)}")
        return None
    state_dir = settle_state_dir(main, environ, problems)
    variables = {**environ, STATE_DIR: str(state_dir)}
    done = main.get("state_dir")
    substitute((scalar for scalar in read.templates if scalar is not done), variables, problems)
    return Parts(main, tuple(include(main, variables, problems)), state_dir)


def _settings(parts: Parts, registry: Registry, environ: Mapping[str, str], problems: Problems) -> Settings | None:
    main = parts.main
    configuration = _configuration(main, environ, problems)
    around = Surroundings(
        registry=registry,
        environ=environ,
        disabled=frozenset(node.text for node in texts(main, "plugins", "disabled")),
        timezone=configuration.timezone if configuration else None,
        problems=problems,
    )
    storage = declare_storage(main.get("storage"), main, around)
    check_plugins(main, registry, problems)
    items = {key: parts.items(key, problems) for key in ("notifiers", "routes", "syncs")}
    names = {key: check_names(key, nodes, problems) for key, nodes in items.items()}
    check_routes(items["routes"], names["notifiers"], problems)
    notifiers = [declared for node in items["notifiers"] if (declared := declare_notifier(node, around))]
    routes = [route for node in items["routes"] if (route := declare_route(node, around))]
    syncs = _syncs(items["syncs"], parts.state_dir, around)
    socket = _socket(configuration, parts, environ, problems) if configuration else None
    if configuration is None or storage is None or socket is None:
        return None
    return Settings(
        files=parts.files,
        state_dir=parts.state_dir,
        socket=socket,
        storage=storage,
        api=configuration.api,
        log=configuration.log,
        plugins=configuration.plugins,
        consistency=configuration.consistency,
        limits=configuration.limits,
        retention=configuration.retention,
        timezone=configuration.timezone,
        notifiers=tuple(notifiers),
        routes=tuple(routes),
        syncs=syncs,
    )


def _configuration(main: Map, environ: Mapping[str, str], problems: Problems) -> Configuration | None:
    """Return the sections that have nothing of a plugin's in them; the others are left at their defaults."""
    own = {name for name in main.entries if is_own(name)}
    sections = without(main, _APART | own | {"include"})
    found = check(Configuration, sections, problems, validation_context(base_of(main), environ))
    consistency = main.get("consistency")
    if isinstance(consistency, Map):
        check_schedule(consistency, problems)
    if not found or found.consistency.every or found.consistency.cron:
        return found
    return found.model_copy(update={"consistency": found.consistency.model_copy(update={"every": EVERY})})


def _syncs(items: list[Node], state_dir: Path, around: Surroundings) -> tuple[DeclaredSync, ...]:
    syncs: list[DeclaredSync] = []
    targets: list[Target] = []
    for node in items:
        declared = declare_sync(node, around)
        if declared:
            syncs.append(declared[0])
            targets += declared[1]
    check_targets(targets, around.problems)
    for target in targets:
        check_state_dir(target, state_dir, around.problems)
    return tuple(syncs)


def _socket(configuration: Configuration, parts: Parts, environ: Mapping[str, str], problems: Problems) -> Path:
    socket = configuration.api.socket or default_socket(parts.state_dir, environ)
    length = len(os.fsencode(socket))
    if length > SOCKET_LONGEST:
        api = parts.main.get("api")
        node = (api.get("socket") if isinstance(api, Map) else None) or parts.main.get("state_dir") or parts.main
        words = f"the socket path '{socket}' has {length} bytes, and the kernel takes {SOCKET_LONGEST}"
        problems.at(node, f"{words}; set api.socket to a shorter one")
    return socket


def _ordered(problems: list[Problem], main: Path) -> list[Problem]:
    """Return the problems by file, the main one first, and by place."""
    return sorted(problems, key=lambda each: (each.file != main, str(each.file), each.line, each.column))
