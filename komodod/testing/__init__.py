"""What tests of komodod and of its plugins are made of: a store in memory, fakes, simulated time, contract suites."""

from __future__ import annotations

from komodod.testing.dump import dump
from komodod.testing.memory import MemoryConfig, MemoryStorage
from komodod.testing.simulation import SimulatedClock, SimulatedLoop, SimulationStuckError, outside, run
from komodod.testing.storage_contract import StorageContract

__all__ = [
    "MemoryConfig",
    "MemoryStorage",
    "SimulatedClock",
    "SimulatedLoop",
    "SimulationStuckError",
    "StorageContract",
    "dump",
    "outside",
    "run",
]
