"""Syncs: look, make, edit, delete, check, apply, pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from komodod.api.answers import SyncAsked, SyncChanged, SyncDeleted, SyncDone
from komodod.api.call import Call, Caller, attend, read
from komodod.api.inputs import (
    NO_LABELS,
    After,
    DryRun,
    Force,
    Glob,
    Labels,
    Limit,
    NewSync,
    SyncChange,
    SyncRef,
    Wait,
    labels_of,
)
from komodod.api.problems import InvalidError
from komodod.api.routes.notifications import notification_views
from komodod.api.specs import amend, specify
from komodod.api.views import (
    ChangesView,
    Listing,
    SyncDetail,
    SyncView,
    alert_view,
    sync_detail,
    sync_view,
)
from komodod.engine import syncs
from komodod.errors import NotFoundError
from komodod.model import Origin, Sync, SyncState
from komodod.storage import SyncFilter

if TYPE_CHECKING:
    from komodod.model import Spec

router = APIRouter(prefix="/syncs", tags=["syncs"])

_DRY: Final[dict[int | str, dict[str, Any]]] = {200: {"model": SyncDone, "description": "What would be made."}}
_WAITED: Final[dict[int | str, dict[str, Any]]] = {200: {"model": SyncAsked, "description": "Waited for."}}


@router.get("")
async def list_syncs(
    call: Caller,
    *,
    name: Glob = None,
    state: SyncState | None = None,
    label: Labels = NO_LABELS,
    origin: Origin | None = None,
    paused: Annotated[bool | None, Query(description="Only those that are, or are not.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Listing[SyncView]:
    """List syncs by name; the built-in one, which nobody declared, only where `origin=builtin` asks for it."""
    match = SyncFilter(name=name, state=state, origin=origin, paused=paused, labels=labels_of(label))
    rows = await read(call.storage.list_syncs(match, after, limit))
    found = [sync for sync in rows.items if sync.origin is not Origin.BUILTIN or origin is Origin.BUILTIN]
    return Listing(items=[_view(call, sync) for sync in found], next=rows.next)


@router.post("", status_code=201, responses=_DRY)
async def create_sync(call: Caller, *, body: NewSync, response: Response, dry_run: DryRun = False) -> SyncDone:
    """Make a sync; it is checked at once."""
    given = body.given()
    spec = specify(call.service, given.pop("name"), given, await _neighbours(call))
    made = await syncs.create(call.world, call.act(), body.name, spec, dry_run=dry_run)
    response.status_code = 200 if dry_run else 201
    return SyncDone(dry_run=dry_run, op_id=call.op_id, sync=_view(call, made.sync))


@router.get("/{name}")
async def show_sync(call: Caller, *, name: SyncRef) -> SyncDetail:
    """Show a sync and its open alerts."""
    sync = await syncs.find(call.world, name)
    whole = await call.storage.load_aggregate(sync.id)
    if whole is None:
        raise NotFoundError(f"there is no sync {name!r} any more")
    return sync_detail(whole, call.service.redactor)


@router.get("/{name}/changes")
async def show_changes(call: Caller, *, name: SyncRef) -> ChangesView:
    """Show the pending updates of a sync with their diffs, as far as they are kept."""
    sync = await syncs.find(call.world, name)
    return ChangesView.model_validate(await call.storage.get_changes(sync.id))


@router.patch("/{name}")
async def edit_sync(call: Caller, *, name: SyncRef, body: SyncChange, dry_run: DryRun = False) -> SyncChanged:
    """Edit a sync; it is checked at once if that made a difference."""
    sync, given = await syncs.find(call.world, name), body.given()
    syncs.own_to_change(sync, "edit")
    if given.pop("name", sync.name) != sync.name:
        raise InvalidError("body.name", "a sync keeps its name; create another one and delete this one")

    others = await _neighbours(call) if "source" in given else ()

    def change(spec: Spec) -> Spec:
        return amend(call.service, sync.name, spec, given, others)

    done = await syncs.edit(call.world, call.act(), sync.id, change, dry_run=dry_run)
    return _changed(call, done, dry_run=dry_run)


@router.delete("/{name}")
async def delete_sync(call: Caller, *, name: SyncRef, dry_run: DryRun = False) -> SyncDeleted:
    """Delete a sync with all that it caused, whatever is under way with it."""
    sync = await syncs.find(call.world, name)
    syncs.own_to_change(sync, "delete")
    gone = await syncs.delete(call.world, call.act(), sync.id, f"by {call.actor}", dry_run=dry_run)
    return SyncDeleted(
        dry_run=dry_run,
        op_id=call.op_id,
        sync=_view(call, gone.sync),
        alerts=[alert_view(alert) for alert in gone.alerts],
        notifications=await notification_views(call.storage, gone.notifications),
    )


@router.post("/{name}/check", status_code=202, responses=_WAITED)
async def check_sync(
    call: Caller, *, name: SyncRef, request: Request, response: Response, wait: Wait = None, dry_run: DryRun = False
) -> SyncAsked:
    """Have a sync checked as soon as a worker is free: 202, or 200 after waiting for it."""
    sync = await syncs.find(call.world, name)
    sync = await syncs.request_check(call.world, sync.id, dry_run=dry_run)
    return await _asked(call, sync, request, response, None if dry_run else wait, dry_run=dry_run)


@router.post("/{name}/apply", status_code=202, responses=_WAITED)
async def apply_sync(
    call: Caller,
    *,
    name: SyncRef,
    request: Request,
    response: Response,
    wait: Wait = None,
    force: Force = False,
    dry_run: DryRun = False,
) -> SyncAsked:
    """Have a sync applied, and then checked, as soon as a worker is free: 202, or 200 after waiting for it."""
    sync = await syncs.find(call.world, name)
    asked = await syncs.request_apply(call.world, call.act(), sync.id, force=force, dry_run=dry_run)
    return await _asked(call, asked.sync, request, response, None if dry_run else wait, dry_run=dry_run)


@router.post("/{name}/pause")
async def pause_sync(call: Caller, *, name: SyncRef, dry_run: DryRun = False) -> SyncChanged:
    """Stop checking a sync; its alerts stay open and shown, and say so."""
    sync = await syncs.find(call.world, name)
    if sync.origin is Origin.BUILTIN:
        syncs.own_to_change(sync, "pause")
    return _changed(call, await syncs.pause(call.world, call.act(), sync.id, dry_run=dry_run), dry_run=dry_run)


@router.post("/{name}/resume")
async def resume_sync(call: Caller, *, name: SyncRef, dry_run: DryRun = False) -> SyncChanged:
    """Check a sync again, from now on."""
    sync = await syncs.find(call.world, name)
    return _changed(call, await syncs.resume(call.world, call.act(), sync.id, dry_run=dry_run), dry_run=dry_run)


async def _asked(
    call: Call, sync: Sync, request: Request, response: Response, wait: float | None, *, dry_run: bool
) -> SyncAsked:
    """Answer at once, or when the wish was carried out, the time is over or the server stops."""
    if wait is None:
        return SyncAsked(dry_run=dry_run, op_id=call.op_id, sync=_view(call, sync))
    waiting = syncs.wait_seen(call.world, sync.id, sync.requests, wait)
    ended = await attend(waiting, request.receive, call.hub.stopping)
    # The time may be over before the first look.
    found = (None if ended.cancelled() else ended.result()) or await call.storage.get_sync(sync.id)
    if found is None:
        raise NotFoundError(f"sync {sync.name!r} was deleted meanwhile")
    response.status_code = 200
    done = syncs.seen(found, sync.requests)
    return SyncAsked(dry_run=dry_run, op_id=call.op_id, sync=_view(call, found), done=done)


async def _neighbours(call: Call) -> list[tuple[str, Spec]]:
    """Return the syncs that clients made, whose targets another one's must keep away from."""
    found: list[tuple[str, Spec]] = []
    after = None
    while True:
        rows = await call.storage.list_syncs(SyncFilter(origin=Origin.API), after, 500)
        found += ((sync.name, sync.spec) for sync in rows.items)
        if (after := rows.next) is None:
            return found


def _changed(call: Call, done: syncs.Outcome, *, dry_run: bool) -> SyncChanged:
    return SyncChanged(dry_run=dry_run, op_id=call.op_id, sync=_view(call, done.sync), changed=done.changed)


def _view(call: Call, sync: Sync) -> SyncView:
    return sync_view(sync, call.service.redactor)
