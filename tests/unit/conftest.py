from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("komodod.testing")  # before it is imported, as in tests/contract

from komodod.testing.sources import apply, observe, source_context  # noqa: E402
from komodod_directory import DirectorySource  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from komodod.model import Applied, Json, Observation


@dataclass
class Site:
    """Two directories and a directory source over them."""

    origin: Path
    target: Path
    state: Path

    def config(self, **keys: Json) -> dict[str, Json]:
        return {"from": str(self.origin), "to": str(self.target), **keys}

    def observe(self, **keys: Json) -> Observation:
        return asyncio.run(observe(DirectorySource, self.config(**keys), source_context(self.state)))

    def apply(self, *, force: bool = False, **keys: Json) -> Applied:
        return asyncio.run(apply(DirectorySource, self.config(**keys), source_context(self.state), force=force))

    def told(self, **keys: Json) -> list[str]:
        """Return what is to be done: `create file a/b`."""
        return [f"{change.action} {change.kind} {change.name}" for change in self.observe(**keys).changes]

    def paths(self) -> list[str]:
        """Return everything in the target."""
        return sorted(os.path.relpath(path, self.target) for path in self.target.rglob("*"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A directory source over two empty directories."""
    made = Site(tmp_path / "from", tmp_path / "to", tmp_path / "state")
    made.origin.mkdir()
    made.target.mkdir()
    return made
