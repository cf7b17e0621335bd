"""The `log` notifier: alerts as lines of the daemon's log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict

import komodod
from komodod.model import Severity
from komodod.notifier import Notifier, ReceiptClass, Traits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from komodod.model import Json
    from komodod.notifier import Message

__all__ = ["LogConfig", "LogNotifier"]

LEVELS: Final[Mapping[Severity, str]] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "critical",
}
"""The level of the line that shows an alert; the one that takes it back is always `info`."""

EVENTS: Final[Mapping[str, str]] = {
    "opened": "notification_shown",
    "updated": "notification_updated",
    "withdrawn": "notification_withdrawn",
}
"""The event of the line, by the message's edition."""


class LogConfig(BaseModel):
    """This notifier has nothing to configure."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LogNotifier(Notifier):
    """Writes a line for each message. What was written stays written; a withdrawal is one more line."""

    Config = LogConfig

    @property
    def traits(self) -> Traits:
        """A log is never taken back."""
        return Traits(receipt_class=ReceiptClass.E, withdrawal="a line that says that it no longer holds")

    async def show(self, message: Message, receipt: Json | None) -> Json | None:  # noqa: ARG002  a line has no name
        """Write `notification_shown` or `notification_updated`."""
        self._write(LEVELS[message.severity], message)
        return None

    async def withdraw(self, message: Message, receipt: Json | None) -> None:  # noqa: ARG002  as above
        """Write `notification_withdrawn`."""
        self._write("info", message)

    def _write(self, level: str, message: Message) -> None:
        keys: dict[str, Json] = {
            "sync": message.alerts[0].sync_name if message.alerts else message.title,
            "kind": ",".join(alert.kind for alert in message.alerts),
            "severity": message.severity.value,
            "summary": "; ".join(alert.summary for alert in message.alerts) or message.title,
            "key": message.key,
            "sequence": message.sequence,
        }
        if message.reason is not None:
            keys["reason"] = message.reason
        if message.repetition:
            keys["repetition"] = True
        getattr(self.context.log, level)(EVENTS[message.edition], **keys)


@komodod.hookimpl
def register_notifiers() -> Mapping[str, type[Notifier]]:
    """Offer the notifier."""
    return {"log": LogNotifier}
