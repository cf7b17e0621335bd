"""The hooks a plugin may implement, and when komodod calls them.

A plugin is a module (an installed package with an entry point in the group `komodod`, or a file in a folder of
`plugins.path`) that marks functions with `komodod.hookimpl`:

    import komodod

    @komodod.hookimpl
    def on_sync_deleted(event):
        print("gone:", event.sync.name)

`register_*` hooks are called once, at start, and return classes by the type name that the YAML uses. `on_*` hooks are
told of one event, durably: the duty to call them is stored in the commit that the event is about, and is tried again,
also after a crash, until they return. So they may be called more than once for one event: `event.id` is the
idempotency key. `context` has the plugin's own state directory, a logger and the shared HTTP session; an implementation names the
arguments that it wants. A plugin that raises delays nobody but itself. Implementations may be `def` (run in a thread of the
plugin's own) or `async def`. What they return is ignored. Only the plugins installed when an event happens are owed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pluggy

from komodod.model import EventKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from komodod.context import Context
    from komodod.invariant import Invariant
    from komodod.model import Event
    from komodod.notifier import Notifier
    from komodod.source import Source
    from komodod.storage import Storage

PROJECT: Final = "komodod"
"""The name of pluggy's project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_storages() -> Mapping[str, type[Storage]]:
    """Return storage classes by the `type` that selects them in `storage:`."""
    raise AssertionError("a specification is never called")


@hookspec
def register_notifiers() -> Mapping[str, type[Notifier]]:
    """Return notifier classes by the `type` that selects them in `notifiers:`."""
    raise AssertionError("a specification is never called")


@hookspec
def register_sources() -> Mapping[str, type[Source]]:
    """Return source classes by the `type` that selects them in `source:`."""
    raise AssertionError("a specification is never called")


@hookspec
def register_invariants() -> Mapping[str, type[Invariant]]:
    """Return invariant classes by their names; each is built with a `Context` and joins every pass."""
    raise AssertionError("a specification is never called")


@hookspec
def on_sync_created(event: Event, context: Context) -> None:
    """Take note of a sync that now exists."""


@hookspec
def on_sync_updated(event: Event, context: Context) -> None:
    """Take note of an edit; `event.data["changed"]` names the fields."""


@hookspec
def on_sync_pending(event: Event, context: Context) -> None:
    """Take note of a sync that now has pending updates, or others than before."""


@hookspec
def on_sync_applied(event: Event, context: Context) -> None:
    """Take note of an apply that ended without an error; `event.data["summary"]` says what it did."""


@hookspec
def on_sync_failed(event: Event, context: Context) -> None:
    """Take note of a check or apply that failed where the one before did not; `event.reason` says why."""


@hookspec
def on_sync_deleted(event: Event, context: Context) -> None:
    """Take back what is kept elsewhere for a sync that no longer exists.

    `event.sync` is what it was, `event.alerts` those that its delete resolved, `event.reason` and `event.actor` why
    and by whom. A sync of the same name may exist again by now: go by `event.sync.id`.
    """


@hookspec
def on_alert_opened(event: Event, context: Context) -> None:
    """Take note of an alert (`event.alerts[0]`) that is now open."""


@hookspec
def on_alert_resolved(event: Event, context: Context) -> None:
    """Take note of an alert (`event.alerts[0]`) that is no longer open."""


@hookspec
def on_pass_finished(event: Event, context: Context) -> None:
    """Take note of a finished consistency pass; `event.data` is its report."""


EVENT_HOOKS: Final = {
    kind: f"on_{kind}"
    for kind in (
        EventKind.SYNC_CREATED,
        EventKind.SYNC_UPDATED,
        EventKind.SYNC_PENDING,
        EventKind.SYNC_APPLIED,
        EventKind.SYNC_FAILED,
        EventKind.SYNC_DELETED,
        EventKind.ALERT_OPENED,
        EventKind.ALERT_RESOLVED,
        EventKind.PASS_FINISHED,
    )
}
"""Which hook tells of which kind of event."""
