"""Which rows a filter takes, when a row is due, and how lists are cut into pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TypeVar

from komodod.model import Alert, Event, HookCall, HookCallState, Notification, Origin, Shown, Sync
from komodod.storage import AlertFilter, EventFilter, HookCallFilter, NotificationFilter, Page, SyncFilter

V = TypeVar("V")

AT_ONCE = datetime.fromtimestamp(0, UTC)
"""When a requested check is due: before all that has an instant, also after the wall clock was set back."""


def at_rest(row: Notification) -> bool:
    """Tell whether the notification is absent and nothing is left to do about it."""
    return row.state is Shown.ABSENT and not row.dirty


def check_due(sync: Sync) -> datetime | None:
    """Return when the sync can be claimed, if it ever can."""
    if sync.paused or sync.origin is Origin.BUILTIN:
        return None
    if sync.requests > sync.requests_seen:
        return AT_ONCE
    return sync.next_check_at


def call_due(call: HookCall, plugins: Sequence[str]) -> datetime | None:
    """Return when the hook call can be claimed, if it ever can."""
    return call.due_at if call.state is HookCallState.WAITING and call.plugin in plugins else None


def _glob(pattern: str | None, name: str | None) -> bool:
    return pattern is None or fnmatchcase(name or "", pattern)


def _same(wanted: object, found: object) -> bool:
    return wanted is None or wanted == found


def _labelled(wanted: Mapping[str, str], found: Mapping[str, str]) -> bool:
    return all(found.get(label) == value for label, value in wanted.items())


def sync_matches(match: SyncFilter, sync: Sync) -> bool:
    """Tell whether the filter takes the sync."""
    return (
        _glob(match.name, sync.name)
        and _same(match.state, sync.state)
        and _same(match.origin, sync.origin)
        and _same(match.paused, sync.paused)
        and _labelled(match.labels, sync.spec.labels)
    )


def alert_matches(match: AlertFilter, alert: Alert) -> bool:
    """Tell whether the filter takes the alert."""
    return (
        _glob(match.sync, alert.sync_name)
        and _same(match.sync_id, alert.sync_id)
        and _same(match.kind, alert.kind)
        and _same(match.severity, alert.severity)
        and _same(match.open, alert.open)
        and _labelled(match.labels, alert.labels)
    )


def notification_matches(match: NotificationFilter, row: Notification) -> bool:
    """Tell whether the filter takes the notification, its doubts included."""
    return (
        _glob(match.title, row.title)
        and _same(match.notifier, row.notifier)
        and _same(match.group, row.group)
        and _same(match.state, row.state)
        and (not match.attention or row.settled_dead or row.stranded or bool(row.doubts))
    )


def call_matches(match: HookCallFilter, call: HookCall) -> bool:
    """Tell whether the filter takes the hook call."""
    return (
        _glob(match.sync, call.sync_name)
        and _same(match.plugin, call.plugin)
        and _same(match.event_id, call.event_id)
        and _same(match.state, call.state)
    )


def event_matches(match: EventFilter, event: Event) -> bool:
    """Tell whether the filter takes the event."""
    return (
        (match.sync is None or (event.sync is not None and fnmatchcase(event.sync.name, match.sync)))
        and (match.sync_id is None or (event.sync is not None and event.sync.id == match.sync_id))
        and (not match.kinds or event.kind in match.kinds)
    )


def page(rows: Iterable[V], key: Callable[[V], str], after: str | None, limit: int) -> Page[V]:
    """Return the rows after the key, and the key of the last if there are more."""
    kept = [row for row in rows if after is None or key(row) > after]
    more = len(kept) > limit
    return Page(tuple(kept[:limit]), key(kept[limit - 1]) if more else None)


def descending(at: datetime) -> str:
    """Return a text that sorts the other way round than the instant."""
    return f"{10**17 - int(at.timestamp() * 10**6):018d}"


def flip(text: str) -> str:
    """Return a text that sorts the other way round than an identifier of the same length."""
    return "".join(chr(0xFFFF - ord(character)) for character in text)
