"""The daemon: everything wired together, started, reloaded and stopped in order."""

from __future__ import annotations

from komodod.daemon.main import reconcile_offline, run

__all__ = ["reconcile_offline", "run"]
