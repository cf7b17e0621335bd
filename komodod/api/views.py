"""What clients see: the nouns of the model as JSON, and how each is made of the stored value.

Instants are RFC 3339 in UTC, durations seconds.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from komodod.model import (
    Aggregate,
    Alert,
    AlertKind,
    ApplyMode,
    DiffMode,
    Event,
    EventKind,
    HookCall,
    HookCallState,
    Notification,
    Origin,
    Resolution,
    Severity,
    Shown,
    Sync,
    SyncState,
    Want,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from komodod.engine.reports import Report
    from komodod.redaction import Redactor

V = TypeVar("V")


class Listing(BaseModel, Generic[V]):
    """Some of a list. `next` is to be given as `after` for what follows; null where there is no more."""

    items: list[V]
    next: str | None = None


class View(BaseModel):
    """A value of the model as clients see it; made of one by `model_validate` where the fields have the same names."""

    model_config = ConfigDict(from_attributes=True)


class ChangeView(View):
    """One pending update."""

    action: str
    kind: str
    name: str
    diff: str | None = None


class ChangesView(View):
    """The stored changes of a sync; `omitted` counts those that were too many to keep."""

    items: list[ChangeView]
    omitted: int


class ApplyRequestView(View):
    """A wish to have a sync applied that is not carried out yet."""

    op_id: str
    actor: str
    at: datetime
    force: bool
    started_at: datetime | None


class SyncView(View):
    """A sync. Secrets in `source` are masked as `***`."""

    id: str
    name: str
    state: SyncState
    origin: Origin
    declared: str | None = Field(description="`file:line` of a sync that the configuration declares.")
    source: dict[str, Any]
    every: float | None
    cron: str | None
    timezone: str | None
    apply: ApplyMode
    severity: Severity
    labels: dict[str, str]
    fail_after: int
    timeout: float
    diff: DiffMode
    generation: int
    paused: bool
    pending: int
    revision: str | None
    headline: list[ChangeView]
    conditions: list[AlertKind]
    failures: int
    error: str | None
    checked_at: datetime | None
    next_check_at: datetime | None
    requests: int
    requests_seen: int
    apply_request: ApplyRequestView | None
    applied_at: datetime | None
    apply_error: str | None
    created_at: datetime
    updated_at: datetime


class AlertView(View):
    """An alert; `sync` is its sync's name, as it was when the alert was last written."""

    id: str
    sync: str
    sync_id: str
    kind: AlertKind
    severity: Severity
    summary: str
    labels: dict[str, str]
    changes: int
    headline: list[ChangeView]
    paused: bool
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    resolution: Resolution | None
    reason: str | None
    op_id: str | None = Field(description="The operation that last wrote it.")


class SyncDetail(SyncView):
    """A sync and its open alerts."""

    alerts: list[AlertView]


class Standing(StrEnum):
    """What is known of a notification in its channel."""

    ABSENT = "absent"
    SHOWN = "shown"
    IN_DOUBT = "in_doubt"


class DoubtView(View):
    """A message of this key may still appear or vanish until `until`."""

    key: str
    since: datetime
    until: datetime


class AttemptView(View):
    """One line of a notification's ledger."""

    at: datetime
    want: Want
    key: str
    sequence: int
    outcome: str
    error: str | None


class NotificationView(View):
    """A notification; `sync` is the name of the sync it is about, as it was; `wanted` whether it should be shown."""

    id: str
    notifier: str
    group: str
    sync: str
    wanted: bool
    state: Standing
    version: int
    observed: int
    attempts: int
    last_error: str | None
    dead: bool = Field(description="Given up on, until it is retried or something else is to be shown.")
    stranded: bool = Field(description="Its notifier is no longer configured.")
    waiting: str | None
    retry_at: datetime | None
    due_at: datetime | None = Field(description="When a worker looks at it again.")
    shown_since: datetime | None
    key: str | None
    doubts: list[DoubtView]
    ledger: list[AttemptView]
    repeats: int
    abandoned: int


class AlertDetail(AlertView):
    """An alert and the notifications it is linked to."""

    notifications: list[NotificationView]


class EventView(View):
    """A fact; `sync` is the sync's name as it was, and `alerts` are the alerts as they then were."""

    id: str
    cursor: int
    at: datetime
    kind: EventKind
    sync: str | None
    sync_id: str | None
    actor: str
    op_id: str
    reason: str | None
    data: dict[str, Any]
    alerts: list[AlertView]


