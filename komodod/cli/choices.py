"""The words that options may take.

They are those of `komodod.model`, spelt out, since importing it takes 25 ms; a test holds the two together.
"""

from __future__ import annotations

from typing import Final

SYNC_STATES: Final = ("unknown", "ok", "pending", "failed")
ORIGINS: Final = ("config", "api", "builtin")
SEVERITIES: Final = ("info", "warning", "critical")
APPLY_MODES: Final = ("manual", "auto")
DIFF_MODES: Final = ("text", "none")
ALERT_KINDS: Final = ("pending", "failed", "unconverged", "brake", "dead_letter", "reload_failed")
HOOK_CALL_STATES: Final = ("waiting", "done", "dead")
NOTIFICATION_STATES: Final = ("absent", "shown", "in_doubt")
"""The API's: what the model keeps apart, doubts and all, in one word."""
EVENT_KINDS: Final = (
    "sync_created",
    "sync_updated",
    "sync_pending",
    "sync_applied",
    "sync_failed",
    "sync_deleted",
    "alert_opened",
    "alert_resolved",
    "pass_finished",
    "sync_in_step",
    "sync_paused",
    "sync_resumed",
    "apply_failed",
    "apply_requested",
    "apply_discarded",
    "config_reloaded",
    "notification_dead",
    "notification_retried",
    "notification_dropped",
    "hook_call_dead",
    "hook_call_retried",
    "hook_call_dropped",
)
