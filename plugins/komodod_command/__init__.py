"""The `command` source: a command says whether something is in step, and another one brings it there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import komodod
from komodod_command.config import CommandConfig
from komodod_command.source import CommandSource

if TYPE_CHECKING:
    from komodod.source import Source

__all__ = ["CommandConfig", "CommandSource"]


@komodod.hookimpl
def register_sources() -> Mapping[str, type[Source]]:
    """Offer the source."""
    return {"command": CommandSource}
