"""Notifications: what stands in which channel, and what to do about those that went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query

from komodod.api.answers import NotificationDone
from komodod.api.call import Caller, read
from komodod.api.inputs import After, DryRun, Glob, Id, Limit, Text
from komodod.api.views import Listing, NotificationView, Standing, notification_view, standing
from komodod.engine import upkeep
from komodod.engine.channels import Channels
from komodod.errors import NotFoundError
from komodod.model import Notification, Shown
from komodod.storage import NotificationFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from komodod.storage import Storage

router = APIRouter(prefix="/notifications", tags=["notifications"])


@router.get("")
async def list_notifications(
    call: Caller,
    *,
    sync: Glob = None,
    notifier: Text | None = None,
    state: Standing | None = None,
    attention: Annotated[bool, Query(description="Only those that are dead, in doubt or stranded.")] = False,
    alert: Annotated[Text | None, Query(description="Only those that this alert is linked to.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Listing[NotificationView]:
    """List notifications by id. With `state` a page may hold fewer than `limit` although `next` is set."""
    match = NotificationFilter(
        title=sync,
        notifier=notifier,
        state=None if state in (None, Standing.IN_DOUBT) else Shown(state),
        alert_id=alert,
        attention=attention or state is Standing.IN_DOUBT,
    )
    rows = await read(call.storage.list_notifications(match, after, limit))
    kept = [row for row in rows.items if state is None or standing(row) is state]
    return Listing(items=await notification_views(call.storage, kept), next=rows.next)


@router.get("/{notification_id}")
async def show_notification(call: Caller, *, notification_id: Id) -> NotificationView:
    """Show a notification: what is wanted, what is known, and what it waits for."""
    row = await call.storage.get_notification(notification_id)
    if row is None:
        raise NotFoundError(f"there is no notification {notification_id!r}")
    return (await notification_views(call.storage, [row]))[0]


@router.post("/{notification_id}/retry")
async def retry_notification(call: Caller, *, notification_id: Id, dry_run: DryRun = False) -> NotificationDone:
    """Try a notification afresh, at once; its channel, too, is not waited for any more."""
    channels = Channels(call.service.status().channels)
    row = await upkeep.retry_notification(call.world, call.act(), channels, notification_id, dry_run=dry_run)
    (view,) = await notification_views(call.storage, [row])
    return NotificationDone(dry_run=dry_run, op_id=call.op_id, notification=view)


@router.delete("/{notification_id}")
async def drop_notification(call: Caller, *, notification_id: Id, dry_run: DryRun = False) -> NotificationDone:
    """Forget a notification; what its channel shows stays there."""
    wanted = await call.storage.load_members([notification_id])
    row = await upkeep.drop_notification(call.world, call.act(), notification_id, dry_run=dry_run)
    view = notification_view(row, wanted=bool(wanted[notification_id].open))
    return NotificationDone(dry_run=dry_run, op_id=call.op_id, notification=view)


async def notification_views(storage: Storage, rows: Sequence[Notification]) -> list[NotificationView]:
    """Return notifications with whether they are wanted."""
    if not rows:
        return []
    members = await storage.load_members([row.id for row in rows])
    return [notification_view(row, wanted=bool(members[row.id].open)) for row in rows]
