"""Decide which notifications show an alert."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from komodod.model import Alert, AlertKind, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the routes: whom to notify of what. An empty or absent condition matches everything.

    Conditions are joined by "and"; several severities or kinds by "or". `sync` is a glob over the sync's name. Routes
    are matched in order and the first that matches ends it, unless `go_on` is set (`continue: true`).
    """

    name: str
    notify: tuple[str, ...]
    severities: frozenset[Severity] = frozenset()
    kinds: frozenset[AlertKind] = frozenset()
    sync: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    go_on: bool = False

    def matches(self, alert: Alert) -> bool:
        """Tell whether the alert is for this route."""
        return (
            (not self.severities or alert.severity in self.severities)
            and (not self.kinds or alert.kind in self.kinds)
            and (self.sync is None or fnmatchcase(alert.sync_name, self.sync))
            and all(alert.labels.get(label) == value for label, value in self.labels.items())
        )


@dataclass(frozen=True, slots=True)
class Destination:
    """One notification: a group at a notifier, and what people call it."""

    notifier: str
    group: str
    title: str


def route(routes: Iterable[Route], alert: Alert) -> tuple[Destination, ...]:
    """Return the notifications that should show the alert, each once, in the order of the routes.

    The group is the sync: one message per sync and notifier.
    """
    notifiers: dict[str, None] = {}
    for line in routes:
        if line.matches(alert):
            notifiers.update(dict.fromkeys(line.notify))
            if not line.go_on:
                break
    return tuple(Destination(notifier, alert.sync_id, alert.sync_name) for notifier in notifiers)
