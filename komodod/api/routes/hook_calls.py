"""Hook calls: what plugins are owed, and what to do about calls that went wrong."""

from __future__ import annotations

from fastapi import APIRouter

from komodod.api.answers import HookCallDone
from komodod.api.call import Call, Caller, read
from komodod.api.inputs import After, DryRun, Glob, Id, Limit, Text
from komodod.api.views import HookCallView, Listing, hook_call_view
from komodod.engine import upkeep
from komodod.errors import NotFoundError
from komodod.model import HookCall, HookCallState
from komodod.storage import HookCallFilter

router = APIRouter(prefix="/hook-calls", tags=["hook calls"])


@router.get("")
async def list_hook_calls(
    call: Caller,
    *,
    sync: Glob = None,
    plugin: Text | None = None,
    state: HookCallState | None = None,
    after: After = None,
    limit: Limit = 50,
) -> Listing[HookCallView]:
    """List hook calls, newest first."""
    match = HookCallFilter(sync=sync, plugin=plugin, state=state)
    rows = await read(call.storage.list_hook_calls(match, after, limit))
    return Listing(items=[_view(call, owed) for owed in rows.items], next=rows.next)


@router.get("/{call_id}")
async def show_hook_call(call: Caller, *, call_id: Id) -> HookCallView:
    """Show a hook call."""
    owed = await call.storage.get_hook_call(call_id)
    if owed is None:
        raise NotFoundError(f"there is no hook call {call_id!r}")
    return _view(call, owed)


@router.post("/{call_id}/retry")
async def retry_hook_call(call: Caller, *, call_id: Id, dry_run: DryRun = False) -> HookCallDone:
    """Make a hook call at once, its attempts counted anew."""
    owed = await upkeep.retry_hook_call(call.world, call.act(), call_id, dry_run=dry_run)
    return HookCallDone(dry_run=dry_run, op_id=call.op_id, hook_call=_view(call, owed))


@router.delete("/{call_id}")
async def drop_hook_call(call: Caller, *, call_id: Id, dry_run: DryRun = False) -> HookCallDone:
    """Release a plugin from the duty to hear of an event."""
    owed = await upkeep.drop_hook_call(call.world, call.act(), call_id, dry_run=dry_run)
    return HookCallDone(dry_run=dry_run, op_id=call.op_id, hook_call=_view(call, owed))


def _view(call: Call, owed: HookCall) -> HookCallView:
    return hook_call_view(owed, present=owed.plugin in call.service.present_plugins())
