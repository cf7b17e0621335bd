"""Alerts, open and resolved."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from komodod.api.call import Caller, read
from komodod.api.inputs import NO_LABELS, After, Glob, Id, Labels, Limit, labels_of
from komodod.api.routes.notifications import notification_views
from komodod.api.views import AlertDetail, AlertView, Listing, alert_detail, alert_view
from komodod.engine.syncs import linked
from komodod.errors import NotFoundError
from komodod.model import AlertKind, Severity
from komodod.storage import AlertFilter

router = APIRouter(prefix="/alerts", tags=["alerts"])


@router.get("")
async def list_alerts(
    call: Caller,
    *,
    every: Annotated[bool, Query(alias="all", description="The resolved ones too.")] = False,
    sync: Glob = None,
    kind: AlertKind | None = None,
    severity: Severity | None = None,
    label: Labels = NO_LABELS,
    after: After = None,
    limit: Limit = 50,
) -> Listing[AlertView]:
    """List alerts, newest first."""
    match = AlertFilter(sync=sync, kind=kind, severity=severity, open=None if every else True, labels=labels_of(label))
    rows = await read(call.storage.list_alerts(match, after, limit))
    return Listing(items=[alert_view(alert) for alert in rows.items], next=rows.next)


@router.get("/{alert_id}")
async def show_alert(call: Caller, *, alert_id: Id) -> AlertDetail:
    """Show an alert and the notifications it is linked to."""
    alert = await call.storage.get_alert(alert_id)
    if alert is None:
        raise NotFoundError(f"there is no alert {alert_id!r}")
    rows = await linked(call.world, alert.id)
    return alert_detail(alert, await notification_views(call.storage, rows))
