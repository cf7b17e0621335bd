"""Examine what a plugin's `register_*` functions return, which no type checker has seen together with the hook's types."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from komodod.invariant import Invariant
from komodod.notifier import Notifier
from komodod.source import Source
from komodod.storage import Storage, Stored

CONTRACTS: Final[Mapping[str, type]] = {
    "storages": Storage,
    "notifiers": Notifier,
    "sources": Source,
    "invariants": Invariant,
}
"""What a plugin may register, by the second half of the hook's name."""


def check(kind: str, returned: Any) -> Mapping[str, type]:
    """Return what `register_<kind>` returned, if it is classes of the right kind by name.

    Raises:
        TypeError: it is not; says what it is and what is wanted.
    """
    contract = CONTRACTS[kind].__name__
    if not isinstance(returned, Mapping):
        raise TypeError(f"register_{kind}() returned {returned!r}; it must return {contract} classes by name")
    for name, cls in returned.items():
        fault = _name_fault(name) or _class_fault(CONTRACTS[kind], cls)
        fault = fault or (_invariant_fault(name, cls) if kind == "invariants" else _config_fault(cls))
        if fault:
            raise TypeError(f"register_{kind}() returned {name!r}: {cls!r}; {fault}")
    return dict(returned)


def _name_fault(name: object) -> str | None:
    if not isinstance(name, str) or not name.strip():
        return "a name is a text that is not empty"
    return None


def _class_fault(contract: type, cls: object) -> str | None:
    if not inspect.isclass(cls) or not issubclass(cls, contract):
        return f"it must be a subclass of komodod's {contract.__name__}"
    missing = sorted(getattr(cls, "__abstractmethods__", ()))
    return f"it lacks {', '.join(missing)}" if missing else None


def _config_fault(cls: Any) -> str | None:
    config = getattr(cls, "Config", None)
    if not inspect.isclass(config) or not issubclass(config, BaseModel):
        return "its Config must be a pydantic model of its part of the YAML"
    if config.model_config.get("extra") != "forbid":
        return 'its Config must forbid unknown keys: model_config = ConfigDict(extra="forbid")'
    return None


def _invariant_fault(name: str, cls: Any) -> str | None:
    if getattr(cls, "name", None) != name:
        return f"its name is {getattr(cls, 'name', None)!r}"
    if name in {stored.value for stored in Stored}:
        return "komodod has an invariant of this name"
    return None
