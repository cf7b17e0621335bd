"""A batch as the text that the server's function `komodod.commit` takes.

Rows are encoded by the codec, straight to JSON: an object whose keys are the names of the columns.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from komodod import codec
from komodod.model import Alert, Changes, Doubt, Event, HookCall, Notification, Sync
from komodod.storage import (
    AlertOpen,
    AppendEvent,
    Batch,
    Confess,
    DeleteSync,
    DropDoubt,
    DropHookCall,
    DropNotification,
    Expectation,
    HookCallIn,
    Leading,
    LeaseHeld,
    Link,
    MarkDirty,
    NameFree,
    NotificationAt,
    PutAlert,
    PutChanges,
    PutDoubt,
    PutHookCall,
    PutNotification,
    PutSync,
    QueueHookCall,
    Release,
    RequestCheck,
    SyncAt,
    SyncGone,
    Touch,
    Unlink,
    Write,
    notification_id,
)

if TYPE_CHECKING:
    from datetime import datetime

_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL in JSON, and not a backslash before `u0000`."""


def encode(batch: Batch, now: datetime | None) -> str:
    """Return the batch as JSON; `now` is None where the server's clock rules.

    Raises:
        ValueError: a text in it is not valid Unicode, or holds a NUL.
    """
    expect = ",".join(_expectation(each) for each in batch.expect)
    writes = ",".join(_write(each) for each in batch.writes)
    at = "null" if now is None else f'"{now.isoformat()}"'
    text = f'{{"now":{at},"expect":[{expect}],"writes":[{writes}]}}'
    text.encode()  # fails here, for this batch alone
    if _NUL.search(text):
        raise ValueError("PostgreSQL keeps no text with a NUL in it")
    return text


def _op(word: str, *fields: Any) -> str:
    return json.dumps([word, *fields], ensure_ascii=False, separators=(",", ":"))


def _row(word: str, kind: type[Any], row: object, *before: Any) -> str:
    """Return an operation whose last field is a row."""
    return f"{_op(word, *before)[:-1]},{codec.encode(kind, row)}]"


def _expectation(expectation: Expectation) -> str:
    match expectation:
        case SyncAt(sync_id, generation):
            return _op("sync_at", sync_id, generation)
        case SyncGone(sync_id):
            return _op("sync_gone", sync_id)
        case NameFree(name):
            return _op("name_free", name)
        case AlertOpen(alert_id):
            return _op("alert_open", alert_id)
        case LeaseHeld(work, row_id, token):
            return _op("lease_held", work.value, row_id, token)
        case NotificationAt(row_id, version):
            return _op("notification_at", row_id, version)
        case HookCallIn(row_id, state):
            return _op("hook_call_in", row_id, state.value)
        case Leading(duty, token):
            return _op("leading", duty, token)


def _write(write: Write) -> str:  # noqa: C901, PLR0912  one case a write; splitting it would hide that
    match write:
        case PutSync(sync):
            return _row("put_sync", Sync, sync)
        case PutChanges(sync_id, changes):
            return _row("put_changes", Changes, changes, sync_id)
        case RequestCheck(sync_id):
            return _op("request_check", sync_id)
        case DeleteSync(sync_id):
            return _op("delete_sync", sync_id)
        case PutAlert(alert):
            return _row("put_alert", Alert, alert)
        case Link(alert_id, notifier, group, title):
            return _op("link", alert_id, notification_id(notifier, group), notifier, group, title)
        case Unlink(alert_id, row_id):
            return _op("unlink", alert_id, row_id)
        case Touch(alert_id):
            return _op("touch", alert_id)
        case MarkDirty(row_id):
            return _op("mark_dirty", row_id)
        case PutNotification(row):
            return _row("put_notification", Notification, row)
        case PutDoubt(row_id, doubt):
            return _row("put_doubt", Doubt, doubt, row_id)
        case DropDoubt(row_id, key, version):
            return _op("drop_doubt", row_id, key, version)
        case Confess(notifier, group, title, doubt):
            return _row("confess", Doubt, doubt, notification_id(notifier, group), notifier, group, title)
        case DropNotification(row_id):
            return _op("drop_notification", row_id)
        case AppendEvent(event):
            return _row("append_event", Event, event)
        case QueueHookCall(call):
            return _row("queue_hook_call", HookCall, call)
        case PutHookCall(call):
            return _row("put_hook_call", HookCall, call)
        case DropHookCall(call_id):
            return _op("drop_hook_call", call_id)
        case Release(work, row_id):
            return _op("release", work.value, row_id)
