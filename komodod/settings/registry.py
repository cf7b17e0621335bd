"""What the plugins offer to a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from komodod.notifier import Notifier
    from komodod.source import Source
    from komodod.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The classes that can be named by `type`, and the plugins they came from.

    `plugins` are the names of all plugins that were found, those that the configuration disables too. `broken` are the
    ones that cannot be used, each with an error that names it; a configuration that names something unknown is told of them.
    """

    storages: Mapping[str, type[Storage]] = field(default_factory=dict)
    notifiers: Mapping[str, type[Notifier]] = field(default_factory=dict)
    sources: Mapping[str, type[Source]] = field(default_factory=dict)
    plugins: frozenset[str] = frozenset()
    broken: Mapping[str, str] = field(default_factory=dict)
