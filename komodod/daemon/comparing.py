"""What two configurations differ in, in words for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from komodod.engine.inventory import Declared, compare

if TYPE_CHECKING:
    from komodod.model import Sync
    from komodod.settings.values import Settings

FROZEN = ("state_dir", "socket", "storage", "plugins")
"""What is used from start to stop: a change waits for a restart."""

SECTIONS = ("api", "log", "consistency", "limits", "retention", "timezone", "routes")
"""What a reload changes as a whole."""


def changes(old: Settings, new: Settings, stored: Iterable[Sync]) -> dict[str, Any]:
    """Return what a reload changes: sections by name; notifiers and syncs by what happens to each.

    A sync that only stands on another line is none that changes.
    """
    found: dict[str, Any] = {name: "changed" for name in SECTIONS if getattr(old, name) != getattr(new, name)}
    notifiers = _by_verb(
        {one.name: (one.type, one.config) for one in old.notifiers},
        {one.name: (one.type, one.config) for one in new.notifiers},
    )
    differences = compare({one.name: one for one in declared(new)}, stored)
    syncs: dict[str, list[str]] = {}
    for difference in differences:
        if difference.verb != "move":  # a line that is put in above moves all below it
            syncs.setdefault(difference.verb, []).append(difference.name)
    return found | ({"notifiers": notifiers} if notifiers else {}) | ({"syncs": syncs} if syncs else {})


def restart_needed(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return the keys whose change has no effect before a restart."""
    pairs = ((name, _frozen(old, name), _frozen(new, name)) for name in FROZEN)
    return tuple(name for name, before, after in pairs if before != after)


def declared(settings: Settings) -> list[Declared]:
    """Return the syncs of the settings as the inventory takes them."""
    return [Declared(one.name, one.spec, one.declared) for one in settings.syncs]


def _frozen(settings: Settings, name: str) -> object:
    if name == "storage":
        return settings.storage.type, settings.storage.config
    return getattr(settings, name)


def _by_verb(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, list[str]]:
    found = {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }
    return {verb: names for verb, names in found.items() if names}
