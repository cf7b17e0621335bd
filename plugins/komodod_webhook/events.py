"""A message as a CloudEvent 1.0 in structured JSON.

`data.key` is the same from the first event to the withdrawal and never used again; `data.sequence` grows with each. A
receiver that keeps the event of the highest sequence for each key, and drops a key once it is withdrawn, shows at any
time what is open, whatever came twice, late or out of order.
"""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from datetime import datetime

    from komodod.model import Alert, Change, Json
    from komodod.notifier import Message

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"


def encode(message: Message, notifier: str) -> bytes:
    """Return the body: equal messages of one notifier make equal bytes."""
    event = {
        "specversion": "1.0",
        "type": f"dev.komodod.alert.{message.edition}",
        "source": f"/komodod/{quote(notifier, safe='')}",
        "id": message.id,
        "time": _instant(message.at),
        "subject": message.alerts[0].sync_name if message.alerts else message.group,
        "datacontenttype": "application/json",
        "data": _data(message),
    }
    # A file name need not be text; what cannot be sent as such is replaced.
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _data(message: Message) -> dict[str, Json]:
    return {
        "key": message.key,
        "sequence": message.sequence,
        "group": message.group,
        "title": message.title,
        "body": message.body,
        "severity": message.severity,
        "reason": message.reason,
        "alerts": [_alert(alert) for alert in message.alerts],
    }


def _alert(alert: Alert) -> dict[str, Json]:
    return {
        "id": alert.id,
        "sync_id": alert.sync_id,
        "sync": alert.sync_name,
        "kind": alert.kind,
        "severity": alert.severity,
        "summary": alert.summary,
        "labels": dict(sorted(alert.labels.items())),
        "paused": alert.paused,
        "opened_at": _instant(alert.opened_at),
        "updated_at": _instant(alert.updated_at),
        "resolved_at": alert.resolved_at and _instant(alert.resolved_at),
        "resolution": alert.resolution,
        "reason": alert.reason,
        "changes": alert.changes,
        "headline": [_change(change) for change in alert.headline],
    }


def _change(change: Change) -> dict[str, Json]:
    """Return what a change is about; its text may hold secrets and is not sent."""
    return {"action": change.action, "kind": change.kind, "name": change.name}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
