"""The pass of the schedule makes up for a reload that was cut short."""

from __future__ import annotations

import asyncio

from komodod.daemon.daemon import Daemon
from komodod.engine.consistency import Brake, Consistency
from komodod.engine.decisions.acting import Rules
from komodod.engine.decisions.routing import Route
from komodod.engine.invariants import stored_invariants
from komodod.testing import run
from komodod.testing.fakes import Outside, Place, change
from komodod.testing.processes import Simulation


def test_open_alerts_that_no_reload_came_to_reroute_are_rerouted_by_the_next_pass() -> None:
    async def main() -> None:
        world = Simulation(outsides={"first": Outside(), "second": Outside()})
        engine = world.start().world
        engine.rules = Rules(routes=(Route(name="all", notify=("first",)),))
        world.places.at["web"] = Place(changes=(change("a"),))
        await world.create("web")
        await asyncio.sleep(5)
        engine.rules = Rules(routes=(Route(name="all", notify=("second",)),))
        daemon = Daemon.__new__(Daemon)  # of all its parts, the two that a pass needs
        daemon._world, daemon.consistency = engine, Consistency(engine, stored_invariants, Brake())
        await daemon.scheduled_pass()
        await world.rest()
        assert [len(world.outsides[name].standing) for name in ("first", "second")] == [0, 1]
        await world.stop()

    run(main())
