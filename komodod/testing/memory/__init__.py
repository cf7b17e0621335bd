"""The store in memory."""

from __future__ import annotations

from komodod.testing.memory.storage import MemoryConfig, MemoryStorage

__all__ = ["MemoryConfig", "MemoryStorage"]
