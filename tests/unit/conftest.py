from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from komodod.testing.sources import SYNC_ID, apply, observe, source_context
from komodod_directory import DirectorySource
from komodod_git import GitSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from komodod.model import Applied, Json, Observation


@pytest.fixture(autouse=True)
def _no_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors name drop-ins under systemd, and whoever runs the tests may be under it."""
    monkeypatch.delenv("INVOCATION_ID", raising=False)


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


@dataclass
class Remote:
    """A repository with commits, a directory beside it, and a git source over both."""

    place: Path
    target: Path
    state: Path

    def git(self, *words: str) -> str:
        """Run git in the repository, as somebody with a name."""
        person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *person, *words], cwd=self.place, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str] | None = None) -> str:
        """Write files, commit everything there is, and return the commit."""
        for path, text in (files or {}).items():
            (self.place / path).parent.mkdir(parents=True, exist_ok=True)
            (self.place / path).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def config(self, **keys: Json) -> dict[str, Json]:
        return {"url": str(self.place), "to": str(self.target), **keys}

    def observe(self, **keys: Json) -> Observation:
        return asyncio.run(observe(GitSource, self.config(**keys), source_context(self.state)))

    def apply(self, *, force: bool = False, **keys: Json) -> Applied:
        return asyncio.run(apply(GitSource, self.config(**keys), source_context(self.state), force=force))

    def told(self, **keys: Json) -> list[str]:
        """Return what is to be done: `create file a/b`."""
        return [f"{change.action} {change.kind} {change.name}" for change in self.observe(**keys).changes]

    def paths(self) -> list[str]:
        """Return everything in the target."""
        return sorted(os.path.relpath(path, self.target) for path in self.target.rglob("*"))

    @property
    def clone(self) -> Path:
        return self.state / SYNC_ID


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """A git source over a repository with one commit, on branch `main`, and an empty directory."""
    made = Remote(tmp_path / "repository", tmp_path / "to", tmp_path / "state")
    made.place.mkdir()
    made.target.mkdir()
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit({"a": "one\n", "deploy/b": "two\n"})
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A directory source over two empty directories."""
    made = Site(tmp_path / "from", tmp_path / "to", tmp_path / "state")
    made.origin.mkdir()
    made.target.mkdir()
    return made
