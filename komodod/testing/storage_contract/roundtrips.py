"""Every type of the model, stored and read back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from komodod.model import (
    Alert,
    AlertKind,
    ApplyMode,
    Changes,
    DiffMode,
    Doubt,
    Event,
    EventKind,
    HookCall,
    HookCallState,
    Notification,
    Origin,
    Resolution,
    Severity,
    Shown,
    Spec,
    Sync,
    SyncState,
)
from komodod.storage import (
    AlertFilter,
    AppendEvent,
    EventFilter,
    PutAlert,
    PutChanges,
    PutDoubt,
    PutHookCall,
    PutNotification,
    PutSync,
    SyncFilter,
)
from komodod.testing.samples import complete
from komodod.testing.storage_contract.stage import Bench, scenario
from komodod.testing.storage_contract.values import after, alert, call, event, ident, owed, pending, shown, sync

if TYPE_CHECKING:
    from komodod.testing.storage_contract.stage import Stage

ROW = shown(alert(sync()))


class RoundTrips(Bench):
    """What is put is what is read, also after a restart."""

    @scenario
    async def test_a_sync_with_every_field_set(self, on: Stage) -> None:
        full = complete(Sync)
        await on.commit(PutSync(full), PutChanges(full.id, complete(Changes)))
        await on.reopen()
        assert await on.storage.get_sync(full.id) == full
        assert await on.storage.get_changes(full.id) == complete(Changes)
        assert (await on.storage.list_syncs(SyncFilter())).items == (full,)

    @scenario
    async def test_an_alert_with_every_field_set(self, on: Stage) -> None:
        full = complete(Alert)
        await on.commit(PutAlert(full))
        await on.reopen()
        assert await on.storage.get_alert(full.id) == full
        assert (await on.storage.list_alerts(AlertFilter(open=None))).items == (full,)

    @scenario
    async def test_a_notification_with_every_field_set(self, on: Stage) -> None:
        await on.commit(*pending(), PutDoubt(ROW, complete(Doubt)))
        kept: dict[str, Any] = {"id": ROW, "version": 1, "doubts": (complete(Doubt),)}
        full = complete(Notification, **kept)
        await on.commit(PutNotification(full))
        await on.reopen()
        assert await on.storage.get_notification(ROW) == full

    @scenario
    async def test_an_event_with_every_field_set(self, on: Stage) -> None:
        await on.commit(AppendEvent(complete(Event, cursor=0)))
        await on.reopen()
        stored = await on.storage.get_event(complete(Event).id)
        assert stored is not None
        assert dataclasses.replace(stored, cursor=0) == complete(Event, cursor=0)
        assert await on.storage.list_events(EventFilter()) == (stored,)

    @scenario
    async def test_a_hook_call_with_every_field_set(self, on: Stage) -> None:
        full = complete(HookCall, id=call(event()).id, event_id=event().id)
        await on.commit(*owed(), PutHookCall(full))
        await on.reopen()
        assert await on.storage.get_hook_call(full.id) == full

    @scenario
    async def test_rows_with_nothing_set_that_may_be_absent(self, on: Stage) -> None:
        await on.commit(*pending(), *owed(), PutHookCall(call(event(), sync_name=None, due_at=None)))
        assert await on.storage.get_hook_call(call(event()).id) == call(event(), sync_name=None, due_at=None)
        assert await on.storage.get_alert(alert(sync()).id) == alert(sync())
        stored = await on.storage.get_event(event().id)
        assert stored == event(hooks=("git",), cursor=getattr(stored, "cursor", 0))

    @scenario
    async def test_every_word_of_every_enum(self, on: Stage) -> None:
        fields: list[tuple[str, Any]] = [("origin", Origin), ("state", SyncState)]
        rows = [sync(f"{field}-{word}", **{field: word}) for field, words in fields for word in words]
        rows += [sync(f"spec-{word}", spec=_spec(apply=word)) for word in ApplyMode]
        rows += [sync(f"diff-{word}", spec=_spec(diff=word)) for word in DiffMode]
        rows += [sync("all", conditions=frozenset(AlertKind))]
        await on.commit(*map(PutSync, rows))
        assert [await on.storage.get_sync(row.id) for row in rows] == rows

    @scenario
    async def test_every_kind_severity_and_resolution_of_an_alert(self, on: Stage) -> None:
        words: list[dict[str, Any]] = [{"kind": word} for word in AlertKind]
        words += [{"severity": word} for word in Severity] + [{"resolution": word} for word in Resolution]
        rows = [alert(sync(), resolved_at=after(1), **{"id": ident(str(word))} | word) for word in words]
        await on.commit(*map(PutAlert, rows))
        assert [await on.storage.get_alert(row.id) for row in rows] == rows

    @scenario
    async def test_every_kind_of_event_and_state_of_a_call(self, on: Stage) -> None:
        await on.commit(*(AppendEvent(event(kind, kind=kind)) for kind in EventKind))
        assert [row.kind for row in await on.storage.list_events(EventFilter())] == list(EventKind)
        await on.commit(*owed())
        for state in HookCallState:
            await on.commit(PutHookCall(call(event(), state=state)))
            assert await on.storage.get_hook_call(call(event()).id) == call(event(), state=state)

    @scenario
    async def test_what_a_channel_shows_and_any_receipt(self, on: Stage) -> None:
        await on.commit(*pending())
        row = await on.storage.get_notification(ROW)
        assert row is not None
        for state, receipt in zip([*Shown, *Shown], [None, "x", [1, {"a": None}], 2.5], strict=True):
            changed = dataclasses.replace(row, state=state, receipt=receipt)
            await on.commit(PutNotification(changed))
            assert await on.storage.get_notification(ROW) == changed

    @scenario
    async def test_what_nobody_put_is_not_there(self, on: Stage) -> None:
        nobody = ident("nobody")
        assert await on.storage.get_sync(nobody) is None
        assert await on.storage.find_sync("nobody") is None
        assert await on.storage.get_alert(nobody) is None
        assert await on.storage.get_notification(nobody) is None
        assert await on.storage.get_hook_call(nobody) is None
        assert await on.storage.get_event(nobody) is None


def _spec(**fields: Any) -> Spec:
    return Spec(source={"type": "directory"}, **fields)