class HookCallView(View):
    """The duty to tell a plugin of an event; `present` is whether the plugin is loaded."""

    id: str
    event_id: str
    plugin: str
    hook: str
    sync: str | None
    state: HookCallState
    attempts: int
    excused: int
    last_error: str | None
    created_at: datetime
    due_at: datetime | None
    finished_at: datetime | None
    present: bool


class CheckedView(View):
    """One invariant in a pass; `error` where it could not be told what is broken, and nothing was repaired."""

    name: str
    checked: int
    found: int
    repaired: int
    skipped: int
    why: str | None
    error: str | None
    findings: list[str]
    seconds: float


class ReportView(View):
    """One pass of the consistency check; `braked` names the invariants that would have repaired too much."""

    dry_run: bool
    forced: bool
    trigger: str
    started_at: datetime
    seconds: float
    braked: list[str]
    invariants: list[CheckedView]


def sync_fields(sync: Sync, redactor: Redactor) -> dict[str, Any]:
    """Return the fields of a `SyncView`."""
    return {
        **{name: getattr(sync, name) for name in _OF_SYNC},
        **{name: getattr(sync.spec, name) for name in _OF_SPEC},
        "source": redactor.value(sync.spec.source),
        "conditions": sorted(sync.conditions),
    }


_OF_SPEC = ("every", "cron", "timezone", "apply", "severity", "labels", "fail_after", "timeout", "diff")
_OF_SYNC = tuple(name for name in SyncView.model_fields if name not in {*_OF_SPEC, "source", "conditions"})


def sync_view(sync: Sync, redactor: Redactor) -> SyncView:
    """Return a sync, its source masked."""
    return SyncView.model_validate(sync_fields(sync, redactor))


def sync_detail(whole: Aggregate, redactor: Redactor) -> SyncDetail:
    """Return a sync and its open alerts."""
    alerts = [alert_view(alert) for alert in whole.alerts]
    return SyncDetail.model_validate({**sync_fields(whole.sync, redactor), "alerts": alerts})


def alert_fields(alert: Alert) -> dict[str, Any]:
    """Return the fields of an `AlertView`."""
    return {**{name: getattr(alert, name) for name in _OF_ALERT}, "sync": alert.sync_name}


_OF_ALERT = tuple(name for name in AlertView.model_fields if name != "sync")


def alert_view(alert: Alert) -> AlertView:
    """Return an alert."""
    return AlertView.model_validate(alert_fields(alert))


def alert_detail(alert: Alert, rows: Iterable[NotificationView]) -> AlertDetail:
    """Return an alert and its notifications."""
    return AlertDetail.model_validate({**alert_fields(alert), "notifications": list(rows)})


def notification_view(row: Notification, *, wanted: bool) -> NotificationView:
    """Return a notification; `wanted`: whether an open alert is linked to it."""
    fields = {name: getattr(row, name) for name in _OF_NOTIFICATION}
    return NotificationView.model_validate(
        {**fields, "sync": row.title, "wanted": wanted, "state": standing(row), "dead": row.settled_dead}
    )


_OF_NOTIFICATION = tuple(
    name for name in NotificationView.model_fields if name not in {"sync", "wanted", "state", "dead"}
)


def standing(row: Notification) -> Standing:
    """Return what is known of the notification in its channel."""
    if row.doubts:
        return Standing.IN_DOUBT
    return Standing.SHOWN if row.state is Shown.SHOWN else Standing.ABSENT


def event_view(event: Event) -> EventView:
    """Return an event."""
    return EventView(
        id=event.id,
        cursor=event.cursor,
        at=event.at,
        kind=event.kind,
        sync=None if event.sync is None else event.sync.name,
        sync_id=None if event.sync is None else event.sync.id,
        actor=event.actor,
        op_id=event.op_id,
        reason=event.reason,
        data=dict(event.data),
        alerts=[alert_view(alert) for alert in event.alerts],
    )


def hook_call_view(call: HookCall, *, present: bool) -> HookCallView:
    """Return a hook call; `present`: whether its plugin is loaded."""
    fields = {name: getattr(call, name) for name in _OF_CALL}
    return HookCallView.model_validate({**fields, "sync": call.sync_name, "present": present})


_OF_CALL = tuple(name for name in HookCallView.model_fields if name not in {"sync", "present"})


def report_view(report: Report) -> ReportView:
    """Return the report of a pass."""
    return ReportView.model_validate(report)
