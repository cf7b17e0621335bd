"""The `webhook` notifier: alerts as signed CloudEvents, posted to a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import komodod
from komodod_webhook.notifier import WebhookConfig, WebhookNotifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from komodod.notifier import Notifier

__all__ = ["WebhookConfig", "WebhookNotifier"]


@komodod.hookimpl
def register_notifiers() -> Mapping[str, type[Notifier]]:
    """Offer the notifier."""
    return {"webhook": WebhookNotifier}
