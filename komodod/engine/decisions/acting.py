"""What every decision is told about the operation it is part of, and how it tells of a fact."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from komodod.hookspecs import EVENT_HOOKS
from komodod.model import Alert, Event, EventKind, HookCall, Json, Spec, Sync
from komodod.storage import AppendEvent, QueueHookCall, Write, hook_call_id

if TYPE_CHECKING:
    from komodod.engine.decisions.routing import Route

SNAPSHOT_CHANGES = 20
"""How many changes a snapshot in an event names."""

Cron = Callable[[str, str | None, datetime], datetime | None]
"""The first moment after an instant that a cron line (with its time zone) names; None if none comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decisions go by beside the rows. A reload replaces it as a whole.

    `hooks` names the plugins that implement each `on_*` hook. `backoff_max` (seconds) caps every back-off;
    `attempts` is after how many faults of a plugin its work is dead. `next_cron` reads cron lines.
    """

    routes: tuple[Route, ...] = ()
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attempts: int = 12
    backoff_max: float = 900.0
    next_cron: Cron | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One operation as decisions see it: when, by whom, and the randomness it may use.

    `op_id` runs through everything that one operation caused. `actor` is a person's name, or the part of komodod.
    """

    now: datetime
    op_id: str
    actor: str
    rules: Rules
    new_id: Callable[[], str]
    rng: random.Random
    reason: str | None = None

    def tell(
        self,
        kind: EventKind,
        *,
        sync: Sync | None = None,
        alerts: Iterable[Alert] = (),
        reason: str | None = None,
        data: Mapping[str, Json] | None = None,
    ) -> tuple[Write, ...]:
        """Return the writes that append an event and queue a call for each plugin that listens to its kind."""
        plugins = self.rules.hooks.get(EVENT_HOOKS.get(kind, ""), ())
        event = Event(
            id=self.new_id(),
            at=self.now,
            kind=kind,
            actor=self.actor,
            op_id=self.op_id,
            reason=reason or self.reason,
            sync=None if sync is None else snapshot(sync),
            alerts=tuple(alerts),
            data=data or {},
            hooks=plugins,
        )
        return (AppendEvent(event), *(QueueHookCall(owed_call(event, plugin, self.now)) for plugin in plugins))

    def backoff(self, failures: int, base: float = 1.0) -> float:
        """Return seconds to wait after so many failures in a row: full jitter under a doubling, capped ceiling."""
        ceiling = min(self.rules.backoff_max, base * 2.0 ** min(failures - 1, 32))
        return self.rng.uniform(0.0, ceiling)

    def next_check(self, spec: Spec) -> datetime:
        """Return when a healthy sync is looked at again: its interval with up to 10 % jitter, or its cron line."""
        named = self._named(spec)
        if named is not None:
            return named
        every = spec.every or 300.0
        return self.now + timedelta(seconds=every * self.rng.uniform(0.9, 1.0))

    def _named(self, spec: Spec) -> datetime | None:
        """Return when the sync's cron line is due next, if it has one."""
        if spec.cron is None or self.rules.next_cron is None:
            return None
        return self.rules.next_cron(spec.cron, spec.timezone, self.now)

    def next_retry(self, spec: Spec, failures: int) -> datetime:
        """Return when a failing sync is looked at again: soon at first, then at longer and longer distances.

        Doubles from 10 seconds (or the sync's interval, if that is shorter) up to `backoff_max` (or the interval, if
        that is longer); a cron line that comes earlier wins. At least half of each distance is kept, so that a fault
        shared by many syncs is not hammered.
        """
        every = spec.every or self.rules.backoff_max
        ceiling = min(min(every, 10.0) * 2.0 ** min(failures - 1, 32), max(every, self.rules.backoff_max))
        retry = self.now + timedelta(seconds=ceiling * self.rng.uniform(0.5, 1.0))
        return min(retry, self._named(spec) or retry)


def owed_call(event: Event, plugin: str, now: datetime) -> HookCall:
    """Return the duty to tell `plugin` of the event, due now."""
    return HookCall(
        id=hook_call_id(event.id, plugin),
        event_id=event.id,
        plugin=plugin,
        hook=EVENT_HOOKS[event.kind],
        sync_name=None if event.sync is None else event.sync.name,
        created_at=now,
        due_at=now,
    )


def snapshot(sync: Sync) -> Sync:
    """Return the sync as an event keeps it: a few changes, no diffs."""
    return dataclasses.replace(sync, headline=sync.headline[:SNAPSHOT_CHANGES])
