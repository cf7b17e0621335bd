"""What operations answer: the op_id to look for in events and logs, and what was (or would be) done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from komodod.api.views import AlertView, HookCallView, NotificationView, ReportView, SyncView
from komodod.model import AlertKind, SyncState
from komodod.notifier import ReceiptClass


class Done(BaseModel):
    """What every operation answers; under `dry_run` nothing was done."""

    dry_run: bool
    op_id: str


class SyncDone(Done):
    """The sync as it now is, or would be."""

    sync: SyncView


class SyncChanged(SyncDone):
    """`changed` is false where everything was already as asked for."""

    changed: bool


class SyncAsked(SyncDone):
    """`done` tells whether it was carried out within the time waited; null where nobody waited."""

    done: bool | None = None


class SyncDeleted(SyncDone):
    """What the sync was, the alerts that are resolved with it, and the notifications that are withdrawn."""

    alerts: list[AlertView]
    notifications: list[NotificationView]


class NotificationDone(Done):
    """The notification as it now is; as it was, if it was dropped."""

    notification: NotificationView


class HookCallDone(Done):
    """The hook call as it now is; as it was, if it was dropped."""

    hook_call: HookCallView


class PassDone(ReportView):
    """The report of the pass that was run."""

    op_id: str


class ReloadDone(Done):
    """What is different now; `restart_needed` names the keys whose change waits for a restart."""

    changed: dict[str, Any]
    restart_needed: list[str]


class BackupDone(Done):
    """Where the copy is."""

    path: str


class CountsView(BaseModel):
    """How much there is of what; the built-in sync is not counted."""

    model_config = ConfigDict(from_attributes=True)

    syncs: dict[SyncState, int]
    paused: int
    open_alerts: dict[AlertKind, int]
    shown: int
    dirty: int
    in_doubt: int
    dead_notifications: int
    stranded: int
    waiting_hook_calls: int
    dead_hook_calls: int


class DueView(BaseModel):
    """When there will be something to do; `now` is the store's clock, null: never."""

    model_config = ConfigDict(from_attributes=True)

    now: datetime
    checks: datetime | None
    notifications: datetime | None
    hook_calls: datetime | None


class ConfigStatus(BaseModel):
    """The configuration in effect; `error` is why the last reload failed."""

    file: str
    loaded_at: datetime
    error: str | None
    restart_needed: list[str]


class NotifierStatus(BaseModel):
    """One configured channel; `parked` says why nothing is sent to it until a reload."""

    name: str
    type: str
    receipt_class: ReceiptClass = Field(serialization_alias="class")
    withdrawal: str = Field(description="What taking a message back means there.")
    parked: str | None
    failures: int = Field(description="How often in a row it did not answer.")


class PluginsStatus(BaseModel):
    """The plugins that do not work, each with its error, and those that hang."""

    broken: dict[str, str]
    wedged: list[str]


class StorageStatus(BaseModel):
    """The store; `error` where it does not answer, and what it would have told is null."""

    type: str
    error: str | None


class StatusView(BaseModel):
    """The daemon at a glance."""

    version: str
    pid: int
    started_at: datetime
    socket: str
    ready: bool
    why: str | None = Field(description="Why it is not ready.")
    config: ConfigStatus
    counts: CountsView | None
    next_due: DueView | None
    last_pass: ReportView | None
    notifiers: list[NotifierStatus]
    plugins: PluginsStatus
    storage: StorageStatus


class Health(BaseModel):
    """Whether the daemon lives, or is ready."""

    status: str
    why: str | None = None
