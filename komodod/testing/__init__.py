"""What tests of komodod and of its plugins are made of: a store in memory, fakes, simulated time, contract suites."""

from __future__ import annotations

from komodod.testing.simulation import SimulatedClock, SimulatedLoop, SimulationStuckError, outside, run

__all__ = ["SimulatedClock", "SimulatedLoop", "SimulationStuckError", "outside", "run"]
